"""When to tick: at a steady rate, never twice for one that was missed, and soon after the faces come."""

from __future__ import annotations

import cmath
import math
from collections import deque
from typing import Final

import numpy as np

from reactdiff_ros.actuation.robot.kinematics import SHORTEST

WINDOW: Final = 500
"""Ticks over which figures are taken."""
LATE: Final = 0.25
"""A tick that is later by this share of a period is followed by the one after next, where it would have been."""
ROUNDING: Final = 1e-6
LONGER: Final = 0.02
"""A period may be so much longer, to come nearer to the faces; SHORTEST says how much shorter after a late tick."""
BEHIND: Final = 0.4
"""Where in the period ticks are to be, behind the face that they follow: one that is later waits for the next tick."""
NEAR: Final = 0.1
FACES: Final = 12
ALIKE: Final = 0.8
"""Length of the mean of the faces' phases (1: all the same) from which they have one."""


class Schedule:
    """Due times of ticks on a steady clock, s."""

    def __init__(self, rate_hz: float, now_s: float) -> None:
        self.period_s = 1.0 / rate_hz
        self.due_s = self._steady_s = now_s
        self._off: deque[float] = deque(maxlen=WINDOW)
        self._began: deque[float] = deque(maxlen=WINDOW)
        self._phases: deque[complex] = deque(maxlen=FACES)
        self._owed_s = 0.0

    def ticked(self, began_s: float, waited_s: float = math.nan) -> None:
        """A tick began then; `waited_s`: how long its face had waited for it, NaN where it had no new one."""
        late_s = began_s - self.due_s
        if self._began:  # the first one is when it is
            self._off.append(late_s)
        self._began.append(began_s)
        if math.isfinite(waited_s):
            self._phases.append(cmath.exp(2j * math.pi * (waited_s % self.period_s) / self.period_s))
        self._steady_s += self.period_s + self._longer_s()
        soonest_s, slack_s = began_s + SHORTEST * self.period_s, LATE * self.period_s
        if late_s > slack_s:
            missed = math.ceil((began_s + self.period_s - slack_s - self._steady_s) / self.period_s - ROUNDING)
            self._steady_s += max(missed, 0) * self.period_s
        # Ticks that are always a little late move those to come, but lose none.
        self._steady_s = max(self._steady_s, soonest_s - slack_s)
        self.due_s = max(self._steady_s, soonest_s)

    def rate_hz(self) -> float:
        """Ticks a second over the last second."""
        began = list(self._began)  # a copy: the thread that ticks goes on
        recent = [t for t in began if t > began[-1] - 1.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def jitter_p99_s(self) -> float:
        """99th percentile of what ticks were later than due, over the last WINDOW; NaN before the first."""
        off = list(self._off)
        return float(np.percentile(off, 99)) if off else math.nan

    def _longer_s(self) -> float:
        if self._owed_s <= 0.0 and len(self._phases) == FACES:
            mean = sum(self._phases) / FACES
            if abs(mean) > ALIKE:
                behind = (cmath.phase(mean) / (2.0 * math.pi)) % 1.0
                ahead = (BEHIND - behind) % 1.0
                self._owed_s = 0.0 if ahead < NEAR or ahead > 1.0 - NEAR else ahead * self.period_s
            self._phases.clear()
        given_s = min(self._owed_s, LONGER * self.period_s)
        self._owed_s -= given_s
        if self._owed_s > 0.0:
            self._phases.clear()
        return given_s
