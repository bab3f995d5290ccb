"""Ramps and first-order filters, the gains of a style, and the limit on how fast a face may move."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import (
    BLENDSHAPE_NAMES,
    BLINK,
    COEFFICIENT_COUNT,
    EYE_LOOK,
    INDEX,
    MOUTH,
    REFLEXES,
    ROTATION,
    TRANSLATION,
)
from reactdiff_ros.styles import Style
from reactdiff_ros.types import Array


def ramp(x: float) -> float:
    """Minimum-jerk ramp: 0 for x <= 0, 1 for x >= 1, with zero speed and acceleration at both ends.

    10 x^3 - 15 x^4 + 6 x^5 (Flash and Hogan 1985). Its greatest slope is 1.875.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def approach(dt_s: float, time_constant_s: float) -> float:
    """Share of the way that a first-order smoother goes in `dt_s`."""
    return 1.0 - math.exp(-dt_s / time_constant_s)


def _max_speed() -> Array:
    # Units a second. The brow, mouth and cheek limit lets a fast smile (0.4 s to full, peak 1.875 / 0.4 = 4.7) pass;
    # lids close in 75 ms (peak 25); eyes follow saccades of 500 degrees a second; the head: 7 degrees at 2.1 Hz needs
    # 0.4 rad/s, so 1.5 is out of reach of any nod and far below a jerk.
    speed = np.full(COEFFICIENT_COUNT, 6.0)
    for name in BLENDSHAPE_NAMES:
        if name.startswith(("jaw", "tongue")) or name in ("mouthClose", "mouthFunnel", "mouthPucker"):
            speed[INDEX[name]] = 8.0
    speed[list(EYE_LOOK)] = 15.0
    speed[list(BLINK)] = 25.0
    speed[ROTATION] = 1.5
    speed[TRANSLATION] = 0.25
    return speed


MAX_SPEED: Final[Array] = _max_speed()
"""(58,) the fastest that each coefficient may move: 1/s, rad/s, m/s."""


SPEAKING_SPEED: Final[Array] = np.where(np.isin(np.arange(COEFFICIENT_COUNT), MOUTH), 16.0, MAX_SPEED)
"""(58,) the same while speech has the mouth: lips close for p, b and m within 50 to 70 ms, half of their way and more,
at a peak of 1.875 times the mean speed of a minimum-jerk movement."""


class SpeedLimit:
    """The last step before the face: no coefficient ever moves faster than MAX_SPEED (SPEAKING_SPEED)."""

    LONGEST_STEP_S: Final = 0.04

    def __init__(self) -> None:
        self.values: Array = np.zeros(COEFFICIENT_COUNT)
        """What was shown last, (58,)."""

    def follow(self, target: Array, dt_s: float, *, speaking: bool = False) -> bool:
        """Move `values` towards `target` (58,); True if a coefficient had to be slowed down.

        After a long gap the step counts as LONGEST_STEP_S, so that a face that was paused does not jump.
        """
        step = (SPEAKING_SPEED if speaking else MAX_SPEED) * min(dt_s, self.LONGEST_STEP_S)
        change = target - self.values
        limited = np.minimum(np.maximum(change, -step), step)
        self.values = self.values + limited
        return bool((np.abs(change) > step + 1e-9).any())


# ---- Style

UPPER_FACE: Final = [i for i, n in enumerate(BLENDSHAPE_NAMES) if n.startswith(("brow", "eyeSquint", "eyeWide"))]
LOWER_FACE: Final = [
    i for i, n in enumerate(BLENDSHAPE_NAMES) if n.startswith(("cheek", "jaw", "mouth", "nose", "tongue"))
]
CHANGE_S: Final = 0.3
"""Time constant with which a new style takes effect."""


class Shaping:
    """Gains and resting face of the style in force, changed smoothly. Lids and eyes are never scaled."""

    def __init__(self, style: Style) -> None:
        self._gain, self._rest = _gains(style), _rest(style)
        self._goal_gain, self._goal_rest = self._gain, self._rest
        self._presence = 0.0

    def aim(self, style: Style) -> None:
        """Head for `style`."""
        self._goal_gain, self._goal_rest = _gains(style), _rest(style)

    def apply(self, plan: Array, dt_s: float, *, present: bool) -> Array:
        """`plan` (58,) with the gains; the resting face is the least that is shown while someone is there."""
        step = approach(dt_s, CHANGE_S)
        self._gain = self._gain + step * (self._goal_gain - self._gain)
        self._rest = self._rest + step * (self._goal_rest - self._rest)
        self._presence += approach(dt_s, 0.6) * ((1.0 if present else 0.0) - self._presence)
        shaped = plan * self._gain
        shaped[: ROTATION.start] = np.maximum(shaped[: ROTATION.start], (self._presence * self._rest)[: ROTATION.start])
        return shaped


def _gains(style: Style) -> Array:
    gain = np.full(COEFFICIENT_COUNT, style.intensity)
    gain[UPPER_FACE] *= style.upper_face
    gain[LOWER_FACE] *= style.lower_face
    gain[ROTATION.start :] *= style.head
    gain[REFLEXES] = 1.0
    return gain


def _rest(style: Style) -> Array:
    rest = np.zeros(COEFFICIENT_COUNT)
    for name, value in style.resting:
        rest[INDEX[name]] = value
    return rest
