"""Emulated bus servos: a motor, a memory table, what is wrong with it, and the line that several of them share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

STEP_S: Final = 0.001
LONGEST_S: Final = 5.0
"""At most this much of a longer gap is simulated: by then everything is at rest."""

PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83
BROADCAST: Final = 0xFE


@dataclass
class Motor:
    """A motor that goes to its goal, and coasts to rest when it is let go.

    Position in the device's counts; speed and acceleration per s and s2 of them.
    """

    position: float
    speed: float = 3000.0
    acceleration: float = 30_000.0
    velocity: float = 0.0
    goal: float = math.nan
    """Where it goes while it has torque; NaN: it stays where it is."""
    torque: bool = False
    time_s: float = math.nan

    def step(self, now_s: float) -> None:
        """Simulate until `now_s`."""
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
    """Byte order of its numbers."""
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


class ServoLine(ABC):
    """Servos that hear the same line. A make says how its packets and its memory table are."""

    address_bytes: ClassVar[int]
    """Of an address, and of a length, in a packet."""

    def __init__(self, servos: Mapping[int, Servo]) -> None:
        self.servos = dict(servos)
        self._rest = b""
        self._stored: dict[int, tuple[int, bytes]] = {}
        """Writes that wait for ACTION, by id."""
        for servo in self.servos.values():
            self._fill(servo)
            self._measure(servo)

    @abstractmethod
    def _fill(self, servo: Servo) -> None:
        """The memory table of a new servo."""

    @abstractmethod
    def _next(self) -> tuple[int, int, bytes] | None:
        """Take the next whole packet from `_rest`: id, instruction, parameters; None: there is none."""

    @abstractmethod
    def _identity(self, servo: Servo) -> bytes:
        """What it answers to a ping."""

    @abstractmethod
    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        """Write to the table, unless that is refused; the error that it answers, 0 for none."""

    @abstractmethod
    def _measure(self, servo: Servo) -> None:
        """Put what the motor does into the table."""

    @abstractmethod
    def _packet(self, servo: Servo, number: int, data: bytes, error: int) -> bytes:
        """A status packet of `servo` under the id `number`."""

    def receive(self, data: bytes, now_s: float) -> bytes:
        """What the servos answer to what the host sent."""
        self._rest += data
        answer = b""
        while (packet := self._next()) is not None:
            answer += self._obey(*packet, now_s)
        return answer

    def step(self, now_s: float) -> None:
        """Simulate until `now_s`."""
        for servo in self.servos.values():
            servo.motor.step(now_s)
            self._measure(servo)

    def _numbers(self, body: bytes) -> tuple[int, int, bytes]:
        """Address, length and what follows them."""
        n = self.address_bytes
        return int.from_bytes(body[:n], "little"), int.from_bytes(body[n : 2 * n], "little"), body[2 * n :]

    def _obey(self, number: int, instruction: int, body: bytes, now_s: float) -> bytes:
        self.step(now_s)
        for servo in self.servos.values():
            if not servo.failing.silent and number in (servo.id, BROADCAST):
                servo.last_heard_s = now_s
        if instruction == SYNC_WRITE:
            address, size, rest = self._numbers(body)
            for i in range(0, len(rest) - size, size + 1):
                if rest[i] in self.servos:
                    self._write(self.servos[rest[i]], address, rest[i + 1 : i + 1 + size])
            return b""
        if instruction == SYNC_READ:
            return self._sync_read(body)
        if instruction == ACTION:
            for i, (address, data) in self._stored.items():
                self._write(self.servos[i], address, data)
            self._stored.clear()
            return b""
        answer = b""
        for servo in [s for s in self.servos.values() if number in (s.id, BROADCAST)]:
            said = self._one(servo, instruction, body)
            answer += said if number != BROADCAST or instruction == PING else b""
        return answer

    def _sync_read(self, body: bytes) -> bytes:
        address, size, numbers = self._numbers(body)
        answer = b""
        for servo in (self.servos.get(i) for i in numbers):
            said = self._answer(servo, self._read(servo, address, size)) if servo is not None else b""
            if not said:
                break  # the next one waits for it in vain
            answer += said
        return answer

    def _one(self, servo: Servo, instruction: int, body: bytes) -> bytes:
        address, size, _ = self._numbers(body)
        data = body[self.address_bytes :]
        if instruction == PING:
            return self._answer(servo, self._identity(servo))
        if instruction == READ and len(body) == 2 * self.address_bytes:
            return self._answer(servo, self._read(servo, address, size))
        if instruction == WRITE and data:
            return self._answer(servo, b"", self._write(servo, address, data))
        if instruction == REG_WRITE and data:
            self._stored[servo.id] = (address, data)
            return self._answer(servo, b"")
        return self._unknown(servo, instruction)

    def _unknown(self, servo: Servo, instruction: int) -> bytes:
        return b""

    @staticmethod
    def _read(servo: Servo, address: int, size: int) -> bytes:
        return bytes(servo.table[address : address + size]).ljust(size, b"\0")

    def _answer(self, servo: Servo, data: bytes, error: int = 0) -> bytes:
        failing = servo.failing
        if failing.silent or failing.mute:
            return b""
        self._measure(servo)
        number = servo.id if failing.answers_as is None else failing.answers_as
        return self._packet(servo, number, data, error) * (1 + failing.twice)
