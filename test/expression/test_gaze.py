"""Gaze: human shares and rates, eye contact while head and camera move, and the history of the head's poses."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from engine_drive import MS, STILL, eyes, line_of_sight, listening, reaction, run, spans, stack, target
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, INDEX
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gaze import CameraMount, HeadTrack
from reactdiff_ros.types import GazeTarget, HeadPose

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


# ---- A head that moves, with the camera on it


STEADY = ExpressionConfig(stillness=1.0, contact_listening=1.0, contact_share=1.0, aversions_per_min=0.5)
ON_HEAD = replace(
    STEADY, camera_on_head=True, camera_z_m=0.01, camera_x_m=0.02, camera_pitch_rad=-0.1, camera_roll_rad=0.05,
    head_pivot_y_m=0.05, head_pivot_z_m=-0.03,
)  # fmt: skip
angle = st.floats(-0.5, 0.5)


def turn(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll), x forward, y left, z up."""
    return Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()


def optical(forward_left_up: np.ndarray) -> np.ndarray:
    """REP-103's x forward, y left, z up as x right, y down, z forward."""
    x, y, z = forward_left_up
    return np.array([-y, -z, x])


def seen_by_camera(person: np.ndarray, head: np.ndarray, config: ExpressionConfig) -> np.ndarray:
    """Optical coordinates of `person` (forward, left, up of the resting eyes) for a camera on a head at `head` (6,)."""
    c = config
    pitch, yaw, roll, left, up, forward = head
    eyes = np.array([-c.head_pivot_z_m, c.head_pivot_x_m, c.head_pivot_y_m])
    camera = eyes + np.array([c.camera_z_m, -c.camera_x_m, -c.camera_y_m])
    on_head = turn(pitch, yaw, roll).T @ (person + eyes - np.array([forward, left, up])) - camera
    return optical(turn(c.camera_pitch_rad, c.camera_yaw_rad, c.camera_roll_rad).T @ on_head)


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


def test_the_heads_pose_is_that_at_a_pictures_stamp_and_at_rest_where_it_is_not_known():
    track = HeadTrack()

    def push(*poses):
        for stamp, yaw in poses:
            track.push(HeadPose(stamp * MS, np.array([0.0, yaw, 0.0, 0.0, 0.0, 0.0], np.float32)))

    def yaws(*stamps):
        return [round(float(track.at(stamp * MS)[1]), 6) for stamp in stamps]

    for i in range(100):
        track.show(i * 20 * MS, np.eye(58)[HEAD_YAW], 0.02)
    assert yaws(1000) == [0.0], "whatever the face shows"
    push((1000, 0.0), (1020, 0.1), (1040, 0.3), (1040, 9.0), (1030, 9.0))
    assert yaws(1000, 1010, 1035, 1040, 1200) == [0.0, 0.05, 0.25, 0.3, 0.3], "late ones are left out"
    assert yaws(1540) == [0.0], "half a second after the last measurement"
    push((3_600_000, 0.9))
    assert not track.measured(1540 * MS), "one from the future"
    push((1600, 0.2), (1620, 0.3))
    assert track.measured(1620 * MS), "it does not keep out those of now"
    assert yaws(1610) == [0.25]
    track.clear()
    assert yaws(1620) == [0.0]


# ---- In the room


def test_eyes_stay_on_a_person_who_stands_still_while_the_head_with_the_camera_nods():
    """Nine degrees at 1.6 Hz, all the time.

    Head and eyes are 0.1 s behind the face; the head is measured every tick. A picture is taken every other tick,
    understood 60 ms later.
    """
    engine, person, off, pitch = ExpressionEngine(ON_HEAD, seed=1), np.array([1.0, -0.35, 0.15]), [], []
    faces = deque([np.zeros(58)] * 6, maxlen=6)
    pictures: deque[GazeTarget] = deque()
    for now in range(1_000 * MS, 25_000 * MS, 20 * MS):
        head = faces[0][HEAD_PITCH:]
        engine.on_head_pose(HeadPose(now, head.astype(np.float32)), now)
        if now % (40 * MS) == 0:
            pictures.append(GazeTarget(now, seen_by_camera(person, head, ON_HEAD).astype(np.float32)))
        if pictures and pictures[0].stamp_ns + 60 * MS <= now:
            engine.on_gaze_target(pictures.popleft(), now)
        if now % (160 * MS) == 0:
            plan = np.zeros((16, 58), np.float32)
            plan[:, HEAD_PITCH] = 0.08 * (1 - np.cos(2 * np.pi * 1.6 * ((now + 40 * MS) / 1e9 + np.arange(16) / 25)))
            engine.on_reaction(reaction(now + 40 * MS, plan), now)
        eye_yaw, eye_pitch = eyes(faces[0], ON_HEAD)
        line = turn(*head[:3]) @ turn(eye_pitch, eye_yaw, 0.0)[:, 0]
        off.append(np.degrees(np.arccos(np.clip(line @ person / np.linalg.norm(person), -1.0, 1.0))))
        pitch.append(np.degrees(head[0]))
        faces.append(engine.tick(now).coefficients.astype(np.float64))
    assert np.ptp(pitch) > 7.0
    assert np.median(off[150:]) < 1.6  # fixations among eyes and mouth alone are about 1 degree
    assert np.quantile(off[150:], 0.9) < 2.6


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
