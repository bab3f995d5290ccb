"""Expression class, valence and arousal as a fixed projection of the coefficients (docs/perception.md).

No network and no labels: a linear reading of which muscles move in which expression (Ekman and Friesen's prototypes,
as far as landmarks show them). It is a projection of the face, not a finding about what the person feels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import coefficients as c
from ..types import EXPRESSION_CLASSES, Affect

Array = NDArray[np.float64]

# Weight of each coefficient (Left and Right averaged) for each class; neutral is what remains.
PROTOTYPES: Final[dict[str, dict[str, float]]] = {
    "angry": {"browDown": 1.0, "eyeSquint": 0.3, "mouthPress": 0.4, "browInnerUp": -0.8, "mouthSmile": -0.8},
    "disgust": {"mouthUpperUp": 0.7, "browDown": 0.3, "eyeSquint": 0.4, "mouthSmile": -0.6, "browInnerUp": -0.3},
    "fear": {"browInnerUp": 0.6, "eyeWide": 0.4, "mouthStretch": 0.6, "mouthSmile": -0.6, "browOuterUp": -0.1},
    "happy": {"mouthSmile": 1.3, "cheekSquint": 0.2, "mouthFrown": -0.6, "browDown": -0.2},
    "sad": {"mouthFrown": 0.8, "browInnerUp": 0.4, "eyeWide": -0.5, "browOuterUp": -0.3, "mouthSmile": -0.6},
    "surprise": {"browInnerUp": 0.4, "browOuterUp": 0.5, "eyeWide": 0.6, "jawOpen": 0.3, "mouthSmile": -0.4},
}
NEUTRAL_SCORE: Final = 0.35
SHARPNESS: Final = 7.0
VALENCE: Final[dict[str, float]] = {
    "mouthSmile": 1.0, "cheekSquint": 0.15, "mouthFrown": -0.6, "browDown": -0.45, "mouthPress": -0.2,
    "mouthUpperUp": -0.15,
}  # fmt: skip
AROUSAL: Final[dict[str, float]] = {
    "jawOpen": 0.4, "eyeWide": 0.6, "browInnerUp": 0.3, "browOuterUp": 0.3, "mouthSmile": 0.4, "browDown": 0.4,
    "mouthStretch": 0.2, "eyeBlink": -0.3,
}  # fmt: skip
AROUSAL_REST: Final = -0.15


def _row(weights: dict[str, float]) -> Array:
    row = np.zeros(c.COEFFICIENT_COUNT)
    for name, weight in weights.items():
        if name in c.INDEX:
            row[c.INDEX[name]] = weight
        else:
            row[list(c.index(f"{name}Left", f"{name}Right"))] = weight / 2
    return row


_CLASSES: Final = np.array(
    [_row(PROTOTYPES[name]) if name != "neutral" else np.zeros(c.COEFFICIENT_COUNT) for name in EXPRESSION_CLASSES]
)
_OFFSET: Final = np.array([NEUTRAL_SCORE if name == "neutral" else 0.0 for name in EXPRESSION_CLASSES])
_VALENCE: Final = _row(VALENCE)
_AROUSAL: Final = _row(AROUSAL)


def project(coefficients: Array, confidence: Array) -> Affect:
    """Affect of coefficients (58,); those of low confidence (58,) count less."""
    trusted = np.where(np.isfinite(coefficients), coefficients, 0.0) * np.sqrt(np.clip(confidence, 0.0, 1.0))
    scores = SHARPNESS * (_CLASSES @ trusted + _OFFSET)
    odds = np.exp(scores - scores.max())
    probabilities = (odds / odds.sum()).astype(np.float32)
    return Affect(
        label=EXPRESSION_CLASSES[int(probabilities.argmax())],
        probabilities=probabilities,
        valence=min(max(float(_VALENCE @ trusted), -1.0), 1.0),
        arousal=min(max(float(AROUSAL_REST + _AROUSAL @ trusted), -1.0), 1.0),
    )
