"""Reachy Mini's and Furhat's drivers against servers of their published protocols, and Reachy's own daemon."""

import asyncio
import json
import time
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bus_fixtures import settle, until
from memory_port import Ticker
from network_robots import FakeFurhat, FakeReachy, free_port
from reachy_daemon import profile_at, rest, running

from reactdiff_ros.actuation.drivers.robots import Link
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.errors import DeviceError


def make(robot, port, tmp_path, clock=time.monotonic):
    (driver,) = make_drivers(profile_at(port, tmp_path, robot), {}, clock, lock_folder=tmp_path).values()
    return driver


@pytest.fixture
def robot():
    with closing(FakeReachy()) as made:
        yield made


@pytest.fixture
def driver(robot, tmp_path):
    with closing(make("reachy_mini", robot.port, tmp_path, Ticker(0.0))) as made:
        made.open()
        yield made


def test_reachy_gets_torque_where_its_head_is_and_one_pose_inside_the_limits(robot, driver):
    assert driver._least_s == pytest.approx(SHORTEST / 50.0)  # as the limits assume
    assert (driver.check(), driver.feedback, driver.watchdog_s) == ({}, True, None)
    driver.command({"head_yaw": 0.4})
    settle(driver, lambda: driver.reading("head_pitch") is not None)
    for joint, position in {"head_pitch": 0.3, "antenna_right": -0.5, "antenna_left": 0.5}.items():
        assert driver.reading(joint).position == pytest.approx(position)
    assert (robot.got, robot.modes, driver.armed) == ([], [], frozenset())
    for joint in driver.axes.keys() - {"head_pitch"}:
        assert driver.arm(joint, 0.0) is None
    settle(driver, lambda: robot.got)
    assert robot.modes == ["enabled"]
    assert robot.got[0]["target_head_pose"]["pitch"] == pytest.approx(0.3)
    assert robot.got[0]["target_antennas"] == pytest.approx([-0.5, 0.5])  # the right one first
    driver.command({"head_pitch": 0.1, "head_yaw": -1e9, "head_roll": 0.05, "head_z": 0.01, "antenna_left": 0.7})
    driver.command({"head_yaw": float("nan")})
    settle(driver, lambda: robot.got[-1]["target_head_pose"]["yaw"] == -1.05)
    # The pitch is not armed: it stays where it was.
    pose = {"x": 0.0, "y": 0.0, "z": 0.01, "roll": 0.05, "pitch": 0.3, "yaw": -1.05}
    assert robot.got[-1] == {"target_head_pose": pose, "target_antennas": [-0.5, 0.7]}


