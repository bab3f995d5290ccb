"""A listener that reacts later by seeing later: the speaker's frames, held back and stamped anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from reactdiff_ros.types import SpeakerFrame

CAPACITY: Final = 256
"""Frames held back at most: one second at any picture rate, and more."""


class DelayedView:
    """Frames come out `delay_ns` after they went in, stamped so much later that they look new; in order.

    Where the delay was made shorter, what lies between is left out; made longer, the view stands still meanwhile.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what is held back."""
        self._waiting: deque[SpeakerFrame] = deque(maxlen=CAPACITY)
        self._last_ns: int | None = None

    def push(self, frame: SpeakerFrame, delay_ns: int) -> Iterator[tuple[SpeakerFrame, SpeakerFrame]]:
        """Take in a frame; yields what is due with it: (the frame as it was, the frame as it is seen now)."""
        self._waiting.append(frame)
        while self._waiting and self._waiting[0].stamp_ns + delay_ns <= frame.stamp_ns:
            original = self._waiting.popleft()
            seen = _later(original, delay_ns)
            if self._last_ns is None or seen.stamp_ns > self._last_ns:
                self._last_ns = seen.stamp_ns
                yield original, seen


def _later(frame: SpeakerFrame, delay_ns: int) -> SpeakerFrame:
    if not delay_ns:
        return frame

    def shifted(stamp_ns: int | None) -> int | None:
        return None if stamp_ns is None else stamp_ns + delay_ns

    return replace(
        frame,
        stamp_ns=frame.stamp_ns + delay_ns,
        picture_stamp_ns=shifted(frame.picture_stamp_ns),
        sound_stamp_ns=shifted(frame.sound_stamp_ns),
    )
