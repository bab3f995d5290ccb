"""The speaker on the 25 Hz grid: any picture rate in, one token a slot; held when nothing comes, never waited for.

`SpeakerGrid` does it slot by slot when live, `onto_grid` for a whole recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import Grid
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.diffusion.tokens import Featurizer, SpeakerBatch, blank, from_frame
from reactdiff_ros.model.plan.corrections import BroadSmiles
from reactdiff_ros.types import FloatArray, SpeakerFrame

HOLD_SLOTS: Final = 8
"""A frame is held for 0.32 s; after that nothing is observed."""
DEAD_SLOTS: Final = 25
"""After 1 s without a frame no plan is made, and slots are taken to be as the last one: a machine that is behind would
else fall ever further behind, for what it could not take in would cost as much as what it could."""
BACKLOG: Final = 8
"""Slots that wait to be encoded, at most. One after another, when a plan is to be drawn, they take two thirds of the
time of frames that each find the processor's caches cold."""
FORGET_SLOTS: Final = 250
"""After a gap of 10 s the past says nothing any more: start again instead of stepping through it."""


class Reader:
    """Reads B speakers, frame by frame of the 25 Hz grid: the encoder's features, and how broad smiles are."""

    def __init__(self, batch: int) -> None:
        self._featurizer, self._smiles = Featurizer(batch), BroadSmiles(batch)

    def step(self, speaker: SpeakerBatch) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Features (B, FEATURE_COUNT), what was observed (B, STREAM_COUNT), broad smiles (B,), after the next frame."""
        return *self._featurizer.step(speaker), self._smiles.step(speaker)


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the grid."""

    index: int
    token: FloatArray
    broad: float
    """See `corrections.BroadSmiles`."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A slot that is still to be encoded."""

    slot: int
    features: FloatArray
    """(1, FEATURE_COUNT)."""
    observed: FloatArray
    """(1, STREAM_COUNT)."""
    broad: float


class SpeakerGrid:
    """Takes frames as they come and encodes them when their tokens are asked for, the newest of each slot.

    A slot whose token is known is encoded again when another frame falls into it.
    """

    def __init__(self, networks: Networks, keep: int) -> None:
        self.networks, self._keep = networks, keep
        self._grid = Grid()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.slots: deque[Slot] = deque(maxlen=self._keep)
        self._batch: SpeakerBatch = blank(1)
        self._batch_slot = 0
        self._before = Reader(1)
        self._after = self._before
        self.cache = self.networks.new_cache()
        """Of the frames before the newest slot."""
        self._new: FloatArray | None = None
        self.staged: deque[Staged] = deque()
        """The newest slots, as far as they are not encoded yet, oldest first."""
        self.history: deque[Staged] = deque(maxlen=self.networks.reach + self._keep)
        """What the encoder was given for the slots that it knows, oldest first."""

    @property
    def newest(self) -> int | None:
        """Index of the newest slot."""
        if self.staged:
            return self.staged[-1].slot
        return self.slots[-1].index if self.slots else None

    def push(self, frame: SpeakerFrame) -> None:
        """Take in a frame; within one slot the newest wins. It is left to be encoded by `settle`, or with others."""
        slot = self._grid.slot(frame.stamp_ns)
        newest = self.newest
        if newest is not None and slot - newest > FORGET_SLOTS:
            self.clear()
            newest = None
        batch = from_frame(frame)
        if newest is not None and slot <= newest:
            if self.staged:
                self.staged.pop()
            else:
                self.slots.pop()
                self.history.pop()
                self._new = None
            self._batch, self._batch_slot = batch, newest
            self._stage(newest)
            return
        self.advance(slot - 1)
        self._batch, self._batch_slot = batch, slot
        self._commit()
        self._stage(slot)

    def settle(self) -> None:
        """Encode what is staged."""
        while self.staged:
            oldest = self.staged[0]
            self.settled(*self.networks.encode(oldest.features, oldest.observed, self.cache.past()))

    def settled(self, token: FloatArray, new: FloatArray) -> None:
        """The oldest staged slot was encoded: its token (1, D), and what the cache takes (1, layers, 2, heads, dh)."""
        oldest = self.staged.popleft()
        self.slots.append(Slot(oldest.slot, token[0], oldest.broad))
        self.history.append(oldest)
        if self.staged:
            self.cache.push(new)
        else:
            self._new = new

    def advance(self, slot: int) -> None:
        """Fill up to `slot` with what was seen last, or with nothing once that is too old."""
        while self.newest is not None and self.newest < slot:
            index = self.newest + 1
            if index - self._batch_slot > DEAD_SLOTS:
                self._repeat(index)
                continue
            if index - self._batch_slot > HOLD_SLOTS:
                self._batch = blank(1)
            self._commit()
            self._stage(index)

    def tokens(self, end: int, ages: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Tokens (S, D) of the slots `ages` (S,) before `end`, and which (S,) are missing (1)."""
        self.settle()
        out, missing = np.zeros((len(ages), self.networks.shape["width"]), np.float32), np.ones(len(ages), np.float32)
        known = {item.index: item.token for item in self.slots}
        for i, age in enumerate(ages):
            token = known.get(end - int(age))
            if token is not None:
                out[i], missing[i] = token, 0.0
        return out, missing

    def broad(self, end: int) -> float:
        """How broad a smile is or just was at the slot `end`, 0 where that is not known."""
        return next((slot.broad for slot in self.slots if slot.index == end), 0.0)

    def _commit(self) -> None:
        """The newest slot is over: go on from it."""
        self._before = self._after
        if self._new is not None:
            self.cache.push(self._new)
            self._new = None

    def _repeat(self, slot: int) -> None:
        """Take a slot to be as the one before it."""
        self.settle()
        new, last = self._new, self.slots[-1]
        self._commit()
        self._new = new
        self.slots.append(Slot(slot, last.token, last.broad))
        self.history.append(replace(self.history[-1], slot=slot))

    def _stage(self, slot: int) -> None:
        self._after = deepcopy(self._before)
        features, observed, broad = self._after.step(self._batch)
        self.staged.append(Staged(slot, features, observed, float(broad[0])))
        if len(self.staged) > BACKLOG:
            self.settle()


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
    """Frames as the listener's grid takes them: the newest of a slot wins, a frame is held for 8 slots more.

    Raises:
        ValueError: there are no frames.
    """
    if not frames:
        raise ValueError("there are no frames")
    grid = Grid()
    first = grid.slot(frames[0].stamp_ns)
    slots: dict[int, SpeakerFrame] = {}
    newest = first
    for frame in frames:
        newest = max(newest, grid.slot(frame.stamp_ns))
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
