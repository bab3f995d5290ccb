"""Node parameters that follow from a robot's profile: where its camera sits, and how wide it sees."""

from __future__ import annotations

from typing import Any

from reactdiff_ros.robots.profile import Profile, load_profile


def robot_parameters(robot: str) -> dict[str, Any] | None:
    """The content of a ROS parameter file for the profile of `robot`, a name or a path; None for "" and "none".

    The camera's roll is not used: pictures are upright.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    if robot in ("", "none"):
        return None
    return parameters_of(load_profile(robot))


def parameters_of(profile: Profile) -> dict[str, Any]:
    """As `robot_parameters`, of a profile that was read."""
    (forward, left, up), (_, pitch, yaw) = profile.camera.xyz_m, profile.camera.rpy_rad
    expression = {
        "camera_x_m": -left,
        "camera_y_m": -up,
        "camera_z_m": forward,
        "camera_yaw_rad": yaw,
        "camera_pitch_rad": pitch,
    }
    perception = {"horizontal_fov_deg": profile.camera.horizontal_fov_deg}
    return {
        "/**/expression_node": {"ros__parameters": {k: v + 0.0 for k, v in expression.items()}},
        "/**/perception_node": {"ros__parameters": perception},
    }
