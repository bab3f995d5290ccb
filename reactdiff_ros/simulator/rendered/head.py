"""The demo speaker's head: a mesh in FaceMesh's 468-point topology and the point sets that name its parts.

Head frame: metres, ARKit's face axes (+x the face's own left, +y up, +z out of the face), origin midway between the
eyes. "right" and "left" are the face's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.resources import resource_path

Points = NDArray[np.float64]
Triangles = NDArray[np.int32]

VERTEX_COUNT = 468
EYE_DISTANCE_M = 0.063
"""Distance between the pupils: the mean of adults."""
IRIS_RADIUS_M = 0.0058
EYEBALL_RADIUS_M = 0.0120

# Rows of FaceMesh's topology. Eyes: corner to corner along the upper lid, and along the lower lid; right eye.
UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
UPPER_LID_RING = (247, 30, 29, 27, 28, 56, 190)
LOWER_LID_RING = (25, 110, 24, 23, 22, 26, 112)
BROW_UPPER = (70, 63, 105, 66, 107)
BROW_LOWER = (46, 53, 52, 65, 55)
# Lips, from the right corner to the left one, outside to inside.
UPPER_LIP_ROWS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)
LOWER_LIP_ROWS = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
RIGHT_CORNER, LEFT_CORNER = 61, 291
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
FOREHEAD, CHIN, NOSE_TIP = 10, 152, 4


@dataclass(frozen=True)
class HeadMesh:
    """`vertices` (468, 3) in the head frame; `triangles` (n, 3), counter-clockwise seen from outside."""

    vertices: Points
    triangles: Triangles
    mirror: NDArray[np.int32]
    """(468,): the vertex that is this one's mirror image."""

    def left(self, indices: tuple[int, ...]) -> tuple[int, ...]:
        """The left side's vertices for the right side's `indices`, in the same order."""
        return tuple(int(self.mirror[i]) for i in indices)

    @cached_property
    def eye_centres(self) -> Points:
        """(2, 3): centres of the right and the left eyeball."""
        centres = []
        for upper, lower in (
            (UPPER_LID, LOWER_LID),
            (self.left(UPPER_LID), self.left(LOWER_LID)),
        ):
            ring = self.vertices[list(upper + lower)]
            middle = (ring[0] + ring[8]) / 2
            middle[1] = ring[:, 1].mean() + 0.0010  # the upper lid covers the iris, the lower one just touches it
            middle[2] = ring[[3, 4, 5, 12, 13, 14], 2].max() + 0.0005 - EYEBALL_RADIUS_M
            centres.append(middle)
        return np.array(centres)


def outward(vertices: Points, triangles: Triangles) -> Triangles:
    """`triangles` turned so that each is counter-clockwise seen from outside (from the front, where it is flat)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    centre = np.array([0.0, -0.03, -0.09])
    inward = np.einsum("ij,ij->i", normal, (a + b + c) / 3 - centre) < 0
    turned = triangles.copy()
    turned[inward] = turned[inward][:, [0, 2, 1]]
    return turned


def load_head(path: Path | None = None) -> HeadMesh:
    """The head that ships with the package, or the one in `path`.

    Raises:
        ReactdiffError: the file is missing or does not hold a head.
    """
    path = path or resource_path("demo/head.npz")
    try:
        with np.load(path, allow_pickle=False) as data:
            head = HeadMesh(
                data["vertices"].astype(np.float64), data["triangles"].astype(np.int32), data["mirror"].astype(np.int32)
            )
    except (OSError, KeyError, ValueError) as error:
        raise ReactdiffError(
            "the demo head cannot be read",
            where=str(path),
            todo="make it again: python -m reactdiff_ros.simulator.rendered.make_mesh",
        ) from error
    if head.vertices.shape != (VERTEX_COUNT, 3) or head.mirror.shape != (VERTEX_COUNT,):
        raise ReactdiffError("the demo head has not 468 vertices", where=str(path), todo="install the package again")
    return head
