""""""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import pytest
from engine_drive import MS, TICK, listening, reaction, run, stack, target
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, LOWER, SMILE, UPPER
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gestures import GESTURES
from reactdiff_ros.expression.motion import MAX_SPEED
from reactdiff_ros.expression.playback import PlanSmoother
from reactdiff_ros.types import ListenerControl

SMILING = np.zeros((16, 58), np.float32)
SMILING[:, SMILE] = 0.6


def bounded_and_smooth(faces: np.ndarray, first: np.ndarray | None = None) -> None:
    assert np.isfinite(faces).all()
    assert (faces >= LOWER).all()
    assert (faces <= UPPER).all()
    before = np.zeros((1, 58), np.float32) if first is None else first[None]
    change = np.abs(np.diff(np.concatenate([before, faces]), axis=0))
    assert (change <= MAX_SPEED * 0.02 + 1e-5).all(), "a coefficient jumped"


def test_a_face_comes_without_any_input() -> None:
    frames = run(ExpressionEngine(seed=1), 20)
    assert len(frames) == 1000
    assert {f.mode for f in frames} == {"neutral"}
    assert all(f.picture_stamp_ns is None and f.reaction_picture_stamp_ns is None for f in frames)
    faces = stack(frames)
    bounded_and_smooth(faces)
    assert faces[:, BLINK].max() > 0.95, "it blinks"
    assert np.ptp(faces[:, INDEX["headY"]]) > 0.001, "it breathes"
    assert np.abs(faces[:, SMILE]).max() == 0.0


def test_same_seed_same_bits_and_other_seed_other_face() -> None:
    def faces(seed: int) -> np.ndarray:
        engine = ExpressionEngine(seed=seed)
        return stack(run(engine, 20, before=listening(engine)))

    assert np.array_equal(faces(3), faces(3))
    assert not np.array_equal(faces(3), faces(4))


def test_a_plan_acts_at_the_next_tick_and_is_followed_closely() -> None:
    engine = ExpressionEngine(seed=1)
    run(engine, 1, before=listening(engine))
    now = 1_000 * MS
    rise = np.zeros((16, 58), np.float32)
    rise[:, SMILE] = np.linspace(0.1, 0.6, 16)[:, None]
    engine.on_reaction(reaction(now + 40 * MS, rise), now)
    first = engine.tick(now)
    assert first.coefficients[SMILE[0]] > 0.0
    assert first.reaction_picture_stamp_ns == now - 30 * MS
    for i in range(1, 16):
        frame = engine.tick(now + i * TICK)
    wanted = np.interp((15 * 20 - 40) / 40, np.arange(16), rise[:, SMILE[0]])
    assert frame.coefficients[SMILE[0]] == pytest.approx(wanted, abs=0.01)


def test_change_of_plan_does_not_jump() -> None:
    engine = ExpressionEngine(seed=1)
    frames = run(engine, 0.5, before=listening(engine))
    steps = []
    for i in range(40):
        now = 500 * MS + i * TICK
        if i % 8 == 0:
            engine.on_reaction(reaction(now + 20 * MS, SMILING if i % 16 == 0 else None), now)
        steps.append(engine.tick(now))
    faces = stack(frames + steps)
    bounded_and_smooth(faces)
    assert np.abs(np.diff(faces[:, SMILE[0]])).max() < 0.125


def test_a_dead_model_leaves_a_face_that_looks_and_blinks() -> None:
    engine = ExpressionEngine(seed=2)

    def push(now: int) -> None:
        if now == 0:
            engine.on_reaction(reaction(now, SMILING), now)
        if now % (40 * MS) == 0:
            engine.on_gaze_target(target(now - 30 * MS, x=0.2), now)

    frames = run(engine, 12, before=push)
    faces = stack(frames)
    bounded_and_smooth(faces)
    assert faces[20, SMILE[0]] > 0.4
    assert faces[75:, SMILE[0]].max() == 0.0, "the last plan has faded"
    late = frames[200:]
    assert {f.mode for f in late} == {"listening"}
    assert all(f.reaction_picture_stamp_ns is None and f.picture_stamp_ns is not None for f in late)
    assert stack(late)[:, BLINK].max() > 0.9


