"""What every driver can do, and a joint as its driver sees it: limits, calibration, its unit in counts or pulses.

Faults are values; only a device that cannot be opened raises.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import SERVO_PULSE_US, Profile, Pulse, Unit
from reactdiff_ros.errors import DeviceError

MISSES: Final = 3
"""Questions in a row without a usable answer that are a fault."""
OUTSIDE: Final = 0.05
"""A joint may stand outside its limits, or what was calibrated, by this share of them, and still be armed."""
EXACT: Final = 1e-9
"""A limit this close to a whole step is one: what rounding leaves."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One joint on a driver."""

    joint: str
    id: int
    """Of the servo or channel; a number in the profile's order where ids are names."""
    unit: Unit
    lower: float
    upper: float
    pulse: Pulse | None = None
    load: float | None = None
    temperature_c: float | None = None
    calibration: Calibration | None = None
    name: str = ""
    """On the robot, where ids are names."""

    def clamped(self, position: float) -> float:
        """`position` inside the joint's limits."""
        return min(max(position, self.lower), self.upper)

    def between(self, one: float, other: float, step: float) -> tuple[float, float]:
        """The joint's limits, less what is beyond two positions; a difference below `step` is rounding."""
        low, high = sorted((one, other))
        return low if low > self.lower + step else self.lower, high if high < self.upper - step else self.upper

    def calibration_fault(self, place: str) -> Fault | None:
        """Why it must not be armed with the calibration that it has; `place`: what has an id here."""
        if self.calibration is None:
            return Fault("uncalibrated", "it is not calibrated: reactdiff robot calibrate")
        if self.calibration.id != self.id:
            return Fault("calibration", f"its calibration is that of {place} {self.calibration.id}: calibrate again")
        return None


def axes_of(profile: Profile, driver: str, calibrations: Mapping[str, Calibration]) -> dict[str, Axis]:
    """The joints of `profile` on `driver`, in the profile's order."""
    mine = [(name, joint) for name, joint in profile.joints.items() if joint.output.driver == driver]
    return {
        name: Axis(
            joint=name,
            id=joint.output.id if isinstance(joint.output.id, int) else number,
            unit=joint.unit,
            lower=joint.lower,
            upper=joint.upper,
            pulse=joint.output.pulse,
            load=joint.limits.load,
            temperature_c=joint.limits.temperature_c,
            calibration=calibrations.get(name),
            name=str(joint.output.id),
        )
        for number, (name, joint) in enumerate(mine)
    }


@dataclass(frozen=True, slots=True)
class Counts:
    """A servo's scale: `counts` for `degrees`, `zero` where its neutral pose is after homing."""

    counts: int
    degrees: float
    zero: int

    def of(self, axis: Axis, position: float) -> int:
        """The count for a position in the axis' unit: inside the joint's limits, then inside what was calibrated."""
        low, high = self.range(axis)
        scale = self._sign(axis) / self.step(axis)
        count = inside(scale * axis.clamped(position), scale * axis.lower, scale * axis.upper)
        return min(max(self.zero + count, low), high)

    def position(self, axis: Axis, count: int) -> float:
        """The position of a count, in the axis' unit."""
        return self._sign(axis) * (count - self.zero) * self.step(axis)

    def range(self, axis: Axis) -> tuple[int, int]:
        """The counts that may be commanded."""
        calibration = axis.calibration
        if calibration is None:
            return 0, self.counts - 1
        return max(calibration.range_min, 0), min(calibration.range_max, self.counts - 1)

    def step(self, axis: Axis) -> float:
        """One count, in the axis' unit."""
        step = self.degrees / self.counts
        return math.radians(step) if axis.unit == "rad" else step

    @staticmethod
    def _sign(axis: Axis) -> int:
        return -1 if axis.calibration is not None and axis.calibration.drive_mode == 1 else 1


def inside(value: float, end: float, other: float) -> int:
    """The whole number nearest to `value` that is not beyond either end: devices take whole steps."""
    low, high = math.ceil(min(end, other) - EXACT), math.floor(max(end, other) + EXACT)
    return min(max(round(value), low), high)


