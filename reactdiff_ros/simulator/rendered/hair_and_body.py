"""Hair, skull, neck and shoulders of the demo speaker: simple solids around the face mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.simulator.rendered import head as topology
from reactdiff_ros.simulator.rendered.head import HeadMesh, Points, Triangles, outward
from reactdiff_ros.simulator.rendered.raster import vertex_normals
from reactdiff_ros.simulator.rendered.skin import Colour, Look, darker

if TYPE_CHECKING:
    from reactdiff_ros.simulator.rendered.renderer import Scene


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
    return np.asarray(centre + unit * axes), _grid_triangles(rows, columns)


def _grid_triangles(rows: int, columns: int) -> Triangles:
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
            centre + np.array([0, 0.002, 0.002]),
            axes + np.array([0.0172, 0.016, 0.019]),
            np.full(48, chin + 0.007),
            10,
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
    return np.asarray(vertices.reshape(-1, 3)), _grid_triangles(rows, len(hem))


def draw_body(
    picture: NDArray[np.float32],
    scene: Scene,
    look: Look,
    unit: float,
    sway: tuple[float, float],
) -> list[NDArray[np.int32]]:
    """Neck and shoulders. They stand still while the head turns; they go where the person goes.

    `unit`: pixels of the eye distance; `sway`: head translation right and up (m), followed in part.
    Returns the polygons that were covered.
    """
    x0, y0, z0 = scene.position_m
    focal, depth = scene.focal, z0 + 0.09
    cx, cy = (scene.width - 1) / 2, (scene.height - 1) / 2

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
