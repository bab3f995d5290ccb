"""What is measured in every minute of a long run, and what the journals show: trends within each leg, and verdicts.

A time is counted in a bin of 2 %, so that minutes can be joined and a percentile is right to 1 %.

A leg is one process, so what grows with time grows within a leg. Its first minutes warm up; of the others, the last
tenth is compared with the first. Only legs that are long enough are judged, and the worst of them is reported.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.bounds import RATIO_BAND, Bound, verdict
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.studies.sessions import statistics
from reactdiff_ros.types import FloatArray
from tools.soak.journal import Leg, Minute, read_journal

BIN: Final = math.log(1.02)
SHORTEST_MS: Final = 0.01
LIP_LAG_FRAMES: Final = 12
LIP_CORRELATION: Final = 0.1
"""Below this, voice and mouth have nothing in common, and no lag."""
LOUD_DBFS: Final = -60.0
FORMAT: Final = 1
WARM_UP: Final = 5
"""Minutes at the beginning of a leg that are not compared."""
TENTHS: Final = 10
RARE: Final = 1e-4
FEWEST: Final = 20
"""Fewer events tell nothing about an interval over minutes."""
LONG_ENOUGH_S: Final = 30.0
"""Behaviour within less is no rate."""
MEMORY: Final = 0.05
TAIL: Final = 1.1
DRIFT_MS: Final = 10.0
"""A quarter of a picture's time."""
Found = Mapping[str, float | bool | None]


# What is measured in a minute.


def footprint(pids: Iterable[int]) -> dict[str, float | int]:
    """Memory (MB, resident, and of it what no file backs), open files and threads of living processes, summed."""
    total: Counter[str] = Counter()
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            memory = process.memory_info()
            total.update(rss=memory.rss, anonymous=memory.rss - memory.shared)
            total.update(files=process.num_fds(), threads=process.num_threads())
    return {
        "rss_mb": round(total["rss"] / 1e6, 3), "anonymous_mb": round(total["anonymous"] / 1e6, 3),
        "files": total["files"], "threads": total["threads"],
    }  # fmt: skip


def counted(times_ms: Iterable[float]) -> dict[str, int]:
    """Times as counts by bin."""
    bins = Counter(math.floor(math.log(max(ms, SHORTEST_MS)) / BIN) for ms in times_ms)
    return {str(k): n for k, n in sorted(bins.items())}


def percentile(counts: Iterable[Mapping[str, int]], percent: float) -> float | None:
    """Of the times in all `counts`, ms; None without any."""
    total: Counter[int] = Counter()
    for one in counts:
        total.update({int(k): n for k, n in one.items()})
    rank = percent / 100.0 * total.total()
    for k in sorted(total):
        rank -= total[k]
        if rank <= 0:
            return math.exp((k + 0.5) * BIN)
    return None


def behaviour(faces: FloatArray) -> dict[str, float]:
    """The statistics of `evaluate sessions`, of one minute's faces (T, 58) at 25 Hz; empty below two seconds."""
    if len(faces) < 50:
        return {}
    return {name: round(float(value[0]), 6) for name, value in statistics(faces[None]).items()}


def apart_ms(pictures_ns: Sequence[int], sounds_ns: Sequence[int]) -> float | None:
    """Median distance from the stamps of sounds to those of the pictures that came with them; None without any."""
    if not pictures_ns:
        return None
    return round(float(np.median(np.subtract(pictures_ns, sounds_ns, dtype=np.float64))) / 1e6, 3)


def lip_lag_ms(loudness_dbfs: Sequence[float], jaw: Sequence[float]) -> float | None:
    """How much later the mouth moves than the voice sounds, from what perception reads of both at 25 Hz.

    The lag of the highest correlation within half a second, to a fraction of a frame. Its value depends on the speaker;
    that it does not change shows that voice and picture keep together. None: they have nothing in common.
    """
    heard = np.maximum(np.nan_to_num(np.asarray(loudness_dbfs, dtype=np.float64), nan=LOUD_DBFS), LOUD_DBFS)
    seen = np.nan_to_num(np.asarray(jaw, dtype=np.float64))
    count = len(seen) - 2 * LIP_LAG_FRAMES
    if count < 50:
        return None
    middle = _normal(heard[LIP_LAG_FRAMES : LIP_LAG_FRAMES + count])
    found = np.array([middle @ _normal(seen[i : i + count]) for i in range(2 * LIP_LAG_FRAMES + 1)])
    best = int(found.argmax())
    if found[best] < LIP_CORRELATION or best in (0, len(found) - 1):
        return None
    before, top, after = found[best - 1 : best + 2]
    bend = before - 2 * top + after
    lag_frames = best - LIP_LAG_FRAMES + (0.5 * (before - after) / bend if bend < 0 else 0.0)
    return round(40.0 * float(lag_frames), 2)


