"""What every driver can do. Faults are values; only a device that cannot be opened raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from reactdiff_ros.actuation.drivers.axes import Axis

Clock = Callable[[], float]
"""Seconds of a clock that only goes forward."""

FaultKind = Literal[
    "gone",
    "no_answer",
    "checksum",
    "garbage",
    "wrong_id",
    "wrong_model",
    "uncalibrated",
    "calibration",
    "overload",
    "hot",
    "voltage",
    "sensor",
    "watchdog",
    "reset",
    "refused",
]

LINK_FAULTS = frozenset({"gone", "no_answer", "checksum", "garbage", "wrong_id"})
"""The servo was not heard, or not understood."""

UNTIL_ARMED = frozenset({"watchdog", "reset"})
"""Stays until the joint is armed again, although the servo is well."""


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
    voltage_v: float | None = None
    sent: float | None = None
    """The position of the pulses that a board without feedback reports, in the joint's unit; None: it reports none."""


class Driver(Protocol):
    """One bus, board or device with some of a robot's joints. Used by one thread.

    No call blocks for longer than its documented time; after `open`, none raises, whatever comes over the wire.
    """

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The joints on it."""

    @property
    def feedback(self) -> bool:
        """Whether positions are measured."""

    @property
    def watchdog_s(self) -> float | None:
        """Silence after which the hardware stops by itself; None: it never does."""

    def open(self) -> None:
        """Open the device for this process alone.

        Raises:
            DeviceError: it is missing, busy (and by whom) or not permitted (and which group to join).
            ModuleNotFoundError: the maker's library is not installed.
        """

    def check(self) -> dict[str, Fault]:
        """Ask every joint for its id, model, settings and calibration; the faults of those that are not right.

        May take some tenths of a second a joint: for before arming.
        """

    def poll(self, budget_s: float) -> None:
        """Measure as many joints as fit into `budget_s` (at least one), in turns; look for what is gone and back."""

    def reading(self, joint: str) -> Reading | None:
        """The newest measurement; None: none since it was opened or lost."""

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""

    def holding(self, joint: str) -> bool | None:
        """Whether a joint has torque (or pulses): as the hardware reports it, or as it was last told where it cannot
        report; None: unknown, it may hold.
        """

    @property
    def armed(self) -> frozenset[str]:
        """Joints that take commands. One that was lost leaves, and comes back only by `arm`."""

    def arm(self, joint: str, position: float) -> Fault | None:
        """Torque (or pulses) on, without a jump: at the measured position, without feedback at `position`."""

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions, in the joints' units; not armed or not finite ones are left out, the rest is clamped."""

    def release(self, joint: str) -> None:
        """Torque (or pulses) off."""

    def stop(self) -> None:
        """Hold everything where it was told to be last; no commands until armed again."""

    def close(self) -> None:
        """Give the device back. Joints stay as they are: `release` those that should not."""


@runtime_checkable
class ReleasesAll(Protocol):
    """A driver that can let everything go with one packet."""

    def release_all(self) -> None:
        """Torque (or pulses) off everywhere, without waiting for answers."""


def release_all(driver: Driver) -> None:
    """Let all joints of a driver go, as fast as it can."""
    if isinstance(driver, ReleasesAll):
        driver.release_all()
    else:
        for joint in driver.axes:
            driver.release(joint)
