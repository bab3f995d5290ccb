"""Spectra and statistics of streams: a known stream gives its known figures."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.metrics import bootstrap, spectra
from reactdiff_ros.model.plan.latents import GROUPS


def smooth_noise(seed: int, shape: tuple[int, int] = (6, 1500), keep: float = 0.9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(*shape, 58))
    for t in range(1, shape[1]):
        out[:, t] = keep * out[:, t - 1] + (1 - keep**2) ** 0.5 * out[:, t]
    return 0.1 * out


def test_power_is_in_the_band_of_a_tone_and_sums_to_the_variance() -> None:
    t = np.arange(2048) / 25
    stream = np.zeros((1, 2048, 58))
    stream[0, :, HEAD_PITCH] = 0.2 * np.sin(2 * np.pi * 3.0 * t)
    power = spectra.band_power(stream)[:, HEAD_PITCH]
    assert power[1] == pytest.approx(0.02, rel=0.05)
    assert max(power[0], power[2]) < 1e-4


def test_like_streams_are_alike_and_a_damped_one_is_seen() -> None:
    a, b = smooth_noise(0), smooth_noise(1)
    for ratios in (spectra.variance_ratios(a, b), *spectra.band_ratios(a, b).values()):
        assert set(ratios) == {g.name for g in GROUPS}
        assert all(0.8 < r < 1.25 for r in ratios.values())
    assert spectra.variance_ratios(0.5 * a, b)["head"] == pytest.approx(0.25, rel=0.15)
    assert max(spectra.autocorrelation_differences(a, b).values()) < 0.06
    assert spectra.autocorrelation_differences(smooth_noise(2, keep=0.5), b)["head"] > 0.3


def test_variance_that_rests_on_one_stream_has_a_wide_interval() -> None:
    a, b = smooth_noise(0, (40, 400)), smooth_noise(1, (40, 400))
    weights = bootstrap.draws(0, 40)
    even = spectra.variance_ratio_intervals(a, b, weights)["head"]
    assert even["low"] < spectra.variance_ratios(a, b)["head"] < even["high"]
    a[7, ::2] *= 20.0
    rare, ratio = spectra.variance_ratio_intervals(a, b, weights)["head"], spectra.variance_ratios(a, b)["head"]
    assert rare["low"] < ratio / 2 < ratio < rare["high"]
    assert rare["high"] - rare["low"] > 5 * (even["high"] - even["low"])


def test_autocorrelation_of_a_known_process() -> None:
    found = spectra.autocorrelations(smooth_noise(3, (20, 2000)), (1, 4))
    np.testing.assert_allclose(found.mean(1), [0.9, 0.9**4], atol=0.02)


def test_a_kink_at_every_border_is_seen() -> None:
    stream = smooth_noise(4, keep=0.99)
    assert spectra.border_jerk(stream, 4)["smile"] == pytest.approx(1.0, abs=0.05)
    steps = np.repeat(np.random.default_rng(5).normal(size=(6, 375, 58)), 4, axis=1)
    assert spectra.border_jerk(stream + 0.1 * steps, 4)["smile"] > 1.5


def test_plans_that_agree_and_plans_that_do_not() -> None:
    stream = smooth_noise(6, (3, 100))
    plans = np.stack([stream[:, p : p + 16] for p in range(0, 80, 4)], axis=1)
    spread = np.full(58, 0.1)
    assert spectra.plan_difference(plans, 4, spread)["head"] == 0
    other = plans + np.random.default_rng(7).normal(0, 0.05, plans.shape)
    assert spectra.plan_difference(other, 4, spread)["head"] == pytest.approx(0.5 * 2**0.5, rel=0.05)
