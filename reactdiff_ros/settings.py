"""Settings with a unit, a range and one sentence; the version of files that hold some; paths as users write them."""

from __future__ import annotations

import math
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import ConfigError


def setting(default: Any, about: str, *, unit: str = "1", low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field that can become a ROS parameter.

    Its metadata are `about` (one sentence), `unit`, `low` and `high` (None: any value).
    """
    return field(default=default, metadata={"about": about, "unit": unit, "low": low, "high": high})


def format_problem(value: object, known: int) -> tuple[str, str] | None:
    """What is wrong with the `format` that a user's file says it has, and what to do; None: it can be read.

    Files of a newer version are refused whole, and never written to: what they mean, the newer package knows.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return f"is {value!r:.40}, not a number", f"write {known}, or leave it out"
    if value > known:
        what = f"is {value}, and this version of reactdiff_ros knows {known}"
        return what, "install the newer version again; the file was not changed"
    return None


def written_path(text: str | Path) -> Path:
    """A path as somebody wrote it: "~" is a home.

    Raises:
        ConfigError: it names the home of a user who is not there.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError("a path names the home of a user who is not there", where=f"{text!s:.80}") from error


def check_settings(config: Any, where: str) -> None:
    """Hold every field of the dataclass `config` to its range; NaN is fine where it is the default (unset).

    Raises:
        ConfigError: a number is out of range or not finite; the sentence names the setting.
    """
    for item in fields(config):
        value, low, high = getattr(config, item.name), item.metadata.get("low"), item.metadata.get("high")
        if low is None or high is None or value is None:
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        unset = isinstance(item.default, float) and math.isnan(item.default)
        for number in numbers:
            if unset and isinstance(number, float) and math.isnan(number):
                continue
            if not (isinstance(number, (int, float)) and low <= number <= high):
                unit = "" if item.metadata["unit"] == "1" else f" {item.metadata['unit']}"
                raise ConfigError(
                    f"{item.name} = {value!r} is out of range", where=where, todo=f"give {low:g} to {high:g}{unit}"
                )
