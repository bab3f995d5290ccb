from __future__ import annotations

import math

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.bootstrap import draws, interval, means, ratio, resample, skill, with_interval


def test_draws_are_of_all_speakers_and_repeat_with_their_seed() -> None:
    weights = draws(3, 40, 500)
    assert weights.shape == (500, 40)
    assert (weights.sum(1) == 40).all()
    assert np.array_equal(weights, draws(3, 40, 500))
    assert not np.array_equal(weights, draws(4, 40, 500))


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    low, high = interval(means(draws(1, 400), values))
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_what_all_systems_share_cancels() -> None:
    rng = np.random.default_rng(2)
    hard = 10 * rng.standard_normal(100)
    floor, ceiling, value = hard, hard + 1.0, hard + 0.6
    weights = draws(0, 100)
    low, high = interval(skill(means(weights, value), means(weights, floor), means(weights, ceiling)))
    assert (low, high) == pytest.approx((0.6, 0.6), abs=1e-9)


def test_a_ratio_of_means_has_an_interval_in_which_what_both_share_cancels() -> None:
    rng = np.random.default_rng(0)
    base, noise = rng.gamma(4, 1, 200), rng.gamma(50, 1 / 50, 200)
    told = ratio(draws(0, 200), base * 1.5 * noise, base)
    assert told["low"] < 1.5 < told["high"]
    assert told["high"] - told["low"] < 0.1
    assert all(math.isnan(v) for v in ratio(draws(0, 5), np.zeros(5), np.zeros(5)).values())
    assert all(math.isnan(v) for v in ratio(draws(0, 5), np.ones(5), np.zeros(5)).values())


def test_skill_without_reach_is_not_a_number() -> None:
    one = np.array([1.0])
    assert math.isnan(skill(one, one, one)[0])
    assert all(math.isnan(v) for v in interval(np.array([np.nan])))
    assert skill(np.array([1.0]), np.array([3.0]), np.array([1.0]))[0] == 1.0


def test_statistics_that_are_no_means() -> None:
    weights = draws(0, 5, 30)
    assert resample(weights, lambda w: float(w.max())) == pytest.approx(weights.max(1))
    assert set(with_interval("x", 1.0, weights[:, 0])) == {"x", "x_low", "x_high"}
