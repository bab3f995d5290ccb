"""Named styles of listening: `config/styles.yaml`, and how a ListenerControl changes the settings in force."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.resources import share_path
from reactdiff_ros.types import ListenerControl

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "attitude": (-1.0, 1.0),
        "intensity": (0.0, 2.0),
        "stillness": (0.0, 1.0),
        "delay_s": (0.0, 2.0),
        "upper_face": (0.0, 2.0),
        "lower_face": (0.0, 2.0),
        "head": (0.0, 2.0),
    }
)


@dataclass(frozen=True, slots=True)
class Style:
    """The settings of style in force. Ranges and units as in `ListenerControl`, but never NaN."""

    name: str = "neutral"
    attitude: float = 0.0
    intensity: float = 1.0
    stillness: float = 0.0
    delay_s: float = 0.0
    upper_face: float = 1.0
    lower_face: float = 1.0
    head: float = 1.0
    resting: tuple[tuple[str, float], ...] = ()
    """The resting face of this style: (coefficient name, 0..0.3), shown while it listens."""

    def settings(self) -> dict[str, float | str]:
        """The effective values by name, for status and diagnostics."""
        return {"style": self.name, **{name: float(getattr(self, name)) for name in RANGES}}


def load_styles(path: Path | None = None) -> dict[str, Style]:
    """The named styles of `path` (default: the package's `config/styles.yaml`).

    Raises:
        ReactdiffError: the package's own file is missing.
        ConfigError: `path` cannot be read, is not valid YAML, or names an unknown setting or a value out of range.
    """
    path = path or share_path("config/styles.yaml")
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("the styles cannot be read", where=str(path), todo=str(error).splitlines()[0]) from error
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ConfigError("the styles are not a table of named settings", where=str(path))
    return {str(name): _style(str(name), entry, str(path)) for name, entry in table.items()}


def apply_control(style: Style, control: ListenerControl, styles: Mapping[str, Style]) -> Style:
    """`style` after `control`: its named style first, then its numbers, clipped to their ranges; NaN changes nothing.

    Raises:
        ConfigError: the control names a style that is not in `styles`; nothing is changed then.
    """
    if control.style:
        if control.style not in styles:
            known = ", ".join(sorted(styles))
            raise ConfigError("unknown style", where=control.style, todo=f"use one of {known}")
        style = styles[control.style]
    values = {name: getattr(control, name) for name in RANGES}
    given = {n: min(max(float(v), RANGES[n][0]), RANGES[n][1]) for n, v in values.items() if not math.isnan(v)}
    return replace(style, **given)  # type: ignore[arg-type]


def _style(name: str, entry: dict[str, Any], where: str) -> Style:
    values: dict[str, float] = {}
    for key, value in entry.items():
        if key in ("about", "resting"):
            continue
        if key not in RANGES:
            raise ConfigError(f"unknown setting {key!r} of style {name!r}", where=where)
        low, high = RANGES[key]
        values[key] = _number(value, low, high, f"{key} of style {name!r}", where)
    resting = entry.get("resting") or {}
    if not isinstance(resting, dict) or any(key not in INDEX for key in resting):
        raise ConfigError(f"resting of style {name!r} must name coefficients", where=where)
    face = tuple((key, _number(value, 0.0, 0.3, f"{key} of style {name!r}", where)) for key, value in resting.items())
    return replace(Style(name=name, resting=face), **values)  # type: ignore[arg-type]


def _number(value: object, low: float, high: float, what: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{what} is not a number in range", where=where, todo=f"give {low:g} to {high:g}")
    return float(value)
