"""A recording's events on one steady time line: what a replay goes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from reactdiff_ros.capture.media import ClipItem
from reactdiff_ros.clock import NS
from reactdiff_ros.types import HeadPose, ListenerControl

LONGEST_GAP_NS: Final = 600 * NS
STEP_BACK_NS: Final = NS // 2
STRAYS: Final = 25
"""So many events in a row that fit to each other and not to what was before are another time line, fewer are errors."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something of a recording that is neither picture nor sound, at `offset_ns` on its time line.

    All None: nothing but the time.
    """

    offset_ns: int
    speaking: bool | None = None
    """The robot itself speaks (True, repeated) or has ended (False)."""
    control: ListenerControl | None = None
    """A change of style."""
    gesture: tuple[str, float] | None = None
    """A gesture's name and strength."""
    head: HeadPose | None = None
    """Where the head of the robot was that carried the camera."""


Item = TypeVar("Item", ClipItem, ClipItem | Told)


class Steady:
    """Events without those whose stamps cannot be: a stamp is at most 0.5 s before the newest, 600 s after it.

    Single wrong ones are left out and counted in `strays`. Where the time line itself jumps (a clock was set, bags were
    joined) the events end: `jump_s` is then how far it jumped.
    """

    def __init__(self) -> None:
        self.strays = 0
        self.jump_s = 0.0
        self.newest_ns: int | None = None

    def of(self, events: Iterable[Item]) -> Iterator[Item]:
        """The events that fit, in the order given."""
        strange = began_ns = 0
        odd_ns: int | None = None
        for event in events:
            stamp = event.offset_ns
            if _fits(stamp, self.newest_ns):
                strange = 0
                self.newest_ns = max(stamp, self.newest_ns or stamp)
                yield event
                continue
            self.strays += 1
            if strange and _fits(stamp, odd_ns):
                strange += 1
            else:
                strange, began_ns = 1, stamp
            odd_ns = stamp
            if strange >= STRAYS and self.newest_ns is not None:
                self.strays -= strange
                self.jump_s = (began_ns - self.newest_ns) / NS
                return


def _fits(stamp_ns: int, newest_ns: int | None) -> bool:
    return newest_ns is None or -STEP_BACK_NS <= stamp_ns - newest_ns <= LONGEST_GAP_NS
