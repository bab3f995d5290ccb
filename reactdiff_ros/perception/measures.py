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

# (upper, lower) lid pairs and (outer, inner) corners of the face's right and left eye, iris centre
_EYES: Final = (
    (((159, 145), (158, 153), (160, 144)), (33, 133), 468),
    (((386, 374), (385, 380), (387, 373)), (263, 362), 473),
)
_BROWS: Final = (((55, 107), (65, 66, 105), (46, 63, 70)), ((285, 336), (295, 296, 334), (276, 293, 300)))


def measure(face: Array, pitch: float = 0.0) -> Array:
    """All measures (COUNT,) of one frontal face (478, 3) that was seen at this head pitch (rad)."""
    values: dict[str, float] = {}
    _mouth(face, values)
    for side, (lids, corners, iris), brows in zip("RL", _EYES, _BROWS, strict=True):
        _eye(face, side, lids, corners, iris, values)
        _brow(face, side, corners, brows, values)
    values["browGap"] = float(face[285, 0] - face[55, 0])
    return np.array([values[name] for name in NAMES], dtype=np.float64) - PITCH_SLOPE * pitch


def _mouth(face: Array, values: dict[str, float]) -> None:
    def length(a: int, b: int) -> float:
        return float(np.linalg.norm(face[a] - face[b]))

    nose = (face[2] + face[94] + face[164]) / 3
    values["gap"] = (length(13, 14) + length(82, 87) + length(312, 317)) / 3
    values["chin"] = float(face[168, 1] - face[152, 1])
    for side, sign, corners in (("R", -1.0, (61, 78)), ("L", 1.0, (291, 308))):
        corner = face[list(corners)].mean(axis=0) - nose
        values[f"cornerUp{side}"] = float(corner[1])
        values[f"cornerOut{side}"] = float(corner[0] * sign)
        values[f"cornerBack{side}"] = float(corner[2])
    values["width"] = length(61, 291)
    values["lipsX"] = float(face[[0, 13, 14, 17], 0].mean() - nose[0])
    values["chinX"] = float(face[[152, 175, 199], 0].mean() - nose[0])
    values["upperLip"] = float(face[0, 1] - nose[1])
    values["upperLipR"] = float(face[[37, 39], 1].mean() - nose[1])
    values["upperLipL"] = float(face[[267, 269], 1].mean() - nose[1])
    values["upperThick"] = (length(0, 13) + length(37, 82) + length(267, 312)) / 3
    values["lowerThick"] = (length(17, 14) + length(84, 87) + length(314, 317)) / 3
    values["lowerLip"] = float(face[17, 1] - face[152, 1])
    values["lowerLipR"] = float(face[[84, 181], 1].mean() - face[152, 1])
    values["lowerLipL"] = float(face[[314, 405], 1].mean() - face[152, 1])


def _eye(
    face: Array,
    side: str,
    lids: tuple[tuple[int, int], ...],
    corners: tuple[int, int],
    iris: int,
    values: dict[str, float],
) -> None:
    outer, inner = face[corners[0]], face[corners[1]]
    axis = inner[:2] - outer[:2] if side == "R" else outer[:2] - inner[:2]
    width = float(np.hypot(*axis)) or 1e-6
    along = axis / width
    up = np.array([-along[1], along[0]])
    middle = (outer[:2] + inner[:2]) / 2
    values[f"lid{side}"] = float(np.mean([np.linalg.norm(face[a] - face[b]) for a, b in lids])) / width
    values[f"lowerLid{side}"] = float(np.mean([(face[b, :2] - middle) @ up for _, b in lids])) / width
    values[f"irisX{side}"] = float((face[iris, :2] - middle) @ along) / width
    values[f"irisY{side}"] = float((face[iris, :2] - middle) @ up) / width
    cheek = face[[50, 101, 205] if side == "R" else [280, 330, 425], 1].mean()
    values[f"cheek{side}"] = float(cheek - middle[1])


def _brow(
    face: Array, side: str, corners: tuple[int, int], brows: tuple[tuple[int, ...], ...], values: dict[str, float]
) -> None:
    height = face[list(corners), 1].mean()
    for part, points in zip(("Inner", "Mid", "Outer"), brows, strict=True):
        values[f"brow{part}{side}"] = float(face[list(points), 1].mean() - height)
