"""Paints the demo speaker's face: an albedo picture over the unrolled head (angle around it, height)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.simulator.rendered import head as topology
from reactdiff_ros.simulator.rendered.head import HeadMesh, Points

SIZE = 640
"""Pixels of the picture, both ways."""
Colour = tuple[float, float, float]
Side = Callable[[tuple[int, ...]], tuple[int, ...]]


@dataclass(frozen=True)
class Look:
    """Colours (blue, green, red, 0..255)."""

    skin: Colour = (148, 178, 226)
    blush: Colour = (128, 140, 222)
    lips: Colour = (112, 108, 196)
    brow: Colour = (38, 52, 74)
    hair: Colour = (34, 50, 82)
    iris: Colour = (96, 122, 76)
    shirt: Colour = (140, 108, 58)
    background: Colour = (206, 204, 198)


def unroll(vertices: Points) -> Points:
    """Picture coordinates (n, 2) of the neutral head's vertices: cylinder around an axis inside the skull."""
    angle = np.arctan2(vertices[:, 0], vertices[:, 2] + 0.085)
    return np.stack([SIZE * (0.5 + angle / 2.9), SIZE * (0.42 - vertices[:, 1] / 0.26)], axis=1)


class _Canvas:
    """The picture being painted; shapes are given as points of the unrolled head."""

    def __init__(self, base: Colour) -> None:
        self.image: NDArray[np.float32] = np.empty((SIZE, SIZE, 3), np.float32)
        self.image[:] = base

    def blend(self, mask: NDArray[np.float32], colour: Colour) -> None:
        self.image += mask[..., None] * (np.array(colour, np.float32) - self.image)

    def area(self, points: Points, colour: Colour, strength: float, blur: float) -> None:
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], (1.0,), cv2.LINE_AA, shift=4)
        self.blend(cv2.GaussianBlur(mask, (0, 0), blur) * strength, colour)

    def line(self, points: Points, colour: Colour, strength: float, width: int, blur: float) -> None:
        self.lines([points], colour, strength, width, blur)

    def lines(self, lines: list[Points], colour: Colour, strength: float, width: int, blur: float) -> None:
        mask = np.zeros((SIZE, SIZE), np.float32)
        fixed = [np.round(points * 16).astype(np.int32) for points in lines]
        cv2.polylines(mask, fixed, False, (1.0,), width, cv2.LINE_AA, shift=4)
        self.blend(cv2.GaussianBlur(mask, (0, 0), blur) * strength, colour)

    def spot(self, point: Points, colour: Colour, strength: float, rx: float, ry: float) -> None:
        y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
        mask = np.exp(-(((x - point[0]) / rx) ** 2) - ((y - point[1]) / ry) ** 2) * strength
        self.blend(mask.astype(np.float32), colour)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour in shadow: red keeps longest, as in skin."""
    b, g, r = colour
    return (b * factor, g * factor, r * factor**0.75)


def paint(mesh: HeadMesh, look: Look) -> NDArray[np.float32]:
    """The albedo of the face, float32 (SIZE, SIZE, 3), 0..255 BGR."""
    uv = unroll(mesh.vertices)
    canvas = _Canvas(look.skin)
    grain = np.random.default_rng(7).normal(0, 1, (SIZE, SIZE)).astype(np.float32)
    canvas.image *= (1 + 0.10 * cv2.GaussianBlur(grain, (0, 0), 2.0))[..., None]
    sides: tuple[Side, ...] = (tuple, mesh.left)
    for side in sides:
        _paint_cheek(canvas, uv, side, look)
        _paint_eye(canvas, uv, side, look)
        _paint_brow(canvas, uv, side, look)
    _paint_nose(canvas, uv, mesh, look)
    _paint_lips(canvas, uv, look)
    return np.clip(canvas.image, 0, 255)


def _paint_cheek(canvas: _Canvas, uv: Points, side: Side, look: Look) -> None:
    canvas.spot(uv[side((50,))[0]], look.blush, 0.50, 40, 28)


def _paint_eye(canvas: _Canvas, uv: Points, side: Side, look: Look) -> None:
    upper, lower = uv[list(side(topology.UPPER_LID))], uv[list(side(topology.LOWER_LID))]
    ring = uv[list(side(topology.UPPER_LID_RING))]
    shadow = darker(look.skin, 0.62)
    canvas.area(np.vstack([ring, upper[::-1]]), shadow, 0.45, 3.0)
    canvas.line(ring * 0.65 + upper[1:-1] * 0.35, shadow, 0.75, 2, 1.0)
    canvas.line(lower, darker(look.blush, 0.85), 0.6, 3, 1.5)
    canvas.line(uv[list(side(topology.LOWER_LID_RING))] + np.array([0.0, 3.0]), shadow, 0.30, 3, 3.0)


def _paint_brow(canvas: _Canvas, uv: Points, side: Side, look: Look) -> None:
    upper, lower = uv[list(side(topology.BROW_UPPER))], uv[list(side(topology.BROW_LOWER))]
    low = 0.25 * upper + 0.75 * lower
    high = 0.80 * upper + 0.20 * lower
    high[0] = low[0] = (high[0] + low[0]) / 2
    canvas.area(np.vstack([high, low[::-1]]), look.brow, 0.62, 1.6)
    rng = np.random.default_rng(11)
    hairs = []
    for t in np.linspace(0.05, 0.97, 60):
        k = t * (len(low) - 1)
        i = min(int(k), len(low) - 2)
        start = low[i] + (k - i) * (low[i + 1] - low[i])
        end = high[i] + (k - i) * (high[i + 1] - high[i])
        start = start + (end - start) * rng.uniform(-0.05, 0.3)
        tilt = (low[max(i - 1, 0)] - low[i + 1]) * 0.35
        hairs.append(np.array([start, end + tilt]))
    canvas.lines(hairs, look.brow, 0.75, 1, 0.7)


def _paint_nose(canvas: _Canvas, uv: Points, mesh: HeadMesh, look: Look) -> None:
    for nostril in (79, int(mesh.mirror[79])):
        canvas.spot(uv[nostril], darker(look.skin, 0.28), 0.85, 8.0, 4.5)
    for wing in (48, int(mesh.mirror[48])):
        canvas.spot(uv[wing], darker(look.skin, 0.66), 0.30, 7, 10)
    canvas.spot(uv[topology.NOSE_TIP], look.blush, 0.22, 24, 18)
    canvas.spot(uv[2] + np.array([0, 8.0]), darker(look.skin, 0.72), 0.35, 12, 8)
    canvas.spot(uv[18] + np.array([0, 5.0]), darker(look.skin, 0.72), 0.40, 30, 6)


def _paint_lips(canvas: _Canvas, uv: Points, look: Look) -> None:
    upper, lower = topology.UPPER_LIP_ROWS, topology.LOWER_LIP_ROWS
    outline = list(upper[0]) + list(lower[0])[-2:0:-1]
    canvas.area(uv[outline], look.lips, 0.88, 1.5)
    canvas.area(np.vstack([uv[list(upper[0])], uv[list(upper[3])][::-1]]), darker(look.lips, 0.80), 0.6, 2.0)
    canvas.spot(uv[16], (150, 150, 232), 0.45, 24, 5)
    for row in (upper[3], lower[3]):
        canvas.line(uv[list(row)], darker(look.lips, 0.45), 0.55, 2, 1.2)
