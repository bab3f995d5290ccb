"""A frame as JSON with ARKit's names, for web avatars and programs in any language."""

from __future__ import annotations

import json
from typing import Any

from reactdiff_ros.avatar.outputs.pose import head_quaternion
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, BLENDSHAPE_NAMES, TRANSLATION, bounded
from reactdiff_ros.types import ExpressionFrame

DIGITS = 5


def frame_object(frame: ExpressionFrame, number: int) -> dict[str, Any]:
    """What a client gets of a frame.

    Keys: `type` ("arkit"), `frame` (counts from 1), `stamp` (s), `mode` (listening, idle, neutral), `blendshapes` (52
    by name, 0..1) and `head`: `pitch`, `yaw`, `roll` (rad, ARKit's signs), `quaternion` (x, y, z, w, right-handed,
    +x to the face's own left, +y up, +z out of the face) and `position` (x, y, z in m, same axes).
    """
    values = bounded(frame.coefficients)
    rounded = [round(float(v), DIGITS) for v in values]
    pitch, yaw, roll = rounded[BLENDSHAPE_COUNT : BLENDSHAPE_COUNT + 3]
    head = {
        "pitch": pitch,
        "yaw": yaw,
        "roll": roll,
        "quaternion": [round(q, DIGITS + 2) for q in head_quaternion(values)],
        "position": rounded[TRANSLATION],
    }
    shapes = dict(zip(BLENDSHAPE_NAMES, rounded[:BLENDSHAPE_COUNT], strict=True))
    stamp = frame.stamp_ns / NS
    return {
        "type": "arkit",
        "frame": number,
        "stamp": stamp,
        "mode": frame.mode,
        "blendshapes": shapes,
        "head": head,
    }


def encode(frame: ExpressionFrame, number: int) -> str:
    """The same as compact JSON."""
    return json.dumps(frame_object(frame, number), separators=(",", ":"), allow_nan=False)
