"""Events of the expression room: late plans lose their nods, gestures have a strength, the own voice is no speaker."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import pytest
from engine_drive import MS, listening, reaction, run, stack

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.types import ListenerControl

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
