"""Head pose and the frontal face, from landmarks by geometry.

The head's frame is ARKit's: +x to the viewer's right, +y up, +z out of the face, origin between the eyes, unit = the
distance between the eyes' centres. Landmarks of the picture are put into it by the similarity that best maps a rigid
subset of a mean face onto them (Umeyama 1991), so what remains is the face's deformation: head turns are compensated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EYE_DISTANCE_M: Final = 0.063
"""Mean distance between the pupils of adults (Dodgson 2004)."""
IRIS_DIAMETER_M: Final = 0.0117
"""Horizontal visible iris diameter, nearly the same in all adults (11.7 +-0.5 mm)."""

_MID: Final[dict[int, tuple[float, float]]] = {
    10: (0.895, 0.204), 151: (0.640, 0.271), 9: (0.374, 0.320), 8: (0.230, 0.305),
    168: (0.096, 0.303), 6: (-0.036, 0.377), 197: (-0.151, 0.461), 195: (-0.257, 0.553),
}  # fmt: skip
_PAIRS: Final[dict[tuple[int, int], tuple[float, float, float]]] = {
    (33, 263): (0.719, 0.014, -0.043), (133, 362): (0.281, -0.014, 0.043),
    (127, 356): (1.114, -0.063, -0.831), (162, 389): (1.095, 0.186, -0.679), (21, 251): (1.045, 0.390, -0.482),
    (54, 284): (0.951, 0.582, -0.295), (103, 332): (0.800, 0.735, -0.096), (67, 297): (0.564, 0.838, 0.078),
    (109, 338): (0.306, 0.885, 0.180), (234, 454): (1.104, -0.298, -0.897),
}  # fmt: skip
RIGID: Final[NDArray[np.intp]] = np.array([*_MID, *(i for pair in _PAIRS for i in pair)], dtype=np.intp)
"""Landmarks that expressions hardly move: forehead, bridge of the nose, corners of the eyes, temples."""
MEAN_FACE: Final[Array] = np.array(
    [(0.0, y, z) for y, z in _MID.values()]
    + [point for x, y, z in _PAIRS.values() for point in ((-x, y, z), (x, y, z))]
)
"""Their mean position in the mesh's own depth, (28, 3): symmetric Procrustes mean of 12 people, mean pitch 0."""

_CENTRE: Final[Array] = MEAN_FACE.mean(axis=0)
_MODEL: Final[Array] = MEAN_FACE - _CENTRE
_MODEL_ENERGY: Final = float((_MODEL**2).sum())


@dataclass(frozen=True, slots=True)
class HeadFit:
    """Where the head is in the picture.

    `rotation` (3, 3) from the head's to the viewer's axes (x right, y up, z to the viewer), `scale` px a unit,
    `origin` (3,) the midpoint between the eyes in px (y down as in the picture, z depth), `residual` RMS misfit of
    the rigid landmarks in units.
    """

    rotation: Array
    scale: float
    origin: Array
    residual: float

    @property
    def angles(self) -> tuple[float, float, float]:
        """Pitch, yaw, roll (rad), as in `coefficients.py`: rotation = Ry(yaw) Rx(pitch) Rz(roll)."""
        return angles_of(self.rotation)


def angles_of(rotation: Array) -> tuple[float, float, float]:
    """Pitch, yaw, roll of a rotation Ry(yaw) Rx(pitch) Rz(roll)."""
    pitch = float(np.arcsin(min(max(-rotation[1, 2], -1.0), 1.0)))
    yaw = float(np.arctan2(rotation[0, 2], rotation[2, 2]))
    roll = float(np.arctan2(rotation[1, 0], rotation[1, 1]))
    return pitch, yaw, roll


_FARTHEST_PX = 1e6
"""No picture is so large; beyond it sums of squares overflow."""


def fit_head(landmarks: Array) -> HeadFit | None:
    """Head pose from landmarks (478, 3) in px. None where they are not finite or do not look like a head."""
    rigid = landmarks[RIGID] * (1.0, -1.0, -1.0)
    if not np.abs(rigid).max() < _FARTHEST_PX:  # NaN and infinities too
        return None
    centre = rigid.sum(axis=0) / len(rigid)
    observed = rigid - centre
    if float((observed[:, :2] ** 2).sum()) < 1e-6:
        return None
    u, singular, vt = np.linalg.svd(observed.T @ _MODEL)
    sign = np.array([1.0, 1.0, -1.0 if _mirrors(u @ vt) else 1.0])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum()) / _MODEL_ENERGY
    if not np.isfinite(scale) or scale <= 1e-3:
        return None
    misfit = observed / scale - _MODEL @ rotation.T
    residual = float(np.sqrt((misfit**2).sum(axis=1).sum() / len(misfit)))
    origin = centre - scale * (rotation @ _CENTRE)
    return HeadFit(rotation, scale, origin * (1.0, -1.0, -1.0), residual)


def _mirrors(matrix: Array) -> bool:
    """Whether an orthogonal matrix (3, 3) is no rotation: its determinant is -1."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    return bool(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0.0)


def frontal(landmarks: Array, fit: HeadFit) -> Array:
    """Landmarks (n, 3) in the head's frame and units."""
    viewer = (landmarks - fit.origin) * (1.0, -1.0, -1.0)
    return np.asarray(viewer @ fit.rotation / fit.scale, dtype=np.float64)


def iris_diameter_px(landmarks: Array) -> float:
    """Mean horizontal diameter of the two irises in px; 0 where it cannot be told."""
    right = np.linalg.norm(landmarks[469, :2] - landmarks[471, :2])
    left = np.linalg.norm(landmarks[474, :2] - landmarks[476, :2])
    value = float(right + left) / 2
    return value if np.isfinite(value) else 0.0


def position_m(origin_px: Array, size_px: tuple[float, float], focal_px: float, unit_px: float, unit_m: float) -> Array:
    """The point `origin_px` (x, y in px) in the camera's optical frame, for a pinhole with its centre in the middle.

    `size_px` is width and height of the picture, `unit_px` how many px a length of `unit_m` has there.
    """
    depth = focal_px * unit_m / max(unit_px, 1e-6)
    x = (origin_px[0] - size_px[0] / 2) * depth / focal_px
    y = (origin_px[1] - size_px[1] / 2) * depth / focal_px
    return np.array([x, y, depth])
