"""An utterance on the time line, counted in samples."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.speech.engines import Engine, Manner, Synthesis, Word
from reactdiff_ros.speech.utterance import CHUNK_NS, LEAD_NS, Utterance
from reactdiff_ros.speech.voice import REPLACED, Listening, Request, Voice
from reactdiff_ros.timeline import Timeline
from reactdiff_ros.types import Sound

RATE = 16000
DELAY_NS = 120_000_000
T0 = 1_700_000_000 * NS
TICK_NS = 10_000_000


def synthesis(text: str, seconds: float) -> Synthesis:
    words, none = text.split(), np.zeros(0)
    places = [Word(text.index(w), text.index(w) + len(w), seconds * i / len(words)) for i, w in enumerate(words)]
    return Synthesis(text, RATE, np.full(round(seconds * RATE), 1000, np.int16), (), none, none, tuple(places))


def utterance(*texts: str) -> Utterance:
    return Utterance("u", list(texts), Manner(), DELAY_NS)


def played(chunks: list[Sound], start_ns: int, seconds: float) -> np.ndarray:
    """What a loudspeaker that gets the chunks in this order plays."""
    timeline = Timeline(RATE)
    for chunk in chunks:
        timeline.put(chunk)
    return np.concatenate([timeline.take(160, start_ns + i * TICK_NS) for i in range(round(seconds * 100))])


def test_sound_leaves_before_it_is_heard_and_pieces_follow_without_a_gap() -> None:
    spoken = utterance("one two", "three")
    assert spoken.wanted(T0) == "one two"
    spoken.add(synthesis("one two", 0.5), T0)
    second = spoken.add(synthesis(spoken.wanted(T0) or "", 0.31), T0 + 30_000_000)
    assert second is not None
    assert (spoken.start_ns, second.start_ns) == (T0 + DELAY_NS, T0 + DELAY_NS + NS // 2)
    sent: list[Sound] = []
    words: list[tuple[str, int]] = []
    for now in range(T0, T0 + 120 * TICK_NS, TICK_NS):
        due = spoken.due(now)
        assert all(now + LEAD_NS - TICK_NS < c.stamp_ns <= now + LEAD_NS for c in due)
        sent += due
        words += [(h.word, h.stamp_ns - T0 - DELAY_NS) for h in spoken.heard(now)]
    assert sum(len(c.samples) for c in sent) == round(0.81 * RATE)
    assert words == [("one", 0), ("two", NS // 4), ("three", NS // 2)]
    assert spoken.text == "one two three"
    assert spoken.end_ns == T0 + DELAY_NS + round(0.81 * NS)
    assert (played(sent, T0 + DELAY_NS, 0.81) == 1000).all()


@pytest.mark.parametrize("at_ms", [0, 119, 130, 333, 601, 615])
def test_a_stop_is_silent_within_a_tenth_of_a_second(at_ms: int) -> None:
    spoken, stop_ns = utterance("one two", "never"), T0 + at_ms * 1_000_000
    spoken.add(synthesis("one two", 0.5), T0)
    sent = [chunk for i in range(at_ms // 10 + 1) for chunk in spoken.due(T0 + i * TICK_NS)]
    sent += spoken.stop(stop_ns, "why")
    sent += [chunk for i in range(60) for chunk in spoken.due(stop_ns + i * TICK_NS)]
    sound = played(sent, T0, 1.0)
    silent_ns = T0 + (int(np.flatnonzero(sound)[-1]) + 1) * NS // RATE if sound.any() else stop_ns
    assert spoken.stopped_ns is not None
    assert silent_ns <= spoken.stopped_ns <= stop_ns + 100_000_000
    assert np.abs(np.diff(sound[round(0.13 * RATE) :].astype(int))).max(initial=0) <= 1000 * (at_ms > 560) + 3  # a fade
    assert spoken.wanted(stop_ns) is spoken.add(synthesis("never", 1.0), stop_ns) is None
    assert spoken.ended(stop_ns + 100_000_000)
    assert spoken.stop(stop_ns, "again") == []
    assert spoken.why == "why"


def test_a_text_is_synthesized_no_further_ahead_than_needed() -> None:
    spoken, count = utterance(*["word"] * 50), 0
    while spoken.wanted(T0) is not None:
        spoken.add(synthesis("word", 1.0), T0)
        count += 1
    assert count == 3


def test_a_loudspeaker_that_is_late_skips_and_one_that_waits_is_silent() -> None:
    timeline, step = Timeline(RATE), RATE * CHUNK_NS // NS
    for i in range(10):
        timeline.put(Sound(T0 + i * CHUNK_NS, RATE, np.full((step, 1), i + 1, np.int16)))
    assert (timeline.take(step, T0 - 2 * CHUNK_NS) == 0).all()
    assert (timeline.take(step, T0 - CHUNK_NS // 2)[step // 2 :] == 1).all()
    assert timeline.take(step, T0 + CHUNK_NS // 2)[0] == 1  # 10 ms late is not worth a cut
    assert timeline.take(step, T0 + 6 * CHUNK_NS)[0] >= 5  # 90 ms is


def test_of_texts_that_come_at_once_the_first_is_said_and_the_newest_waits() -> None:
    voice, ends = Voice(Engine("espeak-ng"), lambda: 0, 0, Listening(*[lambda *_: None] * 7)), dict[str, str]()
    for name in ("first", "second", "third"):
        voice.say(Request(name, "A text.", Manner(), done=lambda r, n=name: ends.update({n: r.message})), queue=True)
    assert ends == {"second": REPLACED}
    voice.close()
    assert ends.keys() == {"first", "second", "third"}
