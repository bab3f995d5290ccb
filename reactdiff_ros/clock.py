"""Time as an argument: nanosecond stamps, the model's grid, jumps of a clock, and waits between attempts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds to whole nanoseconds."""
    return round(seconds * NS)


def to_s(ns: int) -> float:
    """Nanoseconds to seconds."""
    return ns / NS


@dataclass(frozen=True, slots=True)
class Grid:
    """A fixed-rate grid on the time line: slot k covers [k * period_ns, (k + 1) * period_ns). Integers only."""

    period_ns: int = 40_000_000

    def slot(self, stamp_ns: int) -> int:
        """The slot that contains `stamp_ns`."""
        return stamp_ns // self.period_ns

    def time_ns(self, slot: int) -> int:
        """The first nanosecond of `slot`."""
        return slot * self.period_ns


class StampGuard:
    """Watches one stream of stamps for backward jumps (a bag that loops, a clock that was set).

    A jump back of more than TOLERANCE_NS is a new time line: history must be flushed. A smaller step
    back is an out-of-order message, to be dropped.
    """

    TOLERANCE_NS = NS // 2

    def __init__(self) -> None:
        self._newest_ns: int | None = None

    def check(self, stamp_ns: int) -> str:
        """Classify a stamp: "ok", "late" (drop it) or "jump" (flush, then go on from it)."""
        newest = self._newest_ns
        if newest is None or stamp_ns > newest:
            self._newest_ns = stamp_ns
            return "ok"
        if newest - stamp_ns > self.TOLERANCE_NS:
            self._newest_ns = stamp_ns
            return "jump"
        return "late"


class Backoff:
    """Waits that double from 0.5 s to 5 s while a device stays away; time is an argument."""

    FIRST_NS = NS // 2
    LONGEST_NS = 5 * NS

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The device gives what it is for: when it is lost, it may be tried at once."""
        self._wait_ns = 0
        self._next_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """True when it is time to try (also after a backward jump of the clock)."""
        return self._next_ns is None or not self._next_ns - self._wait_ns <= now_ns < self._next_ns

    def tried(self, now_ns: int) -> None:
        """An attempt was made at `now_ns`: until `reset`, the next one waits longer."""
        self._wait_ns = min(max(2 * self._wait_ns, self.FIRST_NS), self.LONGEST_NS)
        self._next_ns = now_ns + self._wait_ns

    def attempt(self, now_ns: int, open_device: Callable[[], None]) -> bool:
        """Call `open_device` if it is time to; what it raises is raised.

        One that was opened counts as tried, too: it may give nothing, and be lost again at once.

        Returns:
            True if it was opened; False if it is not time to try yet.
        """
        if not self.due(now_ns):
            return False
        self.tried(now_ns)
        open_device()
        return True
