"""What goes over the websocket: one small binary message a frame, and JSON for everything slow.

Binary layout, little-endian, 280 bytes:

| offset | type       | value                                                                        |
|--------|------------|------------------------------------------------------------------------------|
| 0      | uint8      | version, 1                                                                   |
| 1      | uint8      | mode: 0 listening, 1 idle, 2 neutral                                         |
| 2      | uint16     | face: 0, or 1 for the one that it is compared with                           |
| 4      | uint32     | number of the frame, wraps                                                   |
| 8      | float64 x5 | stamps in seconds: frame, picture, sound, and both through the plan; NaN = none |
| 48     | float32x58 | coefficients in the order of `coefficients.NAMES`                            |

The robot's voice, little-endian, 16 bytes and the samples:

| offset | type       | value                                                                        |
|--------|------------|------------------------------------------------------------------------------|
| 0      | uint8      | version, 3                                                                   |
| 1      | uint8      | channels                                                                     |
| 2      | uint16     | 0                                                                            |
| 4      | uint32     | samples a second of each channel                                             |
| 8      | float64    | stamp of the first sample, s                                                 |
| 16     | int16      | samples, channels interleaved                                                |

The preview of a robot with J joints, little-endian, 256 + 9 J bytes:

| offset | type       | value                                                                        |
|--------|------------|------------------------------------------------------------------------------|
| 0      | uint8      | version, 2                                                                   |
| 1      | uint8      | state: the place in ROBOT_STATES                                             |
| 2      | uint16     | J                                                                            |
| 4      | uint32     | which description of the robot this belongs to                               |
| 8      | float64    | time of the tick, s                                                          |
| 16     | float32    | how much of the clip was played, 0 to 1                                      |
| 20     | uint32     | 0                                                                            |
| 24     | float32x58 | the coefficients that were asked for                                         |
| 256    | float32xJ  | targets, then float32xJ commands, in each joint's unit                       |
| 256+8J | uint8xJ    | 1: limited                                                                   |
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import (
    BLENDSHAPE_NAMES,
    COEFFICIENT_COUNT,
    HEAD_PITCH,
    NAMES,
    SMILE,
    bounded,
    brows_raised,
)
from reactdiff_ros.plain_json import finite
from reactdiff_ros.types import ExpressionFrame, FloatArray, Sound, SpeakerFrame

VERSION = 1
MODES = ("listening", "idle", "neutral")
ROBOT_VERSION = 2
VOICE_VERSION = 3
ROBOT_STATES = ("disarmed", "starting", "following", "returning", "lowering", "stopped")
_HEAD = struct.Struct("<BBHI5d")
_VOICE_HEAD = struct.Struct("<BBHId")
_ROBOT_HEAD = struct.Struct("<BBHIdfI")


def encode_frame(frame: ExpressionFrame, number: int, face: int = 0) -> bytes:
    """`frame` as the binary message; `face`: 1 for the one that the first is compared with.

    Raises ValueError if it does not have 58 numbers or a known mode.
    """
    values = np.asarray(frame.coefficients, dtype=np.float64)
    if values.shape != (COEFFICIENT_COUNT,):
        raise ValueError(f"an expression has {COEFFICIENT_COUNT} coefficients, this one has the shape {values.shape}")
    if frame.mode not in MODES:
        raise ValueError(f"an expression's mode is one of {', '.join(MODES)}, not {frame.mode!r}")
    seconds = (math.nan if ns is None else ns / NS for ns in _stamps(frame).values())
    head = _HEAD.pack(VERSION, MODES.index(frame.mode), face, number & 0xFFFFFFFF, *seconds)
    return head + bounded(values).astype("<f4").tobytes()


def _stamps(frame: ExpressionFrame) -> dict[str, int | None]:
    """In the order of the binary message."""
    names = ("stamp_ns", "picture_stamp_ns", "sound_stamp_ns", "reaction_picture_stamp_ns", "reaction_sound_stamp_ns")
    return {name: getattr(frame, name) for name in names}


def encode_voice(sound: Sound) -> bytes:
    """The robot's voice as the binary message."""
    head = _VOICE_HEAD.pack(VOICE_VERSION, sound.samples.shape[1], 0, sound.rate_hz, sound.stamp_ns / NS)
    return head + np.ascontiguousarray(sound.samples, dtype="<i2").tobytes()


def encode_robot(
    state: str, generation: int, time_s: float, position: float, coefficients: FloatArray, targets: Sequence[float],
    commands: Sequence[float], limited: Sequence[bool],
) -> bytes:  # fmt: skip
    """One tick of a robot's preview. Raises ValueError for an unknown state or joints that do not agree."""
    if state not in ROBOT_STATES or not len(targets) == len(commands) == len(limited):
        raise ValueError(f"no tick of a robot: {state!r}, {len(targets)} targets, {len(commands)} commands")
    head = _ROBOT_HEAD.pack(
        ROBOT_VERSION, ROBOT_STATES.index(state), len(commands), generation & 0xFFFFFFFF, time_s, position, 0
    )
    joints = np.array([targets, commands], dtype="<f4").tobytes() + np.array(limited, dtype=np.uint8).tobytes()
    return head + bounded(coefficients).astype("<f4").tobytes() + joints


def frame_as_dict(frame: ExpressionFrame) -> dict[str, Any]:
    """`frame` for the REST interface: coefficients by name."""
    values = (round(float(v), 6) for v in bounded(frame.coefficients))
    coefficients = dict(zip(NAMES, values, strict=True))
    return {**_stamps(frame), "mode": frame.mode, "layers": list(frame.layers), "coefficients": coefficients}


def candidate_curves(candidates: FloatArray, chosen: int, rate_hz: float) -> dict[str, Any]:
    """What the page draws of a plan's candidates (K, horizon, 58): for each of three moves, one curve a candidate.

    smile 0..1; brow: raised 0..1, less what is lowered; nod: degrees of the head downwards.
    """
    values = bounded(candidates).astype(np.float64)
    curves = {
        "smile": values[..., list(SMILE)].mean(-1),
        "brow": brows_raised(values),
        "nod": np.degrees(values[..., HEAD_PITCH]),
    }
    drawn = {name: [[round(float(v), 3) for v in row] for row in curve] for name, curve in curves.items()}
    return {"chosen": int(chosen), "rate_hz": float(rate_hz), **drawn}


def to_json(value: Any) -> str:
    """Compact JSON: NaN and infinities are null, NumPy becomes lists, what JSON does not know its text."""
    return json.dumps(finite(value), separators=(",", ":"), allow_nan=False, default=str)


def speaker_status(frame: SpeakerFrame | None) -> dict[str, Any]:
    """What pages show of the person; None: perception gives nothing."""
    if frame is None:
        return {"present": False, "seen": "nothing comes from perception"}
    values: dict[str, Any] = {
        "present": frame.face_present, "person": frame.person_id, "camera": frame.picture_stamp_ns is not None,
        "microphone": frame.sound_stamp_ns is not None,
    }  # fmt: skip
    if frame.voice is not None:
        values |= {"speaking": frame.voice.speaking, "loudness_dbfs": round(frame.voice.loudness_dbfs)}
    if frame.affect is not None:
        values |= {"expression": frame.affect.label, "valence": round(frame.affect.valence, 2)}
    if frame.gaze is not None:
        values["looks_here"] = round(frame.gaze.contact, 2)
    shapes = zip(BLENDSHAPE_NAMES, frame.coefficients, strict=False)
    return values | {"coefficients": {name: round(float(value), 2) for name, value in shapes}}
