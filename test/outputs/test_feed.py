"""What is sent when the listener goes quiet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs_kit import START_NS, STEP_NS, faces, frame

from reactdiff_ros.outputs import Feed

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
    assert feed.substitute(200 * MS, START_NS) is None
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
    assert feed.stale(300 * MS)
    assert feed.take(frame(number=1), 300 * MS)
    assert not feed.stale(310 * MS)


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
