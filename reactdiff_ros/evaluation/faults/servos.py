"""What a fault did to the servos: from the actuator's own reports, ten a second. No ROS, no clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.faults.account import Account, Bounds
from reactdiff_ros.types import FloatArray

RETURN_S: Final = 0.2
"""So long after the last face the servos must be on their way to neutral."""
SLACK_S: Final = 0.04
"""Two periods of commands."""
WATCHDOG_SLACK_S: Final = 0.1
"""The emulated hardware looks at its clock this often at least."""
FASTEST: Final = 1.25
"""Of the speed limit, between two reports, whose stamps are not exact."""
FOLLOWING: Final = "following"


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
    whole: bool = True
    """No joint is left out."""


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
    """From the end of the cause until they followed the face again, 0 if they never ceased to; None: they did not."""
    servos_beyond: float
    """How far a command was beyond a limit, as a share of the joint's range."""
    servos_speed: float
    """The fastest change of a command, as a share of the joint's speed limit."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Watchdog:
    """What the hardware itself did against the loss of its computer."""

    host_loss: str
    """What the profile says that it does: hold, release, stop, nothing or unknown."""
    watchdog_s: float | None
    """From the beginning of the cause until a watchdog of the hardware acted; None: none did."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def watchdog_violations(watchdog: Watchdog, due_s: float | None, lost_s: float) -> list[str]:
    """In words, what hardware whose watchdogs act `due_s` after the last command (None: it has none) did not do.

    `lost_s`: for so long at least it heard nothing.
    """
    if due_s is None or lost_s < due_s + WATCHDOG_SLACK_S:
        return []
    acted = watchdog.watchdog_s
    if acted is not None and acted <= due_s + WATCHDOG_SLACK_S:
        return []
    late = "never" if acted is None else f"after {acted:g} s"
    return [f"the watchdog of the hardware acted {late}, asked are {due_s:g} s"]


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
        if 0.0 < seconds < 1.0:  # a longer silence: the process was gone, and its servos stood
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
    """In words, what the servos did that they must not; empty when all was well.

    Args:
        done: what they did.
        face: what the face did.
        bounds: what is asked.
        by_itself: they must follow again without a person. Not where the actuator was hit: then a person enables them.
    """
    found = []
    if by_itself and done.servos_follow_after_s is None:
        found.append("the servos did not follow the face again by themselves")
    if done.servos_beyond > 1e-6:
        found.append(f"a servo was told to go {100 * done.servos_beyond:.1f} % of its range beyond a limit")
    if done.servos_speed > FASTEST:
        found.append(f"a servo was told to move at {done.servos_speed:.2f} of its speed limit")
    gone = bounds.face_dies and face.longest_gap_s > 2.0 * RETURN_S
    if gone and (done.servos_return_s is None or done.servos_return_s > RETURN_S + SLACK_S):
        late = "never" if done.servos_return_s is None else f"{1000 * done.servos_return_s:.0f} ms after the last face"
        found.append(f"the servos' return to neutral began {late}")
    return found
