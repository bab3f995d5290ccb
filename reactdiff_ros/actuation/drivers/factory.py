"""The drivers of a profile, and all of them as one `Hardware`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reactdiff_ros.actuation.calibration import Calibration
from reactdiff_ros.actuation.drivers.boards import LinuxI2c, MaestroBoard, OhbotBoard, Pca9685Board
from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Driver, axes_of
from reactdiff_ros.actuation.drivers.dynamixel import DynamixelServos
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.drivers.joint_trajectory import TrajectoryDriver
from reactdiff_ros.actuation.drivers.robots import FurhatRobot, ReachyMini
from reactdiff_ros.actuation.hardware import Hardware
from reactdiff_ros.actuation.kinematics import SHORTEST
from reactdiff_ros.actuation.profile import (
    DynamixelDriver,
    FeetechDriver,
    FurhatDriver,
    JointTrajectoryDriver,
    MaestroDriver,
    OhbotDriver,
    Pca9685Driver,
    Profile,
    ReachyMiniDriver,
)


def make_drivers(
    profile: Profile,
    calibrations: Mapping[str, Calibration],
    clock: Clock,
    *,
    lock_folder: Path | None = None,
    i2c: Callable[[int], Any] = LinuxI2c,
    answer_s: float | None = None,
    send: Callable[[str, list[str], list[float]], None] | None = None,
    resolve: Callable[[str], str] = str,
) -> dict[str, Driver]:
    """The profile's drivers by their names in it, not yet open; a screen has none (avatar_node shows it).

    Furhat's key is read from the environment variable REACTDIFF_FURHAT_KEY.

    Args:
        profile: the robot.
        calibrations: by joint; a joint without one can be measured, not armed.
        clock: seconds of a clock that only goes forward.
        lock_folder: for lock files; None: where other programs have theirs.
        i2c: what opens an I2C bus by its number.
        answer_s: how long an answer over a serial port may take beyond its time on the wire.
        send: takes the commands for controllers of ros2_control: driver, names, positions; None: they are left out.
        resolve: the whole name of a topic, in the node's namespace.
    """
    locks: dict[str, Any] = {"lock_folder": lock_folder}
    serial = locks if answer_s is None else {**locks, "answer_s": answer_s}
    network = {**locks, "least_s": SHORTEST / profile.rate_hz}
    drivers: dict[str, Driver] = {}
    for name, config in profile.drivers.items():
        axes = axes_of(profile, name, calibrations)
        if isinstance(config, FeetechDriver):
            drivers[name] = FeetechServos(config, axes, clock, **serial)
        elif isinstance(config, DynamixelDriver):
            drivers[name] = DynamixelServos(config, axes, clock, **serial)
        elif isinstance(config, Pca9685Driver):
            drivers[name] = Pca9685Board(config, axes, clock, bus=i2c, **locks)
        elif isinstance(config, MaestroDriver):
            drivers[name] = MaestroBoard(config, axes, clock, **serial)
        elif isinstance(config, OhbotDriver):
            drivers[name] = OhbotBoard(config, axes, clock, **serial)
        elif isinstance(config, ReachyMiniDriver):
            drivers[name] = ReachyMini(config, *_named_axes(profile, name), clock, **network)
        elif isinstance(config, FurhatDriver):
            key = os.environ.get("REACTDIFF_FURHAT_KEY", "")
            drivers[name] = FurhatRobot(config, *_named_axes(profile, name), clock, key=key, **network)
        elif isinstance(config, JointTrajectoryDriver) and send is not None:
            axes, names = _named_axes(profile, name)
            drivers[name] = TrajectoryDriver(config, axes, names, clock, partial(send, name), resolve)
    return drivers


def make_hardware(
    profile: Profile,
    calibrations: Mapping[str, Calibration],
    clock: Clock,
    *,
    wait: Callable[[float], None],
    **options: Any,
) -> tuple[Hardware, dict[str, TrajectoryDriver]]:
    """All hardware of a profile, not yet open, and those of its drivers that are topics.

    Args:
        profile: the robot.
        calibrations: by joint.
        clock: steady, s.
        wait: sleeps for s.
        options: of `make_drivers`.
    """
    drivers = make_drivers(profile, calibrations, clock, **options)
    topics = {name: driver for name, driver in drivers.items() if isinstance(driver, TrajectoryDriver)}
    return Hardware(profile, drivers, clock, wait), topics


def _named_axes(profile: Profile, driver: str) -> tuple[dict[str, Axis], dict[str, str]]:
    """The joints on a driver whose ids are names: axes numbered in the profile's order, and the names."""
    mine = {joint: spec for joint, spec in profile.joints.items() if spec.output.driver == driver}
    axes = {j: Axis(j, i, spec.unit, spec.lower, spec.upper) for i, (j, spec) in enumerate(mine.items())}
    return axes, {joint: str(spec.output.id) for joint, spec in mine.items()}
