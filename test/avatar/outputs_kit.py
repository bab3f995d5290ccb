"""Faces to be sent, and readers of what arrives that share no code with the senders."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

import numpy as np

from reactdiff_ros.types import ExpressionFrame

STEP_NS = 20_000_000
START_NS = 1_790_000_000_000_000_000
# In Unreal's order, written down once more from the documentation of EARFaceBlendShape.
_UNREAL = """
EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft EyeWideLeft
EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight EyeSquintRight EyeWideRight
JawForward JawLeft JawRight JawOpen MouthClose MouthFunnel MouthPucker MouthLeft MouthRight MouthSmileLeft
MouthSmileRight MouthFrownLeft MouthFrownRight MouthDimpleLeft MouthDimpleRight MouthStretchLeft MouthStretchRight
MouthRollLower MouthRollUpper MouthShrugLower MouthShrugUpper MouthPressLeft MouthPressRight MouthLowerDownLeft
MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight BrowDownLeft BrowDownRight BrowInnerUp BrowOuterUpLeft
BrowOuterUpRight CheekPuff CheekSquintLeft CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut
HeadYaw HeadPitch HeadRoll LeftEyeYaw LeftEyePitch LeftEyeRoll RightEyeYaw RightEyePitch RightEyeRoll
"""
UNREAL = _UNREAL.split()


def frame(values: np.ndarray | None = None, number: int = 0, mode: str = "listening") -> ExpressionFrame:
    """A frame with these 58 coefficients, `number` steps of 20 ms after the first."""
    coefficients = np.zeros(58, np.float32) if values is None else np.asarray(values, np.float32)
    return ExpressionFrame(START_NS + number * STEP_NS, coefficients, mode, ("reaction",), None, None, None, None)


def faces(count: int, seed: int = 7) -> np.ndarray:
    """Random faces (count, 58) inside the bounds."""
    rng = np.random.default_rng(seed)
    values = rng.random((count, 58))
    values[:, 52:55] = values[:, 52:55] * 1.2 - 0.6
    values[:, 55:] = values[:, 55:] * 0.3 - 0.15
    return values.astype(np.float32)


def receiver() -> socket.socket:
    """A UDP socket on a free port of this machine."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.settimeout(60.0)
    return opened


@dataclass
class Packet:
    """A Live Link Face packet as Unreal reads it."""

    version: int
    device: str
    subject: str
    frame: int
    subframe: float
    rate: tuple[int, int]
    values: dict[str, float]


def read_live_link(data: bytes) -> Packet:
    """Decode from the published layout; fails on anything left over."""
    offset = 0

    def take(form: str):
        nonlocal offset
        values = struct.unpack_from(">" + form, data, offset)
        offset += struct.calcsize(">" + form)
        return values

    def text() -> str:
        (length,) = take("i")
        (raw,) = take(f"{length}s")
        return raw.decode()

    (version,) = take("B")
    device, subject = text(), text()
    number, subframe, numerator, denominator = take("ifii")
    (count,) = take("B")
    values = take(f"{count}f")
    assert offset == len(data)
    assert 264 <= len(data) <= 774  # what Unreal takes
    return Packet(
        version, device, subject, number, subframe, (numerator, denominator), dict(zip(UNREAL, values, strict=True))
    )
