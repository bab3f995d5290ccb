"""What the journals of long runs show: trends within each leg, and a verdict on every bound.

A leg is one process, so what grows with time grows within a leg. Its first minutes warm up; of the others, the last
tenth is compared with the first. Only legs that are long enough are judged, and the worst of them is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

from reactdiff_ros.evaluation.bounds import RATIO_BAND
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.soak.bounds import judge
from reactdiff_ros.evaluation.soak.journal import Leg, Minute
from reactdiff_ros.evaluation.soak.measures import percentile

FORMAT: Final = 1
WARM_UP: Final = 5
"""Minutes at the beginning of a leg that are not compared."""
TENTHS: Final = 10
CURVE_POINTS: Final = 120
RARE: Final = 1e-4
FEWEST: Final = 20
"""An interval over minutes says nothing of fewer events."""
LONG_ENOUGH_S: Final = 30.0
"""Behaviour within less is no rate."""


def part_figures(legs: Sequence[Leg], asked_s: float, seed: int = 0) -> dict[str, Any]:
    """Figures of one journal.

    Returns:
        "done_s", "asked_s", "legs" (what each did), "trends" (one for each leg that is long enough: pairs of the first
        and the last tenth), "behaviour" (ratios), "times_ms", "load" and "curves" (for pictures).
    """
    judged = [leg for leg in legs if len(leg.minutes) >= WARM_UP + TENTHS]
    minutes = [minute for leg in legs for minute in leg.minutes]
    return {
        "asked_s": asked_s,
        "done_s": round(sum(leg.seconds for leg in legs), 3),
        "legs": [_leg(leg) for leg in legs],
        "trends": [_trend(leg) for leg in judged],
        "behaviour": _behaviour(judged, seed),
        "times_ms": {name: _spread(minutes, name) for name in _names(minutes, "times")},
        "load": _ends([minute["load"] for minute in minutes]),
        "curves": _curves(legs),
    }  # fmt: skip


def _leg(leg: Leg) -> dict[str, Any]:
    last = leg.minutes[-1] if leg.minutes else {}
    cpu_s, wall_s = (sum(minute[name] for minute in leg.minutes) for name in ("cpu_s", "wall_s"))
    return {
        "leg": leg.number,
        "seconds": round(leg.seconds, 3),
        "ended": leg.ended,
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
        "load": _ends([minute["load"] for minute in leg.minutes]),
        "processes": last.get("processes", {}),
        "counts": _counts(leg.minutes),
        "begun": leg.begun,
    }


def _counts(minutes: Sequence[Minute]) -> dict[str, float]:
    """Of a whole leg: what nodes count themselves as they said at last, the extremes of a minute, else sums."""
    out: dict[str, float] = {}
    for minute in minutes:
        for name, value in minute["counts"].items():
            out[name] = _JOINED.get(name, _sum)(out[name], value) if name in out else value
    return out


def _sum(before: float, now: float) -> float:
    return before + now


def _newest(before: float, now: float) -> float:
    return now


_JOINED: Final[dict[str, Callable[[float, float], float]]] = {
    "rejected": _newest,
    "dropped": _newest,
    "restarts": _newest,
    "longest_gap_ms": max,
    "robot_follows": min,
}


def _trend(leg: Leg) -> dict[str, Any]:
    warm = leg.minutes[WARM_UP:]
    count = max(len(warm) // TENTHS, 1)
    first, last = warm[:count], warm[-count:]
    names = sorted(set(first[0]["processes"]) & set(last[-1]["processes"]))

    def ends(name: str, what: str) -> tuple[float, float]:
        begin, end = (
            median(m["processes"][name][what] for m in part if name in m["processes"]) for part in (first, last)
        )
        return float(begin), float(end)

    def whole(part: Sequence[Minute]) -> float:
        sums = (sum(process["rss_mb"] for process in minute["processes"].values()) for minute in part)
        return float(median(sums))

    return {
        "leg": leg.number,
        "minutes": len(warm),
        "tenth": count,
        "memory_mb": {name: ends(name, "rss_mb") for name in names},
        "anonymous_mb": {name: ends(name, "anonymous_mb") for name in names},
        "memory_of_all_mb": (whole(first), whole(last)),
        "files": {name: ends(name, "files") for name in names},
        "threads": {name: ends(name, "threads") for name in names},
        "p99_ms": {name: [_p(part, name, 99.0) for part in (first, last)] for name in _names(warm, "times")},
        "apart_ms": [_middle(part, "apart_ms") for part in (first, last)],
        "lip_lag_ms": [_middle(part, "lip_lag_ms") for part in (first, last)],
        "met_ms": [_met(part, _first_meetings(warm)) for part in (warm[: len(warm) // 2], warm[len(warm) // 2 :])],
        "cores": [round(sum(m["cpu_s"] for m in p) / sum(m["seconds"] for m in p), 3) for p in (first, last)],
        "load": [median(m["load"] for m in part) for part in (first, last)],
    }


def _first_meetings(minutes: Iterable[Minute]) -> dict[str, float]:
    """By clip, how much later its person was heard than seen at the first visit, ms."""
    found: dict[str, float] = {}
    for clip, apart in _meetings(minutes):
        found.setdefault(clip, apart)
    return found


def _meetings(minutes: Iterable[Minute]) -> list[tuple[str, float]]:
    met = [visit for minute in minutes for visit in minute.get("met", ())]
    return [(clip, 1e3 * (heard - seen)) for clip, seen, heard in met if seen is not None and heard is not None]


def _met(minutes: Iterable[Minute], first: Mapping[str, float]) -> float | None:
    """Median change of `_meetings` from the first visit of the same clip, ms."""
    changes = [apart - first[clip] for clip, apart in _meetings(minutes)]
    return round(median(changes), 3) if changes else None


def _behaviour(legs: Sequence[Leg], seed: int) -> dict[str, dict[str, Any]]:
    """Second half of the minutes of each leg against its first, all legs together: ratios with intervals."""
    early: list[dict[str, float]] = []
    late: list[dict[str, float]] = []
    for leg in legs:
        told = [m["behaviour"] for m in leg.minutes[WARM_UP:] if m["behaviour"] and m["seconds"] >= LONG_ENOUGH_S]
        half = len(told) // 2
        early, late = early + told[:half], late + told[-half:] if half else late
    if not early:
        return {}
    table = {}
    drawn = bootstrap.draws(seed, len(early))
    for name in early[0]:
        before, after = (np.array([minute[name] for minute in part], dtype=np.float64) for part in (early, late))
        if max(before.mean(), after.mean()) < RARE:
            continue
        ratio = {key: _finite(value) for key, value in bootstrap.ratio(drawn, after, before).items()}
        events = _events(name, [*early, *late])
        stable = _stable(ratio) if events is None or events >= FEWEST else None
        first, second = float(before.mean()), float(after.mean())
        table[name] = {"first": first, "second": second, **ratio, "events": events, "stable": stable}
    return table


def _events(name: str, minutes: Sequence[Mapping[str, float]]) -> int | None:
    """On how many events a rate or a share of time rests; None for other statistics."""
    for kind in ("rate of ", "share of "):
        if name.startswith(kind):
            return round(sum(minute["rate of " + name.removeprefix(kind)] for minute in minutes))
    return None


def _stable(ratio: Mapping[str, float | None]) -> bool | None:
    """Whether the interval lies within the band; None: partly, so that nothing can be said."""
    low, high = ratio["low"], ratio["high"]
    if low is None or high is None:
        return None
    if low >= RATIO_BAND[0] and high <= RATIO_BAND[1]:
        return True
    return False if low > RATIO_BAND[1] or high < RATIO_BAND[0] else None


def _curves(legs: Sequence[Leg]) -> dict[str, Any]:
    """For pictures: at most CURVE_POINTS minutes, evenly spread; times go on from leg to leg."""
    rows: list[tuple[float, int, Minute]] = []
    at_s = 0.0
    for leg in legs:
        for minute in leg.minutes:
            at_s += minute["seconds"]
            rows.append((at_s, leg.number, minute))
    step = max(-(-len(rows) // CURVE_POINTS), 1)
    rows = rows[::step]
    names = _names((minute for _, _, minute in rows), "processes")
    times = _names((minute for _, _, minute in rows), "times")

    def held(what: str) -> dict[str, list[Any]]:
        return {name: [m["processes"].get(name, {}).get(what) for _, _, m in rows] for name in names}

    return {
        "at_min": [round(at / 60.0, 2) for at, _, _ in rows],
        "leg": [number for _, number, _ in rows],
        "load": [m["load"] for _, _, m in rows],
        "memory_mb": held("rss_mb"), "files": held("files"), "threads": held("threads"),
        "p50_ms": {n: [_p([m], n, 50.0) for _, _, m in rows] for n in times},
        "p99_ms": {n: [_p([m], n, 99.0) for _, _, m in rows] for n in times},
        "apart_ms": [m["apart_ms"] for _, _, m in rows],
    }  # fmt: skip


def _names(minutes: Iterable[Minute], key: str) -> list[str]:
    return sorted({name for minute in minutes for name in minute[key]})


def _p(minutes: Iterable[Minute], name: str, percent: float) -> float | None:
    value = percentile((m["times"].get(name, {}) for m in minutes), percent)
    return None if value is None else round(value, 2)


def _spread(minutes: Sequence[Minute], name: str) -> dict[str, float | None]:
    return {"p50": _p(minutes, name, 50.0), "p99": _p(minutes, name, 99.0)}


def _middle(minutes: Iterable[Minute], name: str) -> float | None:
    known = [minute[name] for minute in minutes if minute.get(name) is not None]
    return round(median(known), 3) if known else None


def _ends(values: Sequence[float]) -> list[float] | None:
    return [min(values), max(values)] if values else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def assemble(parts: Mapping[str, Mapping[str, Any]], *, hardware: Mapping[str, Any], date: str) -> dict[str, Any]:
    """What docs/soak.json holds."""
    verdicts = judge(parts)
    return {
        "format": FORMAT, "date": date, "hardware": dict(hardware), "parts": dict(parts),
        "bounds": [v.as_dict() for v in verdicts],
        "held": sum(v.holds is True for v in verdicts), "of": len(verdicts),
    }  # fmt: skip