def test_dead_input_is_neutral_and_recovers() -> None:
    engine = ExpressionEngine(seed=2)
    live = listening(engine)
    frames = run(engine, 10, before=lambda now: live(now) if not 3_000 * MS <= now < 7_000 * MS else None)
    modes = [f.mode for f in frames]
    assert modes[100] == "listening"
    assert modes[250] == "neutral"
    assert modes[-1] == "listening"
    assert frames[330].picture_stamp_ns is None
    quiet = stack(frames[280:340])
    assert np.abs(quiet[:, HEAD_YAW]).max() < 0.02
    bounded_and_smooth(stack(frames))


def test_nobody_there_is_idle_and_shows_no_reaction() -> None:
    engine = ExpressionEngine(seed=2)

    def push(now: int) -> None:
        if now % (160 * MS) == 0:
            engine.on_reaction(reaction(now + 40 * MS, SMILING, engaged=now < 2_000 * MS), now)

    frames = run(engine, 30, before=push)
    assert frames[80].mode == "listening"
    assert {f.mode for f in frames[110:]} == {"idle"}
    faces = stack(frames)
    assert faces[80, SMILE[0]] > 0.5
    assert faces[200:, SMILE[0]].max() < 0.01
    idle = faces[200:]
    assert 0.003 < idle[:, HEAD_YAW].std() < 0.06, "alive, not fidgeting"
    assert idle[:, EYE_LOOK].max() > 0.1, "it looks around"
    assert "idle" in frames[-1].layers


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, 58), np.float32),
        np.zeros((16, 57), np.float32),
        np.zeros(58, np.float32),
        np.full((16, 58), np.nan, np.float32),
        np.full((16, 58), np.inf, np.float32),
        np.zeros((5000, 58), np.float32),
        np.array([["a"] * 58]),
    ],
)
def test_a_malformed_plan_is_refused_and_the_face_goes_on(values: np.ndarray) -> None:
    engine = ExpressionEngine(seed=1)
    engine.tick(0)
    with pytest.raises(MessageError):
        engine.on_reaction(reaction(0, values), 0)
    assert engine.rejected == 1
    bounded_and_smooth(stack(run(engine, 0.2, start_ns=TICK)))


