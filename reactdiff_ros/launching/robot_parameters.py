"""Node parameters that follow from a robot's profile: where its camera sits, and how wide it sees."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import Any

from reactdiff_ros.actuation.profile import Profile, load_profile


def robot_parameters(robot: str, *, recorded: bool = False) -> dict[str, Any] | None:
    """The content of a ROS parameter file for the profile of `robot`, a name or a path; None for "" and "none".

    `recorded`: pictures come from a clip, a bag or a video file. They do not turn with this robot's head, wherever its
    camera sits: if its motion were taken out of them, the head would run after itself to its limit.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    if robot in ("", "none"):
        return None
    return parameters_of(load_profile(robot), recorded=recorded)


def recorded_pictures(settled: Mapping[str, str]) -> bool:
    """Whether pictures are those of a clip, a bag or a video file, by the arguments of the table of nodes."""
    playing = settled["clip"] not in ("", "none") or settled["use_sim_time"] == "true"
    return playing or os.path.isfile(settled["camera"])


def turns_with_head(robot: str) -> bool:
    """Whether a camera of this robot does: the nodes that look need to know whose pictures they get.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    return robot_parameters(robot) != robot_parameters(robot, recorded=True)


def parameters_of(profile: Profile, *, recorded: bool = False) -> dict[str, Any]:
    """As `robot_parameters`, of a profile that was read."""
    (forward, left, up), (roll, pitch, yaw) = profile.camera.xyz_m, profile.camera.rpy_rad
    expression: dict[str, Any] = {
        "camera_x_m": -left,
        "camera_y_m": -up,
        "camera_z_m": forward,
        "camera_yaw_rad": yaw,
        "camera_pitch_rad": pitch,
        "camera_roll_rad": roll,
    }
    head = profile.head
    if head is not None:
        forward, left, up = head.pivot_m
        expression |= {"head_pivot_x_m": -left, "head_pivot_y_m": -up, "head_pivot_z_m": forward}
        if head.gaze_share is not None:
            expression["head_share"] = head.gaze_share
    perception = {"horizontal_fov_deg": profile.camera.horizontal_fov_deg}
    on_head = profile.camera.mount == "head" and not recorded
    flat = all(driver.type == "screen" for driver in profile.drivers.values())
    numbers: dict[str, Any] = {name: value + 0.0 for name, value in expression.items()}
    return {
        "/**/expression_node": {"ros__parameters": numbers | {"camera_on_head": on_head, "flat_face": flat}},
        "/**/perception_node": {"ros__parameters": perception},
    }
