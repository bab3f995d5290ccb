from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.evaluation.metrics.pose import matched, nod_match, nod_times, pose_concordance

times = st.lists(st.floats(0, 30), max_size=5).map(lambda x: np.array(sorted(x)))


def nodding(*at_s: float, seconds: float = 30.0) -> np.ndarray:
    pitch = np.zeros(round(seconds * 25))
    for start in at_s:
        t = np.arange(round(1.2 * 25)) / 25
        first = round(start * 25)
        pitch[first : first + len(t)] += 0.05 * (1 - np.cos(2 * np.pi * t / 0.6))
    return pitch


def test_nods_are_found_where_they_are() -> None:
    found = nod_times(np.stack([nodding(4.0, 12.0), nodding()]))
    assert found[0] == pytest.approx([4.0, 12.0], abs=0.5)
    assert len(found[1]) == 0


def test_the_same_head_agrees_fully_and_a_still_one_earns_nothing() -> None:
    rng = np.random.default_rng(0)
    heads = np.cumsum(rng.standard_normal((3, 100, 3)), 1)
    assert pose_concordance(heads, heads) == pytest.approx(3.0, abs=1e-6)
    assert pose_concordance(np.zeros((3, 100, 3)), heads) == 0.0
    own = nod_times(np.stack([nodding(4.0, 12.0)]))
    assert nod_match(own, own) == 1.0
    still = nod_times(np.stack([nodding()]))
    assert nod_match(still, own) == nod_match(still, still) == 0.0


def test_match_of_nods_is_a_mean_over_targets_and_a_sum_over_predictions() -> None:
    mine = [np.array([1.0, 10.0]), np.array([20.0])]
    theirs = [np.array([1.9, 25.0]), np.array([])]
    # First: one of 2 + 2 nods in one of two targets, 0.5 / 2; second: none.
    assert nod_match(mine, theirs) == pytest.approx(0.25)


def test_one_nod_answers_one_nod() -> None:
    assert matched(np.array([1.0, 1.5]), np.array([1.2])) == 1
    assert matched(np.array([1.0]), np.array([2.01])) == 0
    assert matched(np.array([1.0]), np.array([2.0])) == 1


@given(times, times)
def test_no_pairing_matches_more(first: np.ndarray, second: np.ndarray) -> None:
    short, long = sorted((first, second), key=len)
    best = max(
        sum(abs(a - b) <= 1.0 for a, b in zip(short, order, strict=False)) for order in permutations(long, len(short))
    )
    assert matched(first, second) == matched(second, first) == best