@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([0.2, 1.0, 100.0, 3e38]))
def test_no_jump_under_wild_input(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    engine = ExpressionEngine(seed=seed)
    frames = []
    for i in range(60):
        now = i * TICK
        if rng.random() < 0.4:
            plan = (rng.uniform(-1, 1, (int(rng.integers(1, 30)), 58)) * size).astype(np.float32)
            if rng.random() < 0.2:
                plan[rng.integers(len(plan)), rng.integers(58)] = rng.choice([np.nan, np.inf, -np.inf])
            start = now + int(rng.integers(-3_000, 3_000)) * MS
            wild = reaction(start, plan, engaged=bool(rng.random() < 0.8), rate_hz=float(rng.choice([0, 1, 25, 60])))
            with contextlib.suppress(MessageError):
                engine.on_reaction(wild, now)
        if rng.random() < 0.4:
            with contextlib.suppress(MessageError):
                engine.on_gaze_target(target(now, *(rng.normal(size=3) * 3)), now)
        if rng.random() < 0.1:
            engine.on_gesture(str(rng.choice(sorted(GESTURES))), now)
        if rng.random() < 0.1:
            engine.control(ListenerControl(intensity=float(rng.uniform(-5, 5)), attitude=float(rng.normal())))
        frames.append(engine.tick(now))
    bounded_and_smooth(stack(frames))


def test_clock_that_jumps_back_flushes_without_a_jump_of_the_face() -> None:
    engine = ExpressionEngine(seed=1)
    start = 100_000 * MS
    engine.on_reaction(reaction(start, SMILING), start)
    first = stack(run(engine, 0.4, start_ns=start))
    assert first[-1, SMILE[0]] > 0.4
    second = run(engine, 3.0, start_ns=0, before=listening(engine))
    faces = stack(second)
    bounded_and_smooth(faces, first[-1])
    assert faces[-1, SMILE[0]] == 0.0
    assert second[-1].mode == "listening"
    assert second[-1].reaction_picture_stamp_ns is not None
    assert second[-1].reaction_picture_stamp_ns < 3_000 * MS


@pytest.mark.parametrize("name", sorted(GESTURES))
def test_gestures_move_the_face_and_end(name: str) -> None:
    engine = ExpressionEngine(ExpressionConfig(stillness=1.0), seed=1)
    if name == "neutral":
        held = run(engine, 0.5, before=lambda now: engine.on_reaction(reaction(now, SMILING), now))
        start = 500 * MS
        engine.on_gesture(name, start)
        cleared = run(engine, 2.5, start_ns=start, before=lambda now: engine.on_reaction(reaction(now, SMILING), now))
        assert held[-1].coefficients[SMILE[0]] > 0.4
        assert min(f.coefficients[SMILE[0]] for f in cleared) < 0.05
        assert cleared[-1].coefficients[SMILE[0]] > 0.4
        return
    engine.tick(0)
    engine.on_gesture(name, TICK)
    faces = stack(run(engine, 3.5, start_ns=TICK))
    bounded_and_smooth(faces)
    without = [i for i in range(58) if i not in (*EYE_LOOK, INDEX["headY"])]
    assert np.abs(faces[:, without]).max() > 0.05
    assert np.abs(faces[-1, [i for i in without if i not in BLINK]]).max() < 0.01


def test_unknown_gesture_and_style_are_named() -> None:
    engine = ExpressionEngine(seed=1)
    with pytest.raises(ConfigError, match="moonwalk"):
        engine.on_gesture("moonwalk", 0)
    with pytest.raises(ConfigError, match="grumpy"):
        engine.control(ListenerControl(style="grumpy", intensity=0.0))
    assert engine.style.intensity == 1.0, "a refused control changes nothing"
    with pytest.raises(ConfigError, match="blink_rate_per_min"):
        ExpressionConfig(blink_rate_per_min=500.0)


# ---- Events of the expression room: late plans lose their nods, gestures have a strength, the own voice is no speaker.


STILL = ExpressionConfig(stillness=1.0)


def nodding_plan(smile: float = 0.5) -> np.ndarray:
    """A nod of 6 degrees in the whole plan of 0.64 s, and a smile."""
    plan = np.zeros((16, 58), np.float32)
    plan[:, HEAD_PITCH] = math.radians(6.0) * (1 - np.cos(2 * np.pi * np.arange(16) / 15)) / 2
    plan[:, list(SMILE)] = smile
    return plan


def shown_of(late_ms: int) -> tuple[np.ndarray, ExpressionEngine]:
    """What a plan shows that arrives so late, after neutral ones."""
    engine = ExpressionEngine(STILL, seed=1)
    push = listening(engine)
    run(engine, 1.0, before=lambda now: push(now) if now < 200 * MS else None)
    now = 1000 * MS
    engine.on_reaction(reaction(now - late_ms * MS, nodding_plan()), now)
    return stack(run(engine, 0.9, start_ns=now)), engine


def test_a_plan_on_time_shows_its_nod_a_late_one_does_not() -> None:
    def dip(faces: np.ndarray) -> float:
        return math.degrees(float(np.ptp(faces[:30, HEAD_PITCH])))

    on_time, engine = shown_of(0)
    assert dip(on_time) > 4.0
    assert engine.late_plans == 0
    late, engine = shown_of(360)
    assert dip(late) < 1.0
    assert late[9, SMILE[0]] > 0.3, "the part that is still due is shown"
    assert engine.late_plans == 1


def test_a_paused_listener_leaves_a_face_that_fades_and_nods_no_more() -> None:
    engine = ExpressionEngine(STILL, seed=1)
    run(engine, 1.0, before=listening(engine))
    now = 1000 * MS
    engine.on_reaction(reaction(now, nodding_plan(0.6)), now)
    paused = stack(run(engine, 3.0, start_ns=now))
    assert paused[20, SMILE[0]] > 0.4
    assert paused[-1, SMILE[0]] == 0.0
    # What the pause held back comes all at once.
    for start in range(1160, 4000, 160):
        with contextlib.suppress(MessageError):  # more than 2 s late: refused
            engine.on_reaction(reaction(start * MS, nodding_plan()), 4000 * MS)
    after = stack(run(engine, 0.5, start_ns=4000 * MS))
    assert np.abs(np.diff(after, axis=0))[:, HEAD_PITCH].max() < 0.028, "below the limit of speed"
    assert engine.late_plans + engine.rejected == 16, "all but the last two"


@pytest.mark.parametrize(
    ("name", "coefficient"),
    [
        ("nod", HEAD_PITCH),
        ("smile", SMILE[0]),
        ("brow_raise", INDEX["browOuterUpLeft"]),
        ("tilt", HEAD_ROLL),
    ],
)
def test_strength_scales_a_gesture_through_the_same_limits(name: str, coefficient: int) -> None:
    def peak(strength: float) -> float:
        engine = ExpressionEngine(STILL, seed=1)
        engine.on_gesture(name, 0, strength)
        return float(np.abs(stack(run(engine, 3.0))[:, coefficient]).max())

    sizes = [peak(strength) for strength in (0.0, 0.5, 1.0, 2.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.02
    assert sizes[1] == pytest.approx(sizes[2] / 2, rel=0.1)
    assert sizes[3] <= 1.0
    with pytest.raises(ConfigError, match="0 to 2"):
        peak(float("nan"))
    with pytest.raises(ConfigError, match="0 to 2"):
        peak(3.0)


def test_the_robots_own_voice_is_no_speaker_to_look_at() -> None:
    def contact(own: bool) -> float:
        """Share of time that the eyes do not look away."""
        engine = ExpressionEngine(ExpressionConfig(contact_listening=1.0, contact_share=0.3), seed=3)
        push = listening(engine, speaks=True)

        def both(now: int) -> None:
            if own and now % (200 * MS) == 0:
                engine.on_robot_speaking(True, now)
            push(now)

        faces = stack(run(engine, 60.0, before=both))
        away = np.abs(faces[:, [INDEX["eyeLookOutLeft"], INDEX["eyeLookOutRight"], INDEX["eyeLookDownLeft"]]]).max(1)
        return float((away < 0.1).mean())

    assert contact(own=True) < contact(own=False) - 0.1


def sweep(control: str, values: list[float], coefficient: int) -> list[float]:
    """Size of the coefficient's motion with a lively plan, for each value of the control."""
    plan = nodding_plan()
    plan[:, INDEX["browInnerUp"]] = 0.4
    sizes = []
    for value in values:
        engine = ExpressionEngine(seed=1)
        engine.control(ListenerControl(**{control: value}))

        def push(now: int, engine: ExpressionEngine = engine) -> None:
            if now % (640 * MS) == 0:
                engine.on_reaction(reaction(now, plan), now)

        sizes.append(float(np.ptp(stack(run(engine, 4.0, before=push))[:, coefficient])))
    return sizes


@pytest.mark.parametrize(
    ("control", "coefficient"),
    [
        ("intensity", SMILE[0]),
        ("lower_face", SMILE[0]),
        ("upper_face", INDEX["browInnerUp"]),
        ("head", HEAD_PITCH),
    ],
)
def test_gains_act_monotonically(control: str, coefficient: int) -> None:
    sizes = sweep(control, [0.0, 0.5, 1.0, 1.5, 2.0], coefficient)
    assert all(b > a + 1e-3 for a, b in itertools.pairwise(sizes)), sizes


def head(pitch_degrees: np.ndarray) -> np.ndarray:
    frames = np.zeros((len(pitch_degrees), 58))
    frames[:, HEAD_PITCH] = np.radians(pitch_degrees)
    return frames


@pytest.mark.parametrize("rate", [1.2, 1.6, 2.1])
def test_nods_keep_their_size_and_place(rate: float) -> None:
    nod = 2.5 * (1 - np.cos(2 * np.pi * rate * np.arange(0, 6, 0.04)))
    shown = np.degrees(PlanSmoother(0.05).smooth(head(nod), 0, 25.0)[:, HEAD_PITCH])
    assert np.ptp(shown[25:-25]) > 0.84 * np.ptp(nod)
    lags = [float(np.corrcoef(shown[20:100], np.roll(nod, lag)[20:100])[0, 1]) for lag in (-1, 0, 1)]
    assert np.argmax(lags) == 1, "no delay"


def test_tremor_goes() -> None:
    noise = np.random.default_rng(0).normal(0, 0.25, 300)
    shown = np.degrees(PlanSmoother(0.05).smooth(head(noise), 0, 25.0)[:, HEAD_PITCH])
    assert np.diff(shown, 2).std() < 0.2 * np.diff(noise, 2).std()


def test_a_plan_is_smoothed_with_what_the_plans_before_it_said() -> None:
    whole = head(np.random.default_rng(1).normal(0, 0.3, 40))
    at_once = PlanSmoother(0.05).smooth(whole, 0, 25.0)
    parts = PlanSmoother(0.05)
    first = parts.smooth(whole[:16], 0, 25.0)
    second = parts.smooth(whole[4:20], 160 * MS, 25.0)
    third = parts.smooth(whole[5:21], 200 * MS, 25.0)
    assert np.allclose(first[:4], at_once[:4])
    assert np.allclose(second[:4], at_once[4:8]), "the border is not visible"
    assert np.allclose(third[:4], at_once[5:9]), "also after a plan of one frame"
