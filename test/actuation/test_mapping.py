"""From coefficients to joints: sums, curves, couplings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import face, robots, small_profile, wild_frames

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.coefficients import NAMES


@pytest.fixture
def small(tmp_path: Path) -> Mapping:
    return Mapping(small_profile(tmp_path))


def test_sums_signals_and_curves(small: Mapping) -> None:
    np.testing.assert_allclose(small.wanted(face(jawOpen=0.5, headPitch=0.1))[2:], [10.0, 5.73])
    assert small.wanted(face(eyeLookUpLeft=0.5))[0] == 1650.0
    assert small.wanted(face(eyeBlinkLeft=0.25))[1] == pytest.approx(1450.0)
    assert small.wanted(face(eyeBlinkLeft=0.75))[1] == pytest.approx(1300.0)


def test_lids_follow_gaze_as_far_as_the_eye_goes(small: Mapping) -> None:
    assert small.wanted(face(eyeLookUpLeft=0.2))[1] == pytest.approx(1530.0)
    # The eye ends at 1700: the lid follows that, not what was asked for.
    assert small.wanted(face(eyeLookUpLeft=1.0))[0] == pytest.approx(1800.0)
    assert small.wanted(face(eyeLookUpLeft=1.0))[1] == pytest.approx(1600.0)


def test_what_is_not_finite_is_neutral_and_the_rest_is_bounded(small: Mapping) -> None:
    np.testing.assert_array_equal(small.wanted(face(jawOpen=np.nan, headPitch=-np.inf)), [1500, 1500, 0, 0])
    assert small.wanted(face(jawOpen=1e9))[2] == 20.0


@pytest.mark.parametrize("robot", robots())
def test_many_frames_at_once_are_those_one_by_one(robot: str) -> None:
    mapping = Mapping(load_profile(robot))
    frames, _ = wild_frames(np.random.default_rng(3), 200)
    together = mapping.wanted(frames)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, [mapping.wanted(f) for f in frames], atol=1e-9)


@pytest.mark.parametrize("robot", robots())
def test_a_smile_a_nod_and_a_blink_are_seen_on_every_robot(robot: str) -> None:
    """What a robot cannot show is mapped to what it can: nothing of a listener's repertoire is lost."""
    profile = load_profile(robot)
    mapping, neutral = Mapping(profile), np.array([j.neutral for j in profile.joints.values()])
    span = np.array([j.upper - j.lower for j in profile.joints.values()])
    shown = {
        "smile": face(mouthSmileLeft=0.8, mouthSmileRight=0.8),
        "nod": face(headPitch=0.1),
        "brows": face(browInnerUp=0.8, browOuterUpLeft=0.8, browOuterUpRight=0.8),
        "gaze": face(eyeLookOutLeft=0.6, eyeLookInRight=0.6, headYaw=0.1),
    }
    if robot not in ("ros2_control",):  # its profile says that lids are not shown
        shown["blink"] = face(eyeBlinkLeft=1, eyeBlinkRight=1)
    for name, frame in shown.items():
        moved = np.abs(mapping.wanted(frame) - neutral) / span
        assert moved.max() > 0.01, name


@pytest.mark.parametrize("robot", robots())
def test_mappings_stay_near_their_limits(robot: str) -> None:
    """A weight that is ten times too large would be clamped in silence: no coefficient leaves by a whole range."""
    profile = load_profile(robot)
    mapping = Mapping(profile)
    for name in NAMES:
        top = 0.6 if name in ("headPitch", "headYaw", "headRoll") else 0.15 if name.startswith("head") else 1.0
        for value in (top, -top) if name.startswith("head") else (top,):
            wanted = mapping.wanted(face(**{name: value}))
            for got, (joint, j) in zip(wanted, profile.joints.items(), strict=True):
                room = j.upper - j.lower
                assert j.lower - room <= got <= j.upper + room, (name, joint)


@pytest.mark.parametrize("robot", ["generic_12servo", "opsoro_ono"])
def test_the_sides_of_a_face_are_not_mixed_up(robot: str) -> None:
    profile = load_profile(robot)
    mapping = Mapping(profile)
    neutral = np.array([j.neutral for j in profile.joints.values()])
    for side, other in (("Left", "right"), ("Right", "left")):
        frame = face(**{f"eyeBlink{side}": 1.0, f"mouthSmile{side}": 1.0, f"browDown{side}": 1.0})
        moved = np.abs(mapping.wanted(frame) - neutral) > 1e-9
        assert not [n for n, m in zip(mapping.names, moved, strict=True) if m and other in n]
        assert sum(moved) >= 3
