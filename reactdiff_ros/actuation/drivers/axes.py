"""A joint as its driver sees it: id, limits, calibration, and the way from its unit to counts or pulses and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.actuation.calibration.file import Calibration
from reactdiff_ros.actuation.driver_settings import SERVO_PULSE_US, Unit
from reactdiff_ros.actuation.profile import Profile, Pulse

MIDDLE_US: Final = 1500.0
EXACT: Final = 1e-9
"""A limit this close to a whole step is one: what rounding leaves."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One joint on a driver."""

    joint: str
    id: int
    unit: Unit
    lower: float
    upper: float
    pulse: Pulse | None = None
    load: float | None = None
    temperature_c: float | None = None
    calibration: Calibration | None = None

    def clamped(self, position: float) -> float:
        """`position` inside the joint's limits."""
        return min(max(position, self.lower), self.upper)


def axes_of(profile: Profile, driver: str, calibrations: Mapping[str, Calibration]) -> dict[str, Axis]:
    """The joints of `profile` on `driver`, in the profile's order."""
    found = {}
    for name, joint in profile.joints.items():
        if joint.output.driver == driver and isinstance(joint.output.id, int):
            limits = joint.limits
            found[name] = Axis(
                name,
                joint.output.id,
                joint.unit,
                joint.lower,
                joint.upper,
                joint.output.pulse,
                limits.load,
                limits.temperature_c,
                calibrations.get(name),
            )
    return found


@dataclass(frozen=True, slots=True)
class Counts:
    """A servo's scale: `counts` for `degrees`, `zero` where its neutral pose is after homing."""

    counts: int
    degrees: float
    zero: int

    def of(self, axis: Axis, position: float) -> int:
        """The count for a position in the axis' unit: inside the joint's limits, then inside what was calibrated."""
        low, high = self.range(axis)
        scale = self._sign(axis) / self._step(axis)
        count = inside(scale * axis.clamped(position), scale * axis.lower, scale * axis.upper)
        return min(max(self.zero + count, low), high)

    def position(self, axis: Axis, count: int) -> float:
        """The position of a count, in the axis' unit."""
        return self._sign(axis) * (count - self.zero) * self._step(axis)

    def range(self, axis: Axis) -> tuple[int, int]:
        """The counts that may be commanded."""
        calibration = axis.calibration
        if calibration is None:
            return 0, self.counts - 1
        return max(calibration.range_min, 0), min(calibration.range_max, self.counts - 1)

    def _step(self, axis: Axis) -> float:
        step = self.degrees / self.counts
        return math.radians(step) if axis.unit == "rad" else step

    @staticmethod
    def _sign(axis: Axis) -> int:
        return -1 if axis.calibration is not None and axis.calibration.drive_mode == 1 else 1


def inside(value: float, end: float, other: float) -> int:
    """The whole number nearest to `value` that is not beyond either end: devices take whole steps."""
    low, high = math.ceil(min(end, other) - EXACT), math.floor(max(end, other) + EXACT)
    return min(max(round(value), low), high)


def pulse_us(axis: Axis, position: float) -> float:
    """The pulse of a hobby servo for a position: inside the limits, what was calibrated, and what such servos take."""
    value = axis.clamped(position)
    us = value if axis.pulse is None else axis.pulse.zero_us + axis.pulse.us_per_unit * value
    low, high = SERVO_PULSE_US
    calibration = axis.calibration
    if calibration is not None:
        us = (2 * MIDDLE_US - us if calibration.drive_mode == 1 else us) + calibration.homing_offset
        us = min(max(us, calibration.range_min), calibration.range_max)
    return min(max(us, low), high)


def pulse_position(axis: Axis, us: float) -> float:
    """The position for which `pulse_us` gives `us`; it may be outside the limits."""
    calibration = axis.calibration
    if calibration is not None:
        us -= calibration.homing_offset
        us = 2 * MIDDLE_US - us if calibration.drive_mode == 1 else us
    return us if axis.pulse is None else (us - axis.pulse.zero_us) / axis.pulse.us_per_unit
