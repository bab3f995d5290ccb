"""A small software rasteriser: triangles to a map of visible triangles, and smooth attributes from that map."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.simulator.rendered.head import Points, Triangles


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
