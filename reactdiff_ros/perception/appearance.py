"""What a face looks like now, and whether two looks can be of one person.

It keeps an id through an occlusion, a crossing or a minute out of sight. It does not find out who someone is: looks
are small, are kept in memory only, and are forgotten a minute after their person has left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.perception.face import fit_head
from reactdiff_ros.pictures import cut_out
from reactdiff_ros.types import Array

THUMBNAIL: Final = 20
_ANCHORS: Final = [33, 263, 152]
"""Landmarks: right and left eye, chin."""
_FROM_ANCHORS: Final = np.linalg.inv([[0.2, 0.8, 0.5], [0.3, 0.3, 1.0], [1.0 / THUMBNAIL] * 3]) / THUMBNAIL
"""(3, 3): weights of the three for x, y and 1 of a pixel of the thumbnail, in which they have these places."""
_CELLS: Final = 3
_CELL_PX: Final = 6
_DARK: Final = 12.0
"""Grey levels added before colours are divided by brightness: dark pixels have no certain colour."""

ACCEPTED: Final = 0.78
"""Likeness from which a face is that of a person who was here."""
REFUSED: Final = 0.5
"""Likeness below which it is certainly not.

Chosen on 27 recordings of 12 people (may, katiehill, d20, s13, s32, d18, both spectre, pexels, face_noface, dreamtalk):
of 2,000 faces 1.5 s and more after those that they were compared with, 1 in 20 is under ACCEPTED; of 4,000 of other
people none is above .80, and above .72 only two actors in one studio and the same shirt. On 7 other recordings other
people reach .45.
"""
_TURNED_RAD: Final = 0.25
"""Rotation between two looks from which one person's are no longer alike."""
_COLOUR_WEIGHT: Final = 1.8
_EXEMPLARS: Final = 8
_EVERY_NS: Final = to_ns(0.5)
_NEW: Final = 0.95


@dataclass(frozen=True, slots=True)
class Look:
    """One face: `grey` (400,) upright, of zero mean and unit variance; `colours` (9, 3) of its nine parts, each red and
    blue against the mean of the channels, and the logarithm of the brightness against that of the whole face;
    `points` the landmarks (478, 3) in px.
    """

    grey: Array
    colours: Array
    points: Array

    def turned_from(self, other: Look) -> bool:
        """Whether the head is turned so far from the other look that one person's two looks are not alike."""
        own, others = fit_head(self.points), fit_head(other.points)
        if own is None or others is None:
            return False
        way = own.rotation.T @ others.rotation
        return bool(np.trace(way) < 1.0 + 2.0 * np.cos(_TURNED_RAD))


def look_of(rgb: NDArray[np.uint8], points: Array) -> Look:
    """The look of the face with these landmarks (478, 3) in px."""
    placed = points[_ANCHORS, :2].T @ _FROM_ANCHORS
    small = cut_out(rgb, placed, (THUMBNAIL, THUMBNAIL), zeros=True)
    return Look(standardised(small), _colours(small), points)


def standardised(picture: NDArray[np.uint8]) -> Array:
    """The grey values (height, width) of a small picture, of zero mean and unit variance."""
    grey = picture.sum(axis=2, dtype=np.float64) / 3
    centred = grey - grey.sum() / grey.size
    return np.asarray(centred / (np.sqrt(np.square(centred).sum() / grey.size) + 1e-3))


def _colours(small: NDArray[np.uint8]) -> Array:
    side = _CELLS * _CELL_PX
    parts = small[1 : 1 + side, 1 : 1 + side].astype(np.float64)
    parts = parts.reshape(_CELLS, _CELL_PX, _CELLS, _CELL_PX, 3).mean(axis=(1, 3)).reshape(-1, 3)
    mean = parts.mean(axis=1)
    chroma = 3.0 * (parts[:, [0, 2]] - mean[:, None]) / (mean[:, None] + _DARK)
    bright = np.log(mean + 20.0)
    return np.column_stack([chroma, bright - bright.mean()])


@dataclass
class Appearance:
    """A few different looks of one person."""

    _grey: Array = field(default_factory=lambda: np.zeros((0, THUMBNAIL * THUMBNAIL)))
    _colours: Array = field(default_factory=lambda: np.zeros((0, 3 * _CELLS * _CELLS)))
    _due_ns: int | None = None

    @property
    def known(self) -> bool:
        """There is something to compare with."""
        return len(self._grey) > 0

    def observe(self, stamp_ns: int, look: Look) -> None:
        """Keeps a look of this person if it is a new one; one each 0.5 s is tried."""
        if self._due_ns is not None and self._due_ns - _EVERY_NS < stamp_ns < self._due_ns:
            return
        self._due_ns = stamp_ns + _EVERY_NS
        alike = self._likenesses(look)
        if len(alike) and alike.max() > _NEW:
            return
        keep = np.ones(len(alike), dtype=bool)
        if len(alike) >= _EXEMPLARS:
            keep[int(np.argmax(alike))] = False
        self._grey = np.vstack([self._grey[keep], look.grey.ravel()])
        self._colours = np.vstack([self._colours[keep], look.colours.ravel()])

    def likeness(self, look: Look) -> float:
        """How alike a face and the most similar look of this person are, -1 where there is none: correlation of the
        grey values less the difference of the colours; 1 = the same.
        """
        return float(self._likenesses(look).max()) if self.known else -1.0

    def _likenesses(self, look: Look) -> Array:
        alike = self._grey @ look.grey.ravel() / look.grey.size
        different = np.abs(self._colours - look.colours.ravel()).mean(axis=1)
        return np.asarray(alike - _COLOUR_WEIGHT * different, dtype=np.float64)
