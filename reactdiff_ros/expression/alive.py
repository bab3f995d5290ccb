"""Breathing and idle layers: the small motion of a body that lives, without fidgeting."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import Array, approach
from reactdiff_ros.types import FaceMode

BREATH_M: Final = 0.002
BREATH_PITCH_RAD: Final = math.radians(0.35)
# Slow sway of an attentive and of an idle head, degrees: below the 1.2 degrees rms of listening people in
# 0.2 to 0.5 Hz, because the plan brings its own.
SWAY_RAD: Final = {"listening": math.radians(0.4), "idle": math.radians(1.1), "neutral": 0.0}
SWAY_HZ: Final = (0.071, 0.113, 0.187)
HEAD_Y: Final = INDEX["headY"]


class Alive:
    """Adds breathing and sway; both fall silent with stillness 1."""

    def __init__(self, config: ExpressionConfig, rng: np.random.Generator) -> None:
        self._rate_hz = config.breath_rate_per_min / 60.0
        self._breath = rng.uniform(0.0, 2.0 * math.pi)
        self._sway = rng.uniform(0.0, 2.0 * math.pi, (3, 3))
        self._speed = 2.0 * math.pi * np.outer(np.array([1.0, 0.83, 1.21]), np.array(SWAY_HZ))
        self._size = 0.0
        self._drift = rng.uniform(0.0, 2.0 * math.pi)

    def add(self, face: Array, dt_s: float, mode: FaceMode, stillness: float) -> tuple[str, ...]:
        """Add this tick's motion to `face` (58,); returns the names of the layers that acted."""
        liveliness = 1.0 - stillness
        self._size += approach(dt_s, 0.8) * (SWAY_RAD[mode] * liveliness - self._size)
        # Breathing is a little uneven: its rate drifts by a tenth.
        self._drift += 2.0 * math.pi * 0.03 * dt_s
        self._breath += 2.0 * math.pi * self._rate_hz * (1.0 + 0.1 * math.sin(self._drift)) * dt_s
        self._sway = self._sway + self._speed * dt_s
        lift = math.sin(self._breath)
        face[HEAD_Y] += BREATH_M * liveliness * lift
        face[HEAD_PITCH] -= BREATH_PITCH_RAD * liveliness * lift
        sway = np.sin(self._sway).sum(axis=1) * (self._size / 1.5)
        face[HEAD_PITCH] += 0.6 * sway[0]
        face[HEAD_YAW] += sway[1]
        face[HEAD_ROLL] += 0.7 * sway[2]
        breathing = ("breathing",) if liveliness > 0.0 else ()
        return (*breathing, "idle") if mode == "idle" and self._size > 1e-4 else breathing
