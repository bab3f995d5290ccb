"""The head's and the eyes' rotation in the conventions of other programs.

Ours (see `coefficients`): right-handed, +x to the face's own left, +y up, +z out of the face; the head's matrix is
Ry(headYaw) Rx(headPitch) Rz(headRoll), as in the page of the screen face.
"""

from __future__ import annotations

import math
from typing import Final

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX
from reactdiff_ros.types import FloatArray

EYE_FULL_RAD: Final = 0.61
"""Turn of an eye at eyeLook... = 1. In recorded packets of the Live Link Face app (public examples of LLV,
github.com/think-biq/LLV) the eyes' angles are 0.605 to 0.613 rad times the eyeLook coefficients."""

Quaternion = tuple[float, float, float, float]
"""x, y, z, w; unit length."""


def head_quaternion(coefficients: FloatArray) -> Quaternion:
    """The head's rotation from coefficients (58,), in our right-handed axes."""
    half = (float(coefficients[i]) / 2 for i in (HEAD_PITCH, HEAD_YAW, HEAD_ROLL))
    (sx, cx), (sy, cy), (sz, cz) = ((math.sin(a), math.cos(a)) for a in half)
    x, y, z, w = cy * sx, sy * cx, -sy * sx, cy * cx
    return x * cz + y * sz, y * cz - x * sz, z * cz + w * sz, w * cz - z * sz


def unity_quaternion(quaternion: Quaternion) -> Quaternion:
    """The same rotation in Unity's left-handed axes (+x to the face's own right, +y up, +z out of the face)."""
    x, y, z, w = quaternion
    return x, -y, -z, w


def eye_angles(coefficients: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    """(yaw, pitch) of the left and of the right eye in rad, relative to the head: + is to the own right, and down."""

    def value(name: str) -> float:
        return float(coefficients[INDEX[name]])

    left_yaw = value("eyeLookInLeft") - value("eyeLookOutLeft")
    right_yaw = value("eyeLookOutRight") - value("eyeLookInRight")
    left_pitch = value("eyeLookDownLeft") - value("eyeLookUpLeft")
    right_pitch = value("eyeLookDownRight") - value("eyeLookUpRight")
    full = EYE_FULL_RAD
    return (full * left_yaw, full * left_pitch), (full * right_yaw, full * right_pitch)
