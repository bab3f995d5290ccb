"""The hardware of whole profiles, emulated, driven by their drivers; Ohbot's board; scales."""

from __future__ import annotations

from pathlib import Path

import pytest
from bus_fixtures import CLOCK, axes, wired

from reactdiff_ros.actuation.drivers.boards import OhbotBoard
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import (
    OhbotDriver,
    Pca9685Driver,
    ScreenDriver,
    load_profile,
)
from reactdiff_ros.errors import ConfigError


@pytest.mark.parametrize("robot", ["generic_12servo", "opsoro_ono", "ohbot", "inmoov_head"])
def test_shipped_robots_can_be_tried_without_hardware(robot: str, tmp_path: Path) -> None:
    with Rig(load_profile(robot), tmp_path, CLOCK) as rig:
        drivers = make_drivers(
            rig.profile, rig.calibrations, CLOCK, lock_folder=tmp_path, i2c=lambda _: rig.i2c, answer_s=0.5
        )
        moved = 0
        for driver in drivers.values():
            driver.open()
            assert driver.check() == {}
            joints = rig.profile.joints
            for name in driver.axes:
                driver.command({done: joints[done].neutral for done in driver.armed})
                assert driver.arm(name, joints[name].neutral) is None
                moved += 1
            driver.command({name: joints[name].upper for name in driver.axes})
            assert driver.faults() == {}
            driver.close()
        assert moved == len(rig.profile.joints)


def test_a_screen_has_no_hardware_to_emulate(tmp_path: Path) -> None:
    screen = load_profile("screen")
    assert all(isinstance(d, ScreenDriver) for d in screen.drivers.values())
    with pytest.raises(ConfigError, match="cannot be emulated"):
        Rig(screen, tmp_path, CLOCK)
    assert make_drivers(screen, {}, CLOCK) == {}


@pytest.mark.parametrize("bus", [1, 2])
def test_two_boards_at_one_address_of_i2c_are_refused(bus: int, tmp_path: Path) -> None:
    ono = load_profile("opsoro_ono")
    second = Pca9685Driver(type="pca9685", bus=bus, address=0x40)
    with pytest.raises(ConfigError, match=r"two boards at address 0x40 .*driver more"):
        Rig(ono.model_copy(update={"drivers": {**ono.drivers, "more": second}}), tmp_path, CLOCK)
    apart = second.model_copy(update={"address": 0x41})
    rig = Rig(ono.model_copy(update={"drivers": {**ono.drivers, "more": apart}}), tmp_path, CLOCK)
    assert set(rig.i2c.chips) == {0x40, 0x41}


def test_an_ohbot_speaks_its_lines(tmp_path: Path) -> None:
    board = emulated.OhbotBoard()
    joints = axes(3, unit="raw", lower=100.0, upper=900.0, calibration=Calibration(3, 0, 0, 0, 1000))
    driver, wire = wired(OhbotBoard, OhbotDriver(type="ohbot"), board, joints)
    clock = wire.clock
    board.silent = True
    assert driver.check()["j3"].kind == "no_answer"
    assert driver.arm("j3", 500.0) is not None
    board.silent = False
    began_s = clock.now_s
    assert driver.check() == {}
    assert clock.now_s - began_s < 0.01, "it waits no longer than for the answer"
    driver.command({"j3": 500.0})
    assert driver.arm("j3", 500.0) is None
    for value in (600.0, 600.0, 1e9, float("nan"), -1e9):
        driver.command({"j3": value})
    assert board.motors[3].received == [90, 108, 162, 18]
    assert board.motors[3].servo.torque
    board.step(clock() + 2.0)
    assert board.motors[3].servo.position == pytest.approx(100.0)
    driver.release("j3")
    assert not board.motors[3].servo.torque
    board.silent = True
    for _ in range(5):
        clock.now_s += 1.1
        driver.poll(0.01)
    assert driver.faults()["j3"].kind == "no_answer"
    board.silent = False
    for _ in range(3):
        clock.now_s += 1.1
        began_s = clock.now_s
        driver.poll(0.01)
        assert clock.now_s - began_s < 0.01
    assert driver.faults() == {}
    wire.pull()
    assert driver.arm("j3", 500.0) is not None
    assert driver.faults()["j3"].kind == "gone"
