"""Coupling, marginals and spectra of streams: known streams have known figures, and strangers do not couple."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.metrics import coupling as c
from reactdiff_ros.evaluation.metrics import spectra
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags
from reactdiff_ros.evaluation.metrics.spectra import frechet, frechet_distance, two_sample_auc
from reactdiff_ros.simulator.dyads import simulate
from tools.speed.metrics import reference_speaker_lags as lags


def curves(rng: np.random.Generator, rows: int, frames: int = 2000) -> np.ndarray:
    """Slow random curves about AU12's scale."""
    noise = rng.normal(size=(rows, frames + 50)).cumsum(1)
    slow = noise[:, 50:] - noise[:, :-50]
    return np.clip(0.9 + slow / slow.std() * 0.9, 0, 3.5)


def test_a_follower_couples_and_a_stranger_does_not() -> None:
    rng, people = np.random.default_rng(0), c.People(np.repeat(np.arange(8), 2))
    speakers = curves(rng, 16)
    follower = np.roll(speakers, 25, axis=1) + rng.normal(0, 0.8, speakers.shape)
    follows = c.cross_coupling(speakers, follower)
    stranger = c.cross_coupling(speakers, curves(rng, 16))
    assert c.coupling(follows) > 0.3 > abs(c.coupling(stranger)) * 3
    assert c.permutation_p(follows, people, rng, 1000) < 0.01 < c.permutation_p(stranger, people, rng, 1000)
    low, high = c.pair_interval(follows, people, rng)
    assert low < c.coupling(follows) < high


@pytest.mark.parametrize("gaps", [False, True])
def test_the_matrix_is_numpys_correlation_at_every_lag_of_what_both_streams_know(gaps: bool) -> None:
    rng = np.random.default_rng(5)
    a, b = curves(rng, 2, 400), curves(rng, 3, 400)
    if gaps:
        a[1, 30:90] = b[2, 200:230] = np.nan

    def correlation(x: np.ndarray, y: np.ndarray) -> float:
        shared = ~np.isnan(x) & ~np.isnan(y)
        return float(np.corrcoef(x[shared], y[shared])[0, 1])

    wanted = [[np.mean([correlation(x[: 400 - lag], y[lag:]) for lag in c.LAGS]) for y in b] for x in a]
    np.testing.assert_allclose(c.cross_coupling(a, b), wanted)
    assert (c.LAGS[0] / 25, c.LAGS[-1] / 25) == (0.32, 2.0)


def test_marginals_bridge_short_gaps_and_leave_long_ones_out() -> None:
    curve = np.zeros((1, 25 * 60))
    for start in (100, 400, 700):
        curve[0, start : start + 50] = 2.0
    short, long = curve.copy(), curve.copy()
    short[0, 110 : 110 + c.BRIDGED_FRAMES] = np.nan
    np.testing.assert_allclose(c.marginals(short), c.marginals(curve))
    long[0, 750:] = np.nan  # half a minute, from the end of the last smile on
    for smiled, a_minute, shared in ((curve, 3, 0.1), (long, 6, 0.2)):
        rate, length, share, _, _ = c.marginals(smiled)[0]
        assert (np.exp(rate), np.exp(length)) == (pytest.approx(a_minute), pytest.approx(2, abs=0.1))
        assert 1 / (1 + np.exp(-share)) == pytest.approx(shared, abs=0.02)
    assert c.marginals(long)[0, 3] > c.marginals(curve)[0, 3]
    assert c.marginals(long)[0, 4] == pytest.approx(0.8, abs=0.05)
    with pytest.raises(ValueError, match="empty"):
        c.marginals(np.full((1, 100), np.nan))


def test_lags_have_their_sign_and_are_those_of_the_plain_way() -> None:
    rng = np.random.default_rng(0)
    speaker = np.cumsum(rng.standard_normal((120, 25)), axis=0).astype(np.float32)
    copies = lag_correlations(np.stack([np.roll(speaker, 7, 0), np.roll(speaker, -5, 0)]), speaker, reach(25.0))
    assert signed_lags(copies).tolist() == [7.0, -5.0]
    assert reference_lags(copies).tolist() == [7.0, 5.0]
    made = np.stack([0.6 * np.roll(speaker, lag, 0) + 2 * rng.standard_normal((120, 25)) for lag in (0, 3, 12)])
    made = made.astype(np.float32)
    made[0, :, 4] = (np.arange(120) > 115) * 1.0
    assert reference_lags(lag_correlations(made, speaker, 49)).tolist() == lags(made, speaker)


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


def test_known_processes_have_their_autocorrelation_border_jerk_and_distance() -> None:
    found = spectra.autocorrelations(smooth_noise(3, (20, 1000)), (1, 4))
    np.testing.assert_allclose(found.mean(1), [0.9, 0.9**4], atol=0.02)
    stream = smooth_noise(4, keep=0.99)
    assert spectra.border_jerk(stream, 4)["smile"] == pytest.approx(1.0, abs=0.05)
    steps = np.repeat(np.random.default_rng(5).normal(size=(6, 375, 58)), 4, axis=1)
    assert spectra.border_jerk(stream + 0.1 * steps, 4)["smile"] > 1.5
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200_000, 2)), rng.normal(1, 2, (200_000, 2))
    assert frechet(a, b) == pytest.approx(2 + 2, rel=0.03)  # mean 1 apart and deviation 1 apart, twice


def test_a_damped_and_a_jittery_face_are_told_and_what_nobody_can_see_is_not() -> None:
    reference, face, other = (simulate(seed, 60, 500, prior="natural").listener for seed in (1, 2, 3))
    plain, unseen, *fakes = (
        face, face + np.random.default_rng(8).normal(0, 5e-4, face.shape), 0.6 * face,
        face + np.random.default_rng(0).normal(0, 0.03, face.shape),
    )  # fmt: skip
    level, of_plain = two_sample_auc(plain, reference, 0)["auc"], frechet_distance(plain, reference, other)["distance"]
    assert two_sample_auc(unseen, reference, 0)["auc"] < level + 0.05
    assert frechet_distance(unseen, reference, other)["distance"] < 1.02 * of_plain
    for fake in fakes:
        distances = frechet_distance(fake, reference, other)
        assert distances["distance"] > 1.3 * distances["floor"]
        assert two_sample_auc(fake, reference, 0)["auc"] > 0.7
    for group in ("head", "brows"):
        fine = [spectra.band_ratios(f, reference)[spectra.BAND_NAMES[2]][group] for f in (plain, unseen, fakes[1])]
        assert fine[1] < 1.1 * fine[0]
        assert fine[2] > 1.5
