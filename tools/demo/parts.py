"""What the demo speaker is drawn with: skin, triangles, eyes and mouth, hair and body.

A small software rasteriser maps visible triangles and their smooth attributes; the face has a painted albedo picture
over the unrolled head (angle around it, height); eyeballs, lashes, teeth and tongue lie in the openings of the face
mesh; skull, hair, neck and shoulders are simple solids around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import INDEX
from tools.demo import head as topology
from tools.demo.head import (
    EYEBALL_RADIUS_M,
    IRIS_RADIUS_M,
    HeadMesh,
    Morphs,
    Points,
    Triangles,
    outward,
)

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
        canvas.spot(uv[side((50,))[0]], look.blush, 0.50, 40, 28)
        _paint_eye(canvas, uv, side, look)
        _paint_brow(canvas, uv, side, look)
    _paint_nose(canvas, uv, mesh, look)
    _paint_lips(canvas, uv, look)
    return np.clip(canvas.image, 0, 255)


def _paint_eye(canvas: _Canvas, uv: Points, side: Side, look: Look) -> None:
    upper, lower = uv[list(side(topology.UPPER_LID))], uv[list(side(topology.LOWER_LID))]
    ring = uv[list(side(topology.UPPER_LID_RING))]
    shadow = darker(look.skin, 0.62)
    canvas.area(np.vstack([ring, upper[::-1]]), shadow, 0.45, 3.0)
    canvas.lines([ring * 0.65 + upper[1:-1] * 0.35], shadow, 0.75, 2, 1.0)
    canvas.lines([lower], darker(look.blush, 0.85), 0.6, 3, 1.5)
    canvas.lines([uv[list(side(topology.LOWER_LID_RING))] + np.array([0.0, 3.0])], shadow, 0.30, 3, 3.0)


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
        canvas.lines([uv[list(row)]], darker(look.lips, 0.45), 0.55, 2, 1.2)


def vertex_normals(vertices: Points, triangles: Triangles) -> Points:
    """Unit normals (n, 3), area-weighted means of the adjoining triangles'."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(total, triangles[:, i], face)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Coverage:
    """Which triangle is seen where: pixels (rows, columns) with a triangle each and barycentric weights (n, 3)."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    triangle: NDArray[np.intp]
    weights: NDArray[np.float32]
    triangles: Triangles

    def interpolate(self, attribute: NDArray[np.float32]) -> NDArray[np.float32]:
        """The attribute (vertices, k) at every covered pixel: (n, k)."""
        corner = self.triangles[self.triangle]
        w = self.weights
        out = w[:, :1] * attribute[corner[:, 0]]
        out += w[:, 1:2] * attribute[corner[:, 1]]
        out += w[:, 2:] * attribute[corner[:, 2]]
        return np.asarray(out)


class TriangleBuffer:
    """Layers of triangles in one picture, drawn one over the other; what stays visible is shaded once."""

    def __init__(self, height: int, width: int) -> None:
        self._ids = np.full((height, width), -1, dtype=np.int32)
        self._triangles: list[Triangles] = []
        self._projected: list[Points] = []
        self._vertex_count = self._triangle_count = 0

    def draw(self, projected: Points, depth: Points, triangles: Triangles, two_sided: bool = False) -> None:
        """Draws a layer far to near; triangles that face away (clockwise in the picture) are left out.

        Args:
            projected: (vertices, 2) pixel coordinates, y down.
            depth: (vertices,) distance from the camera.
            triangles: (n, 3), counter-clockwise seen from outside, in a frame with y up.
            two_sided: draw those that face away, too.
        """
        height, width = self._ids.shape
        corners = projected[triangles]
        low, high = corners.min(axis=1), corners.max(axis=1)
        area = _twice_area(corners)
        facing = np.abs(area) > 1e-9 if two_sided else area < -1e-9
        seen = facing & (high >= 0).all(axis=1) & (low[:, 0] < width) & (low[:, 1] < height)
        order = np.flatnonzero(seen)
        order = order[np.argsort(-depth[triangles[order]].mean(axis=1), kind="stable")]
        fixed = np.round(np.clip(corners, -20000, 20000) * 16).astype(np.int32)
        for i in order:
            cv2.fillConvexPoly(self._ids, fixed[i], (int(i) + self._triangle_count,), shift=4)
        self._triangles.append(triangles + self._vertex_count)
        self._projected.append(projected)
        self._vertex_count += len(projected)
        self._triangle_count += len(triangles)

    def clear(self, polygon: NDArray[np.int32]) -> None:
        """Opens a hole, so that what was painted into the picture shows; OpenCV's four fractional bits."""
        cv2.fillPoly(self._ids, [polygon], (-1,), shift=4)

    def resolve(self) -> Coverage:
        """What is visible. Triangle and vertex numbers run on over the layers in the order of drawing."""
        rows, columns = np.nonzero(self._ids >= 0)
        triangle = self._ids[rows, columns].astype(np.intp)
        triangles = np.vstack(self._triangles)
        corners = np.vstack(self._projected)[triangles]
        area = _twice_area(corners)[triangle].astype(np.float32)
        first = corners[:, 0].astype(np.float32)
        ab = (corners[:, 1] - corners[:, 0]).astype(np.float32)[triangle]
        ac = (corners[:, 2] - corners[:, 0]).astype(np.float32)[triangle]
        px, py = columns.astype(np.float32) - first[triangle, 0], rows.astype(np.float32) - first[triangle, 1]
        w1 = np.clip((px * ac[:, 1] - py * ac[:, 0]) / area, 0, 1)
        w2 = np.clip((ab[:, 0] * py - ab[:, 1] * px) / area, 0, 1 - w1)
        return Coverage(rows, columns, triangle, np.stack([1 - w1 - w2, w1, w2], axis=1), triangles)


