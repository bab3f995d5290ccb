"""Which expression a face shows: a small learned read-out over the measures of its landmarks.

Corners of the mouth alone do not tell a smile from bared teeth or a drawn "ee". The read-out weighs all measures of
the face (lips, cheeks, lids, brows, jaw): multinomial logistic regression. `reactdiff dev train-expression` makes
`expression.json`: the prior are faces rendered with known coefficients, the data are labelled recordings.
It says what the face shows, not what the person feels.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from reactdiff_ros.affect import softmax
from reactdiff_ros.perception.blendshapes import ramp
from reactdiff_ros.perception.face import INDEX, NAMES
from reactdiff_ros.types import EXPRESSION_CLASSES, NEGATIVE_CLASSES, Array

WEIGHTS: Final = Path(__file__).with_name("expression.json")
MEMORY_S: Final = 1.2
"""Time constant of the mean over the logarithms of the probabilities: vowels pass faster, expressions do not."""
PERSONAL: Final = 0.3
"""Share of the personal neutral that counts as this person's face. The rest may be an expression that it has learnt."""
_BARED: Final = (0.5, 0.8)
"""Probability of a negative expression from which on raised corners count less as a smile, and as none."""
_SIDED: Final = tuple(n[:-1] for n in NAMES if n.endswith("R") and n[:-1] + "L" in INDEX and n != "irisXR")
_SINGLE: Final = tuple(n for n in NAMES if n[:-1] not in _SIDED and n not in ("lipsX", "chinX", "irisXR", "irisXL"))
FEATURES: Final = (*(f"{name}Sides" for name in _SIDED), *_SINGLE, "asymmetry", "browTilt")
"""Measures, the two sides averaged, how differently high the corners of the mouth are, and how much higher the inner
than the outer ends of the brows: people differ by the height of their brows, hardly by the tilt.
"""
_RIGHT = np.array([INDEX[n + "R"] for n in _SIDED])
_LEFT = np.array([INDEX[n + "L"] for n in _SIDED])
_ALONE = np.array([INDEX[n] for n in _SINGLE])
_ASYMMETRY_SCALE: Final = 0.03
_TILT_GAIN: Final = 2.0
_SAD: Final = EXPRESSION_CLASSES.index("sad")
CRYING: Final = "crying"
"""Name of the ninth row of the weights."""
_INNER, _OUTER = _SIDED.index("browInner"), _SIDED.index("browOuter")


def features(displacement: Array, neutral: Array, scale: Array) -> Array:
    """Features (n,) of FEATURES: measures (COUNT,) in units of their full movement.

    Args:
        displacement: measures minus the personal neutral.
        neutral: the personal neutral minus the population's.
        scale: full movement of each measure.
    """
    shown = (displacement + PERSONAL * neutral) / scale
    up = displacement[INDEX["cornerUpR"]] - displacement[INDEX["cornerUpL"]]
    sided = (shown[_RIGHT] + shown[_LEFT]) / 2
    tilt = _TILT_GAIN * (sided[_INNER] - sided[_OUTER])
    return np.concatenate([sided, shown[_ALONE], [abs(up) / _ASYMMETRY_SCALE, tilt]])


class FadingMean:
    """The mean of what was seen, older values counting less: by a factor e after `memory_s`."""

    def __init__(self, memory_s: float) -> None:
        self._memory_ns = memory_s * 1e9
        self._weight = 0.0
        self._mean: Array = np.zeros(0)
        self._time_ns = 0

    def __call__(self, stamp_ns: int, values: Array) -> Array:
        """The mean after `values` (n,), seen at `stamp_ns`."""
        if not self._weight:
            self._mean = np.zeros_like(values)
        self._weight = 1.0 + self._weight * math.exp(min(0.0, self._time_ns - stamp_ns) / self._memory_ns)
        self._mean = self._mean + (values - self._mean) / self._weight
        self._time_ns = stamp_ns
        return self._mean


@dataclass(frozen=True)
class ExpressionWeights:
    """Weights (8, n + 1) of FEATURES and a constant, in the order of EXPRESSION_CLASSES, and those of crying in a ninth
    row: who cries is sad as well, with a face that has more in common with a smile.
    """

    weights: Array

    def probabilities(self, x: Array) -> Array:
        """Probabilities (..., 8) of features (..., n)."""
        shares: Array = softmax(x @ self.weights[:, :-1].T + self.weights[:, -1])
        shares[..., _SAD] += shares[..., len(EXPRESSION_CLASSES) :].sum(axis=-1)
        return shares[..., : len(EXPRESSION_CLASSES)]


@cache
def shipped_weights() -> ExpressionWeights:
    """The weights that come with the package."""
    found = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    order = [found["classes"].index(name) for name in (*EXPRESSION_CLASSES, CRYING)]
    columns = dict(zip(found["features"], np.array(found["weights"])[order].T, strict=True))
    unknown = np.zeros(len(order))  # a feature that was added counts nothing until the next training
    return ExpressionWeights(np.stack([columns.get(name, unknown) for name in (*FEATURES, "constant")], axis=1))


class ExpressionReader:
    """Reads one person, picture by picture."""

    def __init__(self, weights: ExpressionWeights | None = None) -> None:
        self._weights = weights or shipped_weights()
        self._logarithms = FadingMean(MEMORY_S)
        self._bared = 0.0

    def read(self, stamp_ns: int, x: Array) -> Array:
        """Probabilities (8,) of EXPRESSION_CLASSES after a picture with these features."""
        now = self._weights.probabilities(x)
        self._bared = ramp(float(now[list(NEGATIVE_CLASSES)].sum()), *_BARED)
        return softmax(self._logarithms(stamp_ns, np.log(now + 1e-4)))

    def smile(self, raised: Array) -> Array:
        """What of raised corners of the mouth, 0..1, is a smile in the picture that was read last."""
        return np.asarray(raised * (1.0 - self._bared))
