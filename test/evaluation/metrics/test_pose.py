from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.studies.simulator import nod_chance, nod_match, nod_times, pose_concordance


def nodding(*at_s: float, seconds: float = 30.0) -> np.ndarray:
    pitch = np.zeros(round(seconds * 25))
    for start in at_s:
        t = np.arange(round(1.2 * 25)) / 25
        first = round(start * 25)
        pitch[first : first + len(t)] += 0.05 * (1 - np.cos(2 * np.pi * t / 0.6))
    return pitch


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


def at_random(rng: np.random.Generator, per_minute: float, count: int = 10) -> list[np.ndarray]:
    return [np.sort(rng.uniform(0, 30, rng.poisson(per_minute / 2))) for _ in range(count)]


def test_nods_at_random_match_more_the_more_there_are_and_never_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    match, beyond = {2.9: [], 7.7: []}, {2.9: [], 7.7: []}
    for _ in range(60):
        theirs = at_random(rng, 2.9)
        for rate in match:
            mine = at_random(rng, rate)
            match[rate].append(nod_match(mine, theirs))
            beyond[rate].append(match[rate][-1] - nod_chance(mine, theirs, 30.0))
    assert np.mean(match[7.7]) > 1.3 * np.mean(match[2.9])
    for rate, rows in beyond.items():
        assert abs(np.mean(rows)) < 3 * np.std(rows) / len(rows) ** 0.5, rate
        assert abs(np.mean(rows)) < 0.05
