"""Coupling and marginals: what couples is found, what does not is not, and distances are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics import coupling as c
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags
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
    rate, length, share, _, _ = c.marginals(curve)[0]
    assert (np.exp(rate), np.exp(length)) == (pytest.approx(3), pytest.approx(2, abs=0.1))
    assert 1 / (1 + np.exp(-share)) == pytest.approx(0.1, abs=0.01)
    short, long = curve.copy(), curve.copy()
    short[0, 110 : 110 + c.BRIDGED_FRAMES] = np.nan
    np.testing.assert_allclose(c.marginals(short), c.marginals(curve))
    long[0, 750:] = np.nan  # half a minute, from the end of the last smile on
    rate, length, share, speed, spread = c.marginals(long)[0]
    assert (np.exp(rate), np.exp(length)) == (pytest.approx(6), pytest.approx(2, abs=0.1))
    assert 1 / (1 + np.exp(-share)) == pytest.approx(0.2, abs=0.02)
    assert speed > c.marginals(curve)[0, 3]
    assert spread == pytest.approx(0.8, abs=0.05)
    with pytest.raises(ValueError, match="empty"):
        c.marginals(np.full((1, 100), np.nan))


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.cumsum(rng.standard_normal(shape), axis=-2).astype(np.float32)


def test_a_delayed_copy_follows_by_its_delay() -> None:
    rng = np.random.default_rng(0)
    speaker = smooth(rng, 300, 4)
    later, earlier = np.roll(speaker, 7, 0)[None], np.roll(speaker, -5, 0)[None]
    table = lag_correlations(np.concatenate([later, earlier]), speaker, reach(25.0))
    assert signed_lags(table).tolist() == [7.0, -5.0]
    assert reference_lags(table).tolist() == [7.0, 5.0]


def test_it_finds_what_the_plain_way_finds() -> None:
    rng = np.random.default_rng(2)
    speaker = smooth(rng, 120, 25)
    made = np.stack([0.6 * np.roll(speaker, lag, 0) + 2 * rng.standard_normal((120, 25)) for lag in (0, 3, 12)])
    made = made.astype(np.float32)
    made[0, :, 4] = (np.arange(120) > 115) * 1.0
    assert reference_lags(lag_correlations(made, speaker, 49)).tolist() == lags(made, speaker)
