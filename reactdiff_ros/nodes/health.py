"""What a node knows of its own health: problems in force, rates, latencies, drops. No ROS, time as an argument."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..clock import NS

RATE_WINDOW_NS = NS
LATENCY_WINDOW_NS = 5 * NS
NEWS_NS = NS
"""So long at most a remark of another kind is held back."""
CLOCK = "clock"
"""Key of what is wrong with the node's own clock."""


class Level(IntEnum):
    """Levels as in diagnostic_msgs and ListenerStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence that is true now."""

    level: Level
    sentence: str


class Health:
    """Problems by key: the worst one in force is what the node says of itself. Thread-safe."""

    def __init__(self) -> None:
        self._problems: dict[str, Problem] = {}
        self._lock = threading.Lock()
        self._last_error = ""

    @property
    def last_error(self) -> str:
        """The last sentence of level ERROR, also after it was solved; empty: none since the start."""
        return self._last_error

    def note_error(self, sentence: str) -> None:
        """Remember an error that does not last, such as a malformed message."""
        self._last_error = sentence

    def problem(self, key: str, sentence: str, level: Level) -> bool:
        """State a problem. True if this is news: nothing of that key was in force, or another sentence."""
        with self._lock:
            new = Problem(level, sentence)
            changed = self._problems.get(key) != new
            self._problems[key] = new
            if level is Level.ERROR:
                self._last_error = sentence
            return changed

    def solved(self, key: str) -> str | None:
        """The problem is over: its sentence, or None if there was none."""
        with self._lock:
            problem = self._problems.pop(key, None)
            return problem.sentence if problem else None

    def clear(self) -> None:
        """Forget all problems in force (not the last error)."""
        with self._lock:
            self._problems.clear()

    def __contains__(self, key: str) -> bool:
        return key in self._problems

    def summary(self, fine: str) -> Problem:
        """The worst problem in force, the clock's first, then the oldest; `fine` at level OK when there is none."""
        with self._lock:
            # A clock that does not run explains whatever else is missing.
            worst = max(self._problems.items(), key=lambda item: (item[1].level, item[0] == CLOCK), default=None)
            return worst[1] if worst else Problem(Level.OK, fine)


class Meter:
    """Outputs a second and their latency, over sliding windows of a steady clock. Thread-safe."""

    def __init__(self) -> None:
        self._outputs: deque[int] = deque(maxlen=1024)
        self._latencies: deque[tuple[int, float]] = deque(maxlen=1024)
        self._lock = threading.Lock()
        self.dropped: Counter[str] = Counter()

    def output(self, now_ns: int, latency_ms: float | None = None) -> None:
        """One output at `now_ns`; its latency, where it carries evidence."""
        with self._lock:
            self._outputs.append(now_ns)
            if latency_ms is not None:
                self._latencies.append((now_ns, latency_ms))

    def rate_hz(self, now_ns: int, window_ns: int = RATE_WINDOW_NS) -> float:
        """Outputs a second over the last second, or another time."""
        with self._lock:
            return sum(t > now_ns - window_ns for t in self._outputs) * NS / window_ns

    def latency_ms(self, now_ns: int) -> tuple[float, float]:
        """Median and 99th percentile over the last 5 s; NaN where there was none."""
        with self._lock:
            recent = [ms for t, ms in self._latencies if t > now_ns - LATENCY_WINDOW_NS]
        if not recent:
            return float("nan"), float("nan")
        p50, p99 = np.percentile(recent, (50, 99))
        return float(p50), float(p99)


class Limiter:
    """Lets a repeated remark through at first and then at most once a period of a steady clock.

    One of another kind than the last under the same key is news, and held back for less.
    """

    def __init__(self, period_ns: int = 10 * NS) -> None:
        self._period_ns = period_ns
        self._last: dict[str, tuple[int, str]] = {}

    def due(self, key: str, now_ns: int, kind: str = "") -> bool:
        """Whether to say it now."""
        last_ns, last_kind = self._last.get(key, (None, ""))
        if last_ns is not None and now_ns - last_ns < (self._period_ns if kind == last_kind else NEWS_NS):
            return False
        self._last[key] = now_ns, kind
        return True
