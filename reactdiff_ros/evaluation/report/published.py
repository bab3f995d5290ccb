"""Published figures beside a run's own, each labelled comparable or not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.evaluation.results import Info
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path

FILE: Final = "config/report/published_react.yaml"
PREDICTIONS: Final = 10
"""REACT's number of predictions, over which FRC and FRD are sums."""
_TEXTS: Final = ("system", "source", "data", "note", "reason", "kind", "compat", "split")


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the file."""

    system: str
    source: str
    data: str
    figures: Mapping[str, float]
    note: str = ""
    reason: str = ""
    """Why it is never comparable; "": it may be."""
    kind: str = ""
    compat: str = ""
    split: str = ""

    def comparable(self, info: Info) -> tuple[bool, str]:
        """Whether it may stand beside a run, and why (not)."""
        if self.reason:
            return False, self.reason
        if info.kind != self.kind:
            what = "recorded people, but other recordings" if info.people else "simulated speakers"
            return False, f"This run is on {what}."
        if info.compat != self.compat:
            return False, f"This run counts as compat {info.compat}, not {self.compat}."
        split = str(info.settings.get("split", ""))
        if split != self.split:
            named = f"the {split} split" if split else "a split that the result does not name"
            return False, f"This run is on {named}, the figure on {self.split}."
        streams = info.settings.get("streams", PREDICTIONS)
        if streams != PREDICTIONS:
            return False, f"This run sums over {streams} predictions, the figure over {PREDICTIONS}."
        made = info.settings.get("attributes")
        return True, "Same split and same definitions." + (f" Attributes here are a {made}." if made else "")


def load_published(path: Path | None = None) -> list[Published]:
    """The rows of the shipped file, or of one's own in its form.

    Raises:
        ConfigError: the file cannot be read, or a row lacks something.
    """
    where = path or share_path(FILE)
    try:
        told = parse_yaml(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the published figures cannot be read", where=str(where), todo=reason) from error
    rows = told.get("rows") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise ConfigError("the published figures need a list 'rows'", where=str(where), todo="see the shipped file")
    return [_row(row, f"{where}, row {number}") for number, row in enumerate(rows, start=1)]


def _row(row: Any, where: str) -> Published:
    if not isinstance(row, dict):
        raise ConfigError("a row is no table", where=where, todo="see the shipped file")
    missing = [key for key in ("system", "source", "data") if not isinstance(row.get(key), str)]
    if missing:
        raise ConfigError(f"a row needs {missing[0]}", where=where, todo="every figure has a source")
    figures = row.get("figures") or {}
    if not isinstance(figures, dict) or not all(isinstance(v, (int, float)) for v in figures.values()):
        raise ConfigError("figures must be numbers by the metric's name", where=where, todo="as in figures: {FRC: 0.3}")
    texts = {key: str(row[key]).strip() for key in _TEXTS if key in row}
    return Published(figures={str(k): float(v) for k, v in figures.items()}, **texts)
