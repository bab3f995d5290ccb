"""What a fault did to the face and to the servos, from what was recorded alone. No ROS, no clock.

Definitions, for a fault whose cause begins at B and ends at E (a killed process: E = B), publication times being DDS's
source timestamps on the machine's clock:

- normal: for NORMAL_S in a row, frames come without a gap of more than GAP_S, in mode "listening", with a plan whose
  newest picture is at most FRESH_S old; the affected stage publishes as well; and the page, if it is affected,
  answers that its face is fresh.
- longest gap: between two consecutive frames, from B until the face is normal again.
- away: from the first to the last frame that is not in mode "listening" (idle or neutral) within that time.
- normal after: from E until the face is normal again; 0 if it already is at E.
- replayed: plans that were shown for the first time after E although their newest picture was older than FRESH_S by
  then: old plans.
- largest step: the largest change of one coefficient between consecutive frames without a gap, from B until NORMAL_S
  after; step over the gap: the same over the longest gap.

The servos' part comes from the actuator's own reports, ten a second.
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.types import FloatArray

GAP_S: Final = 0.1
NORMAL_S: Final = 0.5
FRESH_S: Final = 1.0
PAGE_S: Final = 0.5
PAGE_SLACK_S: Final = 0.1
"""The page is asked every 50 ms."""
STAGE_MESSAGES: Final = 3
"""A stage that sends this many messages within NORMAL_S publishes: plans come at 6 a second at least."""
RETURN_S: Final = 0.2
"""The servos must be on their way to neutral this long after the last face."""
SLACK_S: Final = 0.04
"""Two periods of commands."""
WATCHDOG_SLACK_S: Final = 0.1
"""The emulated hardware looks at its clock this often at least."""
FASTEST: Final = 1.25
"""Of the speed limit, between two reports, whose stamps are not exact."""
FOLLOWING: Final = "following"
_NUMBER: Final = re.compile(r"\d+")


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
class Report:
    """A sentence for the user."""

    at_ns: int
    source: str
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
    reports: list[Report] = field(default_factory=list)

    def since(self, begin_ns: int) -> Trace:
        """What was recorded from then on."""
        return Trace(
            [f for f in self.frames if f.published_ns >= begin_ns],
            {topic: [t for t in times if t >= begin_ns] for topic, times in self.stages.items()},
            [p for p in self.pages if p[0] >= begin_ns],
            [r for r in self.reports if r.at_ns >= begin_ns],
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
    """None: not while it was watched."""
    largest_step: float
    step_over_gap: float
    finite: bool
    said: list[str]
    replayed: int = 0


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
    for j in range(i, len(times)):
        frame = trace.frames[j]
        old = not frame.plan_picture_ns or abs(frame.published_ns - frame.plan_picture_ns) > FRESH_S * NS
        listens = frame.mode == "listening" and not old
        if listens and frame.published_ns >= start + width:
            return start
        if not listens or (j + 1 < len(times) and times[j + 1] - frame.published_ns > GAP_S * NS):
            return frame.published_ns + 1
    return None


def _evidence_from(trace: Trace, start: int, width: int, stage: str, *, page: bool) -> int | None:
    """`start` if stage and page publish for `width` from it, else the next time to try; None: never."""
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
    return Account(
        longest_gap_s=round(gap_ns / NS, 3),
        away_from_s=round((away[0] - begin_ns) / NS, 2) if away else None,
        away_to_s=round((away[-1] - begin_ns) / NS, 2) if away else None,
        page_neutral_s=None if stale is None else round((stale - begin_ns) / NS, 2),
        normal_after_s=None if normal_ns is None else round((normal_ns - end_ns) / NS, 2),
        largest_step=round(largest, 3),
        step_over_gap=round(over, 3),
        finite=all(bool(np.isfinite(f.coefficients).all()) for f in frames),
        said=_sentences(trace.reports, begin_ns),
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


def _sentences(reports: Sequence[Report], begin_ns: int) -> list[str]:
    """Warnings and errors since then, each once (another number is nothing new), without those from before."""
    first: dict[str, str] = {}
    before = set()
    for s in reports:
        sentence = f"{s.source}: {s.sentence}" if s.source else s.sentence
        key = _NUMBER.sub("", sentence)
        if s.at_ns < begin_ns:
            before.add(key)
        elif s.level > 0 and key not in before:
            first.setdefault(key, sentence)
    return list(first.values())


@dataclass(frozen=True)
class Bounds:
    """Requirements on a fault."""

    normal_after_s: float
    face_dies: bool = False
    """The fault hits the process of the face: frames may stop, and the page's face must be neutral within PAGE_S."""
    reported: bool = True
    """A node or the supervisor must report it in a sentence."""
    no_replay: bool = False
    """No plan from the time of the cause may be shown after its end."""


