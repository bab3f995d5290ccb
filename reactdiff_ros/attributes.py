"""REACT's 25 facial attributes as a fixed projection of the 58 coefficients: 15 action units, valence, arousal, 8
expression probabilities.

It replaces labels where none exist: REACT's own labels are read off pictures by networks, these are read off the
coefficients by the table below, so figures on one are not comparable with figures on the other. It is a projection of
the face, not a finding about what a person feels. Head pose, gaze and blinks are not in it, as in REACT's attributes.

Sources: which muscle an action unit is, Ekman and Friesen's Facial Action Coding System; which ARKit coefficient
shows it, Apple's descriptions of the coefficients; which units make which expression, EMFACS prototypes (happiness
6 + 12, sadness 1 + 4 + 15, surprise 1 + 2 + 5 + 26, fear 1 + 2 + 4 + 5 + 20, disgust 9 + 15, anger 4 + 5 + 7 + 23,
contempt one-sided 12 + 14). The weights are choices. Everything is smooth inside the coefficients' bounds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.affect import AROUSAL_REST, NEUTRAL_SCORE, PROTOTYPES, SHARPNESS, softmax
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, INDEX, row_of
from reactdiff_ros.types import FloatArray

ACTION_UNITS: Final[tuple[str, ...]] = (
    "AU1", "AU2", "AU4", "AU6", "AU7", "AU9", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24", "AU25", "AU26",
)  # fmt: skip
EXPRESSIONS: Final[tuple[str, ...]] = (
    "Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt",
)  # fmt: skip
ATTRIBUTE_NAMES: Final[tuple[str, ...]] = (*ACTION_UNITS, "valence", "arousal", *EXPRESSIONS)
"""Order of the 25 attributes, REACT's own."""
ATTRIBUTE_COUNT: Final = len(ATTRIBUTE_NAMES)
AU: Final = slice(0, 15)
VALENCE_AROUSAL: Final = slice(15, 17)
EXPRESSION: Final = slice(17, 25)

# Coefficients that show each unit, Left and Right averaged: AU = 1 - product of (1 - weight * coefficient), which is
# the coefficient itself where there is one.
_UNITS: Final[dict[str, dict[str, float]]] = {
    "AU1": {"browInnerUp": 1.0},
    "AU2": {"browOuterUp": 1.0},
    "AU4": {"browDown": 1.0},
    "AU6": {"cheekSquint": 1.0},
    "AU7": {"eyeSquint": 1.0},
    "AU9": {"noseSneer": 1.0},
    "AU10": {"mouthUpperUp": 1.0},
    "AU12": {"mouthSmile": 1.0},
    "AU14": {"mouthDimple": 1.0},
    "AU15": {"mouthFrown": 1.0},
    "AU17": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.4},
    "AU23": {"mouthRollLower": 0.7, "mouthRollUpper": 0.7, "mouthPress": 0.3},
    "AU24": {"mouthPress": 1.0},
    "AU25": {"jawOpen": 1.0, "mouthLowerDown": 0.7, "mouthUpperUp": 0.5, "mouthFunnel": 0.5},
    "AU26": {"jawOpen": 1.0},
}
CLOSED_BY: Final = "mouthClose"
"""Lips that are closed over an open jaw take AU25 back."""

# The same as in affect.py where that has the expression.
_SCORES: Final[dict[str, dict[str, float]]] = {
    "Happy": PROTOTYPES["happy"], "Sad": PROTOTYPES["sad"], "Surprise": PROTOTYPES["surprise"],
    "Fear": PROTOTYPES["fear"], "Anger": PROTOTYPES["angry"],
    "Disgust": {"noseSneer": 0.8, "mouthUpperUp": 0.5, "browDown": 0.3, "mouthSmile": -0.6, "browInnerUp": -0.3},
    "Contempt": {"mouthDimple": 0.8, "mouthSmile": -0.3, "browDown": -0.1},
}  # fmt: skip
ONE_SIDED: Final = 0.9
"""Weight of the smile's asymmetry for contempt."""
_SOFT: Final = 0.1

_VALENCE: Final[dict[str, float]] = {
    "mouthSmile": 1.2, "cheekSquint": 0.2, "mouthFrown": -0.8, "browDown": -0.5, "mouthPress": -0.25, "noseSneer": -0.5,
    "mouthUpperUp": -0.1,
}  # fmt: skip
_AROUSAL: Final[dict[str, float]] = {
    "jawOpen": 0.5, "eyeWide": 0.7, "browInnerUp": 0.35, "browOuterUp": 0.35, "mouthSmile": 0.5, "browDown": 0.4,
    "mouthStretch": 0.2,
}  # fmt: skip


_UNIT_PARTS: Final = [(i, row_of({name: w})) for i, unit in enumerate(ACTION_UNITS) for name, w in _UNITS[unit].items()]
_SHOWN: Final = np.stack([row[:BLENDSHAPE_COUNT] for _, row in _UNIT_PARTS])
_CLASSES: Final = SHARPNESS * np.stack([row_of(_SCORES.get(name, {}))[:BLENDSHAPE_COUNT] for name in EXPRESSIONS])
_OFFSET: Final = np.array([SHARPNESS * NEUTRAL_SCORE] + [0.0] * 7, dtype=np.float32)
_PLANE: Final = np.stack([row_of(_VALENCE)[:BLENDSHAPE_COUNT], row_of(_AROUSAL)[:BLENDSHAPE_COUNT]])
_REST: Final = np.array([0.0, AROUSAL_REST], dtype=np.float32)
_SMILE_LEFT, _SMILE_RIGHT = INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]


def attributes_of(coefficients: NDArray[np.floating[Any]]) -> FloatArray:
    """REACT's 25 attributes (..., 25) of coefficients (..., 58): units and probabilities 0..1, the plane -1..1.

    What is not finite counts as 0, what lies outside 0..1 as the bound. Raises ValueError for any other last axis.
    """
    if coefficients.shape[-1:] != (COEFFICIENT_COUNT,):
        raise ValueError(f"coefficients of shape {coefficients.shape} have no last axis of {COEFFICIENT_COUNT}")
    face = np.nan_to_num(coefficients[..., :BLENDSHAPE_COUNT], nan=0.0, posinf=1.0, neginf=0.0)
    face = np.clip(face, 0.0, 1.0).astype(np.float32, copy=False)
    out = np.empty((*face.shape[:-1], ATTRIBUTE_COUNT), dtype=np.float32)
    out[..., AU] = _units(face)
    out[..., VALENCE_AROUSAL] = np.tanh(face @ _PLANE.T + _REST)
    out[..., EXPRESSION] = _probabilities(face)
    return out


def _units(face: FloatArray) -> FloatArray:
    shown = face @ _SHOWN.T
    hidden = np.ones((*face.shape[:-1], len(ACTION_UNITS)), dtype=np.float32)
    for part, (unit, _) in enumerate(_UNIT_PARTS):
        hidden[..., unit] *= 1.0 - shown[..., part]
    units = 1.0 - hidden
    units[..., ACTION_UNITS.index("AU25")] *= 1.0 - face[..., INDEX[CLOSED_BY]]
    return units


def _probabilities(face: FloatArray) -> FloatArray:
    scores = face @ _CLASSES.T + _OFFSET
    aside = face[..., _SMILE_LEFT] - face[..., _SMILE_RIGHT]
    scores[..., EXPRESSIONS.index("Contempt")] += SHARPNESS * ONE_SIDED * (np.sqrt(aside**2 + _SOFT**2) - _SOFT)
    return softmax(scores)
