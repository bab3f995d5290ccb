"""The drivers of a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reactdiff_ros.actuation.calibration.file import Calibration
from reactdiff_ros.actuation.driver_settings import (
    DynamixelDriver,
    FeetechDriver,
    MaestroDriver,
    OhbotDriver,
    Pca9685Driver,
)
from reactdiff_ros.actuation.drivers.axes import axes_of
from reactdiff_ros.actuation.drivers.driver import Clock, Driver
from reactdiff_ros.actuation.drivers.dynamixel import DynamixelServos
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.drivers.maestro import MaestroBoard
from reactdiff_ros.actuation.drivers.ohbot import OhbotBoard
from reactdiff_ros.actuation.drivers.pca9685 import LinuxI2c, Pca9685Board
from reactdiff_ros.actuation.profile import Profile


def make_drivers(
    profile: Profile,
    calibrations: Mapping[str, Calibration],
    clock: Clock,
    *,
    lock_folder: Path | None = None,
    i2c: Callable[[int], Any] = LinuxI2c,
    answer_s: float | None = None,
) -> dict[str, Driver]:
    """The profile's drivers that are buses or boards of servos, by their names in it, not yet open.

    Those that are nodes' or pages' business (screen, joint_trajectory, reachy_mini, furhat) are left out.

    Args:
        profile: the robot.
        calibrations: by joint; a joint without one can be measured, not armed.
        clock: seconds of a clock that only goes forward.
        lock_folder: for lock files.
        i2c: what opens an I2C bus by its number.
        answer_s: how long an answer over a serial port may take beyond its time on the wire.
    """
    locks: dict[str, Any] = {"lock_folder": lock_folder}
    serial = locks if answer_s is None else {**locks, "answer_s": answer_s}
    made: dict[str, Driver] = {}
    for name, config in profile.drivers.items():
        axes = axes_of(profile, name, calibrations)
        if isinstance(config, FeetechDriver):
            made[name] = FeetechServos(config, axes, clock, **serial)
        elif isinstance(config, DynamixelDriver):
            made[name] = DynamixelServos(config, axes, clock, **serial)
        elif isinstance(config, Pca9685Driver):
            made[name] = Pca9685Board(config, axes, clock, bus=i2c, **locks)
        elif isinstance(config, MaestroDriver):
            made[name] = MaestroBoard(config, axes, clock, **serial)
        elif isinstance(config, OhbotDriver):
            made[name] = OhbotBoard(config, axes, clock, **serial)
    return made
