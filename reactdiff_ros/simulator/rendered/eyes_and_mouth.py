"""What lies in the openings of the face mesh: eyeballs, lashes, teeth, tongue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.simulator.rendered import head as topology
from reactdiff_ros.simulator.rendered.head import EYEBALL_RADIUS_M, IRIS_RADIUS_M, HeadMesh, Points
from reactdiff_ros.simulator.rendered.morph import Morphs
from reactdiff_ros.simulator.rendered.skin import Colour, Look, darker


@dataclass(frozen=True)
class Painter:
    """Draws shapes given in the head frame; `unit` is the eye distance in pixels."""

    picture: NDArray[np.float32]
    project: Callable[[Points], Points]
    unit: float

    def fixed(self, points: Points) -> NDArray[np.int32]:
        """Pixels (n, 2) with OpenCV's four fractional bits."""
        return np.asarray(np.round(np.clip(self.project(points), -20000, 20000) * 16), dtype=np.int32)

    def fill(self, points: Points, colour: Colour) -> None:
        """A filled polygon (n, 3)."""
        cv2.fillPoly(self.picture, [self.fixed(points)], colour, cv2.LINE_AA, shift=4)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """`width` in eye distances."""
        thickness = max(1, round(self.unit * width))
        cv2.polylines(self.picture, [self.fixed(points)], False, colour, thickness, cv2.LINE_AA, shift=4)


def _circle(centre: Points, axis: Points, radius: float) -> Points:
    """A circle's 32 points around `axis` (unit)."""
    side = np.cross(axis, np.array([0.0, 1.0, 0.0]))
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    a = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]
    return np.asarray(centre + radius * (np.cos(a) * side + np.sin(a) * up))


def _lid_edges(vertices: Points, mesh: HeadMesh, eye: int) -> tuple[Points, Points]:
    side = mesh.left if eye else tuple
    return vertices[list(side(topology.UPPER_LID))], vertices[list(side(topology.LOWER_LID))]


def draw_lashes(brush: Painter, vertices: Points, mesh: HeadMesh, eye: int, look: Look) -> None:
    """The rims of the lids; drawn after the skin. `eye`: 0 right, 1 left."""
    upper, lower = _lid_edges(vertices, mesh, eye)
    brush.line(upper, darker(look.brow, 0.5), 0.030)
    brush.line(lower, darker(look.skin, 0.45), 0.010)


def draw_eyeball(
    brush: Painter, vertices: Points, mesh: HeadMesh, eye: int, gaze: tuple[float, float], look: Look
) -> NDArray[np.int32]:
    """The eyeball, looking along `gaze` (yaw, pitch in rad); returns the opening that the skin must leave free."""
    upper, lower = _lid_edges(vertices, mesh, eye)
    centre = mesh.eye_centres[eye]
    yaw, pitch = gaze
    axis = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    opening = np.vstack([upper, lower[-2:0:-1]])
    brush.fill(opening, (206, 212, 220))
    inner = opening.mean(axis=0) + 0.80 * (opening - opening.mean(axis=0)) - np.array([0, 0.0006, 0])
    brush.fill(inner, (228, 232, 236))
    depth = np.sqrt(EYEBALL_RADIUS_M**2 - IRIS_RADIUS_M**2)
    disc = centre + depth * axis
    for radius, colour in (
        (1.0, darker(look.iris, 0.35)),
        (0.86, darker(look.iris, 0.85)),
        (0.62, look.iris),
        (0.40, (14, 14, 16)),
    ):
        brush.fill(_circle(disc, axis, IRIS_RADIUS_M * radius), colour)
    spark = centre + (EYEBALL_RADIUS_M + 0.001) * (axis + np.array([-0.16, 0.17, 0.0]))
    brush.fill(_circle(spark, axis, IRIS_RADIUS_M * 0.17), (255, 255, 255))
    lid_shadow = np.vstack([upper, (upper * 0.80 + lower * 0.20)[::-1]])
    _shadow(brush, lid_shadow, 0.55)
    return brush.fixed(opening)