def violations(done: Account, bounds: Bounds) -> list[str]:
    """Sentences on what is not within the bounds."""
    found = []
    if done.normal_after_s is None:
        found.append("not normal again while it was watched")
    elif done.normal_after_s > bounds.normal_after_s:
        found.append(f"normal again after {done.normal_after_s:g} s, required: {bounds.normal_after_s:g} s")
    if not bounds.face_dies and done.longest_gap_s > GAP_S:
        found.append(f"no face for {1000 * done.longest_gap_s:.0f} ms, required: {1000 * GAP_S:.0f} ms")
    if bounds.face_dies and done.longest_gap_s > PAGE_S + PAGE_SLACK_S:
        late = done.page_neutral_s
        if late is None or late > PAGE_S + PAGE_SLACK_S:
            found.append(f"the page's face became neutral {'never' if late is None else f'after {late:g} s'}")
    if not done.finite:
        found.append("a face was not finite")
    if bounds.no_replay and done.replayed:
        found.append(f"{done.replayed} old plans were shown after the end of the cause")
    if bounds.reported and not done.said:
        found.append("it was not reported")
    return found


@dataclass(frozen=True, slots=True)
class Moved:
    """One report of the actuator."""

    stamp_ns: int
    """When its commands were made."""
    state: str
    command: FloatArray
    """(J,) in each joint's unit."""
    return_began_s: float
    """Age of the last face when the last return to neutral began; NaN: none yet."""


@dataclass(frozen=True)
class Joints:
    """Limits of all joints, (J,) each, in their units."""

    lower: FloatArray
    upper: FloatArray
    speed: FloatArray


@dataclass(frozen=True)
class ServoAccount:
    """What the servos did; None where it did not happen."""

    servos_return_s: float | None
    """From the last face until the return to neutral began."""
    servos_follow_after_s: float | None
    """From the end of the cause until they followed the face again, 0 if they never stopped; None: they did not."""
    servos_beyond: float
    """How far a command was beyond a limit, as a share of the joint's range."""
    servos_speed: float
    """The fastest change of a command, as a share of the joint's speed limit."""
    host_loss: str = ""
    """What the hardware does if it loses its computer, by its profile: hold, release, stop, nothing or unknown."""
    watchdog_s: float | None = None
    """From the beginning of the cause until a watchdog of the hardware acted; None: none did."""


def watchdog_violations(acted: float | None, due_s: float | None, lost_s: float) -> list[str]:
    """Sentences on what hardware whose watchdogs act `due_s` after the last command (None: it has none) did not do.

    `acted`: when one did, s from the beginning of the cause; None: none did. `lost_s`: how long at least it received
    nothing.
    """
    if due_s is None or lost_s < due_s + WATCHDOG_SLACK_S:
        return []
    if acted is not None and acted <= due_s + WATCHDOG_SLACK_S:
        return []
    late = "never" if acted is None else f"after {acted:g} s"
    return [f"the watchdog of the hardware acted {late}, required: {due_s:g} s"]


def servo_account(moved: Sequence[Moved], joints: Joints, begin_ns: int, end_ns: int) -> ServoAccount:
    """What the servos did from `begin_ns` on, when the cause began, to the last report; `end_ns`: when it ended."""
    after = [m for m in moved if m.stamp_ns >= begin_ns]
    span = joints.upper - joints.lower
    beyond = speed = 0.0
    for m in after:
        over = np.maximum(m.command - joints.upper, joints.lower - m.command) / span
        beyond = max(beyond, float(np.max(over)))
    for a, b in itertools.pairwise(after):
        seconds = (b.stamp_ns - a.stamp_ns) / NS
        if 0.0 < seconds < 1.0:  # a longer silence: the process was gone, and its servos did not move
            speed = max(speed, float(np.max(np.abs(b.command - a.command) / joints.speed)) / seconds)
    began = next((m.return_began_s for m in after if m.state == "returning"), math.nan)
    away = [m.stamp_ns for m in after if m.state != FOLLOWING]
    follows = bool(after) and after[-1].state == FOLLOWING
    since = next((m.stamp_ns for m in after if m.stamp_ns > away[-1]), end_ns) if away else end_ns
    return ServoAccount(
        servos_return_s=round(began, 3) if math.isfinite(began) else None,
        servos_follow_after_s=round(max(since - end_ns, 0) / NS, 2) if follows else None,
        servos_beyond=round(max(beyond, 0.0), 4),
        servos_speed=round(speed, 3),
    )


def servo_violations(done: ServoAccount, face: Account, bounds: Bounds, *, by_itself: bool = True) -> list[str]:
    """Sentences on what the servos must not have done.

    Args:
        done: what they did.
        face: what the face did.
        bounds: the requirements.
        by_itself: they must follow again without a person; after a fault of the actuator a person enables them.
    """
    found = []
    if by_itself and done.servos_follow_after_s is None:
        found.append("the servos did not follow the face again by themselves")
    if done.servos_beyond > 1e-6:
        found.append(f"a servo was commanded {100 * done.servos_beyond:.1f} % of its range beyond a limit")
    if done.servos_speed > FASTEST:
        found.append(f"a servo was commanded to move at {done.servos_speed:.2f} of its speed limit")
    gone = bounds.face_dies and face.longest_gap_s > 2.0 * RETURN_S
    if gone and (done.servos_return_s is None or done.servos_return_s > RETURN_S + SLACK_S):
        late = "never" if done.servos_return_s is None else f"{1000 * done.servos_return_s:.0f} ms after the last face"
        found.append(f"the servos' return to neutral began {late}")
    return found
