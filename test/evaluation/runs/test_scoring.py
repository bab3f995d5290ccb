"""FRDvs of a set that is taken in one speaker at a time, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import speaker_distances, speaker_diversities, speaker_diversity
from reactdiff_ros.evaluation.runs.scoring import SKETCH, Spread


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
    draws = bootstrap.group_draws([f"pair{n // 2}" for n in range(24)], seed=3)
    distances = speaker_distances(values)
    low, high = bootstrap.interval(speaker_diversities(distances, draws))
    found = spread_of(values).figure(draws)
    assert found.value == pytest.approx(speaker_diversity(distances), rel=1e-5)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-4 if exact else 0.05)
    assert found.low < found.value < found.high


RNG = np.random.default_rng(5)


def walk(frames: int, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((frames, 25))
    return np.cumsum(steps, 0).astype(np.float32)


def test_the_mime_takes_the_lag_at_which_listeners_are_late() -> None:
    scores = []
    for seed in range(4):
        speaker = walk(400, seed)
        listener = simple.late(speaker, 0.8, 25.0)
        scores.append(simple.mime_scores(speaker, [walk(300, 50 + seed), listener], 25.0))
    assert simple.best_lag(scores) == 0.8
    assert simple.best_lag([]) == 0.0


def test_means_are_of_those_who_are_still_there() -> None:
    rows = [("a", np.ones((4, 25), np.float32)), ("b", 3 * np.ones((2, 25), np.float32))]
    found, row = simple.mean_reactions(rows, apart=False)
    np.testing.assert_allclose(found["sequence"][row[""], :, 0], [2, 2, 1, 1])
    assert found["frame"][0, 0] == pytest.approx((4 * 1 + 2 * 3) / 6)


def test_nearest_neighbours_are_others_and_the_nearest() -> None:
    known = RNG.standard_normal((20, 8)).astype(np.float32)
    nobody, own = np.zeros(20, bool), np.arange(20) == 1
    assert simple.nearest(known[1] + 0.01, known, nobody, 1).tolist() == [1]
    assert 1 not in simple.nearest(known[1] + 0.01, known, own, 4)
    assert simple.nearest(known[1] + 0.01, known, np.arange(20) != 5, 3).tolist() == [5, 5, 5]


def test_the_shuffled_control_is_never_of_the_same_people() -> None:
    groups = ["a", "a", "b", "b", "c", "a", "a", "b", "b", "c"]
    found = simple.other_people(groups)
    assert all(i is not None and groups[i] != groups[n] for n, i in enumerate(found))
    assert simple.other_people(["a", "a"]) == [None, None]
    assert simple.other_people(["a", "b"]) == [1, 0]
