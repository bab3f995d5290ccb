"""Where the head is, read from its joints; and what a profile must say so that it can be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.actuation.mapping import HeadReader, Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION
from reactdiff_ros.plain_yaml import ProblemsError

NAN = math.nan


@pytest.mark.parametrize("robot", [n for n in shipped_profiles() if load_profile(n).head is not None])
def test_the_joints_that_a_face_moves_give_the_face_s_own_pose_back(robot: str) -> None:
    profile = load_profile(robot)
    face = np.zeros(COEFFICIENT_COUNT)
    face[ROTATION] = [0.1, -0.2, 0.05]
    where = Mapping(profile).wanted(face)
    pose = HeadReader(profile).pose(where, [NAN] * len(where))
    assert pose == pytest.approx([0.1, -0.2, 0.05, 0, 0, 0], abs=1e-3)


def test_axes_of_reachy_mini_are_those_of_the_coefficients() -> None:
    profile = load_profile("reachy_mini")
    by_name = {"head_x": 0.01, "head_y": 0.02, "head_z": 0.03, "head_pitch": 0.4, "head_yaw": 0.5, "head_roll": 0.6}
    measured = [by_name.get(name, NAN) for name in profile.joints]
    reader = HeadReader(profile)
    # headPitch, headYaw, headRoll, headX (left), headY (up), headZ (forward); the antennas do not matter.
    assert reader.pose(measured, [NAN] * 8) == pytest.approx([0.4, 0.5, 0.6, 0.02, 0.03, 0.01])
    assert set(reader.joints) == set(by_name)


def test_what_cannot_be_measured_is_where_it_was_told_to_be() -> None:
    profile = load_profile("reachy_mini")
    goal = np.zeros(8)
    goal[list(profile.joints).index("head_pitch")] = 0.3
    reader = HeadReader(profile)
    pose = reader.pose([NAN] * 8, goal)
    assert pose[0] == pytest.approx(0.3)
    assert reader.pose([NAN] * 8, [NAN] * 8) is None
    assert reader.pose([math.inf] * 8, [NAN] * 8) is None


def test_a_camera_on_the_head_needs_to_know_what_moves_it(tmp_path: Path) -> None:
    head = "head: {pitch: {head_tilt: 1}, yaw: {head_pan: 1}, roll: {head_roll: 1}}\n"
    text, path = shipped_profiles()["ros2_control"].read_text(), tmp_path / "ros2_control.yaml"
    assert text.count(head) == 1
    path.write_text(text.replace(head, ""))
    with pytest.raises(ProblemsError, match=r"camera\.mount.*which joints move"):
        load_profile(path)
    path.write_text(path.read_text().replace("mount: head", "mount: fixed"))
    with pytest.raises(ValueError, match="no head"):
        HeadReader(load_profile(path))
