"""A machine that is too slow plans worse and in time; one that is quick again plans better, without swaying."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.model.plan.quality import DEADLINE_S, QUIET_S, Quality, QualityChoice, ladder

HOP_S = 0.16


class Machine:
    """A runtime that needs `unit_s` for a step, more for several candidates, and `fixed_s` for each plan.

    As in life, all candidates are drawn at every fifth plan only.
    """

    def __init__(self, unit_s: float, fixed_s: float = 0.001, share: float = 0.35) -> None:
        self.unit_s, self.fixed_s, self.share = unit_s, fixed_s, share
        self.now_s, self.plans = 100.0, 0
        self.times: list[float] = []

    def run(self, choice: QualityChoice, seconds: float, noise=lambda: 1.0) -> list[float]:
        """Plan for so long; times of the plans."""
        first, end = len(self.times), self.now_s + seconds
        while self.now_s < end:
            self.plans += 1
            q = choice.quality
            drawn = q.candidates if self.plans % 5 == 0 else 1
            taken = (self.fixed_s + self.unit_s * q.steps * (1 + self.share * (drawn - 1))) * noise()
            self.now_s += max(HOP_S, taken)
            self.times.append(taken)
            choice.took(self.now_s, taken, drawn)
        return self.times[first:]


def test_fewer_candidates_come_before_fewer_steps():
    assert ladder(8, 4) == tuple(Quality(*q) for q in ((8, 4), (8, 2), (8, 1), (6, 1), (4, 1), (3, 1), (2, 1)))
    assert ladder(4, 1)[0] == Quality(4, 1)
    assert ladder(1, 1) == (Quality(1, 1),)
    assert [q.candidates for q in ladder(8, 5)] == [5, 3, 2, 1, 1, 1, 1, 1]
    costs = [q.cost for q in ladder(16, 16)]
    assert costs == sorted(costs, reverse=True)


def test_a_quick_machine_keeps_the_best_quality():
    choice = QualityChoice(8, 4)
    Machine(0.001).run(choice, 600)
    assert (choice.level, choice.changes) == (0, 0)


@pytest.mark.parametrize(
    ("unit_s", "expected"), [(0.0028, (8, 2)), (0.0035, (8, 1)), (0.0044, (6, 1)), (0.006, (4, 1)), (0.012, (2, 1))]
)
def test_a_slow_machine_plans_worse_and_in_time(unit_s, expected):
    choice, machine = QualityChoice(8, 4), Machine(unit_s)
    machine.run(choice, 5)
    late = machine.run(choice, 3600)
    assert max(late) <= DEADLINE_S
    assert choice.quality == Quality(*expected)
    assert choice.changes <= 3


def test_a_machine_that_is_much_too_slow_goes_down_at_once():
    choice, machine = QualityChoice(8, 4), Machine(0.016, fixed_s=0.0)
    assert sum(t > DEADLINE_S for t in machine.run(choice, 60)) <= 8
    assert choice.quality == Quality(2, 1)
    assert choice.changes == 1
    assert not choice.exhausted


def test_who_is_too_slow_at_the_lowest_quality_says_so():
    choice, machine = QualityChoice(8, 4), Machine(0.03)
    machine.run(choice, 30)
    assert choice.exhausted
    machine.unit_s = 0.002
    machine.run(choice, 3)
    assert not choice.exhausted


def test_one_hiccup_changes_nothing():
    choice, machine = QualityChoice(8, 4), Machine(0.001)
    for _ in range(20):
        machine.run(choice, 2.5)
        choice.took(machine.now_s, 0.5)
    assert choice.changes == 0


def test_a_load_that_passes_is_forgotten_after_a_quiet_time():
    choice, machine = QualityChoice(8, 4), Machine(0.001)
    machine.run(choice, 20)
    machine.unit_s = 0.008
    machine.run(choice, 5)
    low = choice.level
    assert low > 2
    machine.unit_s = 0.001
    machine.run(choice, QUIET_S / 2)
    assert choice.level == low
    machine.run(choice, 10 * QUIET_S)
    assert choice.level == 0
    assert max(machine.run(choice, 600)) <= DEADLINE_S


def test_a_load_that_comes_and_goes_makes_it_ever_more_careful():
    choice, machine = QualityChoice(8, 4), Machine(0.001)
    changes = []
    for _ in range(20):  # busy for 20 s, free for 40
        machine.unit_s = 0.009
        machine.run(choice, 20)
        machine.unit_s = 0.001
        machine.run(choice, 40)
        changes.append(choice.changes)
    assert changes[-1] - changes[9] < changes[9]


def test_a_machine_at_the_edge_does_not_sway():
    rng = np.random.default_rng(0)
    choice, machine = QualityChoice(8, 4), Machine(0.0033)
    machine.run(choice, 1800, noise=lambda: float(np.exp(rng.normal(0.0, 0.12))))
    assert choice.changes <= 12
    settled = choice.changes
    machine.run(choice, 1800, noise=lambda: float(np.exp(rng.normal(0.0, 0.12))))
    assert choice.changes - settled <= 8


@settings(max_examples=60, deadline=None)
@given(
    unit_s=st.floats(1e-4, 0.015), fixed_s=st.floats(0.0, 0.006), share=st.floats(0.05, 1.0),
    steps=st.integers(1, 32), candidates=st.integers(1, 16),
)  # fmt: skip
def test_on_any_machine_that_can_plans_are_in_time_and_quality_settles(unit_s, fixed_s, share, steps, candidates):
    choice, machine = QualityChoice(steps, candidates), Machine(unit_s, fixed_s, share)
    lowest = choice.rungs[-1]
    machine.run(choice, 900)
    changes = choice.changes
    late = machine.run(choice, 300)
    assert choice.changes - changes <= 2
    if fixed_s + unit_s * lowest.steps <= DEADLINE_S:
        allowed = 12 * (choice.changes - changes)  # those by which a try at a better quality is found too dear
        assert sum(t > DEADLINE_S for t in late) <= allowed
    else:
        assert choice.exhausted
