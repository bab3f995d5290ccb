"""Expression class, valence and arousal as a fixed projection of the 58 coefficients.

No network and no labels: a linear reading of which muscles move in which expression (Ekman and Friesen's prototypes,
as far as landmarks show them). The listener model was trained on it, and valence and arousal are read with it. Which
expression a person shows is read better from the landmarks themselves, see `perception/expression.py`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import row_of
from reactdiff_ros.types import FloatArray

CLASSES: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Order of the probabilities. Contempt, which is one-sided, is not one of them."""
AFFECT_COUNT: Final = len(CLASSES) + 2

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


_READINGS: Final = np.stack(
    [SHARPNESS * row_of(PROTOTYPES.get(name, {})) for name in CLASSES] + [row_of(VALENCE), row_of(AROUSAL)]
)
_READ: Final = np.flatnonzero(_READINGS.any(axis=0))


def softmax(scores: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Probabilities (..., n) whose logarithms differ as these scores do."""
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(odds / odds.sum(-1, keepdims=True))


def projected(coefficients: NDArray[np.floating[Any]], confidence: NDArray[np.floating[Any]]) -> FloatArray:
    """Probabilities of CLASSES, valence and arousal (-1..1), (..., 9), of coefficients (..., 58).

    Coefficients of low confidence (..., 58) count less, and those that are not finite as 0.
    """
    known = np.nan_to_num(coefficients[..., _READ], nan=0.0, posinf=0.0, neginf=0.0)
    shown = np.clip(known, -10.0, 10.0).astype(np.float32)
    trusted = shown * np.sqrt(np.clip(np.nan_to_num(confidence[..., _READ]), 0, 1)).astype(np.float32)
    scores = trusted @ _READINGS[:, _READ].T
    classes = scores[..., :-2]
    classes[..., CLASSES.index("neutral")] += SHARPNESS * NEUTRAL_SCORE
    arousal = scores[..., -1:] + AROUSAL_REST
    parts = [softmax(classes), np.clip(scores[..., -2:-1], -1, 1), np.clip(arousal, -1, 1)]
    return np.asarray(np.concatenate(parts, axis=-1), dtype=np.float32)
