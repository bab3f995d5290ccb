"""One emulated bus servo: a memory table, a motor, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reactdiff_ros.actuation.emulators.motor import Motor


@dataclass
class Failing:
    """Faults of one servo, switched at any time."""

    silent: bool = False
    """It neither hears nor answers: its plug is out, or it has no power."""
    mute: bool = False
    """It hears and obeys, but does not answer."""
    bad_checksum: bool = False
    nonsense: bool = False
    """Its answers are well formed, and what they say cannot be."""
    answers_as: int | None = None
    """The id that it answers with, instead of its own."""
    twice: bool = False
    """There is a second servo with the same id, which says the same."""
    overload: bool = False
    hot: bool = False
    voltage: bool = False


@dataclass
class Servo:
    """One servo on a bus."""

    id: int
    motor: Motor
    order: Literal["little", "big"]
    """Of the bytes of its numbers."""
    table: bytearray = field(default_factory=lambda: bytearray(256))
    failing: Failing = field(default_factory=Failing)
    received: list[int] = field(default_factory=list)
    """Every goal that was written to it."""
    last_heard_s: float = 0.0

    def put(self, address: int, size: int, value: int) -> None:
        """Set a number in the table; negative ones as two's complement."""
        self.table[address : address + size] = (value % (1 << 8 * size)).to_bytes(size, self.order)

    def get(self, address: int, size: int, *, signed: bool = False) -> int:
        """A number of the table."""
        return int.from_bytes(self.table[address : address + size], self.order, signed=signed)


def magnitude(value: int, sign_bit: int) -> int:
    """`value` as the makers write some negative numbers: the size, and a bit for the sign."""
    return abs(value) | ((1 << sign_bit) if value < 0 else 0)


def from_magnitude(value: int, sign_bit: int) -> int:
    """The number that `magnitude` wrote."""
    size = value & ((1 << sign_bit) - 1)
    return -size if value >> sign_bit & 1 else size
