"""One utterance on the time line: what is heard when, which chunks are due, what was heard, and how it stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.speech.engines import Manner, Synthesis
from reactdiff_ros.types import Sound, SpeechTiming

CHUNK_NS: Final = 20_000_000
LEAD_NS: Final = 100_000_000
"""How long before they are heard chunks leave."""
STOP_AFTER_NS: Final = 20_000_000
"""A stop begins this long after it is asked for: its chunk must be there before it is heard."""
FADE_CHUNKS: Final = 2
AHEAD_NS: Final = 3 * NS
"""Text is synthesized until this much sound waits."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word that is heard."""

    word: str
    stamp_ns: int
    """When it begins."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece of text with its place on the time line."""

    synthesis: Synthesis
    start_ns: int
    """When its first sample is heard."""

    @property
    def end_ns(self) -> int:
        """When its last sample has been heard."""
        return self.start_ns + len(self.synthesis.samples) * NS // self.synthesis.rate_hz

    def timing(self, utterance: str) -> SpeechTiming:
        """When its sounds are heard."""
        s = self.synthesis
        return SpeechTiming(utterance, self.start_ns, "ipa", s.symbols, s.starts_s, s.ends_s)


class Utterance:
    """A text that is spoken piece by piece; time is an argument.

    Args:
        name: its id.
        texts: the pieces.
        manner: how they are spoken.
        delay_ns: from the moment at which a piece's sound is known until it may be heard.
    """

    def __init__(self, name: str, texts: list[str], manner: Manner, delay_ns: int) -> None:
        self.name, self.manner = name, manner
        self._texts, self._delay_ns = list(texts), delay_ns
        self._placed: list[Placed] = []
        self._chunks: list[Sound] = []
        self._sent = 0
        self._words: list[tuple[int, str, str]] = []
        """(stamp, word, the text until its end), those that were heard first."""
        self._reported = 0
        self.stopped_ns: int | None = None
        """When it is silent after a stop; None: it was not stopped."""
        self.why = ""
        """Why it was stopped, one sentence."""

    @property
    def start_ns(self) -> int | None:
        """When its first sample is heard; None: not known yet."""
        return self._placed[0].start_ns if self._placed else None

    @property
    def end_ns(self) -> int | None:
        """When its last sample is heard; None: not known yet."""
        if self.stopped_ns is not None:
            return self.stopped_ns
        return self._placed[-1].end_ns if self._placed and not self._texts else None

    def wanted(self, now_ns: int) -> str | None:
        """The next piece that is to be synthesized now; None: enough is there, or nothing is left."""
        if self.stopped_ns is not None or not self._texts:
            return None
        waits = self._placed[-1].end_ns - now_ns if self._placed else 0
        return self._texts[0] if waits < AHEAD_NS else None

    def add(self, synthesis: Synthesis, now_ns: int) -> Placed | None:
        """Take in the piece that was wanted, synthesized; None if the utterance was stopped meanwhile."""
        if self.stopped_ns is not None:
            return None
        self._texts.pop(0)
        said = " ".join(p.synthesis.text for p in self._placed)
        soonest = now_ns + self._delay_ns
        placed = Placed(synthesis, max(self._placed[-1].end_ns, soonest) if self._placed else soonest)
        self._placed.append(placed)
        self._chunks += _chunks(placed)
        for word in synthesis.words:
            until = f"{said} {synthesis.text[: word.end]}".strip()
            stamp_ns = placed.start_ns + round(word.start_s * NS)
            self._words.append((stamp_ns, synthesis.text[word.first : word.end], until))
        return placed

    def due(self, now_ns: int) -> list[Sound]:
        """The chunks that must leave now."""
        first = self._sent
        while self._sent < len(self._chunks) and self._chunks[self._sent].stamp_ns <= now_ns + LEAD_NS:
            self._sent += 1
        return self._chunks[first : self._sent]

    def heard(self, now_ns: int) -> list[Heard]:
        """Words that began to be heard since the last call."""
        first = self._reported
        while self._reported < len(self._words) and self._words[self._reported][0] <= now_ns:
            self._reported += 1
        return [Heard(word, stamp) for stamp, word, _ in self._words[first : self._reported]]

    @property
    def text(self) -> str:
        """The text up to the last word that `heard` gave."""
        return self._words[self._reported - 1][2] if self._reported else ""

    def stop(self, now_ns: int, why: str) -> list[Sound]:
        """Fade out within 0.1 s: the chunks that take the place of those already sent. Later calls do nothing."""
        if self.stopped_ns is not None:
            return []
        self.why = why
        begins_ns = now_ns + STOP_AFTER_NS
        first = next((i for i, c in enumerate(self._chunks) if c.stamp_ns >= begins_ns), len(self._chunks))
        rest = self._chunks[first:]
        speaks = bool(rest) and first > 0 and rest[0].stamp_ns < begins_ns + CHUNK_NS
        faded = _faded(rest[:FADE_CHUNKS]) if speaks else []
        if not speaks and first < self._sent:  # nothing of what was sent has been heard yet
            faded = [Sound(rest[0].stamp_ns, rest[0].rate_hz, np.zeros_like(rest[0].samples))]
        last_ns = self._chunks[first - 1].end_ns if first else now_ns
        self.stopped_ns = faded[-1].end_ns if speaks else max(last_ns, now_ns)
        self._chunks = self._chunks[: min(first, self._sent)]
        self._sent = len(self._chunks)
        self._texts.clear()
        self._words = [w for i, w in enumerate(self._words) if i < self._reported or w[0] < self.stopped_ns]
        return faded

    def ended(self, now_ns: int) -> bool:
        """Whether its last sample has been heard."""
        return self.end_ns is not None and now_ns >= self.end_ns


def _faded(chunks: list[Sound]) -> list[Sound]:
    ramp: NDArray[np.float64] = np.linspace(1.0, 0.0, sum(len(c.samples) for c in chunks))[:, None]
    faded, at = [], 0
    for c in chunks:
        faded.append(Sound(c.stamp_ns, c.rate_hz, (c.samples * ramp[at : at + len(c.samples)]).astype(np.int16)))
        at += len(c.samples)
    return faded


def _chunks(placed: Placed) -> list[Sound]:
    samples, rate = placed.synthesis.samples, placed.synthesis.rate_hz
    step = rate * CHUNK_NS // NS
    return [
        Sound(placed.start_ns + i * NS // rate, rate, samples[i : i + step, None]) for i in range(0, len(samples), step)
    ]
