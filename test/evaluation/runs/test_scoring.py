"""FRDvs of a set that is taken in one speaker at a time, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import speaker_distances, speaker_diversity
from reactdiff_ros.evaluation.runs.scoring import SKETCH, Spread, group_draws


def predictions(count: int, frames: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    own = rng.gamma(1.0, 1.0, (count, 1, 1, 1)) * rng.standard_normal((count, 2, 1, 25))
    return np.asarray(own + 0.1 * rng.standard_normal((count, 2, frames, 25)), dtype=np.float32)


def spread_of(values: NDArray[np.float32]) -> Spread:
    spread = Spread()
    for n, one in enumerate(values):
        spread.add(n, one, values.shape[2])
    return spread


@pytest.mark.parametrize(("frames", "exact"), [(60, True), (400, False)])
def test_the_interval_is_that_of_the_distances(frames: int, exact: bool) -> None:
    values = predictions(24, frames)
    assert (values[0].size <= SKETCH) == exact
    draws = group_draws([f"pair{n // 2}" for n in range(24)], seed=3)
    distances = speaker_distances(values)
    low, high = bootstrap.interval(bootstrap.resample(draws, lambda w: speaker_diversity(distances, w)))
    found = spread_of(values).figure(draws)
    assert found.value == pytest.approx(speaker_diversity(distances), rel=1e-5)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-4 if exact else 0.05)
    assert found.low < found.value < found.high


def test_speakers_that_a_system_missed_count_in_no_draw() -> None:
    values = predictions(12, 60)
    spread = Spread()
    for n in range(1, 12, 2):
        spread.add(n, values[n], 60)
    draws = group_draws([str(n) for n in range(12)], seed=5)
    low, high = bootstrap.interval(
        bootstrap.resample(draws[:, 1::2], lambda w: speaker_diversity(speaker_distances(values[1::2]), w))
    )
    found = spread.figure(draws)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-4)


def test_one_speaker_has_none_and_equal_ones_have_no_width() -> None:
    values = predictions(2, 60)
    draws = group_draws(["a", "b"], seed=0)
    one = spread_of(values[:1]).figure(draws)
    assert np.isnan([one.value, one.low, one.high]).all()
    same = spread_of(np.repeat(values[:1], 2, axis=0)).figure(draws)
    assert (same.low, same.high) == (same.value, same.value)
    assert same.value == pytest.approx(0, abs=1e-9)
