"""Whether joints follow their commands: one that is held back pushes with all its force, maybe on a finger."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final

from reactdiff_ros.actuation.robot.profile import Profile

TOLERANCE: Final = 0.2
"""Share of its range by which a joint may be off: above what dry friction and a load on it cost."""
LATE_S: Final = 0.5
"""A joint may be where any command of this time before would have it."""
HELD_S: Final = 1.0


class Tracking:
    """Compares commands with measured positions of the joints that have feedback, tick by tick."""

    def __init__(self, profile: Profile) -> None:
        joints = profile.joints
        self._near = {n: TOLERANCE * (j.upper - j.lower) for n, j in joints.items() if profile.feedback(n)}
        self._commands: deque[tuple[float, Mapping[str, float]]] = deque()
        self._since: dict[str, float] = {}

    def reset(self) -> None:
        """Forget everything: the robot is not driven, or begins again."""
        self._commands.clear()
        self._since.clear()

    def step(self, now_s: float, commands: Mapping[str, float], measured: Mapping[str, float]) -> list[str]:
        """Joints that have been held back for HELD_S.

        Args:
            now_s: steady clock.
            commands: the last command of each joint that takes commands, in its unit.
            measured: positions of the last LATE_S, NaN where there is none.
        """
        self._commands.append((now_s, commands))
        while self._commands[0][0] < now_s - LATE_S:
            self._commands.popleft()
        for name, near in self._near.items():
            position = measured.get(name, math.nan)
            off = abs(position - commands.get(name, math.nan)) > near
            if off:
                recent = [sent[name] for _, sent in self._commands if name in sent]
                off = not min(recent) - near <= position <= max(recent) + near
            if off:
                self._since.setdefault(name, now_s)
            else:
                self._since.pop(name, None)
        return [name for name, since_s in self._since.items() if now_s - since_s >= HELD_S]
