"""Closed forms of jerk-limited motion of one joint, and the stop that needs no library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SHORTEST: Final = 0.98
"""The least time between two commands, as a share of the period. Limits hold for it, too: see `usable`."""


def usable(speed: float, acceleration: float, jerk: float) -> tuple[float, float, float]:
    """What of a joint's limits its commands may use, for these to hold where commands come after SHORTEST periods."""
    return SHORTEST * speed, SHORTEST**2 * acceleration, SHORTEST**3 * jerk


def _ramp_s(speed: float, acceleration: float, jerk: float) -> float:
    """Shortest time from rest to full speed."""
    if speed * jerk >= acceleration**2:
        return acceleration / jerk + speed / acceleration
    return 2 * math.sqrt(speed / jerk)


def travel_time_s(distance: float, speed: float, acceleration: float, jerk: float) -> float:
    """Shortest time from rest to rest over `distance` (>= 0) within the limits.

    The S-curve of seven phases; see Biagiotti and Melchiorri, Trajectory Planning for Automatic Machines and Robots
    (2008), section 3.4.
    """
    if distance <= 0.0:
        return 0.0
    ramp = _ramp_s(speed, acceleration, jerk)
    if distance >= speed * ramp:
        return distance / speed + ramp
    rise = acceleration / jerk  # infinite for the smallest jerks, whose square would be 0
    if distance >= 2 * acceleration * rise * rise:
        a2j = acceleration * rise
        peak = (-a2j + math.sqrt(a2j**2 + 4 * acceleration * distance)) / 2
        return 2 * (rise + peak / acceleration)
    return 4 * math.pow(distance / (2 * jerk), 1 / 3)


def stopping_time_s(speed: float, acceleration: float, jerk: float) -> float:
    """Longest time that a joint within its limits needs to come to rest."""
    # Worst: full speed is reached with the jerk still against it, so one more ramp of the acceleration.
    ramp = _ramp_s(speed, acceleration, jerk)
    return ramp + acceleration / jerk


@dataclass(frozen=True, slots=True)
class Stop:
    """The quickest stop of one joint from (position, velocity, acceleration): three phases of constant jerk."""

    position: float
    velocity: float
    acceleration: float
    phases: tuple[tuple[float, float], ...]
    """(duration in s, jerk)."""

    @property
    def duration_s(self) -> float:
        """Time until rest."""
        return sum(t for t, _ in self.phases)

    @property
    def end(self) -> float:
        """Where it comes to rest."""
        return self.at(math.inf)[0]

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Position, velocity and acceleration `t_s` after the start; at rest from `duration_s` on."""
        p, v, a = self.position, self.velocity, self.acceleration
        for duration, jerk in self.phases:
            t = min(max(t_s, 0.0), duration)
            p += t * (v + t * (a / 2 + t * jerk / 6))
            v += t * (a + t * jerk / 2)
            a += t * jerk
            t_s -= duration
            if t_s < 0.0:
                return p, v, a
        return p, 0.0, 0.0


def stop(position: float, velocity: float, acceleration: float, max_acceleration: float, jerk: float) -> Stop:
    """The quickest way to rest within acceleration and jerk.

    Velocity left when the acceleration is taken out at once decides the direction; then full jerk to the peak of
    the opposite acceleration, constant, full jerk back.
    """
    left = velocity + acceleration * abs(acceleration) / (2 * jerk)
    sign = 1.0 if left >= 0.0 else -1.0
    v, a = sign * velocity, sign * acceleration
    # Peak -p: v + (a^2 - p^2) / (2 j) - p t2 - p^2 / (2 j) = 0 with t2 >= 0 and p <= max.
    peak = min(math.sqrt(max(jerk * v + a * a / 2, 0.0)), max_acceleration)
    peak = max(peak, -a)
    first = (a + peak) / jerk
    flat = max((v + a * a / (2 * jerk) - peak * peak / jerk) / peak, 0.0) if peak > 1e-12 else 0.0
    return Stop(position, velocity, acceleration, ((first, -sign * jerk), (flat, 0.0), (peak / jerk, sign * jerk)))
