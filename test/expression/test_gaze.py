"""Gaze: human shares and rates, eye contact while head and camera move, and the history of the head's poses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from engine_drive import MS, STILL, every, eyes, line_of_sight, listening, reaction, run, spans, stack, target
from hypothesis import given
from hypothesis import strategies as st
from moving_head import live, optical, seen_by_camera

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, INDEX
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gaze import CameraMount, Gaze, HeadTrack
from reactdiff_ros.types import HeadPose

SEEDS = (0, 1)


@pytest.mark.parametrize(("speaks", "least", "most"), [(True, 0.82, 0.95), (False, 0.70, 0.85)])
def test_share_of_eye_contact_and_rate_of_looks_away_are_human(speaks: bool, least: float, most: float) -> None:
    shares, rates = [], []
    for seed in SEEDS:
        engine = ExpressionEngine(seed=seed)
        yaw, pitch = line_of_sight(stack(run(engine, 300, listening(engine, speaks=speaks))))
        away = np.hypot(yaw, pitch) > math.radians(6)
        shares.append(1.0 - away.mean())
        rates.append(len([n for n in spans(away) if n >= 10]) / 5)
    assert least <= np.mean(shares) <= most
    assert 2.0 <= np.mean(rates) <= 6.0


def test_blinks_are_human() -> None:
    durations, closings = [], []
    for seed in SEEDS:
        engine = ExpressionEngine(seed=seed)
        lids = stack(run(engine, 120, listening(engine)))[:, BLINK[0]]
        blinks = spans(lids > 0.02)
        assert 10 <= len(blinks) / 2 <= 33
        durations += [(n + 1) * 20 for n in blinks]
        closings += [n * 20 for n in spans(np.diff(lids) > 0.01)]
    assert min(durations) >= 100
    assert max(durations) <= 400
    assert 60 <= np.median(closings) <= 120


def test_blinks_of_the_plan_count_as_blinks() -> None:
    blinking = np.zeros((16, 58), np.float32)
    blinking[5:9, BLINK] = 1.0

    def count(plan: np.ndarray | None) -> int:
        engine = ExpressionEngine(ExpressionConfig(blink_rate_per_min=20.0), seed=1)

        def push(now: int) -> None:
            engine.on_reaction(reaction(now, plan if now % (2_560 * MS) == 0 else None), now)

        return len(spans(stack(run(engine, 120, every(640, push)))[:, BLINK[0]] > 0.5))

    assert count(blinking) <= count(None) + 31, "not the sum of both (47 more)"


@pytest.mark.parametrize(
    ("x", "y", "names"),
    [
        (0.4, 0.0, ("eyeLookOutRight", "eyeLookInLeft")),
        (-0.4, 0.0, ("eyeLookOutLeft", "eyeLookInRight")),
        (0.0, 0.3, ("eyeLookDownLeft", "eyeLookDownRight")),
        (0.0, -0.3, ("eyeLookUpLeft", "eyeLookUpRight")),
    ],
)
def test_the_eyes_turn_to_the_person(x: float, y: float, names: tuple[str, str]) -> None:
    engine = ExpressionEngine(STILL, seed=3)
    faces = stack(run(engine, 2.0, lambda now: engine.on_gaze_target(target(now, x=x, y=y), now)))
    yaw, pitch = line_of_sight(faces[-25:])
    assert np.median(yaw) == pytest.approx(-math.atan2(x, 1.0), abs=math.radians(3))
    assert np.median(pitch) == pytest.approx(math.atan2(y, 1.0), abs=math.radians(3))
    for name in names:
        assert faces[-1, INDEX[name]] > 0.15
    if x:
        assert np.sign(faces[-1, HEAD_YAW]) == -np.sign(x), "the head helps"


@given(x=st.floats(-3, 3), y=st.floats(-1, 1), z=st.floats(0.3, 5))
def test_a_flat_face_looks_at_its_viewer_wherever_the_camera_sees_them(x: float, y: float, z: float) -> None:
    """A picture that looks up or aside looks at no one: 1.5 degrees aside and 1 up or down, and fixations."""
    config = ExpressionConfig(stillness=1.0, flat_face=True, contact_share=1.0, contact_listening=1.0)
    engine = ExpressionEngine(config, seed=3)
    faces = stack(run(engine, 1.5, lambda now: engine.on_gaze_target(target(now, x=x, y=y, z=z), now)))[-25:]
    yaw, pitch = line_of_sight(faces, config)
    assert abs(np.median(yaw)) <= math.radians(1.5 + 3)
    assert abs(np.median(pitch)) <= math.radians(1 + 3)
    assert abs(faces[:, INDEX["eyeLookUpLeft"]].mean() - faces[:, INDEX["eyeLookDownLeft"]].mean()) < 0.2


def test_every_new_target_moves_the_eyes_at_the_next_tick() -> None:
    engine, other = ExpressionEngine(seed=1), ExpressionEngine(seed=1)
    for one in (engine, other):
        run(one, 2, listening(one))
    now = 2_000 * MS
    engine.on_gaze_target(target(now - 30 * MS, x=0.05), now)
    moved, still = engine.tick(now), other.tick(now)
    assert moved.picture_stamp_ns == now - 30 * MS
    assert still.picture_stamp_ns == now - 70 * MS
    assert not np.array_equal(moved.coefficients, still.coefficients)


def test_eyes_stay_on_the_person_through_a_nod() -> None:
    engine = ExpressionEngine(STILL, seed=3)
    push = listening(engine)
    run(engine, 1.0, push)
    engine.on_gesture("nod", 1_000 * MS)
    faces = stack(run(engine, 1.2, push, start_ns=1_000 * MS))
    assert np.ptp(faces[:, HEAD_PITCH]) > math.radians(4)
    assert np.ptp(line_of_sight(faces)[1]) < math.radians(3)


# ---- A head that moves, with the camera on it


STEADY = ExpressionConfig(stillness=1.0, contact_listening=1.0, contact_share=1.0, aversions_per_min=0.5)
ON_HEAD = replace(
    STEADY, camera_on_head=True, camera_z_m=0.01, camera_x_m=0.02, camera_pitch_rad=-0.1, camera_roll_rad=0.05,
    head_pivot_y_m=0.05, head_pivot_z_m=-0.03,
)  # fmt: skip
angle = st.floats(-0.5, 0.5)


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


# ---- In the room


def still(_):
    return np.array([1.0, -0.35, 0.15])


def test_eyes_stay_on_a_person_who_stands_still_while_the_head_with_the_camera_nods():
    """Nine degrees at 1.6 Hz, all the time."""
    engine = ExpressionEngine(ON_HEAD, seed=1)

    def nod(now):
        plan = np.zeros((16, 58), np.float32)
        plan[:, HEAD_PITCH] = 0.08 * (1 - np.cos(2 * np.pi * 1.6 * ((now + 40 * MS) / 1e9 + np.arange(16) / 25)))
        engine.on_reaction(reaction(now + 40 * MS, plan), now)

    found = live(engine, ON_HEAD, 24, still, before=every(160, nod))
    off = np.degrees(found["off"][150:])
    assert np.degrees(np.ptp(found["pitch"])) > 7.0
    assert np.median(off) < 1.6  # fixations among eyes and mouth alone are about 1 degree
    assert np.quantile(off, 0.9) < 2.6


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_head_that_is_not_measured_does_not_run_after_itself(share):
    """The camera of a robot that was not enabled sees somebody in the same place, whatever the face shows."""
    config = replace(ON_HEAD, head_share=share)
    found = live(ExpressionEngine(config, seed=1), config, 20, still, measure=False, follows=0.0)
    assert np.median(np.abs(found["faces"][500:, HEAD_YAW])) < 0.36


@pytest.mark.parametrize(("measure", "share"), [(True, 1.0), (False, 0.7)])
def test_eyes_make_up_for_a_head_that_does_not_go_where_it_is_sent(measure, share):
    """A fixed camera, and a neck that hangs: measured at zero whatever the face shows."""
    engine = ExpressionEngine(STEADY, seed=1)

    def push(now):
        engine.on_gaze_target(target(now, -0.4, 0.0, 1.0), now)
        if measure:
            engine.on_head_pose(HeadPose(now, np.zeros(6, np.float32)), now)

    yaw, _ = eyes(stack(run(engine, 10.0, push))[250:])
    assert np.median(yaw) == pytest.approx(share * math.atan2(0.4, 1.0), abs=math.radians(1.5))
