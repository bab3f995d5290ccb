"""What long runs must keep, and the verdict on each: a pure function of their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reactdiff_ros.evaluation.bounds import Bound, Verdict, verdict

Found = Mapping[str, float | bool | None]
PARTS: Final = {"stream": "through the session", "graph": "through the graph"}
MEMORY: Final = 0.05
TAIL: Final = 1.1
DRIFT_MS: Final = 10.0
"""A quarter of a picture's time."""


def _growth(key: str) -> Callable[[Mapping[str, Any]], Found]:
    def find(part: Mapping[str, Any]) -> Found:
        return {
            _named(trend, name): last / first - 1.0 if first else None
            for trend in part["trends"]
            for name, (first, last) in trend[key].items()
        }

    return find


def _more(key: str) -> Callable[[Mapping[str, Any]], Found]:
    def find(part: Mapping[str, Any]) -> Found:
        return {_named(t, name): last - first for t in part["trends"] for name, (first, last) in t[key].items()}

    return find


def _tails(part: Mapping[str, Any]) -> Found:
    return {
        _named(trend, name): last / first if first and last else None
        for trend in part["trends"]
        for name, (first, last) in trend["p99_ms"].items()
    }


def _drift(key: str) -> Callable[[Mapping[str, Any]], Found]:
    def find(part: Mapping[str, Any]) -> Found:
        return {f"leg {t['leg']}": abs(t[key][1] - t[key][0]) if None not in t[key] else None for t in part["trends"]}

    return find


def _changed(part: Mapping[str, Any]) -> Found:
    table = part["behaviour"]
    return {"": sum(row["stable"] is False for row in table.values())} if table else {}


def _named(trend: Mapping[str, Any], name: str) -> str:
    return f"{name}, leg {trend['leg']}"


def _bounds(part: str) -> list[Bound]:
    drifts = (
        ("met_ms", "a person's voice after their face") if part == "stream" else ("lip_lag_ms", "mouth after voice")
    )
    return [
        Bound(part, "length, share of what was asked", lambda p: {"": p["done_s"] / p["asked_s"]}, "asked", low=1.0),
        Bound(part, "memory after warm-up, growth of a process", _growth("memory_mb"), "no leak", high=MEMORY),
        Bound(part, "open files, more in a process", _more("files"), "no leak", high=0.0),
        Bound(part, "threads, more in a process", _more("threads"), "no leak", high=0.0),
        Bound(part, "p99 of the last tenth over that of the first", _tails, "as fast as at first", high=TAIL),
        Bound(part, "stamps of voice and picture, drift in ms", _drift("apart_ms"), "one time line", high=DRIFT_MS),
        Bound(part, f"{drifts[1]}, drift in ms", _drift(drifts[0]), "one time line", high=DRIFT_MS),
        Bound(part, "statistics of behaviour that left 0.8 to 1.25", _changed, "the same listener", high=0.0),
        *(
            [Bound(part, "nodes started again", _last("restarts"), "nothing dies", high=0.0)]
            if part == "graph"
            else [Bound(part, "inputs rejected or dropped", _last("rejected", "dropped"), "nothing is lost", high=0.0)]
        ),
    ]  # fmt: skip


def _last(*names: str) -> Callable[[Mapping[str, Any]], Found]:
    def find(part: Mapping[str, Any]) -> Found:
        return {f"leg {leg['leg']}": sum(leg["counts"].get(n, 0) for n in names) for leg in part["legs"]}

    return find


def judge(parts: Mapping[str, Mapping[str, Any]]) -> list[Verdict]:
    """Every bound on the figures of `part_figures`, by part."""
    return [verdict(bound, parts[part]) for part in PARTS if part in parts for bound in _bounds(part)]
