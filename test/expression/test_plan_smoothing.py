from __future__ import annotations

import numpy as np
import pytest
from engine_drive import MS

from reactdiff_ros.coefficients import HEAD_PITCH
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
