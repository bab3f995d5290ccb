"""Times of messages: believed where they can be, mended by the recorder's clock where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.timeline import BACK_NS, chained, mended, together

SECOND = 100 * NS
regular = SECOND + np.arange(100) * NS // 25


def test_good_stamps_stay_as_they_are():
    delays = np.random.default_rng(1).integers(0, NS // 5, len(regular))
    line = mended("/camera", regular, regular + delays)
    np.testing.assert_array_equal(line.stamps, regular)
    assert line.notes == ()


@pytest.mark.parametrize(("jump_s", "word"), [(-50, "back"), (-1, "back"), (3, "ahead"), (100_000_000, "ahead")])
def test_a_clock_that_was_set_goes_on_by_the_receive_time(jump_s, word):
    stamps = regular.copy()
    stamps[60:] += jump_s * NS
    line = mended("/camera", stamps, regular + 5_000_000)
    np.testing.assert_array_equal(line.stamps, regular)
    assert line.jumps == 1
    assert f"jump {word} by" in line.notes[0]
    assert "/camera" in line.notes[0]


def test_a_stalled_recorder_is_no_jump():
    received = regular + 5_000_000
    received[40:80] = received[80]  # two seconds late, then all at once
    line = mended("/camera", regular, received)
    np.testing.assert_array_equal(line.stamps, regular)
    assert line.jumps == 0


def test_a_recording_that_pauses_is_no_jump():
    paused = regular.copy()
    paused[50:] += 30 * NS
    assert mended("/camera", paused, paused + 1).jumps == 0


def test_missing_stamps_are_the_receive_time():
    stamps = regular.copy()
    stamps[::2] = 0
    line = mended("/camera", stamps, regular)
    np.testing.assert_array_equal(line.stamps, regular)
    assert line.unstamped == 50


def test_messages_out_of_order_are_counted_and_stay():
    stamps = regular.copy()
    stamps[[10, 11]] = stamps[[11, 10]]
    line = mended("/camera", stamps, regular + NS // 10)
    np.testing.assert_array_equal(line.stamps, stamps)
    assert line.out_of_order == 1
    assert "out of order" in line.notes[0]


def test_clocks_that_differ_are_brought_onto_the_recorders():
    picture = mended("/camera", regular - 90 * NS, regular)
    sound = mended("/audio", regular, regular + 20_000_000)
    lines = together({"/camera": picture, "/audio": sound})
    np.testing.assert_array_equal(lines["/camera"].stamps, regular)
    np.testing.assert_array_equal(lines["/audio"].stamps, regular)
    assert "differs by 90.0 s" in lines["/camera"].notes[0]
    assert lines["/audio"].notes == ()


def test_a_clock_that_all_share_is_kept():
    """Simulated time, or a bag of a bag."""
    lines = together({n: mended(n, regular - 90 * NS, regular) for n in ("/camera", "/audio")})
    np.testing.assert_array_equal(lines["/camera"].stamps, regular - 90 * NS)
    assert not any(line.notes for line in lines.values())


def test_sound_without_stamps_is_one_sound():
    durations = [20_000_000] * 50
    jitter = np.random.default_rng(2).integers(0, 15_000_000, 50)
    received = [SECOND + 20_000_000 * (k + 1) + int(jitter[k]) for k in range(50)]
    received[30:] = [r + NS for r in received[30:]]
    line = chained("/audio", durations, received)
    steps = np.diff(line.stamps)
    assert (np.delete(steps, 29) == 20_000_000).all()
    assert steps[29] == pytest.approx(NS + 20_000_000, abs=15_000_000)


@given(st.lists(st.tuples(st.integers(-(2**31) * NS, 2**31 * NS), st.integers(0, 10 * NS)), min_size=1, max_size=40))
def test_whatever_the_stamps_are_time_never_goes_far_back(pairs):
    stamps = [s for s, _ in pairs]
    received = np.cumsum([r for _, r in pairs]) + SECOND
    out = mended("/camera", stamps, received).stamps
    assert (np.maximum.accumulate(out) - out <= BACK_NS).all()


@given(st.lists(st.tuples(st.integers(-(2**31) * NS, 2**31 * NS), st.integers(0, 2**62)), min_size=1, max_size=20))
def test_damaged_times_stay_in_64_bits(pairs):
    lines = {n: mended(n, [s for s, _ in pairs], [r for _, r in pairs]) for n in "ab"}
    assert all(len(line.stamps) == len(pairs) for line in together(lines).values())
