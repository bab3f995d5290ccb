"""Figures of faults as a file: rows of several runs together, with the machine that they were measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.faults.catalogue import catalogue

_ROW: Final = {
    "fault": str, "what": str, "clip": str, "asked": dict, "said": list, "violations": list, "finite": bool,
    "load": float, "longest_gap_s": float, "largest_step": float,
}  # fmt: skip
"""What a row must have; what may be null is not here."""


def kept(path: Path | None) -> list[dict[str, Any]]:
    """The rows of an existing file; none without one. Raises MediaError as `read_figures` does."""
    if path is None or not path.exists():
        return []
    figures = read_figures(path)
    cpu = str(figures["hardware"].get("cpu", ""))
    return [{"cpu": cpu, **row} for row in figures["faults"]]


def read_figures(path: Path) -> dict[str, Any]:
    """What `summary` gave and was written.

    Raises:
        MediaError: it is no file of figures of faults.
    """
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(figures["hardware"], dict) or not all(_is_row(row) for row in figures["faults"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MediaError(
            "this file holds no figures of faults", where=str(path), todo="give another --output"
        ) from error
    return dict(figures)


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row[name], kind) for name, kind in _ROW.items()):
        return False
    texts = all(isinstance(text, str) for text in (*row["said"], *row["violations"]))
    times = [row[name] for name in ("away_from_s", "away_to_s", "page_neutral_s", "normal_after_s")]
    times += [row[name] for name in ("servos_return_s", "servos_follow_after_s", "servos_speed") if name in row]
    numbers = all(t is None or isinstance(t, (int, float)) for t in times)
    return texts and numbers and isinstance(row["asked"]["normal_after_s"], (int, float))


def summary(before: list[dict[str, Any]], new: list[dict[str, Any]], *, clip: str) -> dict[str, Any]:
    """Rows of `before` with those of `new` in their place, in the order of the catalogue.

    Returns:
        {"hardware", "faults", "within_bounds"}.
    """
    here = hardware()
    rows = {row["fault"]: row for row in (*before, *({**row, "clip": clip, "cpu": here["cpu"]} for row in new))}
    order = [fault.name for fault in catalogue()]
    ordered = [rows[name] for name in order if name in rows]
    return {
        "hardware": here,
        "faults": ordered,
        "within_bounds": not any(row["violations"] for row in ordered),
    }