@dataclass(frozen=True, slots=True)
class Pulses:
    """What hobby servos take, in microseconds (Ohbot: its counts): from `low` to `high`, mirrored at `middle`."""

    middle: float
    low: float
    high: float

    def of(self, axis: Axis, position: float) -> float:
        """The pulse for a position: inside the limits, what was calibrated, and what such servos take."""
        value = axis.clamped(position)
        pulse = value if axis.pulse is None else axis.pulse.zero_us + axis.pulse.us_per_unit * value
        calibration = axis.calibration
        if calibration is not None:
            pulse = (2 * self.middle - pulse if calibration.drive_mode == 1 else pulse) + calibration.homing_offset
            pulse = min(max(pulse, calibration.range_min), calibration.range_max)
        return min(max(pulse, self.low), self.high)

    def position(self, axis: Axis, pulse: float) -> float:
        """The position for which `of` gives `pulse`; it may be outside the limits."""
        calibration = axis.calibration
        if calibration is not None:
            pulse -= calibration.homing_offset
            pulse = 2 * self.middle - pulse if calibration.drive_mode == 1 else pulse
        return pulse if axis.pulse is None else (pulse - axis.pulse.zero_us) / axis.pulse.us_per_unit


MICROSECONDS: Final = Pulses(1500.0, *SERVO_PULSE_US)


Clock = Callable[[], float]
"""Seconds of a clock that only goes forward."""

FaultKind = Literal[
    "gone", "no_answer", "checksum", "garbage", "wrong_id", "wrong_model", "uncalibrated", "calibration",
    "overload", "hot", "voltage", "sensor", "watchdog", "reset", "refused", "broken",
]  # fmt: skip

LINK_FAULTS = frozenset({"gone", "no_answer", "checksum", "garbage", "wrong_id"})
"""The servo was not heard, or not understood."""

UNTIL_ARMED = frozenset({"watchdog", "reset"})
"""Stays until the joint is armed again, although the servo is well."""

AGAIN_S = 0.5
"""A device or joint that does not answer is asked this rarely, so that it does not take the others' time."""

SAFE = 0.8
"""A silence of this share of the hardware's watchdog counts as its expiry: its clock is not ours."""

REFUSING = frozenset({"uncalibrated", "calibration", "refused"})
"""The joint must not be moved at all: with such a fault the robot is not enabled."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one joint."""

    kind: FaultKind
    text: str
    """Plain words for the user, with what can be done about it."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at a joint; None: the servo cannot measure it."""

    time_s: float
    """Of the driver's clock."""
    position: float | None
    """In the joint's unit."""
    load: float | None = None
    """Share of what the servo can, 0..1."""
    temperature_c: float | None = None
    sent: float | None = None
    """The position of the pulses that a board without feedback reports, in the joint's unit; None: it reports none."""


