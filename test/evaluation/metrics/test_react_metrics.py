"""The metrics against the challenge's own figures, hand values and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.evaluation.metrics.react import (
    concordances,
    correlation,
    distance,
    diversity,
    speaker_distances,
    speaker_diversity,
    variance,
)


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    walk = np.cumsum(rng.standard_normal(shape), axis=-2)
    return (walk - walk.min(-2, keepdims=True)) / (np.ptp(walk, -2, keepdims=True) + 1e-9)


def test_concordance_of_four_values_by_hand() -> None:
    x, y = np.array([3, -0.5, 2, 7.0]), np.array([2.5, 0, 2, 8.0])
    assert concordances(x[None, :, None], y[None, :, None])[0, 0, 0] == pytest.approx(0.976789167673941, abs=1e-8)


def test_a_copy_of_an_appropriate_reaction_is_perfect() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    targets = smooth(rng, 6, 200, 25)
    assert correlation(targets[:4], targets) == pytest.approx(4.0, abs=1e-4)
    assert distance(targets[:4], targets) == pytest.approx(0.0, abs=1e-4)


def test_frc_and_frd_are_sums_over_predictions_of_the_best_target() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(2)
    predictions, targets = smooth(rng, 3, 60, 25), smooth(rng, 4, 60, 25)
    each = concordances(predictions, targets).mean(-1)
    assert correlation(predictions, targets) == pytest.approx(sum(max(row) for row in each))
    assert correlation(predictions, targets[:2]) <= correlation(predictions, targets)
    assert distance(predictions, targets[:2]) >= distance(predictions, targets)
    assert distance(predictions, targets) == pytest.approx(sum(distance(p[None], targets) for p in predictions))


def test_diversities_are_mean_squared_differences_of_pairs() -> None:
    rng = np.random.default_rng(4)
    set_ = rng.random((5, 3, 20, 25))
    within = [((p[i] - p[j]) ** 2).mean() for p in set_ for i in range(3) for j in range(3) if i != j]
    assert np.mean([diversity(p) for p in set_]) == pytest.approx(np.mean(within))
    between = [((set_[i] - set_[j]) ** 2).mean() for i in range(5) for j in range(5) if i != j]
    assert speaker_diversity(speaker_distances(set_)) == pytest.approx(np.mean(between), rel=1e-5)


def test_noise_has_the_published_figures_of_the_random_baseline() -> None:
    rng = np.random.default_rng(5)
    noise = rng.random((6, 10, 750, 25)).astype(np.float32)
    assert np.mean([variance(p) for p in noise]) == pytest.approx(1 / 12, rel=0.01)
    assert np.mean([diversity(p) for p in noise]) == pytest.approx(1 / 6, rel=0.01)
    assert speaker_diversity(speaker_distances(noise)) == pytest.approx(1 / 6, rel=0.01)


@given(st.integers(0, 2**31))
def test_concordance_is_symmetric_and_bounded_and_falls_with_scale_and_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, 1, 50, 3))
    value = concordances(x, y)
    assert value == pytest.approx(concordances(y, x))
    assert (np.abs(value) <= 1).all()
    assert (concordances(x, 2 * x) < 1).all()
    assert (concordances(x, x + 1) < concordances(x, x)).all()
