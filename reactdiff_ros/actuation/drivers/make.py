"""What every make of bus servos does in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from reactdiff_ros.actuation.drivers.axes import Axis, Counts
from reactdiff_ros.actuation.drivers.driver import Fault

RESET: Final = Fault("reset", "it lost its torque: was its power interrupted?")


@dataclass(frozen=True, slots=True)
class Measured:
    """One servo's answer, in its own counts."""

    count: int
    load: float
    temperature_c: float
    voltage_v: float
    alarm: Fault | None


class Make(ABC):
    """Questions and orders to servos of one make. All may raise PortGoneError, and nothing else."""

    homing_adds: ClassVar[bool]
    """Whether a count is that of the sensor plus the homing offset; else it is minus."""
    goal_bytes: ClassVar[tuple[int, int]]
    """Bytes of a packet of goals without any, and those of each goal in it."""
    homing_most: int
    """The largest homing offset that it takes, either way; 0: it stores none."""

    @abstractmethod
    def _load_library(self) -> None:
        """Import the maker's library."""

    @abstractmethod
    def _identify(self, axis: Axis) -> Fault | None:
        """Id, model, settings."""

    @abstractmethod
    def _scale(self, axis: Axis) -> Counts:
        """Its scale, once identified."""

    @abstractmethod
    def _measure(self, axis: Axis) -> Measured | Fault:
        """Ask for everything at once."""

    @abstractmethod
    def _torque(self, axis: Axis) -> tuple[bool, Fault | None] | Fault:
        """Whether it has torque, and why it does not move although it has; a Fault: it gives no usable answer."""

    @abstractmethod
    def _read_homing(self, axis: Axis) -> int | Fault:
        """The homing offset that is stored in the servo."""

    @abstractmethod
    def _write_homing(self, axis: Axis, offset: int) -> Fault | None:
        """Store the homing offset in the servo."""

    @abstractmethod
    def _torque_on(self, axis: Axis, count: int) -> Fault | None:
        """Torque, with `count` as the goal."""

    @abstractmethod
    def _torque_off(self, axis: Axis) -> Fault | None:
        """No torque."""

    @abstractmethod
    def _torques_off(self, numbers: Iterable[int]) -> None:
        """No torque, for all these ids, in one packet without an answer."""

    @abstractmethod
    def _goals(self, counts: Mapping[int, int]) -> None:
        """Goals by id, in one packet without an answer."""

    @abstractmethod
    def _ping(self, number: int) -> int | None:
        """The model of the servo with that id; None: none answers."""
