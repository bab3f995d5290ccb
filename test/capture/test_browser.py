"""A visitor's browser: its messages, its clock, messages that are none, and the line of visitors."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reactdiff_ros.capture import browser
from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, SOUND, TIME, BrowserStream, Picture, RemoteClock
from reactdiff_ros.capture.visits import Visitor, VisitorQueue
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.types import Sound

AHEAD_NS = 5 * NS
"""The page's clock is 5 s ahead of ours."""
START_NS = 1000 * NS


def jpeg(width: int = 64, height: int = 48, progressive: int = 0) -> bytes:
    picture = np.full((height, width, 3), 90, np.uint8)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1])


def message(kind: int, at_ns: int, content: bytes = b"", *, number: int = 0, rate: int = 0) -> bytes:
    """As the page makes it at `at_ns` of our clock."""
    return HEAD.pack(1, kind, rate // 25, number, (at_ns + AHEAD_NS) / 1e6) + content


def compared() -> BrowserStream:
    """A stream that knows the page's clock."""
    stream = BrowserStream()
    number = REPLY.unpack(stream.ping(START_NS))[3]
    assert stream.receive(message(TIME, START_NS + 2_000_000, number=number), START_NS + 4_000_000) is None
    return stream


def test_a_picture_has_the_time_of_its_capture_on_our_clock_and_is_acknowledged():
    stream, now_ns = compared(), START_NS + NS
    assert (BrowserStream().ahead_s, stream.ahead_s) == (0.0, pytest.approx(AHEAD_NS / NS, abs=0.01))
    sent = message(PICTURE, now_ns - 20_000_000, jpeg(), number=77)
    found = stream.receive(sent, now_ns)
    assert isinstance(found, Picture)
    assert (found.width, found.height, found.jpeg) == (64, 48, jpeg())
    assert found.stamp_ns == pytest.approx(now_ns - 20_000_000, abs=1000)
    assert (browser.is_picture(sent), browser.is_picture(message(SOUND, START_NS))) == (True, False)
    assert REPLY.unpack(browser.acknowledge(sent)) == (1, PICTURE, 0, 77)


def test_sound_is_stamped_by_its_samples_and_what_is_lost_is_counted():
    stream, rng, stamps = compared(), np.random.default_rng(0), []
    for number in (*range(50), *range(52, 200)):
        began_ns = START_NS + NS + number * 20_000_000
        now_ns = began_ns + 20_000_000 + int(rng.exponential(8e6))
        late = message(SOUND, now_ns - 20_000_000, np.full(960, number, "<i2").tobytes(), number=number, rate=48000)
        found = stream.receive(late, now_ns)
        assert isinstance(found, Sound)
        assert (found.samples.shape, found.samples[0, 0]) == ((960, 1), number)
        stamps.append(found.stamp_ns)
    assert stream.lost == 2
    steps = np.diff(stamps)
    assert (steps > 0).all()
    assert np.abs(np.delete(steps, 49) - 20_000_000).max() < 8_000_000


def test_what_comes_too_early_too_late_or_too_often_is_dropped():
    assert BrowserStream().receive(message(PICTURE, START_NS, jpeg()), START_NS) is None, "the clocks are not compared"
    stream, now_ns = compared(), START_NS + 10 * NS
    for at_ns in (now_ns - 2 * NS, now_ns + NS):
        assert stream.receive(message(PICTURE, at_ns, jpeg()), now_ns) is None
    assert stream.dropped == 2
    stream, taken = compared(), 0
    for number in range(1000):  # a flood
        now_ns = START_NS + NS + number * 2_000_000
        taken += stream.receive(message(PICTURE, now_ns - 1_000_000, jpeg(), number=number), now_ns) is not None
    assert browser.PICTURES_HZ <= taken <= 3 * browser.PICTURES_HZ + 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(-5.0, 5.0), st.floats(-50e-6, 50e-6))
@example(902, 0.0, 0.0)
def test_the_clocks_agree_to_half_a_round_trip_under_jitter_and_drift(seed, offset_s, drift):
    rng, clock, found, late = np.random.default_rng(seed), RemoteClock(), [], []

    def remote(ns: int) -> int:
        return ns + round(offset_s * NS + drift * (ns - START_NS))

    for second in range(120):
        sent_ns = START_NS + second * NS
        up_ns, down_ns = (500_000 + int(rng.exponential(10e6)) for _ in range(2))
        clock.answered(sent_ns, remote(sent_ns + up_ns), sent_ns + up_ns + down_ns)
        now_ns = sent_ns + NS // 2
        found.append(clock.local(remote(now_ns), now_ns))
        late.append(found[-1] - now_ns)
    assert (np.diff(found) > 0).all()
    first = abs(late[0]) - 1_000_000 * np.arange(120)  # what a long first trip was wrong by goes by 1 ms/s
    assert (np.abs(late) < np.maximum(first + 100_000, 12_000_000))[31:].all()


