from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from engine_drive import MS, TICK, listening, reaction, run, stack, target
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_YAW, INDEX, LOWER, SMILE, UPPER
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.gestures import GESTURES
from reactdiff_ros.expression.motion import MAX_SPEED
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


@settings(max_examples=25, deadline=None)
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


def test_a_tick_is_cheap() -> None:
    engine = ExpressionEngine(seed=1)
    push = listening(engine)
    costs = []
    for i in range(1000):
        push(i * TICK)
        begin = time.perf_counter()
        engine.tick(i * TICK)
        costs.append(time.perf_counter() - begin)
    assert np.median(costs) < 0.3e-3 * 3, "0.3 ms, three times that on a busy machine"
