"""What can be measured on a frontal face: distances between landmarks in units of the distance between the eyes.

Input is `geometry.frontal` (478, 3): +x to the viewer's right (the face's own left), +y up. Names ending in R and L
are the face's own sides. A measure is raw: what it means depends on the person's neutral (`neutral.py`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

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
