"""Spectra and statistics of streams: a known stream gives its known figures."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.metrics import bootstrap, spectra
from reactdiff_ros.evaluation.metrics.spectra import frechet, frechet_distance, two_sample_auc
from reactdiff_ros.simulator.dyads import simulate


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


def test_variance_that_rests_on_one_stream_has_a_wide_interval() -> None:
    a, b = smooth_noise(0, (40, 400)), smooth_noise(1, (40, 400))
    weights = bootstrap.draws(0, 40)
    even = spectra.variance_ratio_intervals(a, b, weights)["head"]
    assert even["low"] < spectra.variance_ratios(a, b)["head"] < even["high"]
    a[7, ::2] *= 20.0
    rare, ratio = spectra.variance_ratio_intervals(a, b, weights)["head"], spectra.variance_ratios(a, b)["head"]
    assert rare["low"] < ratio / 2 < ratio < rare["high"]
    assert rare["high"] - rare["low"] > 5 * (even["high"] - even["low"])


def test_autocorrelation_of_a_known_process_and_a_kink_at_every_border() -> None:
    found = spectra.autocorrelations(smooth_noise(3, (20, 1000)), (1, 4))
    np.testing.assert_allclose(found.mean(1), [0.9, 0.9**4], atol=0.02)
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


@pytest.fixture(scope="module")
def simulated() -> list[np.ndarray]:
    return [simulate(seed, 60, 500, prior="natural").listener for seed in (1, 2, 3)]


def test_a_damped_and_a_jittery_face_are_told(simulated: list[np.ndarray]) -> None:
    damped = 0.6 * simulated[1]
    jittery = simulated[1] + np.random.default_rng(0).normal(0, 0.02, simulated[1].shape)
    for fake in (damped, jittery):
        distances = frechet_distance(fake, simulated[0], simulated[2])
        assert distances["distance"] > 1.3 * distances["floor"]
        assert two_sample_auc(fake, simulated[0], 0)["auc"] > 0.7


def test_what_nobody_can_see_does_not_count(simulated: list[np.ndarray]) -> None:
    restless = simulated[1] + np.random.default_rng(8).normal(0, 5e-4, simulated[1].shape)
    level = two_sample_auc(simulated[1], simulated[0], 0)["auc"]
    assert two_sample_auc(restless, simulated[0], 0)["auc"] < level + 0.05
    distances = [frechet_distance(face, simulated[0], simulated[2])["distance"] for face in (simulated[1], restless)]
    assert distances[1] < 1.02 * distances[0]
    for group in ("head", "brows"):
        trembling = simulated[1] + np.random.default_rng(0).normal(0, 0.03, simulated[1].shape)
        faces = (simulated[1], restless, trembling)
        fine = [spectra.band_ratios(face, simulated[0])[spectra.BAND_NAMES[2]][group] for face in faces]
        assert fine[1] < 1.1 * fine[0]
        assert fine[2] > 1.5


def test_frechet_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200_000, 2)), rng.normal(1, 2, (200_000, 2))
    assert frechet(a, b) == pytest.approx(2 + 2, rel=0.03)  # mean 1 apart and deviation 1 apart, twice
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
