"""A blind session in the graph: its condition is passed in the environment, and nothing published reveals it.

Not as parameters: `ros2 param get`, parameter files and the process list would show them. The machine that runs a
session must know its settings. A *veil* hides them from a glance: equal conditions look different.
It is no lock: the machine, and so its owner, can lift it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.settings import RANGES
from reactdiff_ros.types import Reaction

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
    try:
        raw = base64.b64decode(text.strip().encode(), altchars=b"-_", validate=True)
        condition = Condition(**json.loads(_mixed(raw[SALT_BYTES:], raw[:SALT_BYTES])))
    except (ValueError, TypeError, RecursionError):
        condition = None
    texts = (condition.study, condition.session, condition.seal) if condition is not None else (None,)
    if condition is None or not isinstance(condition.settings, dict) or not all(isinstance(t, str) for t in texts):
        todo = "copy it again from the study's sessions file"
        raise ConfigError("the session's condition cannot be read", todo=todo)  # no trace: it would show what is hidden
    return condition


def _mixed(data: bytes, salt: bytes) -> bytes:
    stream = hashlib.shake_256(salt).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


CONDITION_VARIABLE: Final = "REACTDIFF_CONDITION"
"""A veiled condition (`veil`)."""
BLIND: Final = "blind"
"""What is published in place of the policy."""
NODES: Final = ("reaction_node", "expression_node")
SETTINGS: Final = ("policy", "style", "styles_file", "hop_s", "guidance", "nod_rate_per_min", "smile_share",
                   "mime_lag_s", *RANGES)  # fmt: skip
"""What a condition may set."""


def blind_condition() -> Condition | None:
    """The condition that this process runs blind; None: none. Raises ConfigError for a veil that cannot be lifted."""
    text = os.environ.get(CONDITION_VARIABLE, "").strip()
    return unveil(text) if text else None


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError for what a condition cannot set, or a value that its node would refuse."""
    for name, value in settings.items():
        if name not in SETTINGS:
            raise ConfigError(f"a condition cannot set {name!r}", todo=f"use {', '.join(SETTINGS)}")
        for parameter in (p for node in NODES for p in load_table().node(node).parameters):
            if parameter.name == name:
                parameter.checked(value)


def impose(condition: Condition, node: str, values: dict[str, Any]) -> None:
    """Put the condition's settings over a node's values. Raises ConfigError without naming them."""
    try:
        check_settings(condition.settings)
    except ConfigError:
        raise cannot(condition) from None
    values.update(load_table().node(node).checked(condition.settings))


def blind_settings(condition: Condition) -> dict[str, str]:
    """What a node's status says of a blind session."""
    return {"policy": BLIND, "study": condition.study, "session": condition.session, "seal": condition.seal}


def hidden(reaction: Reaction) -> Reaction:
    """A plan without what reveals its policy, apart from the motion."""
    return replace(reaction, policy=BLIND, backend=BLIND, compute_s=0.0, candidate=0, candidates=None)


def sealed(settings: Iterable[str]) -> dict[str, str]:
    """Study, session and seal from the settings of a reaction_node's status; empty where no session is blind."""
    found = dict(setting.split("=", 1) for setting in settings if "=" in setting)
    return {name: found[name] for name in ("study", "session", "seal")} if "seal" in found else {}


def cannot(condition: Condition) -> ConfigError:
    """In place of an error that would name the condition."""
    what = "this session's condition cannot run on this machine"
    todo = "stop here, and ask the person who sealed the study to run 'reactdiff study check' on this machine"
    return ConfigError(what, where=f"session {condition.session}", todo=todo)


def recorded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a blind session for its bag: without those that a condition may set, for they were not in force."""
    secret = {f"{node}.{name}" for node in NODES for name in SETTINGS}
    return {name: value for name, value in parameters.items() if name not in secret}
