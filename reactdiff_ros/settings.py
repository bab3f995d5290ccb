"""Settings with a unit, a range and one sentence; ranges of the controls; versions of files; paths that users write.

Commands show these in their help: nothing heavy is imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeGuard

from reactdiff_ros.errors import ConfigError, explained

Policy = Literal["model", "rules", "mime", "random", "idle"]
POLICIES: Final[tuple[Policy, ...]] = ("model", "rules", "mime", "random", "idle")

RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({
    "attitude": (-1.0, 1.0), "responsiveness": (0.0, 1.0), "smiling": (-1.0, 1.0), "nodding": (-1.0, 1.0),
    "liveliness": (-1.0, 1.0), "delay_s": (0.0, 1.0), "intensity": (0.0, 2.0), "stillness": (0.0, 1.0),
    "upper_face": (0.0, 2.0), "lower_face": (0.0, 2.0), "head": (0.0, 2.0),
})  # fmt: skip
"""The one table of controls: lowest and highest value of each. What they mean: `types.ListenerControl`."""


def setting(
    default: Any, about: str, *, unit: str = "1", low: float | None = None, high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """A dataclass field that becomes a ROS parameter (scripts/make_table.py).

    Its metadata are `about` (one sentence), `unit`, `low` and `high` (None: any value), and `choices` (empty: any).
    """
    metadata = {"about": about, "unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value from outside is a number; true and false, which Python counts as such, are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    """A path as a user wrote it: "~" is a home folder.

    Raises:
        ConfigError: it names the home folder of an unknown user.
    """
    what = "a path names the home folder of an unknown user"
    with explained(RuntimeError, what, where=f"{text!s:.80}", todo="write it in full", error=ConfigError):
        return Path(text).expanduser()


USER_FOLDERS: Final = MappingProxyType({"CONFIG": ".config", "STATE": ".local/state", "CACHE": ".cache"})


def user_folder(kind: Literal["CONFIG", "STATE", "CACHE"]) -> Path:
    """`reactdiff_ros` in the user's folder of that kind, see USER_FOLDERS (XDG Base Directory Specification 0.8)."""
    given = os.environ.get(f"XDG_{kind}_HOME")
    return (Path(given) if given else Path.home() / USER_FOLDERS[kind]) / "reactdiff_ros"


def state_folder(given: str, name: str) -> Path:
    """The folder that was given, else `name` in that of the user's state. Errors as `written_path`."""
    return written_path(given) if given else user_folder("STATE") / name


def check_settings(config: Any, where: str) -> None:
    """Check type and range of every setting of the dataclass `config`. NaN is allowed where it is the default (unset).

    Raises:
        ConfigError: a value has another type than its default, is out of range or not finite; it names the setting.
    """
    for item in fields(config):
        value, low, high = getattr(config, item.name), item.metadata.get("low"), item.metadata.get("high")
        if isinstance(item.default, bool) and not isinstance(value, bool):
            raise ConfigError(f"{item.name} = {value!r} is neither true nor false", where=where)
        if low is None or high is None or value is None:
            continue
        unset = isinstance(item.default, float) and math.isnan(item.default)
        for number in value if isinstance(value, tuple) else (value,):
            if unset and isinstance(number, float) and math.isnan(number):
                continue
            unit = "" if item.metadata["unit"] == "1" else f" {item.metadata['unit']}"
            todo = f"give {low:g} to {high:g}{unit}"
            if not is_number(number):
                raise ConfigError(f"{item.name} = {value!r} is not a number", where=where, todo=todo)
            if isinstance(item.default, int) and number != number // 1:
                raise ConfigError(f"{item.name} = {value!r} is not a whole number", where=where, todo=todo)
            if not low <= number <= high:
                raise ConfigError(f"{item.name} = {value!r} is out of range", where=where, todo=todo)
