"""Calibration, emulation and `reactdiff robot calibrate`: right results, and a safe end whatever happens."""

import itertools
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from calibration_operator import bench, joint, profile_of

from reactdiff_ros.actuation.drivers.serial_port import DeviceLock, SerialPort
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.kept_state import Kept
from reactdiff_ros.actuation.robot.calibration import Calibration, load_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli.calibrate import StoppedError, find_ports
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.settings import state_folder

WAYS = {"sts": [100, 480, -960, 480], "dynamixel": [100, 480, -960, 480], "scs": [3, 122, -244, 122]}
OLD = '{"neck": {"id": 1, "drive_mode": 0, "homing_offset": 0, "range_min": 1, "range_max": 2}}'


@pytest.fixture
def path(tmp_path):
    """The file of the calibration, which holds an old one."""
    path = tmp_path / "calibration.json"
    path.write_text(OLD)
    return path


def can_be_armed(somebody: Any, calibration: Calibration, at: float, folder: Path) -> bool:
    profile, now = somebody.rig.profile, somebody.time.now
    driver = make_drivers(profile, {"neck": calibration}, now, lock_folder=folder, answer_s=0.15)["bus"]
    driver.open()
    armed = driver.check() == {} and driver.arm("neck", at) is None
    driver.close()
    return armed


def test_a_port_in_use_is_another_case_than_one_where_nothing_is(tmp_path):
    profile = load_profile("generic_12servo")
    device = str(tmp_path / "tty")
    Path(device).touch()
    lock = DeviceLock(device, tmp_path)
    make = partial(make_drivers, calibrations={}, clock=time.monotonic, lock_folder=tmp_path)
    with pytest.raises(DeviceError, match=f"maestro answers at no free port .*in use.*: end what uses {device}$"):
        find_ports(profile, ["maestro"], {"maestro": device}, [], make, Any)
    lock.release()
    with pytest.raises(DeviceError, match=r"maestro was not found .*no such port"):
        find_ports(profile, ["maestro"], {"maestro": "/dev/nothing"}, [], make, Any)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["sts", "dynamixel", "scs"])
def test_a_servo_on_a_bus_is_calibrated_and_can_be_armed(kind, turned, path, tmp_path):
    sign = -1 if turned else 1
    first, *rest = WAYS[kind]
    with bench(tmp_path, kind, [first, *(sign * w for w in rest)]) as somebody:
        result = somebody.calibrate(path)
        assert (result["calibrated"], result["missing"]) == (["neck"], [])
        servo, calibration = somebody.servo(), load_calibration(path)["neck"]
        assert not servo.motor.torque
        assert len(servo.received) > 20
        half, offset = {"sts": (2047, 100), "dynamixel": (2047, -100), "scs": (511, 0)}[kind]
        assert (calibration.drive_mode, calibration.homing_offset) == (int(turned), offset)
        assert calibration.range_min < half < calibration.range_max
        assert abs(calibration.range_max - half - WAYS[kind][1]) < 20
        # What was sent stayed inside the profile's limits, and did not jump.
        per_degree = 1024 / 300 if kind == "scs" else 4096 / 360
        assert max(abs(raw - half) for raw in servo.received) <= 40 * per_degree + 4
        assert max(abs(b - a) for a, b in itertools.pairwise(servo.received[3:])) <= 40 * per_degree / 8
        assert can_be_armed(somebody, calibration, 0.0, tmp_path)


@pytest.mark.parametrize("turned", [False, True])
def test_a_hobby_servo_is_calibrated_as_its_operator_says(turned, path, tmp_path):
    answers = [("is this its neutral", answer) for answer in ("+30", "-10", "much")]
    answers += [("n: the other way", "n")] if turned else []
    with bench(tmp_path, "maestro", [], *answers, unit="us", number=3) as somebody:
        somebody.calibrate(path)
        found = load_calibration(path)["neck"]
        assert found == Calibration(3, int(turned), 20, 1120, 1920)
        channel: Any = somebody.rig.buses["bus"].channels[3]
        assert channel.target == 0
        # In quarters of microseconds; after the first pulse it never jumped.
        pulses = [raw for raw in channel.received if raw]
        assert 4 * 1119 <= min(pulses) <= max(pulses) <= 4 * 1921
        assert max(abs(b - a) for a, b in itertools.pairwise(pulses)) <= 4 * 400 / 8
        assert any("not a whole number" in line for line in somebody.said)
        assert can_be_armed(somebody, found, 1500.0, tmp_path)


@pytest.mark.parametrize(
    ("poses", "words"),
    [([0, 100, -200], "too small"), ([0, 1000, 900], "reversed"), ([0, 500, -3000], "wrapped"), ([], "not follow")],
)
def test_ranges_that_cannot_be_and_a_blocked_joint_are_refused_and_nothing_is_written(poses, words, path, tmp_path):
    with bench(tmp_path, "sts", poses or [0, 480, -960, 480]) as somebody:
        servo = somebody.servo()
        servo.motor.speed = servo.motor.speed if poses else 1.0
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(words in line for line in somebody.said)
        assert path.read_text() == OLD
        assert not servo.motor.torque
        assert not poses or servo.received == []


