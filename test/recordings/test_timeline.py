"""Stamps that cannot be: single ones are left out, a jump of the whole time line ends a replay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.media import ClipPicture
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.replay.senses import LONGEST_GAP_NS, STEP_BACK_NS, STRAYS, BagEvent, Steady


def along(stamps_s: list[float]) -> tuple[list[float], Steady]:
    steady = Steady()
    events = [BagEvent(round(s * NS), None) for s in stamps_s]
    return [round(e.offset_ns / NS, 3) for e in steady.of(events)], steady


def test_small_steps_back_are_the_order_of_recording() -> None:
    kept, steady = along([0.0, 0.1, 0.04, 0.2, 0.15])
    assert kept == [0.0, 0.1, 0.04, 0.2, 0.15]
    assert (steady.strays, steady.jump_s) == (0, 0.0)


def test_single_wrong_stamps_are_left_out_and_counted() -> None:
    line = [i / 25 for i in range(100)]
    wrong = [*line[:40], 1.7e9, *line[40:60], -5000.0, 0.0, *line[60:]]
    kept, steady = along(wrong)
    assert kept == line
    assert (steady.strays, steady.jump_s) == (3, 0.0)


def test_a_jump_of_the_time_line_ends_it() -> None:
    first = [round(10 + i / 25, 3) for i in range(50)]
    for jump in (-8.0, 5000.0):
        kept, steady = along([*first, *(s + jump for s in first), *first])
        assert kept == first
        assert steady.strays == 0
        assert round(steady.jump_s) == round(jump - 49 / 25)


def test_pictures_go_through_as_they_are() -> None:
    picture = ClipPicture("picture", 5, np.zeros((2, 2, 3), np.uint8))
    assert next(Steady().of([picture])) is picture


@given(st.lists(st.integers(-(2**62), 2**62), max_size=80))
def test_whatever_comes_the_line_is_steady(stamps: list[int]) -> None:
    steady = Steady()
    newest: int | None = None
    kept = 0
    for event in steady.of([BagEvent(s, None) for s in stamps]):
        kept += 1
        if newest is not None:
            assert -STEP_BACK_NS <= event.offset_ns - newest <= LONGEST_GAP_NS
        newest = event.offset_ns if newest is None else max(newest, event.offset_ns)
    assert kept + steady.strays == len(stamps) or steady.jump_s
    assert STRAYS > 1
