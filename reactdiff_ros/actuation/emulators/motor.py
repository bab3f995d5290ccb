"""A motor with a greatest speed and acceleration that goes to its goal, and coasts to rest when it is let go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

STEP_S: Final = 0.001
LONGEST_S: Final = 5.0
"""Of a longer gap only so much is lived through: by then everything is at rest."""


@dataclass
class Motor:
    """Position in the device's counts; speed and acceleration per s and s2 of them."""

    position: float
    speed: float = 3000.0
    acceleration: float = 30_000.0
    velocity: float = 0.0
    goal: float = math.nan
    """Where it goes while it has torque; NaN: it stays where it is."""
    torque: bool = False
    time_s: float = math.nan

    def step(self, now_s: float) -> None:
        """Live until `now_s`."""
        if math.isnan(self.time_s) or now_s < self.time_s:
            self.time_s = now_s
        self.time_s = max(self.time_s, now_s - LONGEST_S)
        while self.time_s + STEP_S <= now_s:
            if self.velocity == 0.0 and (not self.torque or math.isnan(self.goal) or self.goal == self.position):
                self.time_s += STEP_S * math.floor((now_s - self.time_s) / STEP_S)
                return
            self._millisecond()
            self.time_s += STEP_S

    def halt(self) -> None:
        """Brake and stay."""
        self.goal = self.position + math.copysign(self.velocity**2 / (2 * self.acceleration), self.velocity)

    def _millisecond(self) -> None:
        wanted = 0.0
        change = self.acceleration * STEP_S
        if self.torque and not math.isnan(self.goal):
            error = self.goal - self.position
            if abs(error) <= max(change * STEP_S, 0.01) and abs(self.velocity) <= 2 * change:
                self.position, self.velocity = self.goal, 0.0
                return
            # The speed from which it can still brake in time.
            wanted = math.copysign(min(self.speed, math.sqrt(2.0 * self.acceleration * abs(error))), error)
            if abs(wanted) * STEP_S > abs(error):
                wanted = error / STEP_S
        self.velocity += min(max(wanted - self.velocity, -change), change)
        self.position += self.velocity * STEP_S
