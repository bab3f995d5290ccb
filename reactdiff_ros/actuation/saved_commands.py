"""The last commands of joints that cannot be measured, kept from one run to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.whole_file import write_whole

LARGEST: Final = 1e9
"""No command of any unit is larger."""


def save_commands(path: Path, commands: Mapping[str, float]) -> None:
    """Write commands by joint, whole or not at all.

    Raises:
        ReactdiffError: the file cannot be written; the old one is as it was.
    """
    try:
        write_whole(path, json.dumps(dict(commands), allow_nan=False))
    except (OSError, ValueError) as error:
        todo = str(getattr(error, "strerror", None) or error)
        raise ReactdiffError("the last commands cannot be saved", where=str(path), todo=todo) from error


def load_commands(path: Path) -> dict[str, float]:
    """The commands that were saved; empty where there is no file, or none that can be read: then neutral is assumed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    numbers = {k: v for k, v in content.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return {name: float(value) for name, value in numbers.items() if abs(value) <= LARGEST}
