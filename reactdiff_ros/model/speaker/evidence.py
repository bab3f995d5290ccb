"""Has the speaker changed so clearly that the plan should not wait for the next hop?"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import index
from reactdiff_ros.types import SpeakerFrame

_WATCHED: Final = (
    index("mouthSmileLeft", "mouthSmileRight"),
    index("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    index("browDownLeft", "browDownRight"),
    index("mouthFrownLeft", "mouthFrownRight"),
)
_PLACES: Final = np.array([i for group in _WATCHED for i in group])
_SIZES: Final = np.array([len(group) for group in _WATCHED])
_FIRST: Final = np.cumsum(_SIZES) - _SIZES
_CHANGE: Final = 0.3
_SURE: Final = 0.3
_MIN_SLOTS: Final = 2


class EvidenceWatch:
    """Compares each frame with the one that the last plan was made from."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the last plan."""
        self._planned: tuple[bool, bool, NDArray[np.float64]] | None = None
        self._newest: tuple[bool, bool, NDArray[np.float64]] | None = None

    def observe(self, frame: SpeakerFrame, *, speaks: bool) -> None:
        """Take in a frame; `speaks`: somebody other than the robot speaks."""
        self._newest = (frame.face_present, speaks, _levels(frame, self._newest))

    def planned(self) -> None:
        """A plan was made from what was observed so far."""
        self._planned = self._newest

    def clear_change(self, slots_since: int) -> bool:
        """A smile, brow or frown came or went, somebody came or left, began or stopped to speak."""
        if self._planned is None or self._newest is None or slots_since < _MIN_SLOTS:
            return False
        face, speaks, levels = self._planned
        moved = bool((np.abs(self._newest[2] - levels) > _CHANGE).any())
        return moved or face != self._newest[0] or speaks != self._newest[1]


def _levels(frame: SpeakerFrame, before: tuple[bool, bool, NDArray[np.float64]] | None) -> NDArray[np.float64]:
    """Mean of each watched group, smoothed over two frames so that one bad landmark is no evidence."""
    if not frame.mesh_present:
        return np.zeros(len(_WATCHED)) if before is None else before[2]
    values = np.asarray(frame.coefficients, dtype=np.float64)[_PLACES]
    sure = np.isfinite(values) & (np.asarray(frame.confidence)[_PLACES] >= _SURE)  # false for NaN
    now: NDArray[np.float64] = np.add.reduceat(np.where(sure, values, 0.0), _FIRST) / _SIZES
    return now if before is None else 0.5 * now + 0.5 * before[2]
