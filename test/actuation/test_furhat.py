"""Furhat's driver against a server of its published events. No Furhat was there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bus_fixtures import settle, until
from network_robots import FakeFurhat, free_port

from reactdiff_ros.actuation.drivers.factory import make_drivers
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.errors import DeviceError

ROOT = Path(__file__).resolve().parents[2]


class Hands:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(port, tmp_path, clock=time.monotonic):
    text = (ROOT / "config" / "robots" / "furhat.yaml").read_text().replace("port: 9000", f"port: {port}")
    path = tmp_path / "furhat.yaml"
    path.write_text(text)
    (driver,) = make_drivers(load_profile(path), {}, clock, lock_folder=tmp_path).values()
    return driver


@pytest.fixture
def robot():
    made = FakeFurhat()
    yield made
    made.close()


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def driver(robot, tmp_path, hands):
    made = make(robot.port, tmp_path, hands)
    made.open()
    yield made
    made.close()


def test_it_asks_to_be_let_in_before_anything_else(robot, driver):
    assert robot.got == [{"type": "request.auth"}]
    driver.command({"jaw_open": 1.0})
    assert driver.check() == {}
    assert not driver.feedback
    assert driver.reading("jaw_open") is None
    assert robot.got == [{"type": "request.auth"}]


def test_face_and_head_as_the_realtime_api_wants_them(robot, driver, hands):
    for joint in driver.axes:
        assert driver.arm(joint, 0.0) is None
    hands.now_s += 1.0
    driver.command({"jaw_open": 0.5, "mouth_smile_left": 0.25, "head_yaw": 10.0, "head_pitch": 5.0, "head_roll": -3.0})
    settle(
        driver, lambda: robot.of("request.face.headpose") and robot.of("request.face.params")[-1]["params"]["JAW_OPEN"]
    )
    params = robot.of("request.face.params")[-1]["params"]
    assert len(params) == 52
    assert params["JAW_OPEN"] == 0.5
    assert params["MOUTH_SMILE_LEFT"] == 0.25
    assert set(params) == {name.upper() for name in params}
    # Ours: down, own left, own right; Furhat's: up, own right, own left.
    settle(driver, lambda: robot.of("request.face.headpose")[-1]["yaw"] != 0.0)
    pose = robot.of("request.face.headpose")[-1]
    assert pose == {"type": "request.face.headpose", "yaw": -10.0, "pitch": -5.0, "roll": 3.0, "relative": False}


def test_its_own_microexpressions_are_off_while_it_listens_and_the_face_is_reset_at_the_end(robot, driver):
    driver.arm("jaw_open", 0.0)
    driver.arm("head_yaw", 0.0)
    settle(driver, lambda: robot.of("request.face.config"))
    driver.release("jaw_open")
    driver.release("head_yaw")
    settle(driver, lambda: robot.of("request.face.reset"))
    assert [m["microexpressions"] for m in robot.of("request.face.config")] == [False, True]


def test_the_head_is_sent_ten_times_a_second_the_face_fifty(robot, driver, hands):
    driver.arm("jaw_open", 0.0)
    driver.arm("head_yaw", 0.0)
    settle(driver, lambda: len(robot.got) >= 3)
    robot.got.clear()
    for tick in range(100):  # two seconds
        hands.now_s += 0.02
        driver.command({"jaw_open": tick / 100, "head_yaw": tick / 10})
        count = tick + 1
        settle(driver, lambda count=count: len(robot.of("request.face.params")) >= count)
    assert len(robot.of("request.face.params")) == 100
    assert [p["params"]["JAW_OPEN"] for p in robot.of("request.face.params")] == [t / 100 for t in range(100)]
    assert 19 <= len(robot.of("request.face.headpose")) <= 21


def test_commands_are_clamped_and_what_is_not_finite_is_left_out(robot, driver):
    driver.arm("jaw_open", 0.0)
    driver.command({"jaw_open": 1e9, "mouth_pucker": 1.0})
    driver.command({"jaw_open": float("nan")})
    settle(
        driver, lambda: robot.of("request.face.params") and robot.of("request.face.params")[-1]["params"]["JAW_OPEN"]
    )
    assert robot.of("request.face.params")[-1]["params"] == {"JAW_OPEN": 1.0}


def test_the_key_comes_from_the_environment(tmp_path, monkeypatch):
    robot = FakeFurhat(key="secret")
    try:
        with pytest.raises(DeviceError, match=r"does not let us in.*REACTDIFF_FURHAT_KEY"):
            make(robot.port, tmp_path).open()
        monkeypatch.setenv("REACTDIFF_FURHAT_KEY", "secret")
        driver = make(robot.port, tmp_path)
        driver.open()
        assert driver.check() == {}
        driver.close()
    finally:
        robot.close()


def test_a_robot_that_goes_and_comes_back_is_found_but_nothing_is_armed(robot, driver):
    driver.arm("jaw_open", 0.0)
    robot.hang_up()
    settle(driver, lambda: driver.faults())
    assert driver.faults()["jaw_open"].kind == "gone"
    assert driver.armed == frozenset()
    settle(driver, lambda: not driver.faults())
    assert len(robot.of("request.auth")) >= 2
    assert driver.arm("jaw_open", 0.0) is None


def test_a_robot_that_went_and_came_back_between_two_looks_is_not_armed(robot, driver):
    """A look may come late, after a stall: the line is there again, but perhaps of a robot that has restarted."""
    driver.arm("jaw_open", 0.0)
    robot.hang_up()
    assert until(lambda: len(robot.of("request.auth")) == 2 and driver._ready(), lambda: time.sleep(0.005))
    configured = len(robot.of("request.face.config"))
    driver.command({"jaw_open": 0.5})
    assert driver.faults()["jaw_open"].kind == "gone"
    assert driver.armed == frozenset()
    driver.poll(0.0)
    assert driver.faults() == {}
    driver.command({"jaw_open": 0.5})
    assert driver.arm("jaw_open", 0.0) is None
    assert until(lambda: len(robot.of("request.face.config")) > configured, lambda: time.sleep(0.005))
    assert not any(value for message in robot.of("request.face.params") for value in message["params"].values())


def test_a_line_that_was_lost_while_nothing_was_armed_prevents_nothing(robot, driver):
    robot.hang_up()
    assert until(lambda: len(robot.of("request.auth")) == 2 and driver._ready(), lambda: time.sleep(0.005))
    assert driver.arm("jaw_open", 0.0) is None


def test_nobody_there_is_one_sentence(tmp_path):
    driver = make(free_port(), tmp_path)
    with pytest.raises(DeviceError, match="Furhat cannot be reached") as caught:
        driver.open()
    assert "\n" not in str(caught.value)


@pytest.mark.real_time
def test_a_robot_that_does_not_read_never_makes_a_command_wait(robot, driver):
    driver.arm("jaw_open", 0.0)
    robot.reading = False
    began = time.monotonic()
    for number in range(5000):
        driver.command({"jaw_open": number / 5000})
    assert time.monotonic() - began < 5.0
    robot.reading = True
    newest = {"JAW_OPEN": 0.9998}
    settle(driver, lambda: driver.faults() or [m["params"] for m in robot.of("request.face.params")][-1:] == [newest])


def test_nonsense_from_the_robot_changes_nothing(robot, driver):
    async def say() -> None:
        for opened in robot.sockets:
            for text in ("", "[", "1", "null", "[1]", '{"type": 3}', "{" * 1000):
                await opened.send_str(text)
            await opened.send_bytes(b"\x00\xff")

    robot._run(say())
    settle(driver, lambda: driver._link.malformed >= 7)
    assert driver.check() == {}


def test_a_furhat_may_keep_a_face_until_it_was_reset(robot, driver):
    assert {driver.holding(joint) for joint in driver.axes} == {None}
    for joint in driver.axes:
        driver.release(joint)
    settle(driver, lambda: robot.of("request.face.reset"))
    assert {driver.holding(joint) for joint in driver.axes} == {False}
    driver.arm("jaw_open", 0.0)
    assert driver.holding("jaw_open") is True
    driver.release("jaw_open")
    assert driver.holding("jaw_open") is False
