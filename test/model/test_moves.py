"""Movements of the rules and random listeners: what missed its time is postponed a little or dropped, never late."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_drive import FRAME, MS, frame

from reactdiff_ros.coefficients import HEAD_PITCH, SMILE
from reactdiff_ros.model.policies.moves import Moves, Nod, Swell, draw_smile
from reactdiff_ros.model.speaker.engagement import DelayedView

START = 1_000 * MS


def nod(start_ns: int) -> Nod:
    return Nod(start_ns, 1.6, (math.radians(5.0),))


def pitch(moves: Moves, first_ns: int) -> np.ndarray:
    return np.array([moves.value(first_ns + i * FRAME)[HEAD_PITCH] for i in range(30)])


def test_a_nod_that_missed_its_start_by_little_begins_now_and_whole() -> None:
    moves = Moves()
    moves.add(nod(START))
    moves.planned(START + 100 * MS)
    shown = pitch(moves, START + 100 * MS)
    assert shown[0] == 0.0
    assert math.degrees(shown.max()) > 4.8


def test_a_nod_that_missed_its_start_by_more_is_dropped() -> None:
    moves = Moves()
    moves.add(nod(START))
    moves.planned(START + 200 * MS)
    assert not pitch(moves, START + 200 * MS).any()


def test_a_nod_that_was_in_a_plan_goes_on_in_the_next() -> None:
    moves = Moves()
    moves.add(nod(START))
    moves.planned(START - 80 * MS)
    before = moves.value(START + 320 * MS)[HEAD_PITCH]
    moves.planned(START + 240 * MS)
    assert moves.value(START + 320 * MS)[HEAD_PITCH] == before > 0.0


def test_a_smile_may_begin_a_little_later_and_stays_smooth() -> None:
    smile = draw_smile(START, 0.6, np.random.default_rng(1))
    smile.release_ns = START + 2_000 * MS
    moves = Moves()
    moves.add(smile)
    moves.planned(START + 300 * MS)
    assert smile in moves
    shown = np.array([moves.value(START + 300 * MS + i * FRAME)[SMILE[0]] for i in range(60)])
    assert shown[0] == 0.0
    assert np.abs(np.diff(shown)).max() < 0.15
    late = Swell(START, smile.goal, 0.5, 0.8)
    moves.add(late)
    moves.planned(START + 600 * MS)
    assert late not in moves


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 1000)), min_size=1, max_size=60),
)
def test_a_delayed_view_is_in_order_and_as_late_as_asked(steps: list[tuple[int, int]]) -> None:
    view, now_ms, last = DelayedView(), 0, -1
    for step_ms, delay_ms in steps:
        now_ms += step_ms
        for original, seen in view.push(frame(now_ms * MS), delay_ms * MS):
            assert seen.stamp_ns - original.stamp_ns == delay_ms * MS
            assert seen.picture_stamp_ns == seen.stamp_ns <= now_ms * MS
            assert seen.stamp_ns > last
            last = seen.stamp_ns
