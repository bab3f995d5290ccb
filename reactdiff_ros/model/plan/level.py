"""How much of the face is shown, from plan to plan."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import REACTION_RATE_HZ

HORIZON_FRAMES: Final = 16
"""Frames of one plan on the 25 Hz grid, at most: 0.64 s."""
FADE_S: Final = 0.5
"""A face fades to neutral within this time when there is no one to listen to any more."""
Frames = NDArray[np.float64]


class Level:
    """A share of the face that goes to its target within FADE_S, continuous from plan to plan."""

    def __init__(self, start: float) -> None:
        self._level = self._goal = start
        self._slot: int | None = None

    def frames(self, slot: int, target: float) -> Frames:
        """The share in each frame of the plan from `slot` on, (HORIZON_FRAMES,)."""
        step = 1.0 / (FADE_S * REACTION_RATE_HZ)
        passed = 1 if self._slot is None else slot - self._slot
        # What the last plan had for the slot before this plan's first one.
        gone = step * max(passed - 1, 0)
        level = self._level + float(np.clip(self._goal - self._level, -gone, gone))
        ramp = step * np.arange(1, HORIZON_FRAMES + 1)
        levels: Frames = level + np.clip(target - level, -ramp, ramp)
        self._level, self._slot, self._goal = float(levels[0]), slot, target
        return levels
