"""Rules over time: a joint is not beyond a point for longer than it may be."""

from __future__ import annotations

from reactdiff_ros.robots.checks import back_time_s
from reactdiff_ros.robots.profile import Profile, Rule


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
