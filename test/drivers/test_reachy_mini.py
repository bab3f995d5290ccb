"""Reachy Mini's driver against a server of its published protocol, and against its own daemon where it is installed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from bus_fixtures import until
from network_robots import FakeReachy, free_port

from reactdiff_ros.drivers.network import make_network_drivers
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.robots.profile import load_profile

ROOT = Path(__file__).resolve().parents[2]
CLOCK = time.monotonic


def profile_at(port, tmp_path):
    text = (ROOT / "config" / "robots" / "reachy_mini.yaml").read_text().replace("port: 8000", f"port: {port}")
    path = tmp_path / "reachy_mini.yaml"
    path.write_text(text)
    return load_profile(path)


@pytest.fixture
def robot():
    made = FakeReachy()
    yield made
    made.close()


@pytest.fixture
def driver(robot, tmp_path):
    (made,) = make_network_drivers(profile_at(robot.port, tmp_path), CLOCK, lock_folder=tmp_path).values()
    made.open()
    yield made
    made.close()


def settle(driver, condition):
    assert until(condition, lambda: driver.poll(0.001) or time.sleep(0.005), 10.0)


def test_what_is_measured_has_the_joints_names_and_units(robot, driver):
    settle(driver, lambda: driver.reading("head_pitch") is not None)
    assert driver.reading("head_pitch").position == pytest.approx(0.3)
    assert driver.reading("antenna_right").position == pytest.approx(-0.5)
    assert driver.reading("antenna_left").position == pytest.approx(0.5)
    assert driver.check() == {}
    assert driver.feedback
    assert driver.watchdog_s is None


def test_nothing_is_sent_before_a_joint_is_armed(robot, driver):
    driver.command({"head_yaw": 0.4})
    settle(driver, lambda: driver.reading("head_yaw") is not None)
    assert robot.got == []
    assert robot.modes == []
    assert driver.armed == frozenset()


def test_torque_comes_where_the_head_is_and_not_before_it_was_told_so(robot, driver):
    assert driver.arm("head_yaw", 0.0) is None
    settle(driver, lambda: robot.got)
    assert robot.modes == ["enabled"]
    assert robot.got[0]["target_head_pose"]["pitch"] == pytest.approx(0.3)
    assert robot.got[0]["target_antennas"] == pytest.approx([-0.5, 0.5])


def test_commands_arrive_as_one_pose_and_right_antenna_first(robot, driver):
    for joint in driver.axes:
        assert driver.arm(joint, 0.0) is None
    driver.command({"head_pitch": 0.1, "head_yaw": -0.2, "head_roll": 0.05, "head_z": 0.01, "antenna_left": 0.7})
    settle(driver, lambda: robot.got and robot.got[-1]["target_head_pose"]["yaw"] == -0.2)
    target = robot.got[-1]
    assert target["target_head_pose"] == {"x": 0.0, "y": 0.0, "z": 0.01, "roll": 0.05, "pitch": 0.1, "yaw": -0.2}
    assert target["target_antennas"] == [-0.5, 0.7]


def test_commands_are_clamped_and_what_is_not_finite_is_left_out(robot, driver):
    driver.arm("head_yaw", 0.0)
    driver.command({"head_yaw": 1e9, "head_pitch": 0.5})
    settle(driver, lambda: robot.got and robot.got[-1]["target_head_pose"]["yaw"] > 1.0)
    driver.command({"head_yaw": float("nan")})
    assert robot.got[-1]["target_head_pose"]["yaw"] == pytest.approx(1.05)
    assert robot.got[-1]["target_head_pose"]["pitch"] == pytest.approx(0.3)  # not armed: where it was


def test_torque_goes_off_with_the_last_joint(robot, driver):
    driver.arm("head_yaw", 0.0), driver.arm("head_pitch", 0.0)
    driver.release("head_yaw")
    assert robot.modes == ["enabled"]
    driver.release("head_pitch")
    assert robot.modes == ["enabled", "disabled"]


def test_what_was_stopped_can_be_let_go(robot, driver):
    driver.arm("head_yaw", 0.0)
    driver.arm("antenna_left", 0.0)
    driver.stop()
    driver.release("antenna_left")
    assert robot.modes == ["enabled"]
    driver.release("head_yaw")
    assert robot.modes == ["enabled", "disabled"]


def test_stop_holds(robot, driver):
    driver.arm("head_yaw", 0.0)
    driver.stop()
    count = len(robot.got)
    driver.command({"head_yaw": 0.5})
    assert robot.modes == ["enabled"]
    assert driver.armed == frozenset()
    assert len(robot.got) <= count + 1


def test_a_daemon_that_dies_and_comes_back_is_found_but_nothing_is_armed(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.close()
    settle(driver, lambda: driver.faults())
    assert {f.kind for f in driver.faults().values()} == {"gone"}
    assert driver.armed == frozenset()
    assert "Reachy Mini is gone" in str(driver.faults()["head_yaw"])
    again = FakeReachy(robot.port)
    try:
        settle(driver, lambda: not driver.faults())
        driver.command({"head_yaw": 0.5})
        assert again.got == []
        assert driver.arm("head_yaw", 0.0) is None
    finally:
        again.close()


def test_a_daemon_that_says_nothing_more_is_a_fault(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.talks = False
    settle(driver, lambda: driver.faults())
    assert driver.faults()["head_yaw"].kind == "no_answer"
    assert driver.reading("head_yaw") is None
    robot.talks = True
    settle(driver, lambda: not driver.faults())


def test_a_daemon_that_refuses_is_quoted(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.complaint = "1 validation error\nfor FullBodyTarget"
    driver.command({"head_yaw": 0.1})
    settle(driver, lambda: driver.faults())
    fault = driver.faults()["head_yaw"]
    assert fault.kind == "refused"
    assert "validation error for FullBodyTarget" in str(fault)


def test_somebody_else_who_takes_the_torque_away_is_noticed(robot, driver):
    driver.arm("head_yaw", 0.0)
    settle(driver, lambda: driver.reading("head_yaw") is not None)
    robot.mode = "gravity_compensation"
    settle(driver, lambda: driver.faults())
    assert "gravity_compensation" in str(driver.faults()["head_yaw"])
    assert driver.armed == frozenset()


def test_a_daemon_that_does_not_read_never_makes_a_command_wait(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.reading = False
    began = time.monotonic()
    for number in range(5000):
        driver.command({"head_yaw": number / 1e4})
    assert time.monotonic() - began < 5.0
    robot.reading = True
    settle(driver, lambda: driver.faults() or robot.got[-1]["target_head_pose"]["yaw"] == pytest.approx(0.4999))


def test_nobody_there_is_one_sentence(tmp_path):
    port = free_port()
    (driver,) = make_network_drivers(profile_at(port, tmp_path), CLOCK, lock_folder=tmp_path).values()
    with pytest.raises(DeviceError, match="Reachy Mini cannot be reached") as caught:
        driver.open()
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(driver.check().values()).pop().kind == "gone"
    driver.close()


def test_one_program_a_robot(robot, driver, tmp_path):
    (second,) = make_network_drivers(profile_at(robot.port, tmp_path), CLOCK, lock_folder=tmp_path).values()
    with pytest.raises(DeviceError, match="use"):
        second.open()


@pytest.mark.parametrize("state", [{}, {"head_pose": 1}, {"head_pose": {}, "antennas_position": [0, 0]},
                                   {"head_pose": None, "antennas_position": [1]}])  # fmt: skip
def test_states_that_are_none_are_left_out(state):
    from reactdiff_ros.drivers.reachy_mini import _positions

    assert _positions(state) == {}


# Against the makers' own daemon.


def daemon_program():
    key = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    home = Path(os.environ.get("REACTDIFF_HOME") or Path(cache) / "reactdiff_ros") / key
    return home / "reachy" / "bin" / "reachy-mini-daemon"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    program = daemon_program()
    if not program.is_file():
        pytest.skip("Reachy Mini's daemon is not installed: scripts/setup_reachy.sh")
    port, log = free_port(), tmp_path_factory.mktemp("reachy") / "daemon.log"
    arguments = ["--mockup-sim", "--headless", "--no-media", "--no-wake-up-on-start", "--fastapi-host", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *arguments, "--fastapi-port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=log.parent,
            env=os.environ | {"HOME": str(log.parent)},
        )

    def answers():
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state/full", timeout=2).status == 200
        return False

    try:
        ready = until(answers, lambda: time.sleep(0.1) or process.poll() is None or pytest.fail(log.read_text()), 60.0)
        assert ready, log.read_text()
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def post(port, path, **body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    assert urllib.request.urlopen(request, timeout=5).status == 200


def listener_faces(clip):
    """What the listener shows to a recorded speaker, 50 a second."""
    from reactdiff_ros.replay.parameters import ReplaySettings
    from reactdiff_ros.replay.replay import replay

    faces = []
    replay(clip, ReplaySettings(policy="rules", seed=3), each=lambda step: faces.extend(step.faces))
    return np.array([face.coefficients for face in faces])


@pytest.mark.timeout(400)  # twenty seconds of real time, and a daemon that starts on a busy machine
def test_its_own_daemon_follows_the_listeners_head_for_a_whole_clip(daemon, tmp_path, clips):
    faces = listener_faces(clips("mimictalk_german_20s.mp4"))
    assert len(faces) > 900
    profile = profile_at(daemon, tmp_path)
    (driver,) = make_network_drivers(profile, CLOCK, lock_folder=tmp_path).values()
    driver.open()
    try:
        post(daemon, "/api/move/goto", head_pose=dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0),
             antennas=[0.0, 0.0], duration=1.0)  # fmt: skip
        settle(driver, lambda: all(abs(driver.reading(j).position) < 0.01 for j in ("head_pitch", "antenna_left")))
        told, seen = follow(profile, driver, faces)
    finally:
        for joint in driver.axes:
            driver.release(joint)
        driver.close()
    for axis in driver.axes.values():
        assert (told[axis.joint] >= axis.lower - 1e-9).all()
        assert (told[axis.joint] <= axis.upper + 1e-9).all()
    for name in ("head_pitch", "head_yaw", "head_roll"):
        # The platform's geometry may turn by a little more than it was told to (its own inverse kinematics).
        assert (np.abs(seen[name]) < profile.joints[name].upper + 0.05).all()
        errors = [np.abs(seen[name][late:] - told[name][: len(told[name]) - late]) for late in range(0, 20)]
        best = min(errors, key=lambda e: float(np.median(e)))
        assert np.median(best) < 0.01, name
    pitch = faces[: len(seen["head_pitch"]), 52]
    assert np.ptp(pitch) > 0.05
    lagged = max(np.corrcoef(seen["head_pitch"][late:], pitch[: len(pitch) - late])[0, 1] for late in range(0, 40))
    assert lagged > 0.8


def follow(profile, driver, faces):
    """Mapping and follower in real time; what each joint was told and where it was measured, tick by tick."""
    from reactdiff_ros.robots.follow import Follower

    follower, names = Follower(profile), list(profile.joints)
    told, seen = {n: [] for n in names}, {n: [] for n in names}

    def measured():
        return [driver.reading(n).position if driver.reading(n) is not None else float("nan") for n in names]

    now, dt = 0.0, 1.0 / profile.rate_hz
    follower.arm(now, measured())
    for joint in names:
        assert driver.arm(joint, 0.0) is None
    due = CLOCK()
    for face in faces:
        now, due = now + dt, max(due + dt, CLOCK())
        commands = follower.tick(now, face, 0.0)
        driver.command(dict(zip(names, commands.position, strict=True)))
        driver.poll(0.001)
        assert driver.faults() == {}
        assert commands.fault == ""
        time.sleep(max(0.0, due - CLOCK()))
        for name, position, where in zip(names, commands.position, measured(), strict=True):
            told[name].append(position)
            seen[name].append(where)
    return {n: np.array(v) for n, v in told.items()}, {n: np.array(v) for n, v in seen.items()}
