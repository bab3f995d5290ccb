"""Joints are taken over where they stand: to enable the robot, or to lower and let go what has torque already."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from reactdiff_ros.actuation.commands import ArmingError, outside
from reactdiff_ros.actuation.hardware import REFUSING, Hardware, in_one_sentence, listed
from reactdiff_ros.actuation.profile import Profile

STEP_S: Final = 0.01
"""One step takes about so long, so that joints which have torque are told to hold in between."""
ALL_S: Final = 0.5
"""How long the joints may be asked where they are, at the end."""


class Preparation:
    """Step by step to a robot that holds still: the hardware is asked anew, then joints that can be measured get torque
    where they stand, one by one. Joints without feedback get torque later, from the follower.

    Args:
        profile: the robot.
        hardware: its drivers.
        clock: steady, s.
    """

    def __init__(self, profile: Profile, hardware: Hardware, clock: Callable[[], float]) -> None:
        self._profile, self._hardware, self._clock = profile, hardware, clock
        self._waiting: list[str] | None = None
        self._held: dict[str, float] = {}
        self.held_before: frozenset[str] = frozenset(hardware.joints)
        """Joints that had or may have had torque before: they keep it where enabling fails."""
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

    def undo(self) -> None:
        """Torque off where there was none before, as fast as the buses can."""
        if not self.held_before:
            self._hardware.release_all()
        else:
            for joint in (j for j in self._hardware.joints if j not in self.held_before):
                self._hardware.release(joint)

    def _check(self) -> None:
        self._hardware.check()
        joints = self._hardware.joints
        self.held_before = frozenset(j for j in joints if self._hardware.holding(j) is not False)
        forbidden = self._hardware.forbidden()
        if forbidden:
            raise ArmingError(in_one_sentence(forbidden))
        self.broken = self._hardware.faults()
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
        if joint not in self.held_before or self._profile.joints[joint].lowered is None:
            self._hardware.release(joint)  # it may have got its torque, and not said so


def would_fall(profile: Profile, hardware: Hardware, start: Mapping[str, float]) -> dict[str, str]:
    """Joints that have or may have torque and cannot be lowered before they are let go, and why.

    Args:
        profile: the robot.
        hardware: its drivers.
        start: where joints without feedback are held, as far as it is known, in their units.
    """
    falling = [n for n, j in profile.joints.items() if j.lowered is not None and hardware.holding(n) is not False]
    reasons = {name: _cannot_lower(profile, hardware, start, name) for name in falling}
    return {name: reason for name, reason in reasons.items() if reason}


def _cannot_lower(profile: Profile, hardware: Hardware, start: Mapping[str, float], name: str) -> str:
    fault = hardware.faults().get(name)
    if fault:
        return fault
    reading = hardware.reading(name) if profile.feedback(name) else None
    position = start.get(name) if not profile.feedback(name) else None if reading is None else reading.position
    if position is None:
        return "its position is unknown"
    return outside(name, profile.joints[name], position)


def let_go(profile: Profile, hardware: Hardware, start: Mapping[str, float], *, fall: bool) -> tuple[list[str], str]:
    """Let go what has or may have torque; joints that would fall take commands where they are, to be lowered first.

    Args:
        profile: the robot.
        hardware: its drivers, asked just now.
        start: as for `would_fall`.
        fall: also let go joints that would fall, hear, and cannot be lowered.

    Returns: the joints to lower, and a sentence for a person.
    """
    lower: list[str] = []
    held: dict[str, str] = {}
    unknown = "whether it has torque is unknown"
    for name, joint in profile.joints.items():
        if hardware.holding(name) is False:
            continue
        reason = ""
        if joint.lowered is not None:
            reason = _cannot_lower(profile, hardware, start, name)
            reason = reason or hardware.take(name, start.get(name, math.nan))
            if not reason:
                lower.append(name)
                continue
        if not reason or (fall and hardware.hears(name)):
            hardware.release(name)
        held[name] = reason or hardware.faults().get(name, "")
    held = {name: reason for name, reason in held.items() if hardware.holding(name) is not False}
    # Where torque is of all joints at once, one that was let go has it until the last one is down.
    held = {name: reason or unknown for name, reason in held.items() if reason or hardware.holding(name) is None}
    down = f"; {listed(lower)}: lowered first, then let go" if lower else ""
    return lower, f"disabled{down}{f'; may still have torque: {in_one_sentence(held)}' if held else ''}"
