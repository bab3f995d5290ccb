"""The drivers of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reactdiff_ros.drivers.axes import Calibration, axes_of
from reactdiff_ros.drivers.driver import Clock, Driver
from reactdiff_ros.drivers.dynamixel import DynamixelServos
from reactdiff_ros.drivers.feetech import FeetechServos
from reactdiff_ros.drivers.maestro import MaestroBoard
from reactdiff_ros.drivers.pca9685 import Pca9685Board
from reactdiff_ros.robots.drivers import DynamixelDriver, FeetechDriver, MaestroDriver, Pca9685Driver
from reactdiff_ros.robots.profile import Profile


def make_drivers(
    profile: Profile, calibrations: Mapping[str, Calibration], clock: Clock, **options: Any
) -> dict[str, Driver]:
    """The profile's drivers that are buses or boards of servos, by their names in it, not yet open.

    Those that are nodes' or pages' business (screen, joint_trajectory, reachy_mini, furhat) are left out.

    Args:
        profile: the robot.
        calibrations: by joint; a joint without one can be measured, not armed.
        clock: seconds of a clock that only goes forward.
        options: `lock_folder`, for all.
    """
    made: dict[str, Driver] = {}
    for name, config in profile.drivers.items():
        axes = axes_of(profile, name, calibrations)
        if isinstance(config, FeetechDriver):
            made[name] = FeetechServos(config, axes, clock, **options)
        elif isinstance(config, DynamixelDriver):
            made[name] = DynamixelServos(config, axes, clock, **options)
        elif isinstance(config, Pca9685Driver):
            made[name] = Pca9685Board(config, axes, clock, **options)
        elif isinstance(config, MaestroDriver):
            made[name] = MaestroBoard(config, axes, clock, **options)
    return made
