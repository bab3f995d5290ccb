"""A small software rasteriser: triangles to a map of visible triangles, and smooth attributes from that map."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .head import Points, Triangles


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

    def interpolate(self, attribute: NDArray[np.floating], triangles: Triangles) -> NDArray[np.float32]:  # type: ignore[type-arg]
        """The attribute (vertices, k) at every covered pixel: (n, k)."""
        corner = triangles[self.triangle]
        values = attribute.astype(np.float32)
        w = self.weights
        return np.asarray(
            w[:, :1] * values[corner[:, 0]] + w[:, 1:2] * values[corner[:, 1]] + w[:, 2:] * values[corner[:, 2]]
        )


def cover(projected: Points, depth: Points, triangles: Triangles, height: int, width: int) -> Coverage:
    """Draws `triangles` far to near; those that face away (clockwise in the picture) are left out.

    Args:
        projected: (vertices, 2) pixel coordinates, y down.
        depth: (vertices,) distance from the camera.
        triangles: (n, 3), counter-clockwise seen from outside, in a frame with y up.
        height: of the picture.
        width: of the picture.
    """
    corners = projected[triangles]
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    twice_area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    low, high = corners.min(axis=1), corners.max(axis=1)
    seen = (twice_area < -1e-9) & (high >= 0).all(axis=1) & (low[:, 0] < width) & (low[:, 1] < height)
    order = np.flatnonzero(seen)
    order = order[np.argsort(-depth[triangles[order]].mean(axis=1), kind="stable")]
    ids = np.full((height, width), -1, dtype=np.int32)
    fixed = np.round(np.clip(corners, -20000, 20000) * 16).astype(np.int32)
    for i in order:
        cv2.fillConvexPoly(ids, fixed[i], (int(i),), shift=4)
    rows, columns = np.nonzero(ids >= 0)
    triangle = ids[rows, columns].astype(np.intp)
    p = np.stack([columns, rows], axis=1).astype(np.float32) - corners[triangle, 0].astype(np.float32)
    u, v, area = (
        ab[triangle].astype(np.float32),
        ac[triangle].astype(np.float32),
        twice_area[triangle].astype(np.float32),
    )
    w1 = (p[:, 0] * v[:, 1] - p[:, 1] * v[:, 0]) / area
    w2 = (u[:, 0] * p[:, 1] - u[:, 1] * p[:, 0]) / area
    weights = np.clip(np.stack([1 - w1 - w2, w1, w2], axis=1), 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return Coverage(rows, columns, triangle, weights)
