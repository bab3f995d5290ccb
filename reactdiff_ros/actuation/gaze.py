"""Where the head is, from where its joints are: for eye contact on a head that moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.profile import Profile

Array = NDArray[np.float64]

AXES: Final = ("pitch", "yaw", "roll", "y", "z", "x")
"""A profile's axes of the head (REP-103) in the order of the coefficients headPitch, headYaw, headRoll, headX (its
left), headY (up), headZ (forward)."""


class HeadReader:
    """The head's pose, from a profile's `head`: sums of weight x (position - neutral)."""

    def __init__(self, profile: Profile) -> None:
        """Raises ValueError when the profile has no `head`."""
        if profile.head is None:
            raise ValueError(f"the profile {profile.name} has no head")
        names = list(profile.joints)
        self._neutral: Array = np.array([j.neutral for j in profile.joints.values()])
        self._weights: Array = np.zeros((len(AXES), len(names)))
        for row, axis in enumerate(AXES):
            for joint, weight in profile.head.axes[axis].items():
                self._weights[row, names.index(joint)] = weight
        self._moves = (self._weights != 0.0).any(axis=0)
        self.joints = tuple(name for name, moves in zip(names, self._moves, strict=True) if moves)
        """The joints that move the head."""

    def pose(self, measured: Sequence[float], command: Sequence[float]) -> Array | None:
        """The pose (6,) in the order, axes and units of the last six coefficients, zero at neutral.

        Args:
            measured: position of every joint in the profile's order and the joint's unit; NaN: not known.
            command: what each was told last, in place of what is not measured; NaN: nothing.

        Returns: None when nobody knows where a joint is that moves the head.
        """
        known = np.asarray(measured, dtype=np.float64)
        known = np.where(np.isfinite(known), known, np.asarray(command, dtype=np.float64))
        if not np.isfinite(known[self._moves]).all():
            return None
        offsets = np.where(self._moves, known - self._neutral, 0.0)
        return np.asarray(self._weights @ offsets)
