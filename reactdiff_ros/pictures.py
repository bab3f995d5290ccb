"""Parts and smaller copies of pictures in numpy: all that is needed here of an image library, which are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import UINT8

_BITS: Final = 5
_STEPS: Final = 1 << _BITS
"""Places between two pixels that are distinguished, as OpenCV does: the parts are those that it cuts out."""
_AT_ONCE: Final = 12288
"""Pixels that are computed at once. What is made of many more goes back to the system, which clears it each time."""
_FAR: Final = 2.0**30
"""Coordinates beyond, in steps, lie outside every picture."""


def cut_out(picture: UINT8, placed: NDArray[np.float64], size: tuple[int, int], *, zeros: bool = False) -> UINT8:
    """The part of a picture that an affine map covers, by bilinear interpolation; what shrinks is not smoothed.

    Args:
        picture: (height, width, 3).
        placed: (2, 3), finite: where the pixel (x, y, 1) of the part lies in the picture, px; whole numbers are the
            middles of pixels.
        size: width and height of the part, px.
        zeros: what lies outside the picture is 0; else as the nearest pixel in it.

    Returns:
        (height, width, 3).
    """
    height, width = picture.shape[:2]
    values = np.ascontiguousarray(picture).reshape(-1)
    part = np.empty((size[1], size[0], 3), np.uint8)
    band = max(1, _AT_ONCE // size[0])
    for top in range(0, size[1], band):
        rows_of_part = np.arange(top, min(top + band, size[1]))
        left, right, to_left, to_right = _neighbours(placed[0], size[0], rows_of_part, width, zeros, 3)
        upper, lower, to_upper, to_lower = _neighbours(placed[1], size[0], rows_of_part, height, zeros, 3 * width)
        corners = upper + left, upper + right, lower + left, lower + right
        to_upper, to_lower = to_upper.astype(np.uint32), to_lower.astype(np.uint32)
        for channel in range(3):
            at, beyond, below, across = (values[channel:].take(corner) for corner in corners)
            total = (at * to_left + beyond * to_right) * to_upper
            total += (below * to_left + across * to_right) * to_lower
            total += _STEPS * _STEPS // 2
            total >>= 2 * _BITS
            part[top : top + band, :, channel] = total
    return part


def _neighbours(
    row: NDArray[np.float64], columns: int, rows: NDArray[np.intp], pixels: int, zeros: bool, stride: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint16], NDArray[np.uint16]]:
    """For each pixel of the part, along one side of the picture: the pixels before and behind, and their weights.

    `stride`: values from one pixel to the next along this side.
    """
    across, down = np.arange(columns) * row[0], rows * row[1] + row[2]
    places = np.rint((down * _STEPS).clip(-_FAR, _FAR)[:, None] + (across * _STEPS).clip(-_FAR, _FAR))
    outside = _STEPS if zeros else 0
    at = places.clip(-outside, (pixels - 1) * _STEPS + outside).astype(np.intp)
    before = at >> _BITS
    behind = before + 1
    at &= _STEPS - 1
    share = at.astype(np.uint16)
    rest = _STEPS - share
    if zeros:
        rest[(before < 0) | (before >= pixels)] = 0
        share[(behind < 0) | (behind >= pixels)] = 0
        before = before.clip(0, pixels - 1)
    np.minimum(behind, pixels - 1, out=behind)
    before *= stride
    behind *= stride
    return before, behind, rest, share


def shrunk(picture: UINT8, factor: int, channels: Sequence[int]) -> UINT8:
    """A copy of a picture, smaller by a whole factor: the means of squares of `factor` px, rounded.

    Args:
        picture: (height, width, any), no side under `factor`. What is left over at the right and below is cut off.
        factor: 1 or more.
        channels: which ones, in the order of the copy.

    Returns:
        (height // factor, width // factor, len(channels)).
    """
    height, width = (side // factor * factor for side in picture.shape[:2])
    copy = np.empty((height // factor, width // factor, len(channels)), np.uint8)
    if factor == 1:
        for place, channel in enumerate(channels):  # far faster than one copy with an index of channels
            copy[..., place] = picture[..., channel]
        return copy
    area = factor * factor
    kind = np.uint16 if area * 256 < 2**16 else np.uint32
    sums: NDArray[Any] = picture[:height:factor, :width].astype(kind)
    for row in range(1, factor):
        sums += picture[row:height:factor, :width]
    for place, channel in enumerate(channels):
        total = sums[:, ::factor, channel] + area // 2
        for column in range(1, factor):
            total += sums[:, column::factor, channel]
        copy[..., place] = total // area
    return copy
