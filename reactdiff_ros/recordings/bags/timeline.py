"""The times of a recording's messages: what their stamps say, checked against when they were received, and mended.

The stamps are the truth where they can be: they say when a picture was taken. When a message was received, on the
recorder's one clock, tells whether a stamp can be believed. The rules, in this order, for each topic alone:

1. A message without a stamp (zero) has the time when it was received.
2. A stamp more than 0.5 s before the newest one: the clock was set back (or a bag was joined). A stamp that runs ahead
   of the receive time by more than 1 s at once: the clock was set forwards. From there on stamps are shifted so
   that time goes on by the recorder's clock. Smaller steps back are messages out of order; they are sorted.

and for the topics together:

3. Topics whose stamps are of clocks that differ by more than 2 s: each that differs from the recorder's by more than
   0.5 s is shifted onto it. Where all share another clock (simulated time), nothing is shifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS

Times = NDArray[np.int64]

BACK_NS: Final = NS // 2
AHEAD_NS: Final = NS
CLOCKS_APART_NS: Final = 2 * NS
CLOCK_OFF_NS: Final = NS // 2
CHAIN_NS: Final = NS // 10
"""Chunks of sound without stamps are one sound as long as they come within this of when they should."""
_LATEST_NS: Final = 1 << 62
NAMED: Final = 3
"""Number of jumps that are reported one by one."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The times of one topic's messages, in the order in which they were recorded."""

    topic: str
    stamps: Times
    """(N,) ns, mended."""
    received: Times
    """(N,) ns."""
    notes: tuple[str, ...] = ()

    @property
    def delay_ns(self) -> int:
        """The least time that a message took to the recorder: what its clock differs by, apart from transport."""
        return int((self.received - self.stamps).min()) if len(self.stamps) else 0


def mended(topic: str, stamps: Sequence[int] | Times, received: Sequence[int] | Times) -> Timeline:
    """Rules 1 and 2 for one topic.

    Args:
        topic: for the notes.
        stamps: (N,) ns, 0 or less = none.
        received: (N,) ns.
    """
    raw, got = np.asarray(stamps, dtype=np.int64), np.asarray(received, dtype=np.int64)
    missing = raw <= 0
    raw = np.where(missing, got, raw)
    out = np.empty_like(raw)
    notes: list[str] = []
    shift = newest = least = before = 0
    out_of_order = jumps = 0
    for i, (stamp, at) in enumerate(zip(raw.tolist(), got.tolist(), strict=True)):
        time = stamp + shift
        if i == 0:
            newest, least = time, at - time
        step, delay = time - newest, at - time
        set_back = step < -BACK_NS
        set_forward = delay < least - AHEAD_NS and step > (at - before) + AHEAD_NS
        if set_back or set_forward:
            jumps += 1
            if jumps <= NAMED:
                where = (at - int(got[0])) / NS
                notes.append(
                    f"{topic}: the stamps jump {'back' if set_back else 'ahead'} by {abs(step) / NS:.1f} s "
                    f"after {where:.1f} s; from there they go on by the receive time"
                )
            time = min(max(at - least, newest + 1), _LATEST_NS)
            shift = time - stamp
        elif step < 0:
            out_of_order += 1
        newest, least, before = max(newest, time), min(least, at - time), at
        out[i] = time
    if jumps > NAMED:
        notes.append(f"{topic}: the stamps jump {jumps - NAMED} times more")
    unstamped = int(missing.sum())
    if unstamped:
        notes.append(f"{topic}: {unstamped} messages have no stamp; the receive time is used")
    if out_of_order:
        notes.append(f"{topic}: {out_of_order} messages were recorded out of order; they are sorted by their stamps")
    return Timeline(topic, out, got, tuple(notes))


def chained(topic: str, durations: Sequence[int], received: Sequence[int]) -> Timeline:
    """Sound without stamps: a chunk ends when it is received, and begins where the one before ended.

    Args:
        topic: for the notes.
        durations: (N,) ns of each chunk.
        received: (N,) ns.
    """
    out = np.empty(len(received), dtype=np.int64)
    end = 0
    for i, (length, at) in enumerate(zip(durations, received, strict=True)):
        begin = at - length
        out[i] = begin if i == 0 or abs(begin - end) > CHAIN_NS else end
        end = int(out[i]) + length
    note = f"{topic}: its messages carry no stamps; the receive time is used"
    return Timeline(topic, out, np.asarray(received, dtype=np.int64), (note,))


def together(timelines: Mapping[str, Timeline]) -> dict[str, Timeline]:
    """Rule 3: the topics on one clock. Timelines without messages pass as they are."""
    timelines = dict(timelines)
    delays = {name: t.delay_ns for name, t in timelines.items() if len(t.stamps)}
    if len(delays) < 2 or max(delays.values()) - min(delays.values()) <= CLOCKS_APART_NS:
        return timelines
    for name, delay in delays.items():
        if abs(delay) > CLOCK_OFF_NS:
            line = timelines[name]
            note = (
                f"{name}: its clock differs by {delay / NS:.1f} s from the recorder's; its stamps are shifted onto it"
            )
            timelines[name] = replace(line, stamps=line.stamps + delay, notes=(*line.notes, note))
    return timelines
