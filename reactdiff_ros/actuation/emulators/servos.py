"""Emulated bus servos, Feetech and Dynamixel: a motor, a memory table, its faults, and the line that they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from reactdiff_ros.actuation.drivers import dynamixel, feetech
from reactdiff_ros.actuation.drivers.dynamixel import ALERT, WATCHDOG_EXPIRED, WATCHDOG_TICK_S
from reactdiff_ros.actuation.drivers.feetech import magnitude, signed
from reactdiff_ros.actuation.drivers.servo_bus import PING, READ, WRITE

STEP_S: Final = 0.001
LONGEST_S: Final = 5.0
"""At most this much of a longer gap is simulated: by then everything is at rest."""

SYNC_WRITE = 0x83
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
    blocked: bool = False
    """Something is in its way: it stays where it is."""
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
        if self.blocked:
            self.velocity = 0.0
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

    @property
    def alarms(self) -> int:
        """What it says of itself, in the bits that both makers use."""
        return self.voltage * 1 | self.hot * 4 | self.overload * 32


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
        for servo in self.servos.values():
            self._fill(servo)
            self._measure(servo)

    @abstractmethod
    def _fill(self, servo: Servo) -> None:
        """The memory table of a new servo."""

    @abstractmethod
    def _next(self) -> tuple[int, int, bytes] | None:
        """Take the next whole packet from `_rest`: id, instruction, parameters; None: there is none."""

    def _identity(self, servo: Servo) -> bytes:
        """What it answers to a ping."""
        return b""

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
        answer = b""
        for servo in [s for s in self.servos.values() if number in (s.id, BROADCAST)]:
            said = self._one(servo, instruction, body)
            answer += said if number != BROADCAST or instruction == PING else b""
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
        return self._unknown(servo)

    def _unknown(self, servo: Servo) -> bytes:
        """What it answers to an instruction that it does not know."""
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


class Sts:
    """Addresses in the memory table of a Feetech servo, besides those that the driver knows."""

    ID, RETURN_LEVEL, MINIMUM, MAXIMUM = 5, 8, 9, 11
    SPEED, LOAD, VOLTAGE, HEAT, MOVING = 58, 60, 62, 63, 66
    EEPROM_END = 40


LOCK: Final = {"sts": feetech.LOCK, "scs": 48}


class FeetechBus(ServoLine):
    """A bus of Feetech servos: STS (little endian, 4096 counts a turn) or SCS (big endian, 1024 for 300 degrees).

    Packets: FF FF id length instruction parameters checksum, from the makers' protocol manual; the tables from those of
    STS3215 and SCS0009. Answers come at once; numbers that the manual writes as size and sign bit are so here.

    Args:
        positions: where each servo is, in counts, by id.
        series: which kind.
    """

    address_bytes = 1

    def __init__(self, positions: Mapping[int, float], series: Literal["sts", "scs"] = "sts") -> None:
        self.series = series
        self._counts = feetech.SCALE[series].counts
        order: Literal["little", "big"] = "little" if series == "sts" else "big"
        motors = {i: Motor(p, 0.9 * self._counts, 20.0 * self._counts) for i, p in positions.items()}
        super().__init__({i: Servo(i, motor, order) for i, motor in motors.items()})

    def _fill(self, servo: Servo) -> None:
        table = servo.table
        table[0], table[1] = 3, 10
        table[feetech.MODEL], table[feetech.MODEL + 1] = (9, 3) if self.series == "sts" else (5, 4)
        table[Sts.ID], table[Sts.RETURN_LEVEL], table[13], table[14], table[15] = servo.id, 1, 70, 140, 40
        servo.put(Sts.MINIMUM, 2, 0)
        servo.put(Sts.MAXIMUM, 2, self._counts - 1)
        servo.put(16, 2, 1000)
        servo.put(48 if self.series == "sts" else 50, 2, 1000)
        table[LOCK[self.series]] = 1

    def _next(self) -> tuple[int, int, bytes] | None:
        while True:
            start = self._rest.find(b"\xff\xff")
            if start < 0:
                self._rest = self._rest[-1:]
                return None
            self._rest = self._rest[start:]
            if len(self._rest) < 4:
                return None
            length = self._rest[3]
            if self._rest[2] == 0xFF or length < 2:
                self._rest = self._rest[1:]
                continue
            if len(self._rest) < 4 + length:
                return None
            packet, self._rest = self._rest[: 4 + length], self._rest[4 + length :]
            if packet[-1] == ~sum(packet[2:-1]) & 0xFF:
                return packet[2], packet[4], packet[5:-1]

    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        if servo.failing.silent or address + len(data) > len(servo.table):
            return 0
        # Without the lock opened, settings last until the power is switched off; here they are refused.
        if address < Sts.EEPROM_END and servo.table[LOCK[self.series]]:
            return 0
        if feetech.POSITION <= address <= Sts.MOVING:
            return 0
        servo.table[address : address + len(data)] = data
        servo.motor.torque = servo.table[feetech.TORQUE] == 1 and not servo.failing.overload
        if address <= feetech.GOAL and address + len(data) >= feetech.GOAL + 2:
            raw = servo.get(feetech.GOAL, 2)
            servo.received.append(raw)
            low, high = servo.get(Sts.MINIMUM, 2), servo.get(Sts.MAXIMUM, 2)
            servo.motor.goal = float(min(max(raw, low), high) + self._offset(servo))
        if address <= feetech.TORQUE < address + len(data) and servo.table[feetech.TORQUE] == 0:
            servo.motor.goal = float("nan")
        return 0

    def _offset(self, servo: Servo) -> int:
        return signed(servo.get(feetech.OFFSET, 2), 11) if self.series == "sts" else 0

    def _measure(self, servo: Servo) -> None:
        failing, motor = servo.failing, servo.motor
        if failing.overload:
            motor.torque = False
        shown = round(motor.position) - self._offset(servo)
        servo.put(feetech.POSITION, 2, 0x7FFF if failing.nonsense else magnitude(shown, 15))
        servo.put(Sts.SPEED, 2, magnitude(round(motor.velocity), 15))
        load = 990 if failing.overload else round(min(abs(motor.velocity) / motor.speed, 1.0) * 300)
        servo.put(Sts.LOAD, 2, magnitude(load if motor.velocity >= 0 else -load, 10))
        servo.table[Sts.VOLTAGE] = 30 if failing.voltage else 74
        servo.table[Sts.HEAT] = 85 if failing.hot else 32
        servo.table[feetech.STATUS] = failing.alarms
        servo.table[Sts.MOVING] = int(motor.velocity != 0.0)

    def _packet(self, servo: Servo, number: int, data: bytes, error: int) -> bytes:
        body = bytes((number, len(data) + 2, servo.failing.alarms)) + data
        check = ~sum(body) & 0xFF
        return b"\xff\xff" + body + bytes((check ^ 0x55 if servo.failing.bad_checksum else check,))


class X:
    """Addresses in the control table of a Dynamixel of the X series, besides those that the driver knows."""

    ID, HOTTEST, MAXIMUM, MINIMUM, RETURN_LEVEL = 7, 31, 48, 52, 68
    MOVING, SPEED, POSITION, VOLTAGE = 122, 128, 132, 144
    EEPROM_END = 64


STATUS = 0x55
HEADER: Final = b"\xff\xff\xfd\x00"
GOALS: Final = range(100, 120)
COUNTS: Final = dynamixel.SCALE.counts
NO_ERROR, BAD_INSTRUCTION, OUT_OF_RANGE, OUT_OF_LIMIT, NO_ACCESS = 0, 2, 4, 6, 7


def crc16(data: bytes) -> int:
    """CRC-16 with the polynomial 0x8005, from 0, not reflected (the e-manual's)."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class DynamixelBus(ServoLine):
    """A bus of Dynamixel X servos, protocol 2: packets, table and Bus Watchdog after the makers' e-manual (XM430).

    Packets: FF FF FD 00 id length(2) instruction parameters crc(2); FF FF FD inside is followed by another FD.

    Args:
        positions: where each servo is, in counts, by id.
        model: its number; 1060 is an XL430-W250, 1020 an XM430-W350.
    """

    address_bytes = 2

    def __init__(self, positions: Mapping[int, float], model: int = 1060) -> None:
        self._model = model
        super().__init__({i: Servo(i, Motor(p, 4000.0, 80_000.0), "little") for i, p in positions.items()})

    def _fill(self, servo: Servo) -> None:
        servo.put(dynamixel.MODEL, 2, self._model)
        servo.table[6], servo.table[X.ID], servo.table[8], servo.table[dynamixel.MODE] = 45, servo.id, 1, 3
        servo.table[X.HOTTEST], servo.table[X.RETURN_LEVEL] = 72, 2
        servo.put(dynamixel.CURRENT_LIMIT, 2, 1193)
        servo.put(X.MAXIMUM, 4, COUNTS - 1)
        servo.put(X.MINIMUM, 4, 0)

    def _next(self) -> tuple[int, int, bytes] | None:
        while True:
            start = self._rest.find(HEADER)
            if start < 0:
                self._rest = self._rest[-3:]
                return None
            self._rest = self._rest[start:]
            length = int.from_bytes(self._rest[5:7], "little")
            if len(self._rest) >= 7 and not 3 <= length <= 1024:
                self._rest = self._rest[1:]
                continue
            if len(self._rest) < 7 + length:
                return None
            packet, self._rest = self._rest[: 7 + length], self._rest[7 + length :]
            if crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little"):
                return packet[4], packet[7], packet[8:-2].replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")

    def step(self, now_s: float) -> None:
        """Simulate until `now_s`; a servo that heard nothing for as long as its watchdog says stops."""
        for servo in self.servos.values():
            ticks = servo.table[dynamixel.WATCHDOG]
            due_s = servo.last_heard_s + ticks * WATCHDOG_TICK_S
            if 0 < ticks < 128 and now_s > due_s:
                servo.motor.step(due_s)
                servo.table[dynamixel.WATCHDOG] = WATCHDOG_EXPIRED
                servo.motor.halt()
        super().step(now_s)

    def _identity(self, servo: Servo) -> bytes:
        return bytes(servo.table[0:2]) + bytes(servo.table[6:7])

    def _unknown(self, servo: Servo) -> bytes:
        return self._answer(servo, b"", BAD_INSTRUCTION)

    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        if servo.failing.silent:
            return NO_ERROR
        end = address + len(data)
        if end > 147 or address == dynamixel.HARDWARE_ERROR or address >= X.MOVING:
            return NO_ACCESS
        if address < X.EEPROM_END and servo.table[dynamixel.TORQUE]:
            return NO_ACCESS
        touches_goal = address < GOALS.stop and end > GOALS.start
        if touches_goal and servo.table[dynamixel.WATCHDOG] == WATCHDOG_EXPIRED:
            return OUT_OF_RANGE
        if address <= dynamixel.GOAL and end >= dynamixel.GOAL + 4:
            goal = int.from_bytes(data[dynamixel.GOAL - address : dynamixel.GOAL - address + 4], "little", signed=True)
            servo.received.append(goal)
            if not servo.get(X.MINIMUM, 4, signed=True) <= goal <= servo.get(X.MAXIMUM, 4, signed=True):
                return OUT_OF_LIMIT
        if address <= dynamixel.WATCHDOG < end and not 0 <= data[dynamixel.WATCHDOG - address] <= 127:
            return OUT_OF_RANGE
        servo.table[address:end] = data
        if address <= dynamixel.TORQUE < end:
            servo.motor.torque = servo.table[dynamixel.TORQUE] == 1 and not servo.failing.overload
            servo.motor.goal = math.nan
        if address <= dynamixel.GOAL and end >= dynamixel.GOAL + 4:
            goal, offset = (servo.get(at, 4, signed=True) for at in (dynamixel.GOAL, dynamixel.OFFSET))
            servo.motor.goal = float(goal - offset)
        return NO_ERROR

    def _measure(self, servo: Servo) -> None:
        failing, motor = servo.failing, servo.motor
        if failing.overload:
            motor.torque = False
        shown = round(motor.position) + servo.get(dynamixel.OFFSET, 4, signed=True)
        servo.put(X.POSITION, 4, 0x7FFF_FFFF if failing.nonsense else shown)
        servo.put(X.SPEED, 4, round(motor.velocity / COUNTS * 60 / 0.229))
        full = 1000 if self._model in dynamixel.WITH_LOAD else servo.get(dynamixel.CURRENT_LIMIT, 2)
        share = 0.99 if failing.overload else 0.3 * min(abs(motor.velocity) / motor.speed, 1.0)
        servo.put(dynamixel.LOAD, 2, round(math.copysign(share * full, motor.velocity)))
        servo.put(X.VOLTAGE, 2, 55 if failing.voltage else 120)
        servo.table[dynamixel.HEAT] = 88 if failing.hot else 35
        servo.table[X.MOVING] = int(motor.velocity != 0.0)
        servo.table[dynamixel.HARDWARE_ERROR] = failing.alarms

    def _packet(self, servo: Servo, number: int, data: bytes, error: int) -> bytes:
        if servo.table[X.RETURN_LEVEL] == 0:
            return b""
        error |= ALERT if servo.table[dynamixel.HARDWARE_ERROR] else 0
        body = (bytes((STATUS, error)) + data).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        packet = HEADER + bytes((number,)) + (len(body) + 2).to_bytes(2, "little") + body
        crc = crc16(packet) ^ (0x5A5A if servo.failing.bad_checksum else 0)
        return packet + crc.to_bytes(2, "little")
