"""The drivers of a profile for the actuator: buses and boards, robots in the network, controllers of ros2_control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reactdiff_ros.actuation.calibration.file import Calibration
from reactdiff_ros.actuation.driver_settings import JointTrajectoryDriver
from reactdiff_ros.actuation.drivers.driver import Clock, release_all
from reactdiff_ros.actuation.drivers.factory import make_drivers
from reactdiff_ros.actuation.drivers.joint_trajectory import TrajectoryDriver
from reactdiff_ros.actuation.drivers.network import make_network_drivers, named_axes
from reactdiff_ros.actuation.hardware import Bus, Hardware
from reactdiff_ros.actuation.profile import Profile


def make_hardware(
    profile: Profile,
    calibrations: Mapping[str, Calibration],
    clock: Clock,
    *,
    wait: Callable[[float], None],
    send: Callable[[str, list[str], list[float]], None],
    resolve: Callable[[str], str],
    lock_folder: Path | None,
    answer_s: float,
) -> tuple[Hardware, dict[str, TrajectoryDriver]]:
    """All hardware of a profile, not yet open, and those of its drivers that are topics.

    Args:
        profile: the robot.
        calibrations: by joint.
        clock: steady, s.
        wait: sleeps for s.
        send: takes the commands for controllers: driver, names, positions.
        resolve: the whole name of a topic, in the node's namespace.
        lock_folder: for lock files; None: where other programs have theirs.
        answer_s: how long an answer may take beyond its time on the wire.
    """
    controllers: dict[str, TrajectoryDriver] = {}
    for name, config in profile.drivers.items():
        if isinstance(config, JointTrajectoryDriver):
            axes, names = named_axes(profile, name)
            controllers[name] = TrajectoryDriver(config, axes, names, clock, partial(send, name), resolve)
    buses: dict[str, Any] = {
        **make_drivers(profile, calibrations, clock, lock_folder=lock_folder, answer_s=answer_s),
        **make_network_drivers(profile, clock, lock_folder=lock_folder),
        **controllers,
    }
    by_name: dict[str, Bus] = {name: buses[name] for name in profile.drivers if name in buses}
    let_go: Callable[[Any], None] = release_all
    return Hardware(profile, by_name, clock, let_go, wait), controllers
