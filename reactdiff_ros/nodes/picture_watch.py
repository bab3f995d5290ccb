"""Whether the pictures that come show anything, and anything new. No ROS, time as an argument."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.types import UINT8

SPARSE: Final = 8
"""Of so many rows and columns one is looked at."""
BLANK: Final = 3.0
"""Standard deviation of a channel (of 255) below which a picture shows nothing: the noise of a covered camera."""
BLANK_NS: Final = NS
FROZEN_NS: Final = 2 * NS
"""So long it must last before it is said."""


class PictureWatch:
    """Looks at some pixels of every picture: those of a living camera differ, by their noise at least."""

    def __init__(self) -> None:
        self._last: UINT8 | None = None
        self._now_ns = 0
        self._blank_ns: int | None = None
        self._frozen_ns: int | None = None

    def look(self, picture: UINT8, now_ns: int) -> None:
        """At a picture, (h, w, 3), that came at `now_ns` of a clock that never goes back."""
        seen = picture[::SPARSE, ::SPARSE].copy()
        blank = float(seen.reshape(-1, seen.shape[-1]).std(axis=0).max()) < BLANK
        frozen = self._last is not None and np.array_equal(seen, self._last)
        self._blank_ns = None if not blank else now_ns if self._blank_ns is None else self._blank_ns
        self._frozen_ns = None if not frozen else self._now_ns if self._frozen_ns is None else self._frozen_ns
        self._last, self._now_ns = seen, now_ns

    def sentence(self, topic: str) -> str:
        """What is wrong with the pictures on `topic`; empty: nothing."""
        if self._blank_ns is not None and self._now_ns - self._blank_ns >= BLANK_NS:
            return f"the pictures on {topic} show one colour and nothing else: is the camera covered, or the room dark?"
        if self._frozen_ns is not None and self._now_ns - self._frozen_ns >= FROZEN_NS:
            return f"the pictures on {topic} are all the same: does the camera, or its driver, hang?"
        return ""
