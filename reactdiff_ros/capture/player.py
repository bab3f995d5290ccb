"""A media file played as if live: picture and sound on one clock, stamped with the time when they were due."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from reactdiff_ros.capture.media import ClipItem, ClipSound, MediaClip, PacedClip
from reactdiff_ros.clock import NS


class Origin:
    """The clip's time 0 on the node's clock: steady from one item to the next, and following that clock for days."""

    JUMP_NS = NS // 10
    PULL = 0.01

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def follow(self, measured_ns: int) -> None:
        """Pull it towards a measurement, which jitters by the scheduler; a clock that was set is taken over at once."""
        gap = measured_ns - self.ns
        self.ns = measured_ns if abs(gap) > self.JUMP_NS else self.ns + round(self.PULL * gap)


class ClipPlayer:
    """Plays a clip once, or in a loop.

    Args:
        clip: what is played.
        loop: start again at the end.
        clock_ns: what it is played by; if it goes back, `items` ends and the clip has to start again.
        now_ns: the clock of the stamps.
        wait: waits for at most this many ns, and returns whether the player must stop.
    """

    def __init__(
        self, clip: MediaClip, loop: bool, clock_ns: Callable[[], int], now_ns: Callable[[], int],
        wait: Callable[[int], bool],
    ) -> None:  # fmt: skip
        self._paced = PacedClip(clip, loop)
        self._clock_ns, self._now_ns, self._wait = clock_ns, now_ns, wait
        self.ended = False
        """The clip was played to its end."""

    @property
    def dropped_pictures(self) -> int:
        """Pictures that were late."""
        return self._paced.dropped_pictures

    def items(self) -> Iterator[tuple[ClipItem, int]]:
        """Pictures when they are due, and sound when its last sample was heard, as a microphone gives it; with their
        stamps. Raises MediaError if the file becomes unreadable.
        """
        start_ns = self._clock_ns()
        origin = Origin(self._now_ns())
        waiting: list[tuple[int, int, ClipSound]] = []
        while waiting or not self._paced.finished:
            elapsed_ns = self._clock_ns() - start_ns
            if elapsed_ns < 0:
                return
            origin.follow(self._now_ns() - elapsed_ns)
            for item in self._paced.due(elapsed_ns):
                if isinstance(item, ClipSound):
                    heapq.heappush(waiting, (item.end_ns, item.offset_ns, item))
                else:
                    yield item, origin.ns + item.offset_ns
            while waiting and waiting[0][0] <= elapsed_ns:
                sound = heapq.heappop(waiting)[2]
                yield sound, origin.ns + sound.offset_ns
            times = [t for t in (self._paced.next_due_ns, waiting[0][0] if waiting else None) if t is not None]
            if self._wait(min(times, default=0) - (self._clock_ns() - start_ns)):
                return
        self.ended = True
