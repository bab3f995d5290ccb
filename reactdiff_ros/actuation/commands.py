"""What the follower gives out, and where it finds the joints when it begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal

from reactdiff_ros.actuation.profile import Joint, Profile
from reactdiff_ros.errors import ReactdiffError

State = Literal["disarmed", "starting", "following", "returning", "lowering", "stopped"]

OUTSIDE: Final = 0.05
"""A measured position may be outside its limits by this share of the range; from there on nothing is moved."""


class ArmingError(ReactdiffError):
    """The robot cannot be armed now; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Commands:
    """What each joint is told at this tick, in the profile's order and units."""

    time_s: float
    state: State
    position: list[float]
    velocity: list[float]
    acceleration: list[float]
    target: list[float]
    """Where each joint is to go: finite, inside its limits and the rules."""
    limited: list[bool]
    """Its target was cut, or the command is not there yet."""
    torque: list[bool]
    """Whether the joint is to have torque (or pulses)."""
    fault: str
    """Why it is stopped; empty: it is not, or was told to by a person."""
    joint_faults: dict[str, str]
    """Joints that follow their `on_fault`, and why."""
    return_began_s: float
    """Age of the last frame when the last return to neutral began; NaN: none so far."""
    return_took_s: float
    """Time from the beginning of that return until all joints were at neutral; NaN: not yet."""


def outside(name: str, joint: Joint, value: float) -> str:
    """What is wrong with a joint that stands too far outside its limits to be moved, and what to do; else nothing."""
    room = OUTSIDE * (joint.upper - joint.lower)
    if joint.lower - room <= value <= joint.upper + room:
        return ""
    unit = "" if joint.unit == "1" else f" {joint.unit}"
    where = f"at {value:.4g}{unit}, outside its limits {joint.lower:g} to {joint.upper:g}"
    return f"{name} is {where}: bring it inside by hand, or calibrate again"


def start_positions(
    profile: Profile,
    measured: Sequence[float] | None,
    saved: Mapping[str, float],
    faulty: Set[str],
    *,
    moving: bool = False,
) -> list[float]:
    """Where motion begins, inside the limits: measured, else the command `saved` last, else neutral.

    Args:
        profile: the robot.
        measured: positions in its order, NaN where there is none.
        saved: commands by joint.
        faulty: joints that need not be known, because they have a fault.
        moving: the robot was moving, so that the last command will do where a measurement is missing.

    Raises:
        ArmingError: a joint that can be measured was not, or is outside its limits.
    """
    found = []
    for i, (name, joint) in enumerate(profile.joints.items()):
        value = math.nan if measured is None or len(measured) != len(profile.joints) else float(measured[i])
        if not math.isfinite(value):
            if profile.feedback(name) and name not in faulty and not moving:
                raise ArmingError("the position of a joint is unknown", where=name, todo="see whether it answers")
            value = float(saved.get(name, joint.neutral))
            value = value if math.isfinite(value) else joint.neutral
        elif name not in faulty and outside(name, joint, value):
            raise ArmingError(outside(name, joint, value))
        found.append(min(max(value, joint.lower), joint.upper))
    return found