def _normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without its mean, of length 1; zero where nothing moves."""
    values = values - values.mean()
    length = float(np.sqrt(values @ values))
    return values / length if length > 1e-9 else np.zeros_like(values)


# What the journals show.


def soak_figures(folder: Path, seconds: Mapping[str, float], seed: int) -> dict[str, Any]:
    """Figures of the journals in a folder (NAME.jsonl) with the machine and the date; `seconds`: wanted, by name."""
    legs = {name: read_journal(folder / f"{name}.jsonl") for name in seconds}
    parts = {name: part_figures(found, seconds[name], seed) for name, found in legs.items() if found}
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return assemble(parts, hardware=hardware(), date=today.isoformat())


def assemble(parts: Mapping[str, Mapping[str, Any]], *, hardware: Mapping[str, Any], date: str) -> dict[str, Any]:
    """The contents of docs/soak.json, from the figures of each part ("stream", "graph")."""
    verdicts = [verdict(bound, parts[part]) for part in ("stream", "graph") if part in parts for bound in bounds(part)]
    return {
        "format": FORMAT, "date": date, "hardware": dict(hardware), "parts": dict(parts),
        "bounds": [v.as_dict() for v in verdicts],
        "held": sum(v.holds is True for v in verdicts), "of": len(verdicts),
    }  # fmt: skip


def part_figures(legs: Sequence[Leg], asked_s: float, seed: int = 0) -> dict[str, Any]:
    """Figures of one journal.

    Returns:
        "done_s", "asked_s", "legs" (what each did), "trends" (one for each leg that is long enough: pairs of the first
        and the last tenth), "behaviour" (ratios) and "load".
    """
    judged = [leg for leg in legs if len(leg.minutes) >= WARM_UP + TENTHS]
    return {
        "asked_s": asked_s,
        "done_s": round(sum(leg.seconds for leg in legs), 3),
        "legs": [_leg(leg) for leg in legs],
        "trends": [_trend(leg) for leg in judged],
        "behaviour": _behaviour(judged, seed),
        "load": _ends([minute["load"] for leg in legs for minute in leg.minutes]),
    }


def _leg(leg: Leg) -> dict[str, Any]:
    last = leg.minutes[-1] if leg.minutes else {}
    cpu_s, wall_s = (sum(minute[name] for minute in leg.minutes) for name in ("cpu_s", "wall_s"))
    return {
        "leg": leg.number, "seconds": round(leg.seconds, 3), "ended": leg.ended, "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1), "load": _ends([minute["load"] for minute in leg.minutes]),
        "processes": last.get("processes", {}), "counts": _counts(leg.minutes), "begun": leg.begun,
    }  # fmt: skip


def _counts(minutes: Sequence[Minute]) -> dict[str, float]:
    """Of a whole leg: totals that nodes count themselves as last reported, the extreme of the minutes, else sums."""
    found: dict[str, list[float]] = {}
    for minute in minutes:
        for name, value in minute["counts"].items():
            found.setdefault(name, []).append(value)
    return {name: _JOINED.get(name, sum)(values) for name, values in found.items()}


_JOINED: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    **dict.fromkeys(("rejected", "dropped", "restarts"), itemgetter(-1)), "longest_gap_ms": max, "robot_follows": min,
}  # fmt: skip


def _trend(leg: Leg) -> dict[str, Any]:
    warm = leg.minutes[WARM_UP:]
    count = max(len(warm) // TENTHS, 1)
    tenths = warm[:count], warm[-count:]
    names = sorted(set(warm[0]["processes"]) & set(warm[-1]["processes"]))
    timed = sorted({name for minute in warm for name in minute["times"]})

    def p99(name: str) -> list[float | None]:
        return [rounded(percentile((m["times"].get(name, {}) for m in tenth), 99.0), 2) for tenth in tenths]

    def of_processes(what: str) -> dict[str, list[float]]:
        return {
            name: [float(median(m["processes"][name][what] for m in t if name in m["processes"])) for t in tenths]
            for name in names
        }

    def middle(name: str) -> list[float | None]:
        known = ([minute[name] for minute in tenth if minute.get(name) is not None] for tenth in tenths)
        return [round(median(values), 3) if values else None for values in known]

    return {
        "leg": leg.number,
        "minutes": len(warm),
        "tenth": count,
        "memory_mb": of_processes("rss_mb"),
        "anonymous_mb": of_processes("anonymous_mb"),
        "memory_of_all_mb": [
            float(median(sum(p["rss_mb"] for p in minute["processes"].values()) for minute in tenth))
            for tenth in tenths
        ],
        "files": of_processes("files"),
        "threads": of_processes("threads"),
        "p99_ms": {name: p99(name) for name in timed},
        "apart_ms": middle("apart_ms"),
        "lip_lag_ms": middle("lip_lag_ms"),
        "met_ms": _met(warm),
        "cores": [round(sum(m["cpu_s"] for m in t) / sum(m["seconds"] for m in t), 3) for t in tenths],
        "load": [median(m["load"] for m in tenth) for tenth in tenths],
    }


def _met(minutes: Sequence[Minute]) -> list[float | None]:
    """How much later people were heard than seen, against the first visit of the same clip: median of each half, ms."""

    def meetings(part: Iterable[Minute]) -> list[tuple[str, float]]:
        met = [visit for minute in part for visit in minute.get("met", ())]
        return [(clip, 1e3 * (heard - seen)) for clip, seen, heard in met if seen is not None and heard is not None]

    first: dict[str, float] = {}
    for clip, apart in meetings(minutes):
        first.setdefault(clip, apart)
    half = len(minutes) // 2
    changes = [[apart - first[clip] for clip, apart in meetings(part)] for part in (minutes[:half], minutes[half:])]
    return [round(median(values), 3) if values else None for values in changes]


def _behaviour(legs: Sequence[Leg], seed: int) -> dict[str, dict[str, Any]]:
    """Second half of the minutes of each leg against its first, all legs together: ratios with intervals."""
    early: list[dict[str, float]] = []
    late: list[dict[str, float]] = []
    for leg in legs:
        known = [m["behaviour"] for m in leg.minutes[WARM_UP:] if m["behaviour"] and m["seconds"] >= LONG_ENOUGH_S]
        half = len(known) // 2
        early, late = early + known[:half], late + known[len(known) - half :]
    if not early:
        return {}
    table = {}
    drawn = bootstrap.draws(seed, len(early))
    for name in early[0]:
        before, after = (np.array([minute[name] for minute in part], dtype=np.float64) for part in (early, late))
        if max(before.mean(), after.mean()) < RARE:
            continue
        found = bootstrap.ratio(drawn, after, before).items()
        ratio = {key: float(value) if np.isfinite(value) else None for key, value in found}
        events = _events(name, [*early, *late])
        stable = _stable(ratio) if events is None or events >= FEWEST else None
        table[name] = {
            "first": float(before.mean()), "second": float(after.mean()), **ratio, "events": events, "stable": stable,
        }  # fmt: skip
    return table


def _events(name: str, minutes: Sequence[Mapping[str, float]]) -> int | None:
    """How many events a rate or a share of time rests on; None for other statistics."""
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


def _ends(values: Sequence[float]) -> list[float] | None:
    return [min(values), max(values)] if values else None


def rounded(value: float | None, digits: int = 3) -> float | None:
    """A figure for the journal; None stays."""
    return None if value is None else round(float(value), digits)


# What they must keep.


def bounds(part: str) -> list[Bound]:
    """The bounds on the figures of a part, as `part_figures` returns them."""

    def of_processes(key: str, change: Callable[[float, float], float | None]) -> Callable[[Mapping[str, Any]], Found]:
        return lambda figures: {
            f"{name}, leg {trend['leg']}": None if None in ends else change(*ends)
            for trend in figures["trends"]
            for name, ends in trend[key].items()
        }

    def drift(key: str) -> Callable[[Mapping[str, Any]], Found]:
        return lambda figures: {
            f"leg {t['leg']}": None if None in t[key] else abs(t[key][1] - t[key][0]) for t in figures["trends"]
        }

    def counts(*names: str) -> Callable[[Mapping[str, Any]], Found]:
        return lambda figures: {
            f"leg {leg['leg']}": sum(leg["counts"].get(n, 0) for n in names) for leg in figures["legs"]
        }

    def changed(figures: Mapping[str, Any]) -> Found:
        table = figures["behaviour"]
        return {"": sum(row["stable"] is False for row in table.values())} if table else {}

    growth = of_processes("memory_mb", lambda first, last: last / first - 1.0 if first else None)
    tails = of_processes("p99_ms", lambda first, last: last / first if first and last else None)
    files, threads = (of_processes(key, lambda first, last: last - first) for key in ("files", "threads"))
    stream = part == "stream"
    met, lag = ("met_ms", "a person's voice after their face"), ("lip_lag_ms", "mouth after voice")
    content, name = met if stream else lag
    return [
        Bound(part, "length, share of what was asked", lambda p: {"": p["done_s"] / p["asked_s"]}, "asked", low=1.0),
        Bound(part, "memory after warm-up, growth of a process", growth, "no leak", high=MEMORY),
        Bound(part, "open files, more in a process", files, "no leak", high=0.0),
        Bound(part, "threads, more in a process", threads, "no leak", high=0.0),
        Bound(part, "p99 of the last tenth over that of the first", tails, "as fast as at first", high=TAIL),
        Bound(part, "stamps of voice and picture, drift in ms", drift("apart_ms"), "one time line", high=DRIFT_MS),
        Bound(part, f"{name}, drift in ms", drift(content), "one time line", high=DRIFT_MS),
        Bound(part, "statistics of behaviour that left 0.8 to 1.25", changed, "the same listener", high=0.0),
        Bound(part, "inputs rejected or dropped", counts("rejected", "dropped"), "nothing is lost", high=0.0)
        if stream
        else Bound(part, "nodes started again", counts("restarts"), "nothing dies", high=0.0),
    ]
