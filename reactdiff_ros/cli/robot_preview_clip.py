"""The sequence that a preview plays when no clip is given: every part in turn, then some faces of a listener."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.actuation.simulate import Frames
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX

RATE_HZ: Final = 50.0
RISE_S: Final = 0.3
SECONDS: Final = 37.0

_STEPS: Final[tuple[tuple[float, float, dict[str, float]], ...]] = (
    # (begins, lasts, coefficients; a name without its side means both)
    (0.5, 1.2, {"headPitch": 0.3}), (1.7, 1.2, {"headPitch": -0.25}),
    (3.0, 1.2, {"headYaw": 0.45}), (4.2, 1.2, {"headYaw": -0.45}),
    (5.5, 1.2, {"headRoll": 0.25}), (6.7, 1.2, {"headRoll": -0.25}),
    (8.0, 0.9, {"eyeLookOutLeft": 0.9, "eyeLookInRight": 0.9}),
    (8.9, 0.9, {"eyeLookInLeft": 0.9, "eyeLookOutRight": 0.9}),
    (9.8, 0.9, {"eyeLookUp": 0.8}), (10.7, 0.9, {"eyeLookDown": 0.8}),
    (11.7, 0.7, {"eyeBlink": 1.0}), (12.5, 0.9, {"eyeBlinkLeft": 1.0}), (13.5, 0.9, {"eyeBlinkRight": 1.0}),
    (14.5, 0.9, {"eyeWide": 0.9}), (15.5, 1.1, {"browInnerUp": 0.9, "browOuterUp": 0.9}),
    (16.7, 1.1, {"browDown": 0.9}),
    (17.9, 1.0, {"browOuterUpLeft": 0.9, "browDownRight": 0.5}),
    (19.1, 1.1, {"jawOpen": 0.8}), (20.3, 0.9, {"mouthFunnel": 0.7, "jawOpen": 0.2}), (21.3, 0.8, {"mouthPucker": 0.8}),
    (22.2, 0.8, {"mouthUpperUp": 0.8}), (23.0, 0.8, {"mouthLowerDown": 0.8}),
    # A listener: smiles and nods twice, is in doubt, is sorry, is surprised.
    (24.4, 2.6, {"mouthSmile": 0.85, "cheekSquint": 0.5, "eyeSquint": 0.2}),
    (24.9, 0.62, {"headPitch": 0.14}), (25.7, 0.62, {"headPitch": 0.10}),
    (27.4, 2.0, {"browDownLeft": 0.7, "browOuterUpRight": 0.7, "headRoll": 0.16, "mouthPress": 0.4}),
    (29.6, 2.0, {"browInnerUp": 0.8, "mouthFrown": 0.7, "headPitch": 0.14, "eyeLookDown": 0.3}),
    (31.8, 1.2, {"jawOpen": 0.45, "eyeWide": 0.9, "browInnerUp": 0.8, "browOuterUp": 0.8, "headPitch": -0.1}),
    (33.1, 0.4, {"eyeBlink": 1.0}),
    # It leans aside, up and forward.
    (33.7, 0.9, {"headX": 0.1}), (34.7, 0.9, {"headY": 0.1}), (35.7, 0.9, {"headZ": 0.12}),
)  # fmt: skip


def sequence() -> Frames:
    """Coefficients (T, 58) at 50 frames a second, from neutral to neutral; always the same."""
    times = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    values = np.zeros((len(times), COEFFICIENT_COUNT))
    for begins, lasts, wanted in _STEPS:
        rise = min(RISE_S, lasts / 2)
        up = np.clip((times - begins) / rise, 0.0, 1.0)
        down = np.clip((begins + lasts - times) / rise, 0.0, 1.0)
        envelope = (1 - np.cos(np.pi * np.minimum(up, down))) / 2
        for name, value in wanted.items():
            for coefficient in (name,) if name in INDEX else (name + "Left", name + "Right"):
                values[:, INDEX[coefficient]] += value * envelope
    return Frames(values.astype(np.float32), times, 0)
