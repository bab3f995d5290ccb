"""Head pose and the frontal face, from landmarks by geometry.

The head's frame is ARKit's: +x to the viewer's right, +y up, +z out of the face, origin between the eyes, unit = the
distance between the eyes' centres. Landmarks of the picture are put into it by the similarity that best maps a rigid
subset of a mean face onto them (Umeyama 1991), so what remains is the face's deformation: head turns are compensated.

What can be measured on a frontal face: distances between landmarks in units of the distance between the eyes.

Input is `frontal` (478, 3): +x to the viewer's right (the face's own left), +y up. Names ending in R and L
are the face's own sides. A measure is raw: what it means depends on the person's neutral (`person.PersonalNeutral`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import Array

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
        r = self.rotation
        pitch = float(np.arcsin(min(max(-r[1, 2], -1.0), 1.0)))
        yaw = float(np.arctan2(r[0, 2], r[2, 2]))
        roll = float(np.arctan2(r[1, 0], r[1, 1]))
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
    """Mean horizontal diameter of the two irises in px; 0 where it is unknown."""
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


# ---- Measures

NAMES: Final[tuple[str, ...]] = (
    "gap", "chin", "cornerUpR", "cornerUpL", "cornerOutR", "cornerOutL", "cornerBackR", "cornerBackL",
    "width", "lipsX", "chinX", "upperLip", "upperLipR", "upperLipL", "upperThick", "lowerThick",
    "lowerLip", "lowerLipR", "lowerLipL", "lidR", "lidL", "lowerLidR", "lowerLidL",
    "browInnerR", "browInnerL", "browMidR", "browMidL", "browOuterR", "browOuterL", "browGap",
    "cheekR", "cheekL", "irisXR", "irisXL", "irisYR", "irisYL",
)  # fmt: skip
"""All but the irises in units of the distance between the eyes; lids and irises in widths of their eye."""
INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(NAMES)}
COUNT: Final = len(NAMES)

_SLOPES: Final[dict[str, float]] = {
    "cornerUp": 0.22, "cornerBack": -0.06, "width": 0.08, "chin": -0.35, "lowerLip": -0.12, "upperLip": 0.08,
    "browInner": -0.05, "browMid": -0.05, "lowerLid": 0.10, "cheek": 0.10, "irisY": 0.08,
}  # fmt: skip
"""What a pitch of 1 rad adds although the face does nothing: the mesh's depth is not exact. Between what regression
gives on 12 recordings of people and on a rendered head that only nods."""
PITCH_SLOPE: Final[Array] = np.array([_SLOPES.get(n, _SLOPES.get(n.rstrip("LR"), 0.0)) for n in NAMES])

# Pairs of landmarks whose mean distance is a measure; lids: (upper, lower).
_LENGTHS: Final = {
    "gap": ((13, 14), (82, 87), (312, 317)),
    "upperThick": ((0, 13), (37, 82), (267, 312)),
    "lowerThick": ((17, 14), (84, 87), (314, 317)),
    "lidR": ((159, 145), (158, 153), (160, 144)),
    "lidL": ((386, 374), (385, 380), (387, 373)),
}
_WIDTH: Final = (61, 291)
_FROM, _TO = np.array([*(pair for pairs in _LENGTHS.values() for pair in pairs), _WIDTH], dtype=np.intp).T

_NOSE: Final = (2, 94, 164)
_MOUTH_CORNERS: Final = {"R": (61, 78), "L": (291, 308)}
_UPPER_LIP: Final = {"R": (37, 39), "L": (267, 269)}
_LOWER_LIP: Final = {"R": (84, 181), "L": (314, 405)}
_LIPS: Final = (0, 13, 14, 17)
_CHIN: Final = (152, 175, 199)
_CORNERS: Final = {"R": (33, 133), "L": (362, 263)}
"""Of the eyes, in the order of +x."""
_IRIS: Final = {"R": 468, "L": 473}
_AROUND: Final = {
    "browInnerR": (55, 107), "browMidR": (65, 66, 105), "browOuterR": (46, 63, 70), "cheekR": (50, 101, 205),
    "browInnerL": (285, 336), "browMidL": (295, 296, 334), "browOuterL": (276, 293, 300), "cheekL": (280, 330, 425),
}  # fmt: skip
_NAMED: Final = (_MOUTH_CORNERS, _UPPER_LIP, _LOWER_LIP, _CORNERS, _AROUND)
_USED: Final = sorted(
    {168, *_NOSE, *_LIPS, *_CHIN, *_IRIS.values()}
    | {i for named in _NAMED for points in named.values() for i in points}
    | {lower for name in ("lidR", "lidL") for _, lower in _LENGTHS[name]}
)


def measure(face: Array, pitch: float = 0.0) -> Array:
    """All measures (COUNT,) of one frontal face (478, 3) that was seen at this head pitch (rad)."""
    at = dict(zip(_USED, face[_USED].tolist(), strict=True))
    values = _lengths(face)
    _mouth(at, values)
    for side in "RL":
        _eye(at, side, values)
    values["browGap"] = at[285][0] - at[55][0]
    return np.array([values[name] for name in NAMES], dtype=np.float64) - PITCH_SLOPE * pitch


def _mean(at: dict[int, list[float]], axis: int, points: tuple[int, ...]) -> float:
    return sum(at[i][axis] for i in points) / len(points)


def _lengths(face: Array) -> dict[str, float]:
    apart = face[_FROM] - face[_TO]
    lengths = np.sqrt(np.matmul(apart[:, None, :], apart[:, :, None])).ravel().tolist()
    values = {name: sum(lengths[3 * i : 3 * i + 3]) / 3 for i, name in enumerate(_LENGTHS)}
    values["width"] = lengths[-1]
    return values


def _mouth(at: dict[int, list[float]], values: dict[str, float]) -> None:
    nose_x, nose_y, nose_z = (_mean(at, axis, _NOSE) for axis in range(3))
    chin_y = at[152][1]
    values["chin"] = at[168][1] - chin_y
    values["lipsX"] = _mean(at, 0, _LIPS) - nose_x
    values["chinX"] = _mean(at, 0, _CHIN) - nose_x
    values["upperLip"] = at[0][1] - nose_y
    values["lowerLip"] = at[17][1] - chin_y
    for side, sign in (("R", -1.0), ("L", 1.0)):
        corner = _MOUTH_CORNERS[side]
        values[f"cornerUp{side}"] = _mean(at, 1, corner) - nose_y
        values[f"cornerOut{side}"] = (_mean(at, 0, corner) - nose_x) * sign
        values[f"cornerBack{side}"] = _mean(at, 2, corner) - nose_z
        values[f"upperLip{side}"] = _mean(at, 1, _UPPER_LIP[side]) - nose_y
        values[f"lowerLip{side}"] = _mean(at, 1, _LOWER_LIP[side]) - chin_y


def _eye(at: dict[int, list[float]], side: str, values: dict[str, float]) -> None:
    """Measures of an eye and of what lies around it, whose heights are from the eye's middle."""
    (x_0, y_0, _), (x_1, y_1, _) = (at[i] for i in _CORNERS[side])
    width = float(np.hypot(x_1 - x_0, y_1 - y_0)) or 1e-6
    cos, sin = (x_1 - x_0) / width, (y_1 - y_0) / width
    x, y = (x_0 + x_1) / 2, (y_0 + y_1) / 2
    iris_x, iris_y = at[_IRIS[side]][0] - x, at[_IRIS[side]][1] - y
    lower = [(at[i][1] - y) * cos - (at[i][0] - x) * sin for _, i in _LENGTHS[f"lid{side}"]]
    values[f"lid{side}"] /= width
    values[f"lowerLid{side}"] = sum(lower) / len(lower) / width
    values[f"irisX{side}"] = (iris_x * cos + iris_y * sin) / width
    values[f"irisY{side}"] = (iris_y * cos - iris_x * sin) / width
    for name in ("browInner", "browMid", "browOuter", "cheek"):
        values[f"{name}{side}"] = _mean(at, 1, _AROUND[f"{name}{side}"]) - y
