"""Due times: a steady rate, no catching up, and soon behind the faces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.actuation.schedule import Schedule


def test_a_steady_rate_does_not_drift():
    schedule, rng = Schedule(50.0, 10.0), np.random.default_rng(0)
    for _ in range(500):
        schedule.ticked(schedule.due_s + abs(rng.normal(0.0, 0.0002)))
    assert schedule.due_s == pytest.approx(10.0 + 500 / 50.0, abs=0.0005)
    assert schedule.rate_hz() == pytest.approx(50.0, rel=0.01)
    assert 0.0002 < schedule.jitter_p99_s() < 0.001


@pytest.mark.parametrize("late_s", [0.0005, 0.001, 0.003, 0.01])
def test_no_period_is_shorter_than_the_limits_assume(late_s):
    schedule, rng, began = Schedule(50.0, 0.0), np.random.default_rng(0), []
    for _ in range(2000):
        began.append(schedule.due_s + rng.exponential(late_s))
        schedule.ticked(began[-1])
    assert np.diff(began).min() >= SHORTEST * 0.02 - 1e-9
    assert 2000 / (began[-1] - began[0]) > 50.0 / (1.0 + 2.0 * late_s / 0.02)


def test_missed_ticks_are_not_made_up_for():
    schedule = Schedule(50.0, 0.0)
    schedule.ticked(0.0)
    began = [schedule.due_s + 0.5]
    for _ in range(5):
        schedule.ticked(began[-1])
        began.append(max(schedule.due_s, began[-1]))
    assert np.diff(began).min() >= SHORTEST * 0.02 - 1e-6
    assert began[-1] == pytest.approx(0.62)  # where it would have been


def test_a_late_tick_is_followed_by_one_that_is_not_much_sooner():
    schedule = Schedule(50.0, 0.0)
    schedule.ticked(0.0)
    schedule.ticked(schedule.due_s + 0.012)
    assert schedule.due_s == pytest.approx(0.06)
    schedule.ticked(schedule.due_s + 0.004)
    assert schedule.due_s == pytest.approx(0.064 + SHORTEST * 0.02)
    for _ in range(12):
        schedule.ticked(schedule.due_s)
    assert schedule.due_s == pytest.approx(0.32)  # where it would have been


@pytest.mark.parametrize("phase_s", [0.0, 0.003, 0.009, 0.0185])
@pytest.mark.parametrize("rate_hz", [50.0, 100.0])
def test_ticks_come_to_be_soon_behind_the_faces_by_longer_periods_alone(phase_s, rate_hz):
    schedule, rng = Schedule(rate_hz, 0.0), np.random.default_rng(1)
    faces = np.arange(0.0, 12.0, 0.02) + phase_s + np.abs(rng.normal(0.0, 0.0005, 600))
    used, waits, began = 0, [], []
    while schedule.due_s < 11.9:
        now_s = schedule.due_s
        newest = int(np.searchsorted(faces, now_s, side="right"))
        waited_s = now_s - faces[newest - 1] if newest > used else math.nan
        used = max(used, newest)
        waits.append(waited_s)
        began.append(now_s)
        schedule.ticked(now_s, waited_s)
    assert np.diff(began).min() >= 1.0 / rate_hz - 1e-9
    late = [w for w in waits[len(waits) // 2 :] if math.isfinite(w)]
    assert np.percentile(late, 99) < 0.6 / rate_hz
    assert np.percentile(late, 1) > 0.2 / rate_hz
