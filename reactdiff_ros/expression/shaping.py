"""Style on top of any plan: gains of intensity and regions, and the resting face."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, BLINK, COEFFICIENT_COUNT, EYE_LOOK, INDEX, ROTATION
from reactdiff_ros.expression.motion import Array, approach
from reactdiff_ros.styles import Style

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
        """`plan` (58,) with the gains; the resting face is the least that is shown while somebody is there."""
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
    gain[[*EYE_LOOK, *BLINK]] = 1.0
    return gain


def _rest(style: Style) -> Array:
    rest = np.zeros(COEFFICIENT_COUNT)
    for name, value in style.resting:
        rest[INDEX[name]] = value
    return rest