def _twice_area(corners: Points) -> Points:
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])


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
    centre, (yaw, pitch) = mesh.eye_centres[eye], gaze
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
    _shadow(brush, np.vstack([upper, (upper * 0.80 + lower * 0.20)[::-1]]), 0.55)
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
    clip.fill(np.vstack([arch + np.array([0, 0.010, 0]), bite[::-1]]), (226, 234, 240))
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


@dataclass(frozen=True)
class Part:
    """A solid in the head frame with a colour per vertex (BGR, 0..255)."""

    vertices: Points
    triangles: Triangles
    normals: Points
    colours: NDArray[np.float32]
    gloss: float


def _shell(centre: Points, axes: Points, rows: int, columns: int) -> tuple[Points, Triangles]:
    """An ellipsoid's grid of vertices and triangles; columns run around y, rows from the top down."""
    theta = np.linspace(0.02, np.pi - 0.02, rows)
    phi = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    unit = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], axis=-1).reshape(-1, 3)
    return np.asarray(centre + unit * axes), grid_triangles(rows, columns)


def grid_triangles(rows: int, columns: int) -> Triangles:
    """Triangles of a grid whose columns close into a ring."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = (i * columns + j).ravel(), (i * columns + (j + 1) % columns).ravel()
    triangles = np.vstack([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
    return triangles.astype(np.int32)


def _strands(vertices: Points, look: Look, seed: int) -> NDArray[np.float32]:
    """Hair colour that varies around the head, as locks do."""
    angle = np.arctan2(vertices[:, 0], vertices[:, 2] + 0.085)
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 5)
    wave = sum(np.sin(k * angle + p) for k, p in zip((7, 13, 19, 29, 41), phase, strict=True)) / 5
    return np.asarray((np.array(look.hair) * (1 + 0.28 * np.asarray(wave)[:, None])), dtype=np.float32)


class Scalp:
    """Three parts, drawn in this order: hair behind, bare skull, hair in front of the forehead."""

    def __init__(self, mesh: HeadMesh, look: Look) -> None:
        v = mesh.vertices
        half = float(np.abs(v[:, 0]).max())
        top, chin = float(v[topology.FOREHEAD, 1]), float(v[topology.CHIN, 1])
        depth = float(v[list(topology.OVAL), 2].min())
        centre = np.array([0.0, top * 0.30, depth - 0.030])
        skull_axes = np.array([half * 0.97, top * 0.70 + 0.034, 0.088])
        self.skull = self._skull(centre, skull_axes, look)
        self.back = self._back(centre, skull_axes, chin, look)
        self.front = self._front(v, centre, skull_axes, look)

    @staticmethod
    def _part(vertices: Points, triangles: Triangles, colours: NDArray[np.float32], gloss: float) -> Part:
        triangles = outward(vertices, triangles)
        return Part(vertices, triangles, vertex_normals(vertices, triangles), colours, gloss)

    def _skull(self, centre: Points, axes: Points, look: Look) -> Part:
        vertices, triangles = _shell(centre, axes, 10, 20)
        colours = np.empty((len(vertices), 3), np.float32)
        colours[:] = darker(look.skin, 0.9)
        return self._part(vertices, triangles, colours, 0.0)

    def _back(self, centre: Points, axes: Points, chin: float, look: Look) -> Part:
        """Chin-length hair behind the face."""
        vertices, triangles = _hanging(
            centre + np.array([0, 0.002, 0.002]), axes + np.array([0.0172, 0.016, 0.019]), np.full(48, chin + 0.007), 10
        )
        return self._part(vertices, triangles, 0.8 * _strands(vertices, look, 3), 0.06)

    def _front(self, v: Points, centre: Points, axes: Points, look: Look) -> Part:
        """From the crown to a parted fringe, and at the sides down to the jaw."""
        phi = np.linspace(0, 2 * np.pi, 96, endpoint=False)
        top, chin = float(v[topology.FOREHEAD, 1]), float(v[topology.CHIN, 1])
        forehead = top + 0.001 - 0.018 * np.abs(np.sin(phi) + 0.30) ** 1.5
        aside = np.abs(np.angle(np.exp(1j * phi)))
        hanging = np.clip((aside - 0.98) / 0.26, 0, 1) ** 0.8
        hairline = forehead + (chin + 0.008 - forehead) * hanging
        centre, axes = centre + np.array([0, 0.002, 0.002]), axes + np.array([0.017, 0.017, 0.019])
        vertices, triangles = _hanging(centre, axes, hairline, 14)
        return self._part(vertices, triangles, _strands(vertices, look, 5), 0.12)


def _hanging(centre: Points, axes: Points, hem: Points, rows: int) -> tuple[Points, Triangles]:
    """An ellipsoid's upper half that goes on as a curtain, cut at the height `hem` (columns,), metres."""
    phi = np.linspace(0, 2 * np.pi, len(hem), endpoint=False)
    crown = centre[1] + axes[1]
    y = crown + (hem - crown) * np.linspace(0, 1, rows)[:, None] ** 1.6
    height = np.clip((y - centre[1]) / axes[1], 0, 1)
    below = np.clip((centre[1] - y) / 0.14, 0, 1)
    radius = np.sqrt(np.maximum(1 - height**2, 0)) * (1 + 0.05 * np.sin(np.pi * below) - 0.10 * below**3)
    vertices = centre + np.stack([radius * np.sin(phi), 0 * radius, radius * np.cos(phi)], axis=-1) * axes
    vertices[..., 1] = y
    return np.asarray(vertices.reshape(-1, 3)), grid_triangles(rows, len(hem))


