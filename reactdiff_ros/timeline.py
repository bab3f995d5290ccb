"""Stamped chunks of sound as one stream of samples, for loudspeakers and echo cancellers."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.types import Sound

LATE_NS: Final = 40_000_000
"""Sound that would be heard later than this after its stamp is cut, so that lips and sound do not drift apart."""


class Timeline:
    """Stamped chunks as one stream of samples; time is an argument. Used by one writer and one reader.

    Chunks that follow each other are joined without a gap. The first one after a silence is placed by its stamp; where
    the stream is more than LATE_NS behind, samples are skipped. A chunk with an earlier stamp replaces what waits from
    there.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._lock = threading.Lock()
        self._waiting: deque[Sound] = deque()
        self._running = False

    def put(self, sound: Sound) -> None:
        """Take in mono sound of this rate."""
        with self._lock:
            while self._waiting and self._waiting[-1].stamp_ns >= sound.stamp_ns:
                self._waiting.pop()
            self._waiting.append(sound)

    def take(self, count: int, heard_ns: int) -> NDArray[np.int16]:
        """The next `count` samples (count,), the first of which is heard at `heard_ns`."""
        out = np.zeros(count, np.int16)
        at = 0
        with self._lock:
            while at < count and self._waiting:
                sound = self._waiting[0]
                now_ns = heard_ns + at * NS // self.rate_hz
                wait = (sound.stamp_ns - now_ns) * self.rate_hz // NS
                if not self._running or wait > self.rate_hz // 50:
                    self._running = wait < count - at
                    if not self._running:
                        break
                    at += max(wait, 0)
                elif -wait * NS > LATE_NS * self.rate_hz:
                    self._cut(sound, min(-wait, len(sound.samples)))
                    continue
                taken = min(count - at, len(sound.samples))
                out[at : at + taken] = sound.samples[:taken, 0]
                at += taken
                self._cut(sound, taken)
            if not self._waiting:
                self._running = False
        return out

    def _cut(self, sound: Sound, count: int) -> None:
        self._waiting.popleft()
        if count < len(sound.samples):
            rest = Sound(sound.stamp_ns + count * NS // self.rate_hz, self.rate_hz, sound.samples[count:])
            self._waiting.appendleft(rest)
