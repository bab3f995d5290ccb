"""Jerk-limited motion of all joints to targets that change every tick, by the ruckig library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ruckig import InputParameter, OutputParameter, Result, Ruckig, Synchronization

from reactdiff_ros.actuation.robot.kinematics import Stop, stop, usable
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.errors import ReactdiffError

USE: Final = ((1.0 - 1e-6, 0.9987, 0.9991), (1.0 - 7e-7, 0.99913, 0.99948), (1.0 - 4e-7, 0.99961, 0.99983))
"""Shares of usable speed, acceleration and jerk: in the first try of a tick, and in others if it fails.

Something stays unused because results are rounded; and round limits make acceleration / jerk a whole number of ticks,
whose profiles of vanishing phases ruckig may fail to find. A later try has more, never less, and a joint keeps that as
long as it needs it: one that can just stop before an end with the jerk that it has cannot with a smaller one.
"""
TINY: Final = 1e-9
"""Ranges per s (or s2): a slower velocity (or acceleration) is none."""
SLACK: Final = 1e-6
"""What a position may be beyond its limit, as a share of the range, before it is clipped to it in silence."""
THERE: Final = 5e-7
"""A joint at rest that is closer to its target, as a share of the range, stays: ruckig finds no trajectory of 1e-7 for
a very fast joint, and would fail at every tick."""
FAILURES: Final = 25
"""Ticks in a row without a trajectory before that is an error: half a second at 50 Hz. One state of some millions has
none, and the next tick, from another state, has one; a library that is broken fails also from rest, where all joints of
the shipped profiles are by then."""


class MotionError(ReactdiffError):
    """No next command could be computed within the limits; the motion is unchanged."""


class Motion:
    """Position, velocity and acceleration of every joint, moved on by one tick at a time.

    Each joint goes to its target in the shortest time (they are not synchronised: that is what keeps a joint that
    is retargeted inside its limits of position, for then its stop is the shortest one).
    """

    def __init__(self, profile: Profile) -> None:
        joints = list(profile.joints.values())
        self._names = tuple(profile.joints)
        self.dt_s = 1.0 / profile.rate_hz
        self._ends = [(j.lower, j.upper) for j in joints]
        limits = [usable(j.limits.speed, j.limits.acceleration, j.limits.jerk) for j in joints]
        self.speed, self.max_acceleration, self.jerk = (list(x) for x in zip(*limits, strict=True))
        # In shares of the range: ruckig's tolerances are absolute, and joints count in anything from m to us.
        self._span = [j.upper - j.lower for j in joints]
        self._scale = [1.0 / s for s in self._span]
        self._slack = [SLACK * s for s in self._span]
        self._tiny = [TINY * s for s in self._span]
        self._count = len(joints)
        self._share = 1.0
        self.place([j.neutral for j in joints])

    def place(self, positions: Sequence[float], ends: Sequence[tuple[float, float]] | None = None) -> None:
        """Start at rest.

        Args:
            positions: where; a joint that stands beyond an end goes no further out.
            ends: the lowest and highest position of each joint from now on; None: as the last time, at first those of
                the profile.
        """
        if ends is not None:
            self._ends = list(ends)
        self.lower = [min(low, p) for (low, _), p in zip(self._ends, positions, strict=True)]
        self.upper = [max(high, p) for (_, high), p in zip(self._ends, positions, strict=True)]
        self.position = list(positions)
        self.velocity = [0.0] * self._count
        self.acceleration = [0.0] * self._count
        self.finished = True
        self._level = [0] * self._count
        self._failures = 0
        self._start()

    def pace(self, share: float) -> None:
        """Use this share of the speed limits from now on."""
        if share != self._share:
            self._share = share
            self._start()

    @property
    def at_rest(self) -> list[bool]:
        """Which joints do not move."""
        return [v == 0.0 and a == 0.0 for v, a in zip(self.velocity, self.acceleration, strict=True)]

    def stops(self) -> list[Stop]:
        """The quickest stop of every joint from here."""
        use = 1.0 - 1e-6
        limits = zip(self.max_acceleration, self.jerk, strict=True)
        states = zip(self.position, self.velocity, self.acceleration, limits, strict=True)
        return [stop(p, v, a, use * most, use * jerk) for p, v, a, (most, jerk) in states]

    def put(self, positions: list[float], velocities: list[float], accelerations: list[float]) -> None:
        """Take over a state that was computed elsewhere (a stop), clipped to the limits of position."""
        self.position = [min(max(p, a), b) for p, a, b in zip(positions, self.lower, self.upper, strict=True)]
        self.velocity, self.acceleration = velocities, accelerations
        self.finished = False

    def step(self, targets: list[float]) -> None:
        """One tick towards `targets`, which are finite and inside the ends.

        Where ruckig fails, or gives what is outside the limits, it is one tick along the quickest stop instead.

        Raises:
            MotionError: that was so for FAILURES ticks in a row; the motion is unchanged.
        """
        given, scale = self._input, self._scale
        given.target_position = [
            (p if rest and abs(t - p) * s < THERE else t) * s
            for t, p, rest, s in zip(targets, self.position, self.at_rest, scale, strict=True)
        ]
        given.current_position = [p * s for p, s in zip(self.position, scale, strict=True)]
        given.current_velocity = [v * s for v, s in zip(self.velocity, scale, strict=True)]
        given.current_acceleration = [a * s for a, s in zip(self.acceleration, scale, strict=True)]
        if any(self._level):
            self._relax()
        problem = self._try()
        for level in range(1, len(USE)):
            if not problem:
                break
            self._level = [max(at, level) for at in self._level]
            self._limit()
            problem = self._try()
        if not problem:
            self._failures = 0
            return
        self._start()
        self._failures += 1
        if self._failures >= FAILURES:
            raise MotionError("no motion could be computed", where="ruckig", todo=problem)
        self._brake()

    def _brake(self) -> None:
        """One tick along the quickest stop, which needs no library."""
        states = [s.at(self.dt_s) for s in self.stops()]
        self.put(
            [p for p, _, _ in states], self._felt([v for _, v, _ in states]), self._felt([a for _, _, a in states])
        )

    def _relax(self) -> None:
        """Joints that stay inside everything with the first shares have these again."""
        speed, acceleration, jerk = USE[0]
        for i in (i for i, level in enumerate(self._level) if level):
            most, change = acceleration * self.max_acceleration[i], jerk * self.jerk[i]
            v, a = self.velocity[i], self.acceleration[i]
            peak = abs(v + a * abs(a) / (2.0 * change))
            if abs(a) <= most and peak <= speed * self._share * self.speed[i]:
                end = stop(self.position[i], v, a, most, change).end
                if self.lower[i] <= end <= self.upper[i]:
                    self._level[i] = 0
        self._limit()

    def _try(self) -> str:
        """One tick under the limits as they are given; what is wrong, or nothing."""
        problem = self._update()
        if problem:
            return problem
        found, span = self._output, self._span
        position = [p * s for p, s in zip(found.new_position, span, strict=True)]
        velocity = self._felt([v * s for v, s in zip(found.new_velocity, span, strict=True)])
        acceleration = self._felt([a * s for a, s in zip(found.new_acceleration, span, strict=True)])
        problem = self._check(position, velocity, acceleration)
        if problem:
            return problem
        self.position, self.velocity, self.acceleration = position, velocity, acceleration
        self.finished = self._result == Result.Finished
        return ""

    def _felt(self, values: list[float]) -> list[float]:
        """Without what rounding leaves of a velocity or acceleration (1e-16): ruckig fails on that."""
        return [v if v > t or v < -t else 0.0 for v, t in zip(values, self._tiny, strict=True)]

    def _update(self) -> str:
        """One call of ruckig; what is wrong, or nothing."""
        try:
            self._result = self._ruckig.update(self._input, self._output)
        except Exception as error:  # its own class, and what its binding makes of wrong values
            return " ".join(str(error).split())[:200]
        return "" if self._result in (Result.Working, Result.Finished) else str(self._result)

    def _check(self, position: list[float], velocity: list[float], acceleration: list[float]) -> str:
        """Clip what rounding leaves beyond a position's limit; what is wrong, or nothing."""
        for i in range(self._count):
            p = position[i]
            # Written so that NaN fails.
            inside = -self.speed[i] <= velocity[i] <= self.speed[i] and (
                -self.max_acceleration[i] <= acceleration[i] <= self.max_acceleration[i]
            )
            if inside and self.lower[i] <= p <= self.upper[i]:
                continue
            if not (inside and self.lower[i] - self._slack[i] <= p <= self.upper[i] + self._slack[i]):
                return f"{self._names[i]} would leave its limits"
            position[i] = min(max(p, self.lower[i]), self.upper[i])
        return ""

    def _start(self) -> None:
        self._ruckig = Ruckig(self._count, self.dt_s)
        self._output = OutputParameter(self._count)
        self._input = InputParameter(self._count)
        self._input.synchronization = Synchronization.No
        self._input.target_velocity = [0.0] * self._count
        self._input.target_acceleration = [0.0] * self._count
        self._limit()

    def _limit(self) -> None:
        given, uses = self._input, [USE[level] for level in self._level]
        given.max_velocity = [u[0] * self._share * v * s for u, v, s in zip(uses, self.speed, self._scale, strict=True)]
        given.max_acceleration = [
            u[1] * a * s for u, a, s in zip(uses, self.max_acceleration, self._scale, strict=True)
        ]
        given.max_jerk = [u[2] * j * s for u, j, s in zip(uses, self.jerk, self._scale, strict=True)]
