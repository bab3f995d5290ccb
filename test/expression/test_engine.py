"""The expression engine: a face at every tick, whatever comes in; plans, gestures, style."""

import contextlib
import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from engine_drive import MS, STILL, TICK, bounded_and_smooth, every, listening, plans, reaction, run, stack, target
from hypothesis import given
from hypothesis import strategies as st
from own_speech import parts, sentence

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX, MOUTH, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gestures import GESTURES
from reactdiff_ros.expression.playback import PlanSmoother
from reactdiff_ros.types import HeadPose, ListenerControl, Mouth, People, PersonSeen

SMILING = np.zeros((16, 58), np.float32)
SMILING[:, SMILE] = 0.6
NODDING = np.zeros((16, 58), np.float32)
NODDING[:, SMILE] = 0.5
NODDING[:, HEAD_PITCH] = math.radians(6.0) * (1 - np.cos(2 * np.pi * np.arange(16) / 15)) / 2
"""A nod of 6 degrees in the whole plan of 0.64 s, and a smile."""


def test_a_plan_acts_at_the_next_tick_and_is_followed_closely() -> None:
    engine = ExpressionEngine(seed=1)
    run(engine, 1, listening(engine))
    now = 1_000 * MS
    rise = SMILING * np.linspace(1 / 6, 1, 16)[:, None]
    engine.on_reaction(reaction(now + 40 * MS, rise), now)
    first, *_, last = run(engine, 0.32, start_ns=now)
    assert first.coefficients[SMILE[0]] > 0.0
    assert first.reaction_picture_stamp_ns == now - 30 * MS
    wanted = np.interp((15 * 20 - 40) / 40, np.arange(16), rise[:, SMILE[0]])
    assert last.coefficients[SMILE[0]] == pytest.approx(wanted, abs=0.01)


def test_whatever_dies_the_face_goes_on_and_says_in_which_mode() -> None:
    """First there is nothing, then someone who is smiled at, a dead model, dead input, someone again, and nobody."""
    engine, start_ns, stages = ExpressionEngine(seed=2), 0, []
    smiling, nobody = plans(engine, SMILING), plans(engine, SMILING, engaged=False)
    looking = every(40, lambda now: engine.on_gaze_target(target(now - 30 * MS, x=0.2), now))
    pushes = [], [smiling, looking], [looking], [], [smiling], [nobody]
    for seconds, acts in zip((20, 2, 12, 4, 2, 18), pushes, strict=True):
        stages.append(run(engine, seconds, *acts, start_ns=start_ns))
        start_ns += seconds * 1000 * MS
    bounded_and_smooth(stack([frame for stage in stages for frame in stage]))
    nothing, live, model_dead, input_dead, again, gone = (stack(stage) for stage in stages)
    modes = [[frame.mode for frame in stage] for stage in stages]
    assert {*modes[0]} == {"neutral"}
    assert all(f.picture_stamp_ns is None and f.reaction_picture_stamp_ns is None for f in stages[0])
    assert nothing[:, BLINK].max() > 0.95, "it blinks"
    assert np.ptp(nothing[:, INDEX["headY"]]) > 0.001, "it breathes"
    assert np.abs(nothing[:, SMILE]).max() == 0.0
    assert modes[1][-1] == "listening"
    assert live[-1, SMILE[0]] > 0.5
    assert model_dead[75:, SMILE[0]].max() == 0.0, "the last plan has faded"
    assert {*modes[2][100:]} == {"listening"}
    assert all(f.reaction_picture_stamp_ns is None and f.picture_stamp_ns is not None for f in stages[2][100:])
    assert model_dead[200:, BLINK].max() > 0.9
    assert (modes[3][100], stages[3][180].picture_stamp_ns) == ("neutral", None)
    assert np.abs(input_dead[130:190, HEAD_YAW]).max() < 0.02
    assert (modes[4][-1], {*modes[5][10:]}) == ("listening", {"idle"})
    assert again[-1, SMILE[0]] > 0.5
    assert gone[100:, SMILE[0]].max() < 0.01
    assert 0.003 < gone[100:, HEAD_YAW].std() < 0.06, "alive, not fidgeting"
    assert gone[100:, EYE_LOOK].max() > 0.1, "it looks around"


