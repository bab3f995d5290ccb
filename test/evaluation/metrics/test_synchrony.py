"""Lags: against numpy's correlation lag by lag, with the challenge's faults kept and mended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.evaluation.bench.reference_metrics import lags
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.cumsum(rng.standard_normal(shape), axis=-2).astype(np.float32)


@given(st.integers(0, 2**31), st.integers(3, 70), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_it_is_the_correlation_of_what_a_lag_leaves(seed: int, frames: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = smooth(rng, 2, frames, 3), smooth(rng, frames, 3)
    x[0, :, 1] = rng.integers(0, 2, frames)
    x[1, : frames // 2, 2] = 5.5
    found = lag_correlations(x, y, most)
    for lag in range(-most, most + 1):
        for k in range(2):
            for d in range(3):
                a = x[k, max(lag, 0) : max(frames + min(lag, 0), 0), d]
                b = y[max(-lag, 0) : max(frames - max(lag, 0), 0), d]
                value = found[k, most + lag, d]
                if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
                    assert np.isnan(value)
                else:
                    assert value == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)


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


def test_reach_is_below_two_seconds() -> None:
    assert (reach(25.0), reach(30.0)) == (49, 59)
