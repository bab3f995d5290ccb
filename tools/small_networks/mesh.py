"""Errors of lips and upper face in mm, on the vertices of ICT-FaceKit's mesh (USC ICT, MIT; the user gives its folder).

Lip vertex error (LVE): the largest error of any lip vertex in a frame, mean over frames (Richard et al., MeshTalk, ICCV
2021). Upper-face dynamics deviation (FDD): how much more a vertex of the upper face moves in the truth than in what is
judged (standard deviation over time of its distance from rest), mean over vertices (Xing et al., CodeTalker, CVPR
2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import MediaError

Array = NDArray[np.float64]
REST: Final = "generic_neutral_mesh"
FACE: Final = 9409
"""Vertices of the skin of the face; those of head, mouth and eyes follow."""
LIPS: Final = (
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""Multi-PIE's landmarks 49 to 68, as the mesh's documentation numbers its vertices."""
NASION: Final = 978
LIP_REACH_CM: Final = 0.8
MM: Final = 10.0
"""The mesh is in cm."""
UNMOVED: Final = "tongueOut"
"""The mesh has no tongue that comes out."""


@dataclass(frozen=True)
class FaceMesh:
    """How vertices of lips (L) and upper face (U) move with ARKit's 52 coefficients: (52, L, 3) and (52, U, 3), mm."""

    lips: Array
    upper: Array

    def lip_error(self, shown: Array, truth: Array) -> float:
        """LVE in mm of coefficients (T, 52)."""
        moved = np.tensordot(shown - truth, self.lips, axes=1)
        return float(np.linalg.norm(moved, axis=-1).max(axis=-1).mean())

    def upper_deviation(self, shown: Array, truth: Array) -> float:
        """FDD in mm of coefficients (T, 52): positive where the truth moves more."""
        moved = (np.tensordot(values, self.upper, axes=1) for values in (truth, shown))
        dynamics = [np.linalg.norm(m, axis=-1).std(axis=0) for m in moved]
        return float(np.mean(dynamics[0] - dynamics[1]))


def read_mesh(folder: Path) -> FaceMesh:
    """The mesh of a folder FaceXModel: `generic_neutral_mesh.obj` and an .obj for each expression.

    Raises:
        MediaError: a file is missing or has other vertices.
    """
    rest = _vertices(folder / f"{REST}.obj")
    moves = np.zeros((len(BLENDSHAPE_NAMES), FACE, 3))
    for index, name in enumerate(BLENDSHAPE_NAMES):
        if name != UNMOVED:
            moves[index] = sum(_vertices(file) - rest for file in _files(folder, name))
    near = np.linalg.norm(rest[:, None] - rest[None, list(LIPS)], axis=-1).min(axis=1) < LIP_REACH_CM
    upper = rest[:, 1] > rest[NASION, 1]
    return FaceMesh(MM * moves[:, near], MM * moves[:, upper])


def _files(folder: Path, name: str) -> list[Path]:
    """Of one of ARKit's names: the mesh has _L and _R where ARKit has Left and Right, or one for both."""
    for side, suffix in (("Left", "_L"), ("Right", "_R")):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return [folder / f"{name.removesuffix(side)}{suffix}.obj"]
    sides = [folder / f"{name}{suffix}.obj" for suffix in ("_L", "_R")]
    return sides if sides[0].is_file() else [folder / f"{name}.obj"]


def _vertices(path: Path) -> Array:
    """(FACE, 3) in cm."""
    try:
        with path.open(encoding="utf-8") as lines:
            found = [line.split()[1:4] for line in lines if line.startswith("v ")]
        vertices = np.array(found[:FACE], np.float64)
    except (OSError, ValueError) as problem:
        todo = "give the folder FaceXModel of a checkout of ICT-FaceKit"
        raise MediaError("a mesh cannot be read", where=str(path), todo=todo) from problem
    if vertices.shape != (FACE, 3) or not np.isfinite(vertices).all():
        raise MediaError("this is not a mesh of ICT-FaceKit", where=str(path))
    return vertices