def test_a_clock_that_was_set_is_followed_at_once():
    clock = RemoteClock()
    clock.answered(START_NS, START_NS + 2_000_000, START_NS + 4_000_000)
    clock.answered(START_NS + NS, START_NS + 61 * NS, START_NS + NS + 4_000_000)
    assert clock.local(START_NS + 62 * NS, START_NS + 2 * NS) == pytest.approx(START_NS + 2 * NS, abs=5_000_000)


def of_hidden_size() -> bytes:
    """A fill byte, which decoders skip, must not lead the walk into a comment that holds a small size."""
    large = jpeg(4000, 16)
    comment = bytearray(65533)
    head = b"\xff\xd8" + b"\xff" + large[2:20] + b"\xff\xfe\xff\xff"
    at = 4 + int.from_bytes(head[4:6], "big") - len(head)
    comment[at : at + 12] = b"\xff\xc0\x00\x11\x08" + (48).to_bytes(2, "big") + (64).to_bytes(2, "big") + b"\x03\1\x22"
    return head + bytes(comment) + large[20:]


WHOLE = jpeg(1920, 1920)
BUSY = WHOLE[: WHOLE.index(b"\xff\xda")] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 20_000 + b"\xff\xd9"
"""A small message that keeps a decoder busy."""


@pytest.mark.parametrize(("content", "why"), [
    (b"", "not a JPEG"), (b"\xff\xd8\xff\xe0\x00\x00" + bytes(40), "not a JPEG"), (jpeg(2000, 16), "of 2000x16"),
    (jpeg(16, 2000), "of 16x2000"), (of_hidden_size(), "of 4000x16"), (BUSY, "several scans"),
    (jpeg(progressive=1), "several scans"),
])  # fmt: skip
def test_what_is_no_small_jpeg_has_one_sentence_before_it_is_decoded(content, why):
    with pytest.raises(MessageError, match=rf"^a picture .*{why}"):
        browser.jpeg_size(content)


@pytest.mark.parametrize(("bad", "why"), [
    (b"", "of 0 bytes"), (bytes(browser.MESSAGE_BYTES + 1), f"of {browser.MESSAGE_BYTES + 1} bytes"),
    (HEAD.pack(2, PICTURE, 0, 0, 1.0), "version 2"), (HEAD.pack(1, 9, 0, 0, 1.0), "kind 9"),
    (HEAD.pack(1, PICTURE, 0, 0, float("nan")), "time nan"), (message(SOUND, START_NS, bytes(100), rate=0), "0 Hz"),
    (message(SOUND, START_NS, b"\0\0\0", rate=48000), "3 bytes of sound"),
    (message(SOUND, START_NS, bytes(200_000), rate=48000), "200000 bytes of sound"),
])  # fmt: skip
def test_a_malformed_message_has_one_sentence(bad, why):
    with pytest.raises(MessageError, match=why):
        compared().receive(bad, START_NS + NS)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_break_it(content, headed):
    stream = compared()
    whole = content if not headed else HEAD.pack(1, 1 + len(content) % 3, 1920, 1, 1e6) + content
    try:
        found = stream.receive(whole, START_NS + NS)
    except MessageError:
        return
    assert found is None or isinstance(found, Picture | Sound)


@given(st.lists(st.integers(0, 6), max_size=40))
def test_there_is_always_one_seen_and_never_more_than_there_are_places(moves):
    """One at a time, the others in order of arrival; only who is seen is sent away."""
    queue, here = VisitorQueue(4), list[Visitor]()
    for move in moves:
        if move < 4 and move < len(here):
            queue.leave(here.pop(move))
        elif move == 6:
            assert queue.pass_on()[0] is bool(here)
            assert all(each.sent_away for each in here[:1])
        elif (visitor := queue.enter()) is not None:
            here.append(visitor)
        else:
            assert len(here) == 4
        assert [queue.before(each) for each in here] == list(range(len(here)))
        assert len(here) <= 4
        assert not any(each.sent_away for each in here[1:])
        assert (queue.waiting, queue.state) == (max(0, len(here) - 1), "taken" if here else "free")