def test_a_daemon_that_dies_and_comes_back_is_found_but_nothing_is_armed(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.close()
    settle(driver, lambda: driver.faults())
    assert ({f.kind for f in driver.faults().values()}, driver.armed) == ({"gone"}, frozenset())
    assert "Reachy Mini is gone" in str(driver.faults()["head_yaw"])
    driver.release("head_yaw")
    with closing(FakeReachy(robot.port)) as again:
        settle(driver, lambda: not driver.faults())
        driver.command({"head_yaw": 0.5})
        assert again.got == []
        driver.release("head_yaw")  # now it is heard
        assert again.modes == ["disabled"]
        assert driver.arm("head_yaw", 0.0) is None


WRONG = [
    ("talks", False, "no_answer", "says nothing of where it is"),
    ("complaint", "1 validation error\nfor FullBodyTarget", "refused", "validation error for FullBodyTarget"),
    ("mode", "gravity_compensation", "refused", "gravity_compensation"),  # somebody else took the torque away
]


@pytest.mark.parametrize(("name", "value", "kind", "words"), WRONG)
def test_what_is_wrong_with_its_daemon_is_a_fault_and_joints_are_not_armed(robot, driver, name, value, kind, words):
    driver.arm("head_yaw", 0.0)
    settle(driver, lambda: driver.reading("head_yaw") is not None)
    well = getattr(robot, name)
    setattr(robot, name, value)
    driver.command({"head_yaw": 0.1})

    def time_passes():  # while states come: none is old because the machine is busy
        state = driver.reading("head_yaw")
        if not robot.talks or (state is not None and state.time_s == driver._clock.now_s):
            driver._clock.wait(0.1)

    settle(driver, lambda: driver.faults() or time_passes())
    fault = driver.faults()["head_yaw"]
    assert (fault.kind, driver.armed) == (kind, frozenset())
    assert words in str(fault)
    if name == "talks":
        assert (driver.reading("head_yaw"), driver.holding("head_yaw")) == (None, None)
    setattr(robot, name, well)
    settle(driver, lambda: not driver.faults() or time_passes())


def test_nobody_there_and_another_program_there_are_one_sentence(robot, driver, tmp_path):
    port = free_port()
    with pytest.raises(DeviceError, match=rf"^Reachy Mini cannot be reached.*127\.0\.0\.1:{port}.*$"):
        make("reachy_mini", port, tmp_path).open()
    with pytest.raises(DeviceError, match="use"):
        make("reachy_mini", robot.port, tmp_path).open()


def test_a_daemon_that_refuses_to_switch_its_motors(robot, driver):
    robot.answer = 500
    assert "does not take commands, it answers 500" in str(driver.arm("head_yaw", 0.0))
    assert driver.armed == frozenset()
    robot.answer = 200
    driver.release("head_yaw")
    assert robot.modes == ["disabled"]  # torque may have come all the same
    assert driver.arm("head_yaw", 0.0) is None
    robot.answer = 500
    driver.release("head_yaw")
    assert "does not let go, it answers 500" in str(driver.faults()["head_yaw"])
    robot.answer = 200
    driver.poll(0.0)
    driver.release("head_yaw")
    assert robot.modes == ["disabled", "enabled", "disabled"]


@pytest.mark.parametrize("begins", ["disabled", "gravity_compensation"])
def test_torque_goes_off_with_the_last_joint_also_that_of_another_program(robot, driver, begins):
    robot.mode = begins
    settle(driver, lambda: driver.holding("head_yaw") is (begins != "disabled"))
    assert driver.armed == frozenset()
    joints = ["head_yaw", "head_pitch"] if begins == "disabled" else list(driver.axes)
    for joint in joints if begins == "disabled" else joints[-1:]:
        assert driver.arm(joint, 0.0) is None
    driver.stop()
    for joint in joints[:-1]:
        driver.release(joint)
    assert "disabled" not in robot.modes
    driver.release(joints[-1])
    assert (robot.modes, driver.holding("head_yaw")) == (["enabled", "disabled"], False)


@pytest.fixture
def furhat():
    with closing(FakeFurhat()) as made:
        yield made


@pytest.fixture
def face(furhat, tmp_path):
    with closing(make("furhat", furhat.port, tmp_path, Ticker(0.0))) as made:
        made.open()
        yield made


def test_furhat_asks_to_be_let_in_and_gets_face_and_head_as_its_api_wants_them(furhat, face):
    assert face._least_s == pytest.approx(SHORTEST / 50.0)
    face.command({"jaw_open": 1.0})
    assert (face.check(), face.feedback, face.reading("jaw_open")) == ({}, False, None)
    assert furhat.got == [{"type": "request.auth"}]
    for joint in face.axes.keys() - {"mouth_pucker"}:
        assert face.arm(joint, 0.0) is None
    face._clock.now_s += 1.0
    face.command({"jaw_open": 1e9, "mouth_smile_left": 0.25, "head_yaw": 10.0, "head_pitch": 5.0, "head_roll": -3.0})
    face.command({"jaw_open": float("nan"), "mouth_pucker": 1.0})
    settle(face, lambda: furhat.params() and furhat.params()[-1].get("JAW_OPEN"))
    params = furhat.params()[-1]
    assert (len(params), params["JAW_OPEN"], params["MOUTH_SMILE_LEFT"]) == (51, 1.0, 0.25)
    assert all(map(str.isupper, params))
    # Ours: down, own left, own right; Furhat's: up, own right, own left.
    pose = {"type": "request.face.headpose", "yaw": -10.0, "pitch": -5.0, "roll": 3.0, "relative": False}
    settle(face, lambda: furhat.of("face.headpose")[-1:] == [pose])


def test_the_key_comes_from_the_environment(tmp_path, monkeypatch):
    with closing(FakeFurhat(key="secret")) as furhat:
        with pytest.raises(DeviceError, match=r"does not let us in.*REACTDIFF_FURHAT_KEY"):
            make("furhat", furhat.port, tmp_path).open()
        monkeypatch.setenv("REACTDIFF_FURHAT_KEY", "secret")
        with closing(make("furhat", furhat.port, tmp_path)) as face:
            face.open()


def test_a_robot_that_went_and_came_back_between_two_looks_is_not_armed(furhat, face):
    """A look may come late, after a stall: the line is there again, but perhaps of a Furhat that has restarted."""
    face.arm("jaw_open", 0.0)
    furhat.hang_up()
    assert until(lambda: len(furhat.of("auth")) == 2 and face._ready(), lambda: time.sleep(0.005))
    configured = len(furhat.of("face.config"))
    face.command({"jaw_open": 0.5})
    assert (face.faults()["jaw_open"].kind, face.armed) == ("gone", frozenset())
    face.poll(0.0)
    assert face.faults() == {}
    face.command({"jaw_open": 0.5})
    assert face.arm("jaw_open", 0.0) is None
    assert until(lambda: len(furhat.of("face.config")) > configured, lambda: time.sleep(0.005))
    assert not any(value for params in furhat.params() for value in params.values())


def test_a_furhat_may_keep_a_face_until_it_was_reset_and_its_own_microexpressions_are_off_meanwhile(furhat, face):
    assert {face.holding(joint) for joint in face.axes} == {None}
    for joint in face.axes:
        face.release(joint)
    settle(face, lambda: furhat.of("face.reset"))
    assert {face.holding(joint) for joint in face.axes} == {False}
    assert face.arm("jaw_open", 0.0) is None
    assert face.holding("jaw_open") is True
    settle(face, lambda: len(furhat.of("face.config")) == 2)
    face.release("jaw_open")
    assert face.holding("jaw_open") is False
    settle(face, lambda: len(furhat.of("face.reset")) == 2)
    assert [m["microexpressions"] for m in furhat.of("face.config")] == [True, False, True]


@pytest.mark.real_time
def test_no_message_to_a_robot_in_the_network_comes_sooner_than_the_limits_assume() -> None:
    """Some of them are taken slowly."""
    sent: list[tuple[float, int]] = []

    async def send(text: str) -> None:
        await asyncio.sleep(0.015 * (len(sent) % 5 == 4))
        sent.append((time.monotonic(), json.loads(text)["n"]))

    link = Link({"to": "ws://127.0.0.1:9"}, on_message=lambda name, message: None, least_s=0.0196)
    socket: Any = SimpleNamespace(send_str=send)
    sending = asyncio.run_coroutine_threadsafe(link._send("to", socket), link._loop)
    for n in range(60):
        link.send("to", "pose", {"n": n})
        time.sleep((0.02, 0.002, 0.025)[n % 3])
    assert until(lambda: bool(sent) and sent[-1][1] == 59, lambda: time.sleep(0.001), 5.0)
    sending.cancel()
    link.close()
    times, numbers = np.array(sent).T
    assert min(np.diff(times)) >= 0.0196 - 1e-3
    assert min(np.diff(numbers)) > 0


class Ending(asyncio.Event):
    """A websocket that ends just as its first message has left."""

    async def send_str(self, text: str) -> None:
        asyncio.get_running_loop().call_soon(self.set)
        await self.wait()

    async def __aiter__(self):
        await self.wait()
        for message in ():
            yield message


def test_a_line_that_ends_just_as_a_message_leaves_is_given_up() -> None:
    """Its sender must not go on: such a robot was never connected again."""
    with closing(Link({"to": "ws://127.0.0.1:9"}, on_message=print, on_open=lambda _: link.send("to", "", {}))) as link:
        assert asyncio.run_coroutine_threadsafe(link._speak("to", Ending()), link._loop).result(5.0) is None


# How far, in rad, joints may end from where they were told to be. Without physics they are there. In MuJoCo every joint
# has 0.1 Nm of dry friction, and the motors hold with 10 Nm/rad: the head stays where it is while that is near.
OFF = {"mockup-sim": 0.004, "sim": 0.05}
POSES = [
    {"head_pitch": 0.2, "head_yaw": 0.4, "head_roll": -0.15, "antenna_left": 0.6, "antenna_right": -0.3},
    {"head_pitch": -0.15, "head_yaw": -0.3, "head_roll": 0.2, "antenna_left": -0.2, "antenna_right": 0.5},
]


@pytest.mark.real_time
@pytest.mark.timeout(400)  # daemons start slowly on a busy machine
@pytest.mark.parametrize("kind", OFF)
def test_every_joint_of_a_reachy_goes_where_it_is_told_and_says_so(kind, tmp_path):
    """Against its makers' own daemon: without physics, and in MuJoCo."""
    with running(kind, tmp_path) as port, closing(make("reachy_mini", port, tmp_path)) as driver:
        driver.open()
        rest(port)
        told = dict.fromkeys(driver.axes, 0.0)

        def look():
            driver.poll(0.001)
            time.sleep(0.02)

        def move(goal):
            for joint, target in goal.items():
                told[joint] += min(max(target - told[joint], -0.01), 0.01)
            driver.command(told)
            look()
            assert driver.faults() == {}

        def reached(goal, off):
            readings = {joint: driver.reading(joint) for joint in goal}
            return all(r is not None and abs(r.position - goal[joint]) < off for joint, r in readings.items())

        assert until(lambda: reached(told, 0.06), look, 20.0)
        for joint in driver.axes:
            assert driver.arm(joint, 0.0) is None
        for pose in (dict.fromkeys(driver.axes, 0.0) | pose for pose in POSES):
            assert until(partial(reached, pose, OFF[kind]), partial(move, pose), 60.0), pose