class Driver(ABC):
    """One bus, board or device with some of a robot's joints. Used by one thread.

    No call blocks for longer than its documented time; after `open`, none raises, whatever comes over the wire.

    Args:
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
    """

    feedback: bool
    """Whether positions are measured."""
    watchdog_s: float | None = None
    """Silence after which the hardware stops by itself; None: it never does."""

    def __init__(self, axes: Mapping[str, Axis], clock: Clock) -> None:
        self.axes: Mapping[str, Axis] = dict(axes)
        self._clock = clock
        self._armed: set[str] = set()
        self._faults: dict[str, Fault] = {}
        self._commanded_s = 0.0
        """When the last command left."""
        self._opened = False
        """Whether the device is wanted open; one that was lost is tried again from `_retry_s` on."""
        self._retry_s = 0.0
        self._beyond: dict[str, Axis] = {}
        """Joints that were armed beyond an end and are not back inside: with ends as far out as they stand."""

    @abstractmethod
    def open(self) -> None:
        """Open the device for this process alone.

        Raises:
            DeviceError: it is missing, busy (and by whom) or not permitted (and which group to join).
            ModuleNotFoundError: the maker's library is not installed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the device back; twice is fine. Joints stay as they are: `release` those that should not."""

    @abstractmethod
    def check(self) -> dict[str, Fault]:
        """Ask every joint for its id, model, settings and calibration; the faults of those that are not right.

        May take some tenths of a second a joint: for before arming.
        """

    @abstractmethod
    def poll(self, budget_s: float) -> None:
        """Measure as many joints as fit into `budget_s` (at least one), in turns; look for what is gone and back."""

    @abstractmethod
    def reading(self, joint: str) -> Reading | None:
        """The newest measurement; None: none since it was opened or lost."""

    @abstractmethod
    def holding(self, joint: str) -> bool | None:
        """Whether a joint has torque (or pulses): as the hardware reports it, or as it was last commanded where it
        cannot report; None: unknown, it may hold.
        """

    @abstractmethod
    def arm(self, joint: str, position: float) -> Fault | None:
        """Torque (or pulses) on, without a jump: at the measured position, without feedback at `position`."""

    @abstractmethod
    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions, in the joints' units; not armed or not finite ones are left out, the rest is clamped."""

    @abstractmethod
    def release(self, joint: str) -> None:
        """Torque (or pulses) off."""

    @property
    def armed(self) -> frozenset[str]:
        """Joints that take commands. One that was lost leaves, and comes back only by `arm`."""
        return frozenset(self._armed)

    def step(self, joint: str) -> float:
        """The step in which a joint takes positions, in its unit; 0 where it cannot be seen."""
        return 0.0

    def ends(self, joint: str) -> tuple[float, float] | None:
        """The lowest and highest position that a joint takes, inside its limits, where a calibration may allow less.

        Commands beyond are cut off, without regard to speed. None: it takes all positions inside its limits.
        """
        return None

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""
        return dict(self._faults)

    def steer(self, joint: str, position: float) -> Fault | None:
        """Let a joint whose torque is unknown take commands, beginning at `position`, without giving it torque."""
        return Fault("refused", "whether it has torque is unknown")

    def release_all(self) -> None:
        """Torque (or pulses) off everywhere, as fast as the device can, without waiting for answers."""
        for joint in self.axes:
            self.release(joint)

    def stop(self) -> None:
        """Hold everything at its last command; no commands until armed again."""
        self._armed.clear()

    def _accepted(self, positions: Mapping[str, float]) -> dict[str, float]:
        """The positions that may be sent: of armed joints, and finite. They are not clamped yet."""
        return {j: p for j, p in positions.items() if j in self._armed and math.isfinite(p)}

    def _begin_at(self, joint: str, position: float) -> Fault | None:
        """Commands of a joint begin where it was measured, also where that is a little beyond an end; or why not."""
        axis = self.axes[joint]
        room = OUTSIDE * (axis.upper - axis.lower)
        if not axis.lower - room <= position <= axis.upper + room:
            text = f"it is at {position:.4g}, outside its limits of {axis.lower:g} to {axis.upper:g}"
            return Fault("refused", f"{text}: bring it inside by hand")
        self._beyond.pop(joint, None)
        if axis.clamped(position) != position:
            self._beyond[joint] = replace(axis, lower=min(axis.lower, position), upper=max(axis.upper, position))
        return None

    def _clamped(self, joint: str, position: float) -> float:
        """`position` inside the joint's limits; until it is inside them, no further out than where it was armed."""
        inside = self.axes[joint].clamped(position)
        if joint not in self._beyond:
            return inside
        allowed = self._beyond[joint].clamped(position)
        if allowed == inside:
            del self._beyond[joint]
        return allowed

    def _come_back(self) -> None:
        """Open the device again that was lost, at most once in AGAIN_S."""
        now_s = self._clock()
        if self._opened and now_s >= self._retry_s:
            self._retry_s = now_s + AGAIN_S
            with suppress(DeviceError):
                self.open()

    def _expired(self) -> dict[str, Fault]:
        """After a silence as long as the watchdog's, armed joints may be anywhere: they are disarmed, with a fault."""
        silent_s = self._clock() - self._commanded_s
        if self.watchdog_s is None or silent_s <= SAFE * self.watchdog_s:
            return {}
        text = f"nothing was sent for {silent_s:.2f} s, so that its watchdog has stopped it"
        found = dict.fromkeys(self._armed, Fault("watchdog", text))
        self._armed.clear()
        return found