STOPS = [
    "its torque goes off", "its neutral pose (0 deg)", "its upper end, where the face looks down (40", "its lower end",
    "near its neutral", "fingers off", "  to 40", "  to -40", "did it move freely", "write ",
]  # fmt: skip
stop, terminate = (partial(os.kill, os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM))


@pytest.mark.parametrize(("kind", "at"), [*(("sts", at) for at in STOPS), ("dynamixel", "  to -40")])
def test_ctrl_c_at_any_moment_lets_go_and_leaves_everything_as_it_was(kind, at, path, tmp_path):
    with bench(tmp_path, kind, WAYS[kind], (at, stop)) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(at in line for line in somebody.said)
        servo = somebody.servo()
        assert not servo.motor.torque
        assert path.read_text() == OLD
        assert (servo.get(31, 2) if kind == "sts" else servo.get(20, 4, signed=True)) == 0
    assert [p.name for p in tmp_path.iterdir() if "calibration" in p.name] == ["calibration.json"]


@pytest.mark.parametrize("on_fault", ["hold", "lower_then_release", "lower_then_release, twice"])
def test_a_joint_that_is_stopped_does_its_on_fault_and_holds_where_it_is_stopped_again(on_fault, tmp_path):
    way, _, twice = on_fault.partition(", ")
    hold = way == "hold"
    more: dict[str, Any] = {} if hold else {"lowered": -38.0 if twice else -20.0}
    more |= {"limits": {**joint()["limits"], "speed": 400}} if twice else {}
    with bench(tmp_path, "sts", WAYS["sts"], ("  to -40", terminate), on_fault=way, **more) as somebody:
        forget = somebody.console.forget_stop
        if twice:
            somebody.console.forget_stop = lambda: (forget(), stop())
        with pytest.raises(StoppedError):
            somebody.calibrate(tmp_path / "calibration.json")
        servo, holds = somebody.servo(), hold or bool(twice)
        assert servo.motor.torque == holds
        assert any("it holds where it is" in line for line in somebody.said) == holds
        assert holds or abs(servo.received[-1] - (2047 - 20 * 4096 / 360)) <= 1
        assert not (tmp_path / "calibration.json").exists()


def robot(*words: str) -> Any:
    """The process of a command."""
    command, pipe = [sys.executable, "-u", "-m", "reactdiff_ros.cli.main", "robot", *words], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


@pytest.mark.real_time
@pytest.mark.timeout(120)
def test_a_robot_is_emulated_and_calibrated_from_one_terminal_to_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    profile_of(tmp_path, "maestro", unit="us", number=3)
    output = tmp_path / "found.json"
    output.write_text("{}")
    emulator = robot("emulate", str(tmp_path / "bench.yaml"), "--folder", str(tmp_path / "dev"))
    try:
        lines = [emulator.stdout.readline() for _ in range(5)]
        path = Path(lines[1].split(": ")[1].strip())
        profile = load_profile(path)
        kept = Kept(state_folder("", "robots"), profile.name, profile.joints)
        kept.keep_commands({"neck": 1600.0})
        process, said = robot("calibrate", str(path), "--output", str(output)), ""
        for question, answer in (
            ("fingers off", ""), ("did it move", "y"), ("is this its neutral", "+15"), ("is this its neutral", ""),
            ("slowly to its lower limit", ""), ("slowly to its upper limit", ""), ("write ", "y"),
        ):  # fmt: skip
            while question not in (line := process.stdout.readline()):
                assert line, f"{question!r} was never asked: {said}"
                said += line
            process.stdin.write(f"{answer}\n")
            process.stdin.flush()
        said += process.stdout.read()
        assert process.wait(timeout=90) == 0
    finally:
        emulator.send_signal(signal.SIGINT)
        emulator.communicate(timeout=90)
    assert load_calibration(output) == {"neck": Calibration(3, 0, 15, 1115, 1915)}
    assert (tmp_path / "found.json.1.bak").read_text() == "{}"
    assert kept.commands() == {}  # it stands at its neutral now
    assert list((tmp_path / "dev").iterdir()) == []


def test_a_dry_run_says_what_it_would_send_and_opens_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(SerialPort, "__init__", lambda *_, **__: pytest.fail("a port was opened"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    calibrate = ["robot", "calibrate", str(tmp_path / "bench.yaml"), "--dry-run", "--port", "bus=/dev/nothing"]
    for kind, unit, words in (
        ("sts", "deg", ["homing offset", "2047 to 2502 (neutral to upper)", "torque off"]),
        ("maestro", "us", ["pulses on at 1500", "1500 to 1900 (its upper limit)"]),
        ("ohbot", "raw", ["500 to 800"]),
    ):
        profile_of(tmp_path, kind, unit=unit, number=2)
        assert main(calibrate) == 0
        said = capsys.readouterr().out
        assert all(word in said for word in ["at /dev/nothing", *words]), said
    assert not list(tmp_path.glob("reactdiff_ros/**/*.json"))
