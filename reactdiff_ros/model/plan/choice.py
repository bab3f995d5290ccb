"""The choice among several reactions that share one past.

Whichever rule prefers some kind of plan (the smoothest, the most typical) shows a duller or livelier face than the
model's. Here the candidates are ordered by how lively they are, and the rank that is taken walks through all ranks
evenly: each choice by itself is a fair draw, and neither dull nor lively plans follow each other for long.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, LOWER, UPPER
from reactdiff_ros.types import FloatArray

HOLD_SLOTS: Final = 20
"""A choice among the candidates is held for at least 0.8 s."""
_STRIDE: Final = (5**0.5 - 1) / 2
"""Multiples of the golden ratio's conjugate fill the unit interval as evenly as a sequence without end can."""
_SCALE: Final = np.where(LOWER < 0, 2.0 / (UPPER - LOWER), 1.0).astype(np.float32)
"""Blendshapes as they are, the head's pose over half its range."""
_REFLEXES: Final = [*EYE_LOOK, *BLINK]


def liveliness(plans: FloatArray) -> FloatArray:
    """How far from neutral plans (..., H, 58) are and how much they move, without gaze and blinks; (...)."""
    scaled = plans * _SCALE
    scaled[..., _REFLEXES] = 0.0
    away = np.abs(scaled).mean((-2, -1))
    return np.asarray(away + 2.0 * np.abs(np.diff(scaled, axis=-2)).mean((-2, -1)))


def ranked(plans: FloatArray, ranks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of K candidates (N,) have the ranks (N,), 0 = the calmest to 1.

    Args:
        plans: (N, K, H, 58), or their beginnings.
        ranks: (N,).
    """
    order = np.argsort(liveliness(plans), axis=-1, kind="stable")
    count = plans.shape[1]
    return np.asarray(order[np.arange(len(plans)), np.minimum((ranks * count).astype(int), count - 1)])


class Choice:
    """Which of K candidates a listener follows, and since when.

    Args:
        seed: of the rank that is taken first.
        candidates: K.
    """

    def __init__(self, seed: int, candidates: int) -> None:
        self.stream = 0
        """The candidate that is followed: its noise tape goes on until the next choice."""
        self.candidates = candidates
        bits = np.random.Philox(key=seed % (1 << 63), counter=[1, 0, 0, 0])
        self.rank = float(np.random.Generator(bits).random())
        """That is taken at the next choice, see `ranked`."""
        self._since: int | None = None

    def due(self, slot: int) -> bool:
        """A choice is to be made at `slot`: it was held long enough."""
        return self.candidates > 1 and (self._since is None or slot - self._since >= HOLD_SLOTS)

    def follow(self, slot: int, stream: int) -> None:
        """The candidate that had the rank is followed from `slot` on."""
        self.stream = stream
        self.rank = (self.rank + _STRIDE) % 1.0
        self._since = slot
