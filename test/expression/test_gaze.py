"""Gaze: human shares and rates, eye contact while head and camera move, and at whom of several people it looks."""

import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from engine_drive import MS, STILL, TICK, every, eyes, line_of_sight, listening, reaction, run, spans, stack, target
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, INDEX
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.attention import NEWCOMER_S, SHORTEST_S, Attention
from reactdiff_ros.expression.gaze import CameraMount, HeadTrack
from reactdiff_ros.types import GazeTarget, HeadPose, People, PersonSeen

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
    assert 100 <= min(durations) <= max(durations) <= 400
    assert 60 <= np.median(closings) <= 120


@pytest.mark.parametrize(("x", "y", "names"), [
    (0.4, 0.0, ("OutRight", "InLeft")), (-0.4, 0.0, ("OutLeft", "InRight")),
    (0.0, 0.3, ("DownLeft", "DownRight")), (0.0, -0.3, ("UpLeft", "UpRight")),
])  # fmt: skip
def test_the_eyes_turn_to_the_person(x: float, y: float, names: tuple[str, str]) -> None:
    engine = ExpressionEngine(STILL, seed=3)
    faces = stack(run(engine, 2.0, lambda now: engine.on_gaze_target(target(now, x=x, y=y), now)))
    yaw, pitch = line_of_sight(faces[-25:])
    assert np.median(yaw) == pytest.approx(-math.atan2(x, 1.0), abs=math.radians(3))
    assert np.median(pitch) == pytest.approx(math.atan2(y, 1.0), abs=math.radians(3))
    assert min(faces[-1, INDEX[f"eyeLook{name}"]] for name in names) > 0.15
    assert not x or np.sign(faces[-1, HEAD_YAW]) == -np.sign(x), "the head helps"


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
    c, (pitch, yaw, roll, left, up, forward) = config, head
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


# ---- Among several people

S = 1000 * MS
PLACES = {1: -0.5, 2: 0.0, 3: 0.5, 4: 0.8, 5: 1.0}


def person(number: int, **beliefs: float) -> PersonSeen:
    values = {"speaking": 0.0, "attention": 0.8, "addressed": 0.0, **beliefs}
    return PersonSeen(number, np.array([PLACES[number], 0.0, 1.0], np.float32), **values)


def people(now: int, *persons: PersonSeen, target: int = 1, robot_addressed: float = 0.0) -> People:
    return People(now - 30 * MS, persons, target, robot_addressed)


def looks(seen: Callable[[int], People], *, seconds: float = 400.0, speaks: bool = False) -> np.ndarray:
    """Whose place was looked at, per tick; a picture every 40 ms."""
    attention, who = Attention(np.random.default_rng(0)), {np.float32(x): n for n, x in PLACES.items()}
    focus, result = 0, []
    for i in range(round(seconds * 50)):
        now = i * TICK
        if i % 2 == 0:
            attention.push(seen(now), now)
        where = attention.advance(now, speaks=speaks)
        focus = focus if where is None else who[where.position_m[0]]
        result.append(focus)
    return np.array(result)


@pytest.mark.parametrize(
    ("persons", "robot_addressed", "speaks", "shares"),
    [
        ([person(1, speaking=0.9), person(2, addressed=0.9), person(3)], 0.0, False,
         {1: (0.6, 0.8), 2: (0.12, 0.32), 3: (0.03, 0.18)}),
        ([person(1, speaking=0.9), person(2, addressed=0.2)], 0.9, False, {1: (0.8, 1.0)}),
        ([person(1), person(2), person(3)], 0.0, True, {1: (0.34, 0.6), 2: (0.18, 0.4), 3: (0.18, 0.4)}),
    ],
    ids=["most at who speaks, now and then at who is spoken to", "nearly all at who speaks to the robot",
         "a robot that speaks: shared, most at the one whom it listened to"],
)  # fmt: skip
def test_shares_of_looks(persons, robot_addressed, speaks, shares) -> None:
    looked = looks(lambda now: people(now, *persons, robot_addressed=robot_addressed), speaks=speaks)
    for number, (least, most) in shares.items():
        assert least < (looked == number).mean() < most, number
    assert (np.diff(np.flatnonzero(np.diff(looked))) * 0.02).min() >= SHORTEST_S - 0.001


