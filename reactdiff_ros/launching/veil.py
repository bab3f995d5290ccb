"""The condition of a blind session as text that no one reads by accident.

The machine that runs a session must know its settings. A *veil* hides them from a glance: equal conditions look
different. It is no lock: the machine, and so its owner, can lift it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from reactdiff_ros.errors import ConfigError

Setting = bool | int | float | str
SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Condition:
    """What one session runs, as the robot's machine knows it. It has no name there."""

    study: str
    session: str
    seal: str
    """Random text that the bag keeps and the key knows."""
    settings: Mapping[str, Setting]


def veil(condition: Condition, salt: bytes) -> str:
    """The condition as text, mixed with `salt`."""
    content = json.dumps({**asdict(condition), "settings": dict(condition.settings)}, sort_keys=True)
    return base64.urlsafe_b64encode(salt + _mixed(content.encode(), salt)).decode()


def unveil(text: str) -> Condition:
    """The condition that `veil` hid. Raises ConfigError if the text is not a veil."""
    wrong = ConfigError("the session's condition cannot be read", todo="take it anew from the study's sessions file")
    try:
        raw = base64.b64decode(text.strip().encode(), altchars=b"-_", validate=True)
        told = json.loads(_mixed(raw[SALT_BYTES:], raw[:SALT_BYTES]))
    except (ValueError, binascii.Error, RecursionError):
        raise wrong from None  # a trace would show what is hidden
    keys = {"study", "session", "seal"}
    if not isinstance(told, dict) or set(told) != {*keys, "settings"} or not isinstance(told["settings"], dict):
        raise wrong
    if not all(isinstance(told[key], str) for key in keys):
        raise wrong
    return Condition(**told)


def _mixed(data: bytes, salt: bytes) -> bytes:
    stream = hashlib.shake_256(salt).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))
