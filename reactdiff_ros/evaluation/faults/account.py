"""What a fault did to the face: from publication times, modes and coefficients alone. No ROS, no clock.

Definitions, for a fault whose cause begins at B and ends at E (a killed process: E = B), publication times being DDS's
source timestamps on the machine's clock:

- normal: for NORMAL_S on end, frames come without a gap of more than GAP_S, in mode "listening", with a plan whose
  newest picture is at most FRESH_S old; the stage concerned publishes as well; and the page, where it is concerned,
  answers that its face is fresh.
- longest gap: between two consecutive frames, from B until the face is normal again.
- away: from the first to the last frame that is not in mode "listening" (idle or neutral) within that time.
- normal after: from E until the face is normal again; 0 if it already is at E.
- replayed: plans that were shown for the first time after E although their newest picture was older than FRESH_S by
  then: of a time that is over.
- largest step: the largest change of one coefficient between consecutive frames without a gap, from B until NORMAL_S
  after; step over the gap: the same over the longest gap.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.types import FloatArray

GAP_S: Final = 0.1
NORMAL_S: Final = 0.5
FRESH_S: Final = 1.0
_NUMBER: Final = re.compile(r"\d+")
STAGE_MESSAGES: Final = 3
"""So many messages of a stage within NORMAL_S are "it publishes": plans come at 6 a second at least."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One published face."""

    published_ns: int
    mode: str
    coefficients: FloatArray
    """(58,)"""
    plan_picture_ns: int
    """Stamp of the newest picture in the plan that is shown; 0 = no plan."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence for the user."""

    at_ns: int
    who: str
    level: int
    """0 OK, 1 WARN, 2 ERROR."""
    sentence: str


@dataclass
class Trace:
    """What was recorded, each list in order of time."""

    frames: list[Shown] = field(default_factory=list)
    stages: dict[str, list[int]] = field(default_factory=dict)
    """Publication times by topic, ns."""
    pages: list[tuple[int, bool]] = field(default_factory=list)
    """(ns, whether the page answered that its face is fresh)"""
    said: list[Said] = field(default_factory=list)
    moved: list[Any] = field(default_factory=list)
    """`servos.Moved`, where there is a robot."""

    def since(self, begin_ns: int) -> Trace:
        """What was recorded from then on."""
        return Trace(
            [f for f in self.frames if f.published_ns >= begin_ns],
            {topic: [t for t in times if t >= begin_ns] for topic, times in self.stages.items()},
            [p for p in self.pages if p[0] >= begin_ns],
            [s for s in self.said if s.at_ns >= begin_ns],
            [m for m in self.moved if m.stamp_ns >= begin_ns],
        )


@dataclass(frozen=True)
class Account:
    """What happened, in seconds; None where it did not happen. Definitions: this module."""

    longest_gap_s: float
    away_from_s: float | None
    away_to_s: float | None
    """Both from the beginning of the cause."""
    page_neutral_s: float | None
    """From the beginning of the cause until the page answered that its face is neutral."""
    normal_after_s: float | None
    """None: not within the time that was watched."""
    largest_step: float
    step_over_gap: float
    finite: bool
    said: list[str]
    replayed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def normal_from(trace: Trace, begin_ns: int, stage: str = "", *, page: bool = False) -> int | None:
    """The first time at or after `begin_ns` from which the face is normal for NORMAL_S; None if there is none.

    Args:
        trace: what was recorded.
        begin_ns: where to begin.
        stage: topic that must come as well; "" for none.
        page: whether the page must be fresh as well.
    """
    times = [f.published_ns for f in trace.frames]
    width = int(NORMAL_S * NS)
    start: int | None = begin_ns
    while start is not None:
        following = _next_try(trace, times, start, width)
        if following == start:
            following = _evidence_from(trace, start, width, stage, page=page)
        if following == start:
            return start
        start = following
    return None


def _next_try(trace: Trace, times: Sequence[int], start: int, width: int) -> int | None:
    """`start` if the frames are normal for `width` from it, else the next time to try; None: never."""
    i = bisect.bisect_left(times, start)
    if i == len(times):
        return None
    if times[i] - start > GAP_S * NS:
        return times[i]
    bad = _first_bad(trace.frames, i, start + width)
    if bad is None:
        return None
    return start if bad < 0 else times[bad] + 1


def _first_bad(frames: Sequence[Shown], i: int, end_ns: int) -> int | None:
    """Index of the frame after which it is not normal, before `end_ns`; -1 when all is well; None: it ends before."""
    for j in range(i, len(frames)):
        frame = frames[j]
        old = not frame.plan_picture_ns or abs(frame.published_ns - frame.plan_picture_ns) > FRESH_S * NS
        if frame.mode != "listening" or old:
            return j
        if frame.published_ns >= end_ns:
            return -1
        if j + 1 < len(frames) and frames[j + 1].published_ns - frame.published_ns > GAP_S * NS:
            return j
    return None


def _evidence_from(trace: Trace, start: int, width: int, stage: str, *, page: bool) -> int | None:
    """`start` if stage and page are there for `width` from it, else the next time to try; None: never."""
    if stage:
        times = trace.stages.get(stage, [])
        inside = bisect.bisect_left(times, start + width) - bisect.bisect_left(times, start)
        if inside < STAGE_MESSAGES:
            after = bisect.bisect_right(times, start)
            return times[after] if after < len(times) else None
    if page:
        within = [(t, fresh) for t, fresh in trace.pages if start <= t < start + width]
        stale = [t for t, fresh in within if not fresh]
        if stale:
            return stale[-1] + 1
        if not within:
            asked = next((t for t, _ in trace.pages if t >= start + width), None)
            return None if asked is None else max(asked - width + 1, start + 1)
    return start


