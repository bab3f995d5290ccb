"""Enabling: the hardware is asked anew, then joints that can be measured get torque where they stand, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from reactdiff_ros.robots.actuation_bus import REFUSING, Hardware, in_one_sentence
from reactdiff_ros.robots.commands import ArmingError
from reactdiff_ros.robots.profile import Profile

STEP_S: Final = 0.01
"""One step takes about so long, so that joints which have torque are told to hold in between."""
ALL_S: Final = 0.5
"""How long the joints may be asked where they are, at the end."""


class Preparation:
    """Step by step to a robot that holds still. Joints without feedback get torque later, from the follower.

    Args:
        profile: the robot.
        hardware: its drivers.
        clock: steady, s.
    """

    def __init__(self, profile: Profile, hardware: Hardware, clock: Callable[[], float]) -> None:
        self._profile, self._hardware, self._clock = profile, hardware, clock
        self._waiting: list[str] | None = None
        self._held: dict[str, float] = {}
        self.broken: dict[str, str] = {}
        """Joints that cannot be had, and why: the others go on without them."""

    @property
    def armed(self) -> tuple[str, ...]:
        """Joints that have torque now."""
        return tuple(self._held)

    def step(self) -> bool:
        """Go on for a moment; True when all that can have torque has it.

        Raises:
            ArmingError: the robot must not be enabled.
        """
        if self._waiting is None:
            self._check()
            return False
        began_s = self._clock()
        while self._waiting and self._clock() - began_s < STEP_S:
            self._arm(self._waiting.pop(0))
        self._hardware.command(self._held)
        if self._waiting:
            return False
        if not any(j not in self.broken for j in self._hardware.joints):
            raise ArmingError(f"no joint can be moved: {in_one_sentence(self.broken)}")
        self._hardware.poll(min(ALL_S, STEP_S * max(len(self._held), 1)))
        return True

    def _check(self) -> None:
        self._hardware.check()
        forbidden = self._hardware.forbidden()
        if forbidden:
            raise ArmingError(in_one_sentence(forbidden))
        self.broken = self._hardware.faults()
        joints = self._hardware.joints
        if all(j in self.broken for j in joints):
            raise ArmingError(f"no joint can be moved: {in_one_sentence(self.broken)}")
        self._waiting = [j for j in joints if self._profile.feedback(j) and j not in self.broken]

    def _arm(self, joint: str) -> None:
        fault = self._hardware.arm(joint, math.nan)
        if fault is None:
            reading = self._hardware.reading(joint)
            if reading is not None and reading.position is not None:
                self._held[joint] = reading.position
                return
        elif fault.kind in REFUSING:
            raise ArmingError(in_one_sentence({joint: fault.text}))
        self.broken[joint] = "it does not say where it is" if fault is None else fault.text
        self._hardware.release(joint)  # it may have got its torque, and not said so