def test_a_change_of_speaker_is_followed_within_a_second() -> None:
    def seen(now: int) -> People:
        first = now // (5 * S) % 2 == 0
        persons = person(1, speaking=0.9 * first), person(2, speaking=0.9 * (not first))
        return people(now, *persons, robot_addressed=1.0)

    turns = looks(seen, seconds=300).reshape(-1, 250)[1:]  # of 5 s each
    speakers = np.arange(1, 1 + len(turns)) % 2 + 1
    late_s = (turns == speakers[:, None]).argmax(1) * 0.02
    assert (turns == speakers[:, None]).any(1).all()
    assert late_s.max() <= SHORTEST_S + 0.2
    assert np.median(late_s) <= 0.25


def test_a_newcomer_gets_a_look_of_about_a_second() -> None:
    persons = person(1, speaking=0.9), person(2), person(3)
    at_newcomer = looks(lambda now: people(now, *persons[: 3 if now >= 20 * S else 2]), seconds=22) == 3
    begin = int(at_newcomer.argmax())
    assert 20 <= begin * 0.02 <= 20 + SHORTEST_S + 0.05
    assert np.append(at_newcomer, False)[begin:].argmin() * 0.02 >= NEWCOMER_S - 0.021


@given(seed=st.integers(0, 2**32 - 1))
def test_never_flips_faster_than_0_6_s_whatever_comes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = {"now": people(0, person(1), person(2))}

    def seen(now: int) -> People:
        if rng.random() < 0.1 and now % (40 * MS) == 0:
            who = [person(n, speaking=rng.random(), attention=rng.random(), addressed=rng.random())
                   for n in PLACES if rng.random() < 0.6]  # fmt: skip
            crowd["now"] = people(now, *who, target=int(rng.integers(-1, 6)))
        return crowd["now"]

    attention = Attention(np.random.default_rng(seed))
    changes, last = [], None
    for i in range(400):
        now = i * TICK
        attention.push(seen(now), now)
        before = attention.among
        where = attention.advance(now, speaks=bool(rng.random() < 0.3))
        if where is not None and before:
            x = float(where.position_m[0])
            if last is not None and x != last:
                changes.append(now)
            last = x
        elif not attention.among:
            last = None
    assert all(b - a >= SHORTEST_S * S - 1 for a, b in itertools.pairwise(changes))


def test_with_one_person_the_gaze_is_that_without_any_bit_for_bit() -> None:
    def faces(*crowd: PersonSeen) -> np.ndarray:
        engine = ExpressionEngine(seed=6)
        more = every(40, lambda now: crowd and engine.on_people(people(now, *crowd), now))
        return stack(run(engine, 8.0, listening(engine), more))

    plain = faces()
    assert np.array_equal(plain, faces(person(1, speaking=1.0)))
    assert np.array_equal(plain, faces(person(1), PersonSeen(2, None, 0.9, 1.0, 1.0)))


def test_the_eyes_go_to_who_speaks_and_back_to_one_who_is_left() -> None:
    engine = ExpressionEngine(seed=1)

    def push(now: int) -> None:
        engine.on_gaze_target(target(now - 30 * MS, x=-0.5), now)
        engine.on_people(people(now, *(person(1), person(3, speaking=0.9))[: 2 if now < 4 * S else 1]), now)
        engine.on_speaking(True, now)

    yaw = np.degrees(line_of_sight(stack(run(engine, 8.0, every(40, push))))[0])
    assert np.median(yaw[50:200]) == pytest.approx(-27, abs=6), "person 3 is 27 degrees to the robot's right"
    assert np.median(yaw[250:]) == pytest.approx(27, abs=6)
