"""Settings with a unit, a range and one sentence; and where the package's shared files lie."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import ConfigError

PACKAGE = "reactdiff_ros"


def setting(default: Any, about: str, *, unit: str = "1", low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field that can become a ROS parameter.

    Its metadata are `about` (one sentence), `unit`, `low` and `high` (None: any value).
    """
    return field(default=default, metadata={"about": about, "unit": unit, "low": low, "high": high})


def check_settings(config: Any, where: str) -> None:
    """Hold every field of the dataclass `config` to its range.

    Raises:
        ConfigError: a number is out of range or not finite; the sentence names the setting.
    """
    for item in fields(config):
        value, low, high = getattr(config, item.name), item.metadata.get("low"), item.metadata.get("high")
        if low is None or high is None or value is None:
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if not (isinstance(number, (int, float)) and math.isfinite(number) and low <= number <= high):
                unit = "" if item.metadata["unit"] == "1" else f" {item.metadata['unit']}"
                raise ConfigError(
                    f"{item.name} = {value!r} is out of range", where=where, todo=f"give {low:g} to {high:g}{unit}"
                )


def shared_file(relative: str) -> Path:
    """A file of `config/` or `resource/`: in the source tree, an ament prefix or an installed wheel, in this order.

    Raises:
        ConfigError: it is in none of them.
    """
    source = Path(__file__).resolve().parent.parent
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    roots = [source, *(Path(p) / "share" / PACKAGE for p in (*prefixes, sys.prefix))]
    for root in roots:
        if (root / relative).is_file():
            return root / relative
    raise ConfigError("a file of the package is missing", where=relative, todo="run 'make setup' again")