def draw_body(
    picture: NDArray[np.float32],
    focal: float,
    position_m: tuple[float, float, float],
    look: Look,
    unit: float,
    sway: tuple[float, float],
) -> list[NDArray[np.int32]]:
    """Neck and shoulders. They stand still while the head turns; they go where the person goes.

    `unit`: pixels of the eye distance; `sway`: head translation right and up (m), followed in part.
    Returns the polygons that were covered.
    """
    x0, y0, z0 = position_m
    depth = z0 + 0.09
    cx, cy = (picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2

    def place(points: list[tuple[float, float]]) -> NDArray[np.int32]:
        """Metres from the eyes' rest position, y up, to fixed-point pixels."""
        p = np.array(points) * np.array([1, -1]) + np.array([x0 + 0.4 * sway[0], y0 - 0.2 * sway[1]])
        return np.asarray(np.round((p / depth * focal + np.array([cx, cy])) * 16), dtype=np.int32)

    covered: list[NDArray[np.int32]] = []

    def fill(points: NDArray[np.int32], colour: Colour) -> None:
        covered.append(points)
        cv2.fillPoly(picture, [points], colour, cv2.LINE_AA, shift=4)

    s = np.linspace(0, 1, 24)
    shoulder = [(0.055 + 0.175 * t, -0.165 - 0.012 * t - 0.06 * t**5) for t in s] + [(0.25, -0.30), (0.27, -0.9)]
    outline = [(-x, y) for x, y in reversed(shoulder)] + shoulder
    neck = [(0.043, -0.06), (0.042, -0.125), (0.049, -0.155), (0.072, -0.19)]
    steps = 10
    fill(place(outline), look.shirt)
    for i in range(steps):
        f = 1 - i / steps
        edge = [(x * f, y) for x, y in neck]
        shade = darker(look.skin, 0.66 + 0.16 * (1 - f))
        fill(place([(-x, y) for x, y in reversed(edge)] + edge), shade)
    collar = [(0.085 * np.cos(a), -0.185 - 0.030 * np.sin(a)) for a in np.linspace(0, np.pi, 24)]
    fill(place([(-0.075, -0.165), *reversed(collar), (0.075, -0.165)]), darker(look.skin, 0.84))
    cv2.polylines(picture, [place(collar)], False, darker(look.shirt, 0.75), max(1, round(unit * 0.06)), cv2.LINE_AA, 4)
    # The head's shadow on the neck.
    chin = place([(0.044 * np.cos(a), -0.112 - 0.020 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 32)])
    fill(chin, darker(look.skin, 0.58))
    return covered
