"""Frames in the formats of other programs: ARKit JSON, Live Link Face (UDP) and VMC (OSC).

Ours (see `coefficients`): right-handed, +x to the face's own left, +y up, +z out of the face; the head's matrix is
Ry(headYaw) Rx(headPitch) Rz(headRoll), as in the page of the screen face.
"""

from __future__ import annotations

import json
import math
import struct
import uuid
from typing import Final

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import (
    BLENDSHAPE_COUNT,
    BLENDSHAPE_NAMES,
    HEAD_PITCH,
    HEAD_ROLL,
    HEAD_YAW,
    INDEX,
    TRANSLATION,
    bounded,
)
from reactdiff_ros.resources import require
from reactdiff_ros.types import ExpressionFrame, FloatArray

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


DIGITS = 5


def arkit_json(frame: ExpressionFrame, number: int) -> str:
    """A frame as compact JSON with ARKit's names.

    Keys: `type` ("arkit"), `frame` (counts from 1), `stamp` (s), `mode` (listening, idle, neutral), `blendshapes` (52
    by name, 0..1) and `head`: `pitch`, `yaw`, `roll` (rad, ARKit's signs), `quaternion` (x, y, z, w, right-handed,
    +x to the face's own left, +y up, +z out of the face) and `position` (x, y, z in m, same axes).
    """
    values = bounded(frame.coefficients)
    rounded = [round(float(v), DIGITS) for v in values]
    pitch, yaw, roll = rounded[BLENDSHAPE_COUNT : BLENDSHAPE_COUNT + 3]
    head = {
        "pitch": pitch, "yaw": yaw, "roll": roll,
        "quaternion": [round(q, DIGITS + 2) for q in head_quaternion(values)], "position": rounded[TRANSLATION],
    }  # fmt: skip
    content = {
        "type": "arkit", "frame": number, "stamp": frame.stamp_ns / NS, "mode": frame.mode,
        "blendshapes": dict(zip(BLENDSHAPE_NAMES, rounded[:BLENDSHAPE_COUNT], strict=True)), "head": head,
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


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
    """Frames to Unreal's Live Link Face packets of one subject, version 6: one datagram a frame.

    The device id follows from the subject's name, so that it stays the same.

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
    eyes' angles are those of the recorded packets (`eye_angles`). The head's angles are ARKit's, as ours: pitch
    down, yaw to the own left, roll to the own right; in the recorded packets the eyes counter-rotate against a yaw of
    this sign, as eyes do that stay on the phone. Pitch and roll follow the plugin's conversion of ARKit's transform.
    """

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


class VmcEncoder:
    """Frames to OSC bundles of the VMC (Virtual Motion Capture) protocol: blend shapes and the head bone.

    One OSC bundle a frame, in the order of protocol.vmc.info's marionette specification:

    | address             | arguments                                                                    |
    |---------------------|------------------------------------------------------------------------------|
    | /VMC/Ext/OK         | int 1                                                                        |
    | /VMC/Ext/T          | float, seconds since the first frame                                         |
    | /VMC/Ext/Bone/Pos   | "Head", position 0 0 0, quaternion x y z w (Unity's left-handed axes)        |
    | /VMC/Ext/Blend/Val  | name, float 0..1; 52 of them, in the order of `coefficients.BLENDSHAPE_NAMES` |
    | /VMC/Ext/Blend/Apply| nothing                                                                      |

    A bone's position is that of the model's own skeleton, which is not known here: it is 0 and headX, headY, headZ are
    not sent. Receivers take the rotation alone (VSeeFace, Warudo) or have a switch for it.

    Args:
        names: `arkit` (jawOpen) or `perfect_sync` (JawOpen).

    Raises:
        MissingExtraError: python-osc is not installed.
    """

    def __init__(self, names: str = "arkit") -> None:
        require("pythonosc")
        from pythonosc import osc_bundle_builder, osc_message_builder

        self._bundles, self._messages = osc_bundle_builder, osc_message_builder
        upper = names == "perfect_sync"
        self.names = tuple(n[0].upper() + n[1:] if upper else n for n in BLENDSHAPE_NAMES)
        self._began_ns: int | None = None

    def encode(self, frame: ExpressionFrame) -> bytes:
        """One datagram of about 3 kB; coefficients that are not finite are neutral."""
        if self._began_ns is None or frame.stamp_ns < self._began_ns:
            self._began_ns = frame.stamp_ns
        values = bounded(frame.coefficients)
        x, y, z, w = head_quaternion(values)
        rotation = x, -y, -z, w  # Unity's axes are left-handed: +x to the face's own right, +y up, +z out of the face
        bundle = self._bundles.OscBundleBuilder(self._bundles.IMMEDIATELY)
        parts: list[tuple[str, tuple[str | int | float, ...]]] = [
            ("/VMC/Ext/OK", (1,)),
            ("/VMC/Ext/T", ((frame.stamp_ns - self._began_ns) / NS,)),
            ("/VMC/Ext/Bone/Pos", ("Head", 0.0, 0.0, 0.0, *rotation)),
        ]
        shapes = zip(self.names, values[:BLENDSHAPE_COUNT], strict=True)
        parts += [("/VMC/Ext/Blend/Val", (name, float(value))) for name, value in shapes]
        parts.append(("/VMC/Ext/Blend/Apply", ()))
        for address, arguments in parts:
            message = self._messages.OscMessageBuilder(address)
            for argument in arguments:
                message.add_arg(argument)
            bundle.add_content(message.build())
        return bytes(bundle.build().dgram)
