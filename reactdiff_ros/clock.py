"""Time as an argument: nanosecond stamps, the model's grid, and jumps of a clock."""

from __future__ import annotations

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

    A jump back of more than `tolerance_ns` is a new time line: history must be flushed. A smaller step
    back is an out-of-order message, to be dropped.
    """

    def __init__(self, tolerance_ns: int = NS // 2) -> None:
        self._tolerance_ns = tolerance_ns
        self._newest_ns: int | None = None

    def check(self, stamp_ns: int) -> str:
        """Classify a stamp: "ok", "late" (drop it) or "jump" (flush, then go on from it)."""
        newest = self._newest_ns
        if newest is None or stamp_ns > newest:
            self._newest_ns = stamp_ns
            return "ok"
        if newest - stamp_ns > self._tolerance_ns:
            self._newest_ns = stamp_ns
            return "jump"
        return "late"