def _shadow(brush: Painter, points: Points, factor: float) -> None:
    """Darkens the picture inside a polygon."""
    polygon = brush.fixed(points)
    x, y, w, h = cv2.boundingRect(polygon // 16)
    x0, y0 = max(x - 1, 0), max(y - 1, 0)
    window = brush.picture[y0 : y + h + 2, x0 : x + w + 2]
    if window.size == 0 or x + w < 0 or y + h < 0:
        return
    mask = np.zeros(window.shape[:2], np.float32)
    cv2.fillPoly(mask, [polygon - np.array([x0, y0]) * 16], (1.0,), cv2.LINE_AA, shift=4)
    window *= 1 - (1 - factor) * mask[..., None]


def draw_mouth(brush: Painter, vertices: Points, morphs: Morphs, c: Points) -> NDArray[np.int32]:
    """The inside of the mouth; returns the opening that the skin must leave free."""
    v = vertices
    upper, lower = v[list(topology.UPPER_LIP_ROWS[3])], v[list(topology.LOWER_LIP_ROWS[3])]
    middle = (upper.mean(axis=0) + lower.mean(axis=0)) / 2
    opening = np.vstack([upper, lower[-2:0:-1]])
    brush.fill(middle + 1.06 * (opening - middle), (38, 30, 74))
    jaw_open = float(c[INDEX["jawOpen"]]) * (1 - float(c[INDEX["mouthClose"]]))
    y0, half = morphs.mouth_y, morphs.mouth_half
    z = float(morphs.v[[13, 14], 2].mean()) - 0.010
    x = np.linspace(-0.92, 0.92, 15)
    arch = np.stack([x * half, np.full_like(x, y0), z - 0.012 * x**2], axis=1)
    tongue = _circle(np.array([0, y0 - 0.014, z - 0.012]), np.array([0.0, 0.35, 0.937]), 0.017)
    tongue[:, 1] = y0 - 0.014 + (tongue[:, 1] - (y0 - 0.014)) * 0.6
    bite = arch + np.array([0, 1.0, 0]) * (0.0025 * x[:, None] ** 2 - 0.0030)
    low = morphs.jaw_transform(np.vstack([arch - [0, 0.0035, 0], (arch - [0, 0.012, 0])[::-1]]), jaw_open)
    clip = _Clip(brush, opening)
    clip.fill(morphs.jaw_transform(tongue, jaw_open), (104, 100, 186))
    clip.fill(low, (196, 206, 214))
    clip.fill(
        np.vstack([arch + np.array([0, 0.010, 0]), bite[::-1]]),
        (226, 234, 240),
    )
    clip.apply()
    return brush.fixed(opening)


class _Clip:
    """Draws on a copy and keeps only what lies in the opening."""

    def __init__(self, brush: Painter, opening: Points) -> None:
        self._brush = brush
        self._polygon = brush.fixed(opening)
        x, y, w, h = cv2.boundingRect(self._polygon // 16)
        height, width = brush.picture.shape[:2]
        self._box = (max(y - 2, 0), min(y + h + 2, height), max(x - 2, 0), min(x + w + 2, width))
        y0, y1, x0, x1 = self._box
        self._copy = brush.picture[y0:y1, x0:x1].copy() if y1 > y0 and x1 > x0 else None

    def fill(self, points: Points, colour: Colour) -> None:
        if self._copy is not None:
            shifted = self._brush.fixed(points) - np.array([self._box[2], self._box[0]]) * 16
            cv2.fillPoly(self._copy, [shifted], colour, cv2.LINE_AA, shift=4)

    def apply(self) -> None:
        if self._copy is None:
            return
        y0, y1, x0, x1 = self._box
        mask = np.zeros(self._copy.shape[:2], np.float32)
        cv2.fillPoly(mask, [self._polygon - np.array([x0, y0]) * 16], (1.0,), cv2.LINE_AA, shift=4)
        window = self._brush.picture[y0:y1, x0:x1]
        window += mask[..., None] * (self._copy - window)
