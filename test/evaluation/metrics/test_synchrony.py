"""Lags: against numpy's correlation lag by lag, with the challenge's faults kept and mended."""

from __future__ import annotations

import numpy as np

from reactdiff_ros.evaluation.bench.reference_metrics import lags
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.cumsum(rng.standard_normal(shape), axis=-2).astype(np.float32)


def test_a_delayed_copy_follows_by_its_delay() -> None:
    rng = np.random.default_rng(0)
    speaker = smooth(rng, 300, 4)
    later, earlier = np.roll(speaker, 7, 0)[None], np.roll(speaker, -5, 0)[None]
    table = lag_correlations(np.concatenate([later, earlier]), speaker, reach(25.0))
    assert signed_lags(table).tolist() == [7.0, -5.0]
    assert reference_lags(table).tolist() == [7.0, 5.0]


def test_a_constant_channel_is_49_for_the_challenge_and_left_out_here() -> None:
    rng = np.random.default_rng(1)
    speaker = smooth(rng, 300, 4)
    follows = np.roll(speaker, 7, 0)[None].copy()
    follows[..., 2] = 0.3
    table = lag_correlations(follows, speaker, reach(25.0))
    assert reference_lags(table).tolist() == [49.0]
    assert signed_lags(table).tolist() == [7.0]
    assert np.isnan(signed_lags(lag_correlations(np.zeros((1, 300, 4)), speaker, 49))).all()


def test_it_finds_what_the_plain_way_finds() -> None:
    rng = np.random.default_rng(2)
    speaker = smooth(rng, 120, 25)
    made = np.stack([0.6 * np.roll(speaker, lag, 0) + 2 * rng.standard_normal((120, 25)) for lag in (0, 3, 12)])
    made = made.astype(np.float32)
    made[0, :, 4] = (np.arange(120) > 115) * 1.0
    assert reference_lags(lag_correlations(made, speaker, 49)).tolist() == lags(made, speaker)
