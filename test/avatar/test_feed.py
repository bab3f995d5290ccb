"""What is sent when the listener goes quiet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs_kit import START_NS, STEP_NS, faces, frame

from reactdiff_ros.avatar.outputs import Feed

MS = 1_000_000


def test_nothing_in_between_while_frames_come():
    feed = Feed(0.2, 0.3)
    for number, face in enumerate(faces(100)):
        now = number * STEP_NS
        assert feed.take(frame(face, number), now)
        assert feed.substitute(now + 19 * MS, 0) is None


def test_neutral_before_the_first_frame():
    sent = Feed(0.2, 0.3).substitute(5, 17)
    assert sent is not None
    assert sent.mode == "neutral"
    assert sent.stamp_ns == 17
    assert not sent.coefficients.any()


def test_the_face_fades_to_neutral_and_stays_there():
    feed, face = Feed(0.2, 0.3), faces(1)[0]
    feed.take(frame(face), 0)
    assert [feed.substitute(age * MS, START_NS) for age in range(20, 201, 20)] == [None] * 10
    last, weights = face, []
    for age in range(201, 601, 20):
        sent = feed.substitute(age * MS, START_NS + age * MS)
        assert sent is not None
        assert sent.mode == "neutral"
        assert sent.stamp_ns == START_NS + age * MS
        assert (np.abs(sent.coefficients) <= np.abs(last) + 1e-7).all()
        last = sent.coefficients
        weights.append(float(np.linalg.norm(last) / np.linalg.norm(face)))
    assert weights[0] == pytest.approx(1.0, abs=0.01)
    assert weights[7] == pytest.approx(1 - 141 / 300, abs=0.01)
    assert weights[-5:] == [0.0] * 5


def test_it_comes_back_with_the_next_frame():
    feed = Feed(0.2, 0.3)
    feed.take(frame(), 0)
    for age in range(20, 301, 20):
        feed.substitute(age * MS, START_NS)
    assert feed.stale
    assert feed.take(frame(number=1), 300 * MS)
    assert feed.substitute(310 * MS, START_NS) is None
    assert not feed.stale


def test_a_process_that_stood_still_takes_what_waits_before_it_fades():
    feed = Feed(0.2, 0.3)
    feed.take(frame(), 0)
    assert feed.substitute(5000 * MS, START_NS) is None  # frames of these 5 s wait to be taken
    assert feed.take(frame(number=250), 5001 * MS)
    ages = [feed.substitute((5001 + age) * MS, START_NS) is not None for age in range(20, 401, 20)]
    assert ages == [False] * 10 + [True] * 10  # and nothing waited: neutral after all


def test_the_fade_goes_on_where_it_was_after_a_stand_still():
    feed, face = Feed(0.2, 0.3), faces(1)[0]
    feed.take(frame(face), 0)
    sizes = []
    for now in np.cumsum([20] * 15 + [900] + [20] * 15) * MS:
        sent = feed.substitute(int(now), START_NS + int(now))
        sizes.append(1.0 if sent is None else float(np.linalg.norm(sent.coefficients) / np.linalg.norm(face)))
    assert max(-np.diff(sizes)) <= 0.06 / 0.3 + 0.01
    assert sizes[-1] == 0.0


def test_late_frames_are_left_out_and_a_new_time_line_is_followed():
    feed = Feed(0.2, 0.3)
    assert feed.take(frame(number=100), 0)
    assert not feed.take(frame(number=99), 1)
    assert feed.take(frame(number=0), 2)  # a bag that begins again


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**18)), max_size=20), st.floats(0.0, 1.0))
def test_substitutes_are_finite_and_never_older_than_the_last_frame(times, fade_s):
    feed = Feed(0.1, fade_s)
    feed.take(frame(np.full(58, np.nan)), 0)
    for now, stamp in times:
        sent = feed.substitute(now, stamp)
        if sent is not None:
            assert np.isfinite(sent.coefficients).all()
            assert sent.stamp_ns >= START_NS
