"""The hardware of whole profiles, emulated, driven by their drivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from bus_fixtures import CLOCK

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.profile import Pca9685Driver, ScreenDriver, load_profile
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


def test_two_boards_at_one_address_of_i2c_are_refused(tmp_path: Path) -> None:
    ono = load_profile("opsoro_ono")
    for bus in (1, 2):
        second = Pca9685Driver(type="pca9685", bus=bus, address=0x40)
        with pytest.raises(ConfigError, match=r"two boards at address 0x40 .*driver more"):
            Rig(ono.model_copy(update={"drivers": {**ono.drivers, "more": second}}), tmp_path, CLOCK)
    apart = second.model_copy(update={"address": 0x41})
    rig = Rig(ono.model_copy(update={"drivers": {**ono.drivers, "more": apart}}), tmp_path, CLOCK)
    assert set(rig.i2c.chips) == {0x40, 0x41}
