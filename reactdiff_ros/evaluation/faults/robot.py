"""A robot for the fault harness: emulated servos, its profile and calibration as files, its limits as numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from reactdiff_ros.actuation.calibration import save_calibration
from reactdiff_ros.actuation.profile import Profile, load_profile
from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
from reactdiff_ros.evaluation.faults.servos import Joints
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.resources import resource_path

BUS_HEAD: Final = "bus_head"
"""A head whose servos answer one by one, which is there for this harness alone."""


def emulated(name: str, options: LiveOptions, folder: Path) -> tuple[EmulatedRobot, LiveOptions]:
    """The servos of a robot in a process of their own, and options that let a graph drive them.

    Raises:
        ReactdiffError: there is no such robot, or it cannot be emulated.
    """
    robot = EmulatedRobot(profile_of(name), folder)
    path, calibration = folder / "robot.yaml", folder / "calibration.json"
    path.write_text(yaml.safe_dump(robot.profile.model_dump(mode="json"), sort_keys=False))
    save_calibration(calibration, robot.calibrations)
    own = {"calibration": str(calibration), "state_dir": str(folder), "lock_dir": str(folder)}
    arguments = {**options.arguments, "robot": str(path)}
    return robot, replace(options, arguments=arguments, parameters={**options.parameters, **own})


def profile_of(name: str) -> Profile:
    """The profile of a robot: a shipped one, a file, or BUS_HEAD. Raises ReactdiffError as `load_profile`."""
    return load_profile(resource_path(f"faults/{BUS_HEAD}.yaml") if name == BUS_HEAD else name)


def joints_of(profile: Profile) -> Joints:
    """The limits of a profile's joints, in its order, which is that of the actuator's reports."""
    joints = profile.joints.values()
    return Joints(
        np.array([j.lower for j in joints], dtype=np.float32),
        np.array([j.upper for j in joints], dtype=np.float32),
        np.array([j.limits.speed for j in joints], dtype=np.float32),
    )
