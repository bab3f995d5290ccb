"""The speaker on the 25 Hz grid: any picture rate in, one token a slot; held when nothing comes, never waited for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.clock import Grid
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.tokens import Featurizer, SpeakerBatch, blank, from_frame
from reactdiff_ros.types import FloatArray, SpeakerFrame

HOLD_SLOTS: Final = 8
"""A frame stands for its follow-ups for 0.32 s; after that nothing is observed."""
FORGET_SLOTS: Final = 250
"""After a gap of 10 s the past says nothing any more: start anew instead of stepping through it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the grid."""

    index: int
    token: FloatArray


class SpeakerGrid:
    """Encodes frames as they come. The current slot is encoded again when a second frame falls into it."""

    def __init__(self, networks: Networks, keep: int) -> None:
        self._networks, self._keep = networks, keep
        self._grid = Grid()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.slots: deque[Slot] = deque(maxlen=self._keep)
        self._batch: SpeakerBatch = blank(1)
        self._batch_slot = 0
        self._before = Featurizer(1)
        self._after = self._before
        self._cache = self._networks.new_cache()
        self._new: FloatArray | None = None

    @property
    def newest(self) -> int | None:
        """Index of the newest slot."""
        return self.slots[-1].index if self.slots else None

    def push(self, frame: SpeakerFrame) -> None:
        """Take in a frame; within one slot the newest wins."""
        slot = self._grid.slot(frame.stamp_ns)
        newest = self.newest
        if newest is not None and slot - newest > FORGET_SLOTS:
            self.clear()
            newest = None
        batch = from_frame(frame)
        if newest is not None and slot <= newest:
            self.slots.pop()
            self._batch, self._batch_slot = batch, newest
            self._encode(newest)
            return
        self.advance(slot - 1)
        self._batch, self._batch_slot = batch, slot
        self._commit()
        self._encode(slot)

    def advance(self, slot: int) -> None:
        """Fill up to `slot` with what was seen last, or with nothing once that is too old."""
        while self.newest is not None and self.newest < slot:
            index = self.newest + 1
            if index - self._batch_slot > HOLD_SLOTS:
                self._batch = blank(1)
            self._commit()
            self._encode(index)

    def tokens(self, end: int, count: int) -> tuple[FloatArray, FloatArray]:
        """Tokens (count, D) of the slots up to and with `end`, and which (count,) are missing (1)."""
        width = self._networks.shape["width"]
        out, missing = np.zeros((count, width), dtype=np.float32), np.ones(count, dtype=np.float32)
        for item in self.slots:
            i = item.index - end + count - 1
            if 0 <= i < count:
                out[i], missing[i] = item.token, 0.0
        return out, missing

    def _commit(self) -> None:
        """The newest slot is over: go on from it."""
        if self._new is not None:
            self._before = self._after
            self._cache.push(self._new)
            self._new = None

    def _encode(self, slot: int) -> None:
        self._after = self._before.copy()
        features, observed = self._after.step(self._batch)
        token, self._new = self._networks.encode(features, observed, self._cache)
        self.slots.append(Slot(slot, token[0]))
