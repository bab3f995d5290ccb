"""No nods while the robot itself speaks: nobody backchannels their own words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.model.policies.base import Level
from reactdiff_ros.types import FloatArray, Turn


class NodGate:
    """Fades out the nod that is under way when the robot begins to speak, and drops to its end what began meanwhile.

    The model is told to nod as little as it can, but one that answers nearly everything nods even so.
    """

    def __init__(self) -> None:
        self._level = Level(1.0)
        self._shut = False

    def let_through(self, slot: int, turn: Turn, nodding: FloatArray, still: FloatArray) -> FloatArray:
        """`nodding` as it may be shown.

        Args:
            slot: of the plan's first frame.
            turn: whose turn it is.
            nodding: (K, H, 58) plans with nods.
            still: (K, H, 58) the same without.
        """
        dip: NDArray[np.float32] = nodding[..., HEAD_PITCH] - still[..., HEAD_PITCH]
        self._shut = turn == "robot_speaking" or (self._shut and bool(dip[:, 0].any()))
        level = self._level.frames(slot, 0.0 if self._shut else 1.0)[: dip.shape[1]]
        shown = nodding.copy()
        shown[..., HEAD_PITCH] -= ((1.0 - level) * dip).astype(np.float32)
        return shown
