"""What people do: bands of rates, lengths, sizes and shares, from recordings of pairs of people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path

FILE: Final = "config/report/human_bands.yaml"


@dataclass(frozen=True, slots=True)
class Band:
    """What people do."""

    name: str
    low: float
    mid: float
    high: float
    about: str
    """"behaviour" or "conformance"."""
    band: str
    """What low and high are."""
    source: str


@cache
def load_bands(path: Path | None = None) -> dict[str, Band]:
    """Bands by name, of the shipped file or of another one in its form.

    Raises:
        ConfigError: the file cannot be read, or a band lacks something.
    """
    where = path or share_path(FILE)
    try:
        rows = parse_yaml(where.read_text(encoding="utf-8"))
        bands = {str(name): _band(str(name), row) for name, row in rows.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the human bands cannot be read", where=str(where), todo=reason) from error
    except (KeyError, TypeError, ValueError) as error:
        what = "a band needs low <= mid <= high, about (behaviour or conformance), band and source"
        raise ConfigError(what, where=str(where), todo=f"correct {error}") from error
    return bands


def _band(name: str, row: Any) -> Band:
    low, mid, high = (float(row[key]) for key in ("low", "mid", "high"))
    if not low <= mid <= high or row["about"] not in ("behaviour", "conformance"):
        raise ValueError(name)
    return Band(name, low, mid, high, row["about"], str(row["band"]), " ".join(str(row["source"]).split()))
