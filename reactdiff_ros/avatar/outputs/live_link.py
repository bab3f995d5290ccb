"""Unreal's Live Link Face packets, as the ARKit face apps send them: UDP, one datagram a frame, version 6.

All numbers are big-endian:

| field         | type                 | value                                              |
|---------------|----------------------|----------------------------------------------------|
| version       | uint8                | 6                                                  |
| device id     | int32 length, UTF-8  | 36 characters, no terminator                       |
| subject name  | int32 length, UTF-8  | no terminator                                      |
| frame number  | int32                | frames since midnight UTC                          |
| sub-frame     | float32              | 0..1                                               |
| rate          | int32, int32         | numerator 50, denominator 1                        |
| count         | uint8                | 61                                                 |
| values        | 61 x float32         | in the order of `NAMES`, Unreal's EARFaceBlendShape |

Sources: the packet that Unreal's AppleARKitFaceSupport plugin reads, as described and recorded by LLV
(github.com/think-biq/LLV), whose recorded packets this layout decodes. The nine angles are in rad. Signs of the
eyes' angles are those of the recorded packets (`pose.eye_angles`). The head's angles are ARKit's, as ours: pitch
down, yaw to the own left, roll to the own right; in the recorded packets the eyes counter-rotate against a yaw of
this sign, as eyes do that stay on the phone. Pitch and roll follow the plugin's conversion of ARKit's transform.
"""

from __future__ import annotations

import struct
import uuid
from typing import Final

from reactdiff_ros.avatar.outputs.pose import eye_angles
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, bounded
from reactdiff_ros.types import ExpressionFrame

VERSION: Final = 6
RATE_HZ: Final = 50
SHAPES: Final[tuple[str, ...]] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight",
    "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
NAMES: Final[tuple[str, ...]] = (
    *SHAPES,
    "headYaw", "headPitch", "headRoll", "leftEyeYaw", "leftEyePitch", "leftEyeRoll", "rightEyeYaw", "rightEyePitch",
    "rightEyeRoll",
)  # fmt: skip
_ORDER: Final = [INDEX[name] for name in SHAPES]
_DAY_NS: Final = 86_400 * NS


class LiveLinkEncoder:
    """Frames to packets of one subject. The device id follows from the subject's name, so that it stays the same."""

    def __init__(self, subject: str = "reactdiff") -> None:
        device = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{subject}.reactdiff_ros")).upper()
        self._head = struct.pack(">B", VERSION) + _text(device) + _text(subject)

    def encode(self, frame: ExpressionFrame) -> bytes:
        """One datagram; coefficients that are not finite are neutral."""
        values = bounded(frame.coefficients)
        ticks = frame.stamp_ns % _DAY_NS * RATE_HZ
        number, rest = divmod(ticks, NS)
        head = (float(values[i]) for i in (HEAD_YAW, HEAD_PITCH, HEAD_ROLL))
        (left_yaw, left_pitch), (right_yaw, right_pitch) = eye_angles(values)
        time = struct.pack(">ifii", number, min(rest / NS, 0.999999), RATE_HZ, 1)
        angles = (*head, left_yaw, left_pitch, 0.0, right_yaw, right_pitch, 0.0)
        shapes = (float(values[i]) for i in _ORDER)
        return self._head + time + struct.pack(">B61f", len(NAMES), *shapes, *angles)


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack(">i", len(data)) + data
