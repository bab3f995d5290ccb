"""A bus of Feetech servos, series STS (little endian, 4096 counts a turn) or SCS (big endian, 1024 for 300 degrees).

Packets: FF FF id length instruction parameters checksum, from the makers' protocol manual; the tables from the memory
tables of STS3215 and SCS0009. Answers come at once; numbers that the manual writes as size and sign bit are so here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from reactdiff_ros.actuation.emulators.servo import Motor, Servo, ServoLine

MODEL, ID, RETURN_LEVEL, MINIMUM, MAXIMUM, OFFSET, MODE = 3, 5, 8, 9, 11, 31, 33
TORQUE, GOAL, POSITION, SPEED, LOAD, VOLTAGE, HEAT, STATUS, MOVING = 40, 42, 56, 58, 60, 62, 63, 65, 66
LOCK: Final = {"sts": 55, "scs": 48}
EEPROM_END: Final = 40
BIT_VOLTAGE, BIT_HOT, BIT_OVERLOAD = 1, 4, 32


class FeetechBus(ServoLine):
    """Servos on one line.

    Args:
        positions: where each servo is, in counts, by id.
        series: which kind.
        speed: counts a second at most.
        acceleration: counts per s2.
    """

    address_bytes = 1

    def __init__(
        self,
        positions: Mapping[int, float],
        series: Literal["sts", "scs"] = "sts",
        *,
        speed: float | None = None,
        acceleration: float | None = None,
    ) -> None:
        self.series = series
        self.counts = 4096 if series == "sts" else 1024
        limits = speed or 0.9 * self.counts, acceleration or 20.0 * self.counts
        order: Literal["little", "big"] = "little" if series == "sts" else "big"
        super().__init__({i: Servo(i, Motor(position, *limits), order) for i, position in positions.items()})

    def _fill(self, servo: Servo) -> None:
        table = servo.table
        table[0], table[1] = 3, 10
        table[MODEL], table[MODEL + 1] = (9, 3) if self.series == "sts" else (5, 4)
        table[ID], table[RETURN_LEVEL], table[13], table[14], table[15] = servo.id, 1, 70, 140, 40
        servo.put(MINIMUM, 2, 0)
        servo.put(MAXIMUM, 2, self.counts - 1)
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

    def _identity(self, servo: Servo) -> bytes:
        return b""

    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        if servo.failing.silent or address + len(data) > len(servo.table):
            return 0
        # Without the lock opened, settings last until the power is switched off; here they are refused.
        if address < EEPROM_END and servo.table[LOCK[self.series]]:
            return 0
        if POSITION <= address <= MOVING:
            return 0
        servo.table[address : address + len(data)] = data
        servo.motor.torque = servo.table[TORQUE] == 1 and not servo.failing.overload
        if address <= GOAL and address + len(data) >= GOAL + 2:
            raw = servo.get(GOAL, 2)
            servo.received.append(raw)
            low, high = servo.get(MINIMUM, 2), servo.get(MAXIMUM, 2)
            servo.motor.goal = float(min(max(raw, low), high) + self._offset(servo))
        if address <= TORQUE < address + len(data) and servo.table[TORQUE] == 0:
            servo.motor.goal = float("nan")
        return 0

    def _offset(self, servo: Servo) -> int:
        return from_magnitude(servo.get(OFFSET, 2), 11) if self.series == "sts" else 0

    def _measure(self, servo: Servo) -> None:
        failing, motor = servo.failing, servo.motor
        if failing.overload:
            motor.torque = False
        shown = round(motor.position) - self._offset(servo)
        servo.put(POSITION, 2, 0x7FFF if failing.nonsense else magnitude(shown, 15))
        servo.put(SPEED, 2, magnitude(round(motor.velocity), 15))
        load = 990 if failing.overload else round(min(abs(motor.velocity) / motor.speed, 1.0) * 300)
        servo.put(LOAD, 2, magnitude(load if motor.velocity >= 0 else -load, 10))
        servo.table[VOLTAGE] = 30 if failing.voltage else 74
        servo.table[HEAT] = 85 if failing.hot else 32
        servo.table[STATUS] = self._status(servo)
        servo.table[MOVING] = int(motor.velocity != 0.0)

    @staticmethod
    def _status(servo: Servo) -> int:
        f = servo.failing
        return f.voltage * BIT_VOLTAGE | f.hot * BIT_HOT | f.overload * BIT_OVERLOAD

    def _packet(self, servo: Servo, number: int, data: bytes, error: int) -> bytes:
        body = bytes((number, len(data) + 2, self._status(servo))) + data
        check = ~sum(body) & 0xFF
        return b"\xff\xff" + body + bytes((check ^ 0x55 if servo.failing.bad_checksum else check,))


def magnitude(value: int, sign_bit: int) -> int:
    """`value` as the makers write some negative numbers: the size, and a bit for the sign."""
    return abs(value) | ((1 << sign_bit) if value < 0 else 0)


def from_magnitude(value: int, sign_bit: int) -> int:
    """The number that `magnitude` wrote."""
    size = value & ((1 << sign_bit) - 1)
    return -size if value >> sign_bit & 1 else size
