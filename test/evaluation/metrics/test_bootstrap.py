from __future__ import annotations

import math

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.bootstrap import draws, interval, means, ratio, skill


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
