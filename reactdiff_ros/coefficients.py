"""The common currency: 58 numbers a frame, ARKit's 52 expression coefficients and the head's pose.

Order: the 52 blendshape names below (Apple's ARKit names, alphabetical), then head rotation (rad) and head
translation (m) in ARKit's face axes: right-handed, origin in the head, +x to the viewer's right (the face's own
left), +y up, +z out of the face towards the viewer.

| index | name       | unit | positive means                                        |
|-------|------------|------|-------------------------------------------------------|
| 0-51  | blendshape | 1    | 0 = neutral, 1 = full                                 |
| 52    | headPitch  | rad  | rotation about +x: the face looks down (a nod's dip)  |
| 53    | headYaw    | rad  | rotation about +y: the face turns to its own left     |
| 54    | headRoll   | rad  | rotation about +z: the head tilts to its own right    |
| 55-57 | headX/Y/Z  | m    | translation along +x, +y, +z                          |

"Left" and "Right" in a name are the face's own. The speaker's and the listener's coefficients use the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BLENDSHAPE_NAMES: Final[tuple[str, ...]] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
POSE_NAMES: Final[tuple[str, ...]] = ("headPitch", "headYaw", "headRoll", "headX", "headY", "headZ")
NAMES: Final[tuple[str, ...]] = BLENDSHAPE_NAMES + POSE_NAMES

BLENDSHAPE_COUNT: Final = 52
COEFFICIENT_COUNT: Final = 58
INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(NAMES)}

HEAD_PITCH, HEAD_YAW, HEAD_ROLL = 52, 53, 54
ROTATION: Final = slice(52, 55)
TRANSLATION: Final = slice(55, 58)
EYE_LOOK: Final[tuple[int, ...]] = tuple(INDEX[n] for n in BLENDSHAPE_NAMES if n.startswith("eyeLook"))
BLINK: Final[tuple[int, int]] = (INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"])
REFLEXES: Final = [*EYE_LOOK, *BLINK]
"""What the expression room's reflexes show in place of what networks draw."""
SMILE: Final[tuple[int, int]] = (INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"])
MOUTH: Final[tuple[int, ...]] = tuple(
    i for i, n in enumerate(BLENDSHAPE_NAMES) if n.startswith(("jaw", "mouth", "tongue"))
)
"""What speech moves: jaw, lips and tongue, in the order of the table."""

# Hard bounds that every face-bound value obeys, whatever produced it. Rotations: 0.6 rad (34 degrees) is past three
# standard deviations of a listener's pitch (0.176 rad, REACT corpus); translations: a seated listener's sway.
LOWER: Final[NDArray[np.float32]] = np.array([0.0] * 52 + [-0.6] * 3 + [-0.15] * 3, dtype=np.float32)
UPPER: Final[NDArray[np.float32]] = np.array([1.0] * 52 + [0.6] * 3 + [0.15] * 3, dtype=np.float32)


def index(*names: str) -> tuple[int, ...]:
    """Indices of the named coefficients. Raises KeyError for an unknown name."""
    return tuple(INDEX[name] for name in names)


def sides(name: str) -> list[int]:
    """The index of a coefficient, or those of its Left and Right. Raises KeyError for an unknown name."""
    return [INDEX[name]] if name in INDEX else [INDEX[f"{name}Left"], INDEX[f"{name}Right"]]


def mouth_places(*names: str) -> list[int]:
    """Indices in MOUTH of these coefficients; a name without its side means both. Raises KeyError or ValueError."""
    return [MOUTH.index(i) for name in names for i in sides(name)]


def row_of(weights: Mapping[str, float]) -> NDArray[np.float32]:
    """Weights of coefficients as a row (58,); a name without its side is the mean of both."""
    row = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)
    for name, weight in weights.items():
        row[sides(name)] = weight / len(sides(name))
    return row


BROWS_UP: Final = list(index("browInnerUp", "browOuterUpLeft", "browOuterUpRight"))
_BROWS_DOWN: Final = list(index("browDownLeft", "browDownRight"))


def brows_raised(values: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """How far the brows are raised, less what is lowered (...), -1..1, of coefficients (..., 58)."""
    raised: NDArray[Any] = values[..., BROWS_UP].mean(-1) - values[..., _BROWS_DOWN].mean(-1)
    return raised


def neutral() -> NDArray[np.float32]:
    """The neutral face, shape (58,): every coefficient 0, head straight."""
    return np.zeros(COEFFICIENT_COUNT, dtype=np.float32)


def bounded(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """`values` (..., 58) made finite (NaN and infinities become 0, neutral) and clipped to LOWER..UPPER."""
    finite = np.where(np.isfinite(values), values, 0.0)
    return np.clip(finite, LOWER, UPPER).astype(np.float32)


KNEE: Final = 0.9
"""From which share of a limit on `softly_bounded` holds back."""


def softly_bounded(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """`values` (..., 58) made finite; beyond KNEE of a limit they approach it, as an exponential with the same slope.

    What `bounded` cuts flat (a laugh that should pass 1) keeps its form, and no value reaches its limit with a jerk.
    """
    finite = np.where(np.isfinite(values), values, 0.0).astype(np.float32)
    limit = np.where(finite < 0, LOWER, UPPER)
    room = np.where(limit != 0, (1 - KNEE) * np.abs(limit), 1.0)
    beyond = np.maximum(np.abs(finite) - KNEE * np.abs(limit), 0.0)
    return bounded(finite - np.sign(finite) * (beyond - room * (1 - np.exp(-beyond / room))))


def mirrored_order() -> NDArray[np.intp]:
    """Indices that swap Left and Right blendshapes; after `values[..., order]`, negate yaw, roll and headX."""

    def partner(name: str) -> str:
        if name.endswith("Left"):
            return name[: -len("Left")] + "Right"
        if name.endswith("Right"):
            return name[: -len("Right")] + "Left"
        return name

    return np.array([INDEX[partner(name)] for name in NAMES], dtype=np.intp)
