"""Eye contact while head and camera move: geometry, history of poses, and the whole engine in a small room."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from engine_drive import reaction, target
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_head import MS, eyes_of, live, optical, seen_by_camera

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gaze import CameraMount, Gaze, HeadTrack
from reactdiff_ros.types import HeadPose

STEADY = ExpressionConfig(stillness=1.0, contact_listening=1.0, contact_share=1.0, aversions_per_min=0.5)
ON_HEAD = replace(
    STEADY, camera_on_head=True, camera_z_m=0.01, camera_x_m=0.02, camera_pitch_rad=-0.1, camera_roll_rad=0.05,
    head_pivot_y_m=0.05, head_pivot_z_m=-0.03,
)  # fmt: skip
angle = st.floats(-0.5, 0.5)


# Geometry.


@given(
    st.tuples(*[angle] * 3, *[st.floats(-0.05, 0.05)] * 3),
    st.tuples(st.floats(0.6, 4.0), angle, angle),
    st.tuples(*[angle] * 3),
    st.tuples(*[st.floats(-0.1, 0.1)] * 6),
)
def test_who_stands_still_stays_where_they_are_whatever_the_head_did(head, person, mount, places):
    config = ExpressionConfig(
        camera_on_head=True, camera_pitch_rad=mount[0], camera_yaw_rad=mount[1], camera_roll_rad=mount[2],
        camera_x_m=places[0], camera_y_m=places[1], camera_z_m=places[2],
        head_pivot_x_m=places[3], head_pivot_y_m=places[4], head_pivot_z_m=places[5],
    )  # fmt: skip
    there, pose = np.array(person), np.array(head)
    found = CameraMount(config).at_rest(seen_by_camera(there, pose, config), pose)
    assert np.allclose(found, optical(there), atol=1e-9)


@given(angle, angle, st.tuples(*[st.floats(-0.3, 0.3)] * 3), st.tuples(angle, angle, st.floats(0.3, 4.0)))
def test_a_head_at_rest_gives_what_a_fixed_camera_gives(pitch, yaw, place, seen):
    config = ExpressionConfig(
        camera_pitch_rad=pitch, camera_yaw_rad=yaw, camera_x_m=place[0], camera_y_m=place[1], camera_z_m=place[2]
    )
    fixed = Gaze(config, np.random.default_rng(0), HeadTrack())
    fixed.push(target(0, *seen), 0)
    found = CameraMount(config).at_rest(np.array(seen, np.float32).astype(np.float64), np.zeros(6))
    assert np.allclose(fixed._goal, found, atol=1e-9)


# The history of poses.


def pose(stamp_ms, *values):
    return HeadPose(stamp_ms * MS, np.array([*values, *[0.0] * (6 - len(values))], np.float32))


def test_a_pose_is_taken_at_the_stamp_of_the_picture():
    track = HeadTrack()
    for stamp, yaw in ((1000, 0.0), (1020, 0.1), (1040, 0.3), (1040, 9.0), (1030, 9.0)):
        track.push(pose(stamp, 0.0, yaw))
    assert [round(float(track.at(t * MS)[1]), 6) for t in (1000, 1010, 1035, 1040, 1200)] == [0.0, 0.05, 0.25, 0.3, 0.3]


def test_a_head_of_which_nobody_says_where_it_is_counts_as_one_at_rest():
    track, face = HeadTrack(), np.zeros(58)
    face[HEAD_YAW] = 0.5
    for i in range(100):
        track.show(i * 20 * MS, face, 0.02)
    assert np.array_equal(track.at(1000 * MS), np.zeros(6)), "whatever the face shows"
    track.push(pose(500, 0.0, -1.0))
    assert track.at(600 * MS)[1] == pytest.approx(-1.0)
    assert np.array_equal(track.at(1000 * MS), np.zeros(6)), "half a second after the last measurement"
    track.clear()
    assert np.array_equal(track.at(600 * MS), np.zeros(6))


def test_one_pose_from_the_future_does_not_keep_out_those_of_now():
    track = HeadTrack()
    track.push(pose(0, 0.0, 0.1))
    track.push(pose(3_600_000, 0.0, 0.9))
    assert not track.measured(40 * MS)
    assert np.array_equal(track.at(40 * MS), np.zeros(6))
    track.push(pose(60, 0.0, 0.2))
    track.push(pose(80, 0.0, 0.3))
    assert track.measured(80 * MS)
    assert track.at(70 * MS)[1] == pytest.approx(0.25)
    track.push(pose(60, 0.0, 0.7))
    assert track.at(80 * MS)[1] == pytest.approx(0.3), "one that is a little late is left out"


@pytest.mark.parametrize(
    "values", [[math.nan] * 6, [0.0] * 5, [math.inf, 0, 0, 0, 0, 0], [4.0, 0, 0, 0, 0, 0], [0, 0, 0, 3.0, 0, 0]]
)
def test_a_pose_that_is_none_is_refused_and_the_face_goes_on(values):
    engine = ExpressionEngine(ON_HEAD)
    with pytest.raises(MessageError, match="pose of the head"):
        engine.on_head_pose(HeadPose(MS, np.array(values, np.float64)), MS)
    assert engine.rejected == 1
    assert np.isfinite(engine.tick(20 * MS).coefficients).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.lists(st.floats(width=32), min_size=6, max_size=6))))
def test_no_pose_makes_the_face_leave_its_bounds(poses):
    engine = ExpressionEngine(ON_HEAD)
    for i, (stamp, values) in enumerate(poses):
        with contextlib.suppress(MessageError):
            engine.on_head_pose(HeadPose(stamp, np.array(values, np.float32)), i * 20 * MS)
        engine.on_gaze_target(target(i * 20 * MS, 0.3), i * 20 * MS)
        face = engine.tick(i * 20 * MS).coefficients
        assert np.isfinite(face).all()
        assert (face[:52] >= 0.0).all()
        assert (face[:52] <= 1.0).all()


# Without a robot.


# In the room.


def nods(engine):
    """Plans of a head that nods all the time, 9 degrees at 1.6 Hz."""

    def push(now):
        if now % (160 * MS) == 0:
            t = (now + 40 * MS) / 1e9 + np.arange(16) / 25
            plan = np.zeros((16, 58), np.float32)
            plan[:, HEAD_PITCH] = 0.08 * (1 - np.cos(2 * np.pi * 1.6 * t))
            engine.on_reaction(reaction(now + 40 * MS, plan), now)

    return push


def still(_):
    return np.array([1.0, -0.35, 0.15])


def off(person, config=ON_HEAD, **options):
    """Degrees off the person: median and 90th percentile after three seconds, and how far the head moved."""
    engine = ExpressionEngine(config, seed=1)
    found = live(engine, config, 24, person, before=nods(engine), **options)
    degrees = np.degrees(found["off"][150:])
    return float(np.median(degrees)), float(np.quantile(degrees, 0.9)), float(np.degrees(np.ptp(found["pitch"])))


def test_eyes_stay_on_a_person_who_stands_still_while_the_head_with_the_camera_nods():
    median, p90, nodded = off(still)
    assert nodded > 7.0
    assert median < 1.6  # fixations among eyes and mouth alone are about 1 degree
    assert p90 < 2.6


def test_a_head_that_is_not_measured_does_not_run_after_itself():
    """The camera of a robot that was not enabled sees somebody in the same place, whatever the face shows."""
    for share in (0.3, 1.0):
        config = replace(ON_HEAD, head_share=share)
        found = live(ExpressionEngine(config, seed=1), config, 20, still, measure=False, follows=0.0)
        shown = found["faces"][500:, HEAD_YAW]
        assert np.median(np.abs(shown)) < 0.36


def test_eyes_make_up_for_a_head_that_does_not_go_where_it_is_told():
    """A fixed camera, and a neck that hangs: measured at zero whatever the face shows."""

    def eyes(measure):
        engine = ExpressionEngine(STEADY, seed=1)
        seen = []
        for i in range(500):
            now = i * 20 * MS
            engine.on_gaze_target(target(now, -0.4, 0.0, 1.0), now)
            if measure:
                engine.on_head_pose(HeadPose(now, np.zeros(6, np.float32)), now)
            seen.append(eyes_of(engine.tick(now).coefficients.astype(np.float64), STEADY)[1])
        return float(np.median(seen[250:]))

    person = math.atan2(0.4, 1.0)
    assert eyes(measure=True) == pytest.approx(person, abs=math.radians(1.5))
    assert eyes(measure=False) == pytest.approx(0.7 * person, abs=math.radians(1.5))
