from __future__ import annotations

import numpy as np
import pytest
from engine_drive import MS, reaction, run, stack

from reactdiff_ros.coefficients import HEAD_PITCH, SMILE
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.playback import PlanSmoother


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


@pytest.mark.parametrize(("frames", "rate"), [(1, 25.0), (2, 25.0), (16, 1.0), (16, 200.0), (3, 60.0)])
def test_any_length_and_rate(frames: int, rate: float) -> None:
    plan = np.full((frames, 58), 0.4)
    smoother = PlanSmoother(0.05)
    for start in (0, 40 * MS, 10_000 * MS, 20 * MS):
        assert np.allclose(smoother.smooth(plan, start, rate), plan), "a still face stays as it is"


def test_smoothing_can_be_switched_off() -> None:
    rng = np.random.default_rng(2)
    plan = rng.uniform(0.2, 0.3, (16, 58)).astype(np.float32)
    assert np.array_equal(PlanSmoother(0.0).smooth(plan, 0, 25.0), plan)

    def roughness(smooth_s: float) -> float:
        engine = ExpressionEngine(ExpressionConfig(smooth_s=smooth_s, stillness=1.0), seed=1)
        noise = np.random.default_rng(3).normal(0.4, 0.04, (700, 1)).clip(0, 1)

        def push(now: int) -> None:
            if now % (160 * MS) == 0:
                values = np.zeros((16, 58), np.float32)
                values[:, SMILE] = noise[now // (40 * MS) : now // (40 * MS) + 16]
                engine.on_reaction(reaction(now, values), now)

        return float(np.diff(stack(run(engine, 10, before=push))[100:, SMILE[0]], 2).std())

    assert roughness(0.05) < 0.3 * roughness(0.0)
