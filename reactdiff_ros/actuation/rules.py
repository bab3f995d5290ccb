"""What becomes of targets over time: small steps wait, and a joint is not beyond a point for longer than it may be."""

from __future__ import annotations

from typing import Final

from reactdiff_ros.actuation.checks import back_time_s
from reactdiff_ros.actuation.profile import Profile, Rule

STEADY: Final = 1e-5
"""The least step of a target that is followed at once, as a share of the range. No servo resolves less; and to a target
that trembles by a millionth while a fast joint comes to rest on it, ruckig finds no trajectory now and then."""


class Aim:
    """Where the face takes the joints: inside their limits, and by no steps that cannot be felt.

    Small steps add up: a step counts from the target that is followed. Once face and joint are at rest, the target is
    exactly the face's.
    """

    def __init__(self, profile: Profile) -> None:
        joints = list(profile.joints.values())
        self._limits = [(j.lower, j.upper, STEADY * (j.upper - j.lower)) for j in joints]
        self._neutral = [j.neutral for j in joints]
        self.reset()

    def reset(self) -> None:
        """Begin at neutral."""
        self._targets = self._before = self._neutral

    def follow(self, wanted: list[float], at_rest: list[bool]) -> tuple[list[float], list[bool]]:
        """Targets, and which of `wanted` (finite) were beyond a limit."""
        inside = [low if w < low else up if w > up else w for w, (low, up, _) in zip(wanted, self._limits, strict=True)]
        self._targets = [
            t if -small <= w - t <= small and not (rest and w == before) else w
            for w, t, before, rest, (_, _, small) in zip(
                inside, self._targets, self._before, at_rest, self._limits, strict=True
            )
        ]
        self._before = inside
        return list(self._targets), [i != w for i, w in zip(inside, wanted, strict=True)]


class TimeRule:
    """One rule of a profile, applied tick by tick.

    Time beyond the point is spent, and comes back on this side of it within `rest_s`. When so much is left as the
    joint needs to come back, it is held on this side until all of it has come back. What counts is the command.
    """

    def __init__(self, rule: Rule, profile: Profile) -> None:
        joint = profile.joints[rule.joint]
        self.index = list(profile.joints).index(rule.joint)
        end = joint.upper if rule.towards == "upper" else joint.lower
        self._sign = 1.0 if end > joint.neutral else -1.0
        self.point = joint.neutral + rule.beyond * (end - joint.neutral)
        # Commands creep up to a target: aim a little on this side of the point.
        self._cap = self._sign * self.point - 1e-6 * (joint.upper - joint.lower)
        self._gain = rule.longest_s / rule.rest_s
        self._allowed_s = rule.longest_s - back_time_s(joint, rule.beyond, rule.towards) - 1.5 / profile.rate_hz
        self._spent_s = 0.0
        self.acting = False

    def reset(self) -> None:
        """Forget what was spent."""
        self._spent_s, self.acting = 0.0, False

    def apply(self, targets: list[float], positions: list[float], dt_s: float) -> bool:
        """Change the joint's target in place where the rule asks for it; whether it did."""
        if self._sign * (positions[self.index] - self.point) > 0.0:
            self._spent_s += dt_s
        elif self._spent_s > 0.0:
            self._spent_s = max(self._spent_s - dt_s * self._gain, 0.0)
        if self._spent_s >= self._allowed_s:
            self.acting = True
        elif self._spent_s == 0.0:
            self.acting = False
        if not self.acting or self._sign * targets[self.index] <= self._cap:
            return False
        targets[self.index] = self._sign * self._cap
        return True
