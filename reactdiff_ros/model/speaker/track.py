"""A whole recording's speaker on the 25 Hz grid, as `SpeakerGrid` takes it slot by slot when it is live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import Grid
from reactdiff_ros.model.speaker.grid import HOLD_SLOTS
from reactdiff_ros.model.tokens import SpeakerBatch, blank, from_frame
from reactdiff_ros.types import SpeakerFrame

_GRID: Final = Grid()


@dataclass(frozen=True, slots=True)
class Track:
    """One person on the 25 Hz grid: slot `first + i` at index i."""

    first: int
    batch: SpeakerBatch
    """(1, T)."""
    stamps_ns: NDArray[np.int64]
    """(T,) of the newest evidence, -1 = nothing observed."""
    age: NDArray[np.int64]
    """(T,) slots since that evidence came, 0 = in this slot."""

    @property
    def end(self) -> int:
        """The slot after the last one."""
        return self.first + len(self.stamps_ns)


def onto_grid(frames: Sequence[SpeakerFrame]) -> Track:
    """Frames as the listener's grid takes them: the newest of a slot wins, a frame stands for 8 slots more.

    Raises:
        ValueError: there are no frames.
    """
    if not frames:
        raise ValueError("there are no frames")
    first = _GRID.slot(frames[0].stamp_ns)
    slots: dict[int, SpeakerFrame] = {}
    newest = first
    for frame in frames:
        newest = max(newest, _GRID.slot(frame.stamp_ns))
        slots[newest] = frame
    nothing = blank(1)
    columns: list[SpeakerBatch] = []
    stamps: list[int] = []
    ages: list[int] = []
    held, since, stamp = nothing, first, -1
    for slot in range(first, newest + 1):
        if slot in slots:
            held, since, stamp = from_frame(slots[slot]), slot, slots[slot].stamp_ns
        elif slot - since > HOLD_SLOTS:
            held, stamp = nothing, -1
        columns.append(held)
        stamps.append(stamp)
        ages.append(slot - since)
    batch = SpeakerBatch(
        **{f.name: np.stack([getattr(c, f.name)[0] for c in columns])[None] for f in fields(SpeakerBatch)}
    )
    return Track(first, batch, np.array(stamps, dtype=np.int64), np.array(ages, dtype=np.int64))
