"""Figures of faults as a file: rows of several runs together, with the machine that they were measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.faults.catalogue import catalogue


def kept(path: Path | None) -> list[dict[str, Any]]:
    """The rows of an existing file; none without one.

    Raises:
        MediaError: it is no file of figures of faults.
    """
    if path is None or not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["faults"]
        if not all(isinstance(row, dict) and isinstance(row["fault"], str) for row in rows):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MediaError(
            "this file holds no figures of faults", where=str(path), todo="give another --output"
        ) from error
    return list(rows)


def summary(before: list[dict[str, Any]], new: list[dict[str, Any]], *, clip: str) -> dict[str, Any]:
    """Rows of `before` with those of `new` in their place, in the order of the catalogue.

    Returns:
        {"clip", "hardware", "faults", "within_bounds"}.
    """
    rows = {row["fault"]: row for row in (*before, *({**row, "clip": clip} for row in new))}
    order = [fault.name for fault in catalogue()]
    ordered = [rows[name] for name in order if name in rows]
    return {
        "hardware": hardware(),
        "faults": ordered,
        "within_bounds": not any(row["violations"] for row in ordered),
    }