MUTE = sentence("   ", 0)
BEHIND = np.array([0.0, 0.0, -1.0], np.float32)
MALFORMED: dict[str, tuple[str, Any]] = {
    "plan without frames": ("reaction", reaction(0, np.zeros((0, 58)))),
    "plan of 57 coefficients": ("reaction", reaction(0, np.zeros((16, 57)))),
    "plan that is not finite": ("reaction", reaction(0, np.full((16, 58), np.nan))),
    "plan of 200 s": ("reaction", reaction(0, np.zeros((5000, 58)))),
    "plan of text": ("reaction", reaction(0, np.array([["a"] * 58]))),
    "mouth of 5 coefficients": ("mouth", replace(MUTE, coefficients=MUTE.coefficients[:, :5])),
    "mouth without frames": ("mouth", Mouth("u", 0, *parts(MUTE, slice(0)))),
    "mouth that is not finite": ("mouth", replace(MUTE, level=MUTE.level * np.nan)),
    "mouth without a rate": ("mouth", replace(MUTE, rate_hz=math.nan)),
    "mouth of another clock": ("mouth", replace(MUTE, start_ns=90_000 * MS)),
    "mouth of text": ("mouth", replace(MUTE, coefficients=np.array([["a"] * len(MOUTH)]))),
    "person of whom nothing is known": ("person 1", People(0, (PersonSeen(1, None, math.nan, 0, 0),), 1, 0.0)),
    "person behind the camera": ("gaze target", People(0, (PersonSeen(1, BEHIND, 0, 0, 0),), 1, 0.0)),
    "head beyond half a turn": ("pose of the head", HeadPose(0, np.full(6, 4.0, np.float32))),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_input_is_refused_and_the_face_goes_on(kind: str) -> None:
    says, value = MALFORMED[kind]
    engine = ExpressionEngine(seed=1)
    engine.tick(0)
    take = {"plan": "reaction", "mouth": "mouth", "person": "people", "head": "head_pose"}[kind.split()[0]]
    with pytest.raises(MessageError, match=says):
        getattr(engine, f"on_{take}")(value, 0)
    assert engine.rejected == 1
    bounded_and_smooth(stack(run(engine, 0.2, start_ns=TICK)))


@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([0.2, 1.0, 100.0, 3e38]))
def test_no_jump_under_wild_input(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    engine = ExpressionEngine(ExpressionConfig(camera_on_head=True, camera_roll_rad=0.1), seed=seed)

    def wild_plan(now: int) -> None:
        plan = (rng.uniform(-1, 1, (int(rng.integers(1, 30)), 58)) * size).astype(np.float32)
        if rng.random() < 0.2:
            plan[rng.integers(len(plan)), rng.integers(58)] = rng.choice([np.nan, np.inf, -np.inf])
        start, rate_hz = now + int(rng.integers(-3_000, 3_000)) * MS, float(rng.choice([0, 1, 25, 60]))
        engine.on_reaction(reaction(start, plan, engaged=bool(rng.random() < 0.8), rate_hz=rate_hz), now)

    def wild_pose(now: int) -> None:
        pose = rng.normal(size=6) * rng.choice([0.1, 1.0, 1e30, np.nan])
        engine.on_head_pose(HeadPose(int(rng.integers(-(2**62), 2**62)), pose.astype(np.float32)), now)

    acts = {
        wild_plan: 0.4,
        wild_pose: 0.2,
        lambda now: engine.on_gaze_target(target(now, *(rng.normal(size=3) * 3)), now): 0.4,
        lambda now: engine.on_gesture(str(rng.choice(sorted(GESTURES))), now): 0.1,
        lambda now: engine.control(ListenerControl(intensity=rng.uniform(-5, 5), attitude=rng.normal())): 0.1,
        lambda now: engine.on_speaking(bool(rng.random() < 0.5), now): 0.1,
    }

    def push(now: int) -> None:
        for act, chance in acts.items():
            if rng.random() < chance:
                with contextlib.suppress(MessageError):
                    act(now)

    bounded_and_smooth(stack([*run(engine, 0.8, push, start_ns=9_000 * MS), *run(engine, 0.4, push)]))


@pytest.mark.parametrize("name", sorted(set(GESTURES) - {"neutral"}))
def test_gestures_move_the_face_by_their_strength_within_the_limits_and_end(name: str) -> None:
    shown = [i for i in range(58) if i not in (*EYE_LOOK, *BLINK, INDEX["headY"])]

    def sizes(strength: float) -> np.ndarray:
        engine = ExpressionEngine(STILL, seed=1)
        engine.tick(0)
        engine.on_gesture(name, TICK, strength)
        faces = stack(run(engine, 3.5, start_ns=TICK))
        bounded_and_smooth(faces)
        assert np.abs(faces[-1, shown]).max() < 0.01
        return np.abs(faces[:, shown]).max(0)

    none, half, whole, double = (sizes(strength) for strength in (0.0, 0.5, 1.0, 2.0))
    most = whole.argmax()
    assert none.max() < 0.02
    assert whole[most] > 0.05
    assert half[most] == pytest.approx(whole[most] / 2, rel=0.1)
    assert whole[most] <= double[most] <= 1.0


def test_the_neutral_gesture_clears_the_plan_for_a_moment() -> None:
    engine = ExpressionEngine(STILL, seed=1)
    smile = every(20, lambda now: engine.on_reaction(reaction(now, SMILING), now))
    shown = stack(run(engine, 3.0, smile, lambda now: now == 500 * MS and engine.on_gesture("neutral", now)))
    assert shown[24, SMILE[0]] > 0.4
    assert shown[25:, SMILE[0]].min() < 0.05
    assert shown[-1, SMILE[0]] > 0.4


def test_unknown_gesture_and_style_are_named() -> None:
    engine = ExpressionEngine(seed=1)
    with pytest.raises(ConfigError, match="moonwalk"):
        engine.on_gesture("moonwalk", 0)
    for strength in (float("nan"), 3.0):
        with pytest.raises(ConfigError, match="0 to 2"):
            engine.on_gesture("nod", 0, strength)
    with pytest.raises(ConfigError, match="grumpy"):
        engine.control(ListenerControl(style="grumpy", intensity=0.0))
    assert engine.style.intensity == 1.0, "a refused control changes nothing"
    with pytest.raises(ConfigError, match="blink_rate_per_min"):
        ExpressionConfig(blink_rate_per_min=500.0)


# ---- Late plans lose their nods; gains and smoothing


@pytest.mark.parametrize("late_ms", [0, 360])
def test_a_plan_on_time_shows_its_nod_a_late_one_what_else_is_still_due(late_ms: int) -> None:
    engine, now = ExpressionEngine(STILL, seed=1), 1000 * MS
    run(engine, 0.2, listening(engine))
    run(engine, 0.8, start_ns=200 * MS)
    engine.on_reaction(reaction(now - late_ms * MS, NODDING), now)
    faces = stack(run(engine, 0.9, start_ns=now))
    dip = math.degrees(float(np.ptp(faces[:30, HEAD_PITCH])))
    assert dip < 1.0 if late_ms else dip > 4.0
    assert faces[9, SMILE[0]] > 0.3
    assert engine.late_plans == (late_ms > 0)


@pytest.mark.parametrize(
    ("control", "coefficient"),
    [("intensity", SMILE[0]), ("lower_face", SMILE[0]), ("upper_face", INDEX["browInnerUp"]), ("head", HEAD_PITCH)],
)
def test_gains_act_monotonically(control: str, coefficient: int) -> None:
    lively, sizes = NODDING + 0.4 * np.eye(58, dtype=np.float32)[INDEX["browInnerUp"]], []
    for value in (0.0, 0.5, 1.0, 1.5, 2.0):
        engine = ExpressionEngine(seed=1)
        engine.control(ListenerControl(**{control: value}))
        sizes.append(float(np.ptp(stack(run(engine, 4.0, plans(engine, lively, ms=640)))[:, coefficient])))
    assert all(b > a + 1e-3 for a, b in itertools.pairwise(sizes)), sizes


def test_nods_keep_their_size_and_place_and_tremor_goes() -> None:
    def smoothed(pitch_degrees: np.ndarray) -> np.ndarray:
        frames = np.radians(pitch_degrees)[:, None] * np.eye(58)[HEAD_PITCH]
        return np.degrees(PlanSmoother(0.05).smooth(frames, 0, 25.0)[:, HEAD_PITCH])

    for rate in (1.2, 1.6, 2.1):
        nod = 2.5 * (1 - np.cos(2 * np.pi * rate * np.arange(0, 6, 0.04)))
        shown = smoothed(nod)[25:-25]
        assert np.ptp(shown) > 0.84 * np.ptp(nod)
        assert np.corrcoef(shown, nod[25:-25])[0, 1] > max(np.corrcoef(shown, nod[i : i - 50])[0, 1] for i in (24, 26))
    noise = np.random.default_rng(0).normal(0, 0.25, 300)
    assert np.diff(smoothed(noise), 2).std() < 0.2 * np.diff(noise, 2).std()