def account(trace: Trace, begin_ns: int, end_ns: int, stage: str = "", *, page: bool = False) -> Account:
    """What a fault from `begin_ns` to `end_ns` did.

    Args:
        trace: with some time before the fault and, if the face became normal, NORMAL_S after.
        begin_ns: when the cause began.
        end_ns: when it ended.
        stage: topic of the stage that the fault hit; "" for none.
        page: whether the fault hit the page.
    """
    normal_ns = normal_from(trace, end_ns, stage, page=page)
    last_ns = normal_ns if normal_ns is not None else (trace.frames[-1].published_ns if trace.frames else end_ns)
    first = max(bisect.bisect_left([f.published_ns for f in trace.frames], begin_ns) - 1, 0)
    frames = [f for f in trace.frames[first:] if f.published_ns <= last_ns + int(NORMAL_S * NS)]
    gap_ns, largest, over = _steps(frames)
    away = [f.published_ns for f in frames if f.mode != "listening" and begin_ns <= f.published_ns <= last_ns]
    stale = next((t for t, fresh in trace.pages if t >= begin_ns and not fresh and t <= last_ns), None)
    after = None if normal_ns is None else (normal_ns - end_ns) / NS
    return Account(
        longest_gap_s=round(gap_ns / NS, 3),
        away_from_s=round((away[0] - begin_ns) / NS, 2) if away else None,
        away_to_s=round((away[-1] - begin_ns) / NS, 2) if away else None,
        page_neutral_s=None if stale is None else round((stale - begin_ns) / NS, 2),
        normal_after_s=None if after is None else round(after, 2),
        largest_step=round(largest, 3),
        step_over_gap=round(over, 3),
        finite=all(bool(np.isfinite(f.coefficients).all()) for f in frames),
        said=_sentences(trace.said, begin_ns),
        replayed=_replayed(trace.frames, end_ns),
    )


def _replayed(frames: Sequence[Shown], end_ns: int) -> int:
    """Plans that were new after `end_ns`, and older than FRESH_S."""
    old, count, seen = FRESH_S * NS, 0, 0
    for frame in frames:
        plan = frame.plan_picture_ns
        count += frame.published_ns > end_ns and plan != seen and plan > 0 and frame.published_ns - plan > old
        seen = plan or seen
    return count


def _steps(frames: Sequence[Shown]) -> tuple[int, float, float]:
    """Longest gap (ns), largest step without a gap, step over the longest gap."""
    gap_ns, largest, over = 0, 0.0, 0.0
    for a, b in itertools.pairwise(frames):
        step = float(np.max(np.abs(b.coefficients - a.coefficients)))
        if b.published_ns - a.published_ns <= GAP_S * NS:
            largest = max(largest, step)
        if b.published_ns - a.published_ns > gap_ns:
            gap_ns, over = b.published_ns - a.published_ns, step
    return gap_ns, largest, over if gap_ns > GAP_S * NS else 0.0


def _sentences(said: Sequence[Said], begin_ns: int) -> list[str]:
    """Warnings and errors since then, each once (another count is nothing new), without those that stood before."""
    first: dict[str, str] = {}
    stood = set()
    for s in said:
        sentence = f"{s.who}: {s.sentence}" if s.who else s.sentence
        key = _NUMBER.sub("", sentence)
        if s.at_ns < begin_ns:
            stood.add(key)
        elif s.level > 0 and key not in stood:
            first.setdefault(key, sentence)
    return list(first.values())


@dataclass(frozen=True)
class Bounds:
    """What is asked of a fault."""

    normal_after_s: float
    face_dies: bool = False
    """The process of the face itself is hit: then frames may stop, and the page's face must be neutral in PAGE_S."""
    told: bool = True
    """Somebody must say a sentence."""
    no_replay: bool = False
    """Nothing of the time of the cause may be shown after its end."""


PAGE_S: Final = 0.5
PAGE_SLACK_S: Final = 0.1
"""The page is asked every 50 ms."""


def violations(done: Account, bounds: Bounds) -> list[str]:
    """In words, what is not within the bounds; empty when all is."""
    found = []
    if done.normal_after_s is None:
        found.append("not normal again within the time that was watched")
    elif done.normal_after_s > bounds.normal_after_s:
        found.append(f"normal again after {done.normal_after_s:g} s, asked are {bounds.normal_after_s:g} s")
    if not bounds.face_dies and done.longest_gap_s > GAP_S:
        found.append(f"no face for {1000 * done.longest_gap_s:.0f} ms, asked are {1000 * GAP_S:.0f} ms")
    if bounds.face_dies and done.longest_gap_s > PAGE_S + PAGE_SLACK_S:
        late = done.page_neutral_s
        if late is None or late > PAGE_S + PAGE_SLACK_S:
            found.append(f"the page's face was neutral after {'never' if late is None else f'{late:g} s'}")
    if not done.finite:
        found.append("a face was not finite")
    if bounds.no_replay and done.replayed:
        found.append(f"{done.replayed} old plans were shown after the end of the cause")
    if bounds.told and not done.said:
        found.append("nobody was told")
    return found
