"""From coefficients to joints: sums, curves, couplings; and from joints back to where the head is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import face, robots, small_profile, wild_frames

from reactdiff_ros.actuation.mapping import HeadReader, Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, NAMES, ROTATION
from reactdiff_ros.plain_yaml import ProblemsError

NAN = math.nan
WANTED = {
    "sums": ({"jawOpen": 0.5, "headPitch": 0.1}, [1500.0, 1500.0, 10.0, 5.73]),
    "a signal, and the lid that follows": ({"eyeLookUpLeft": 0.2}, [1560.0, 1530.0, 0.0, 0.0]),
    "the lid follows as far as the eye goes": ({"eyeLookUpLeft": 1.0}, [1800.0, 1600.0, 0.0, 0.0]),
    "a curve": ({"eyeBlinkLeft": 0.25}, [1500.0, 1450.0, 0.0, 0.0]),
    "behind its corner": ({"eyeBlinkLeft": 0.75}, [1500.0, 1300.0, 0.0, 0.0]),
    "what is not finite is neutral": ({"jawOpen": NAN, "headPitch": -math.inf}, [1500.0, 1500.0, 0.0, 0.0]),
    "the rest is bounded": ({"jawOpen": 1e9}, [1500.0, 1500.0, 20.0, 0.0]),
}


@pytest.mark.parametrize(("shown", "wanted"), WANTED.values(), ids=WANTED)
def test_where_a_face_takes_the_joints(tmp_path: Path, shown: dict[str, float], wanted: list[float]) -> None:
    assert Mapping(small_profile(tmp_path)).wanted(face(**shown)) == pytest.approx(wanted)


@pytest.mark.parametrize("robot", robots())
def test_many_frames_at_once_are_those_one_by_one(robot: str) -> None:
    mapping = Mapping(load_profile(robot))
    frames, _ = wild_frames(np.random.default_rng(3), 200)
    together = mapping.wanted(frames)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, [mapping.wanted(f) for f in frames], atol=1e-9)


@pytest.mark.parametrize("robot", robots())
def test_a_smile_a_nod_and_a_blink_are_seen_on_every_robot_and_no_weight_is_too_large(
    robot: str,
) -> None:
    """What a robot cannot show is mapped to what it can; what is clamped by more than a range is a wrong weight."""
    profile = load_profile(robot)
    mapping, joints = Mapping(profile), profile.joints.values()
    neutral, span = np.array([j.neutral for j in joints]), np.array([j.upper - j.lower for j in joints])
    shown = {
        "smile": face(mouthSmileLeft=0.8, mouthSmileRight=0.8),
        "nod": face(headPitch=0.1),
        "brows": face(browInnerUp=0.8, browOuterUpLeft=0.8, browOuterUpRight=0.8),
        "gaze": face(eyeLookOutLeft=0.6, eyeLookInRight=0.6, headYaw=0.1),
        "blink": face(eyeBlinkLeft=1, eyeBlinkRight=1),
    }
    for name, frame in shown.items():
        moved = np.abs(mapping.wanted(frame) - neutral) / span
        # The profile of ros2_control says that lids are not shown.
        assert moved.max() > 0.01 or (robot, name) == ("ros2_control", "blink"), name
    for name in NAMES:
        top = 0.6 if name in ("headPitch", "headYaw", "headRoll") else 0.15 if name.startswith("head") else 1.0
        for value in (top, -top) if name.startswith("head") else (top,):
            beyond = np.abs(mapping.wanted(face(**{name: value})) - [(j.lower + j.upper) / 2 for j in joints]) / span
            assert beyond.max() <= 1.5, name


@pytest.mark.parametrize("robot", ["generic_12servo", "opsoro_ono"])
def test_the_sides_of_a_face_are_not_mixed_up(robot: str) -> None:
    mapping = Mapping(load_profile(robot))
    for side, other in (("Left", "right"), ("Right", "left")):
        frame = face(**{f"eyeBlink{side}": 1.0, f"mouthSmile{side}": 1.0, f"browDown{side}": 1.0})
        moved = np.array(mapping.names)[np.abs(mapping.wanted(frame) - mapping.wanted(face())) > 1e-9]
        assert len(moved) >= 3
        assert not [joint for joint in moved if other in joint]


@pytest.mark.parametrize("robot", [n for n in shipped_profiles() if load_profile(n).head is not None])
def test_the_joints_that_a_face_moves_give_the_face_s_own_pose_back(robot: str) -> None:
    profile = load_profile(robot)
    shown = np.zeros(COEFFICIENT_COUNT)
    shown[ROTATION] = [0.1, -0.2, 0.05]
    where = Mapping(profile).wanted(shown)
    pose = HeadReader(profile).pose(where, [NAN] * len(where))
    assert pose == pytest.approx([0.1, -0.2, 0.05, 0, 0, 0], abs=1e-3)


def test_the_head_is_where_it_is_measured_else_where_it_was_told_to_be_else_nowhere() -> None:
    profile = load_profile("reachy_mini")
    by_name = {"head_x": 0.01, "head_y": 0.02, "head_z": 0.03, "head_pitch": 0.4, "head_yaw": 0.5, "head_roll": 0.6}
    measured = [by_name.get(name, NAN) for name in profile.joints]
    reader = HeadReader(profile)
    # headPitch, headYaw, headRoll, headX (left), headY (up), headZ (forward); the antennas do not matter.
    pose = pytest.approx([0.4, 0.5, 0.6, 0.02, 0.03, 0.01])
    assert set(reader.joints) == set(by_name)
    assert reader.pose(measured, [NAN] * 8) == pose
    assert reader.pose([NAN] * 8, measured) == pose
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
