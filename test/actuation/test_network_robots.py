"""Reachy Mini's and Furhat's drivers against servers of their published protocols."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import pytest
from bus_fixtures import settle, until
from memory_port import Ticker
from network_robots import FakeFurhat, FakeReachy, free_port
from reachy_daemon import profile_at

from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.errors import DeviceError

CLOCK = time.monotonic


def make(robot, port, tmp_path, clock=CLOCK):
    (driver,) = make_drivers(profile_at(port, tmp_path, robot), {}, clock, lock_folder=tmp_path).values()
    return driver


@pytest.fixture
def robot():
    with closing(FakeReachy()) as made:
        yield made


@pytest.fixture
def driver(robot, tmp_path):
    with closing(make("reachy_mini", robot.port, tmp_path)) as made:
        made.open()
        yield made


def test_what_is_measured_has_the_joints_names_and_units(robot, driver):
    assert driver._least_s == pytest.approx(SHORTEST / 50.0)  # as the limits assume
    settle(driver, lambda: driver.reading("head_pitch") is not None)
    assert driver.reading("head_pitch").position == pytest.approx(0.3)
    assert driver.reading("antenna_right").position == pytest.approx(-0.5)
    assert driver.reading("antenna_left").position == pytest.approx(0.5)
    assert driver.check() == {}
    assert driver.feedback
    assert driver.watchdog_s is None


def test_torque_comes_where_the_head_is_and_not_before_it_was_told_so(robot, driver):
    driver.command({"head_yaw": 0.4})
    settle(driver, lambda: driver.reading("head_yaw") is not None)
    assert (robot.got, robot.modes, driver.armed) == ([], [], frozenset())
    assert driver.arm("head_yaw", 0.0) is None
    settle(driver, lambda: robot.got)
    assert robot.modes == ["enabled"]
    assert robot.got[0]["target_head_pose"]["pitch"] == pytest.approx(0.3)
    assert robot.got[0]["target_antennas"] == pytest.approx([-0.5, 0.5])


def test_commands_arrive_as_one_pose_inside_the_limits_and_right_antenna_first(robot, driver):
    for joint in driver.axes.keys() - {"head_pitch"}:
        assert driver.arm(joint, 0.0) is None
    driver.command({"head_pitch": 0.1, "head_yaw": -1e9, "head_roll": 0.05, "head_z": 0.01, "antenna_left": 0.7})
    driver.command({"head_yaw": float("nan")})
    settle(driver, lambda: robot.got and robot.got[-1]["target_head_pose"]["yaw"] == -1.05)
    target = robot.got[-1]
    # The pitch is not armed: it stays where it was.
    assert target["target_head_pose"] == {"x": 0.0, "y": 0.0, "z": 0.01, "roll": 0.05, "pitch": 0.3, "yaw": -1.05}
    assert target["target_antennas"] == [-0.5, 0.7]


def test_a_joint_that_stands_a_little_outside_makes_no_step_and_comes_in(robot, driver):
    robot.pose["yaw"] = 1.1  # of 1.05; 5 % of its range is 0.105
    settle(driver, lambda: driver.reading("head_yaw").position == pytest.approx(1.1))
    for joint in ("head_pitch", "head_yaw"):
        assert driver.arm(joint, 0.0) is None
    for told, sent in ((1.2, 1.1), (1.09, 1.09), (1.0, 1.0), (1.1, 1.05)):
        driver.command({"head_yaw": told, "head_pitch": 0.3})
        settle(driver, lambda sent=sent: robot.got[-1]["target_head_pose"]["yaw"] == pytest.approx(sent))
    assert min(message["target_head_pose"]["yaw"] for message in robot.got) == pytest.approx(1.0)
    driver.stop()
    robot.pose["yaw"] = 1.3
    settle(driver, lambda: driver.reading("head_yaw").position == pytest.approx(1.3))
    assert "bring it inside by hand" in str(driver.arm("head_yaw", 0.0))


@pytest.mark.parametrize("stopped", [False, True])
def test_torque_goes_off_with_the_last_joint(robot, driver, stopped):
    driver.arm("head_yaw", 0.0), driver.arm("head_pitch", 0.0)
    if stopped:
        driver.stop()
    driver.release("head_yaw")
    assert robot.modes == ["enabled"]
    driver.release("head_pitch")
    assert robot.modes == ["enabled", "disabled"]


def test_a_daemon_that_dies_and_comes_back_is_found_but_nothing_is_armed(robot, driver):
    driver.arm("head_yaw", 0.0)
    robot.close()
    settle(driver, lambda: driver.faults())
    assert {f.kind for f in driver.faults().values()} == {"gone"}
    assert driver.armed == frozenset()
    assert "Reachy Mini is gone" in str(driver.faults()["head_yaw"])
    driver.release("head_yaw")
    with closing(FakeReachy(robot.port)) as again:
        settle(driver, lambda: not driver.faults())
        driver.command({"head_yaw": 0.5})
        assert again.got == []
        driver.release("head_yaw")  # now it is heard
        assert again.modes == ["disabled"]
        assert driver.arm("head_yaw", 0.0) is None


@pytest.mark.parametrize(
    ("name", "value", "kind", "words"),
    [
        ("talks", False, "no_answer", "says nothing of where it is"),
        ("complaint", "1 validation error\nfor FullBodyTarget", "refused", "validation error for FullBodyTarget"),
        ("mode", "gravity_compensation", "refused", "gravity_compensation"),  # somebody else took the torque away
    ],
)
def test_what_is_wrong_with_its_daemon_is_a_fault_and_joints_are_not_armed(robot, driver, name, value, kind, words):
    driver.arm("head_yaw", 0.0)
    settle(driver, lambda: driver.reading("head_yaw") is not None)
    well = getattr(robot, name)
    setattr(robot, name, value)
    driver.command({"head_yaw": 0.1})
    settle(driver, lambda: driver.faults())
    assert driver.faults()["head_yaw"].kind == kind
    assert words in str(driver.faults()["head_yaw"])
    assert driver.armed == frozenset()
    if name == "talks":
        assert driver.reading("head_yaw") is None
        assert driver.holding("head_yaw") is None
    setattr(robot, name, well)
    settle(driver, lambda: not driver.faults())


@pytest.mark.real_time
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
    driver = make("reachy_mini", port, tmp_path)
    with pytest.raises(DeviceError, match="Reachy Mini cannot be reached") as caught:
        driver.open()
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(driver.check().values()).pop().kind == "gone"
    driver.close()


def test_one_program_a_robot(robot, driver, tmp_path):
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


def test_torque_of_another_program_is_reported_and_goes_off_with_the_last_joint(robot, driver):
    assert driver.holding("head_yaw") is False
    robot.mode = "enabled"
    settle(driver, lambda: driver.holding("head_yaw"))
    assert driver.armed == frozenset()
    *others, last = driver.axes
    for joint in others:
        driver.release(joint)
    assert robot.modes == []
    driver.release(last)
    assert robot.modes == ["disabled"]
    assert driver.holding("head_yaw") is False
    robot.mode = "gravity_compensation"
    settle(driver, lambda: driver.holding("head_yaw"))
    for joint in driver.axes.keys() - {"head_pitch"}:
        driver.release(joint)
    assert driver.arm("head_pitch", 0.0) is None  # one that is taken over: letting it go lets all go
    assert robot.got[0]["target_head_pose"]["pitch"] == pytest.approx(0.3)  # from where it is
    driver.release("head_pitch")
    assert robot.modes == ["disabled", "enabled", "disabled"]


@pytest.fixture
def furhat():
    with closing(FakeFurhat()) as made:
        yield made


@pytest.fixture
def hands():
    return Ticker(0.0)


@pytest.fixture
def face(furhat, tmp_path, hands):
    with closing(make("furhat", furhat.port, tmp_path, hands)) as made:
        made.open()
        yield made


def test_it_asks_to_be_let_in_before_anything_else(furhat, face):
    assert face._least_s == pytest.approx(SHORTEST / 50.0)
    assert furhat.got == [{"type": "request.auth"}]
    face.command({"jaw_open": 1.0})
    assert face.check() == {}
    assert not face.feedback
    assert face.reading("jaw_open") is None
    assert furhat.got == [{"type": "request.auth"}]


def test_face_and_head_as_the_realtime_api_wants_them(furhat, face, hands):
    for joint in face.axes.keys() - {"mouth_pucker"}:
        assert face.arm(joint, 0.0) is None
    hands.now_s += 1.0
    face.command({"jaw_open": 1e9, "mouth_smile_left": 0.25, "head_yaw": 10.0, "head_pitch": 5.0, "head_roll": -3.0})
    face.command({"jaw_open": float("nan"), "mouth_pucker": 1.0})
    settle(face, lambda: furhat.of("request.face.headpose") and furhat.params()[-1]["JAW_OPEN"])
    params = furhat.params()[-1]
    assert len(params) == 51
    assert params["JAW_OPEN"] == 1.0
    assert params["MOUTH_SMILE_LEFT"] == 0.25
    assert set(params) == {name.upper() for name in params}
    # Ours: down, own left, own right; Furhat's: up, own right, own left.
    settle(face, lambda: furhat.of("request.face.headpose")[-1]["yaw"] != 0.0)
    pose = furhat.of("request.face.headpose")[-1]
    assert pose == {"type": "request.face.headpose", "yaw": -10.0, "pitch": -5.0, "roll": 3.0, "relative": False}


def test_the_head_is_sent_25_times_a_second_the_face_50(furhat, face, hands):
    face.arm("jaw_open", 0.0)
    face.arm("head_yaw", 0.0)
    settle(face, lambda: len(furhat.got) >= 3)
    furhat.got.clear()
    for tick in range(100):  # two seconds
        hands.now_s += 0.02
        face.command({"jaw_open": tick / 100, "head_yaw": tick / 10})
        count = tick + 1
        settle(face, lambda count=count: len(furhat.params()) >= count)
    assert [params["JAW_OPEN"] for params in furhat.params()] == [t / 100 for t in range(100)]
    assert 49 <= len(furhat.of("request.face.headpose")) <= 51


def test_the_key_comes_from_the_environment(tmp_path, monkeypatch):
    with closing(FakeFurhat(key="secret")) as furhat:
        with pytest.raises(DeviceError, match=r"does not let us in.*REACTDIFF_FURHAT_KEY"):
            make("furhat", furhat.port, tmp_path).open()
        monkeypatch.setenv("REACTDIFF_FURHAT_KEY", "secret")
        with closing(make("furhat", furhat.port, tmp_path)) as face:
            face.open()
            assert face.check() == {}


def test_a_robot_that_went_and_came_back_between_two_looks_is_not_armed(furhat, face):
    """A look may come late, after a stall: the line is there again, but perhaps of a furhat that has restarted."""
    face.arm("jaw_open", 0.0)
    furhat.hang_up()
    assert until(lambda: len(furhat.of("request.auth")) == 2 and face._ready(), lambda: time.sleep(0.005))
    configured = len(furhat.of("request.face.config"))
    face.command({"jaw_open": 0.5})
    assert face.faults()["jaw_open"].kind == "gone"
    assert face.armed == frozenset()
    face.poll(0.0)
    assert face.faults() == {}
    face.command({"jaw_open": 0.5})
    assert face.arm("jaw_open", 0.0) is None
    assert until(lambda: len(furhat.of("request.face.config")) > configured, lambda: time.sleep(0.005))
    assert not any(value for params in furhat.params() for value in params.values())


def test_nonsense_from_the_robot_changes_nothing(furhat, face):
    async def say() -> None:
        for opened in furhat.sockets:
            for text in ("", "[", "1", "null", "[1]", '{"type": 3}', "{" * 1000):
                await opened.send_str(text)
            await opened.send_bytes(b"\x00\xff")

    furhat._run(say())
    furhat._run(asyncio.sleep(0.2))
    assert face.check() == {}
    assert face._link.lost == 0


def test_a_furhat_may_keep_a_face_until_it_was_reset_and_its_own_microexpressions_are_off_meanwhile(furhat, face):
    assert {face.holding(joint) for joint in face.axes} == {None}
    for joint in face.axes:
        face.release(joint)
    settle(face, lambda: furhat.of("request.face.reset"))
    assert {face.holding(joint) for joint in face.axes} == {False}
    face.arm("jaw_open", 0.0), face.arm("head_yaw", 0.0)
    assert face.holding("jaw_open") is True
    face.release("jaw_open")
    settle(face, lambda: len(furhat.of("request.face.config")) == 2)
    face.release("head_yaw")
    assert face.holding("jaw_open") is False
    settle(face, lambda: len(furhat.of("request.face.reset")) == 2)
    assert [m["microexpressions"] for m in furhat.of("request.face.config")] == [True, False, True]
