"""A bus of Feetech servos, series STS (little endian, 4096 counts a turn) or SCS (big endian, 1024 for 300 degrees).

Packets: FF FF id length instruction parameters checksum, from the makers' protocol manual; the tables from the memory
tables of STS3215 and SCS0009. Answers come at once; numbers that the manual writes as size and sign bit are so here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from reactdiff_ros.actuation.emulators.motor import Motor
from reactdiff_ros.actuation.emulators.servo import Servo, from_magnitude, magnitude

PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83
EVERYONE: Final = 0xFE
MODEL, ID, RETURN_LEVEL, MINIMUM, MAXIMUM, OFFSET, MODE = 3, 5, 8, 9, 11, 31, 33
TORQUE, GOAL, POSITION, SPEED, LOAD, VOLTAGE, HEAT, STATUS, MOVING = 40, 42, 56, 58, 60, 62, 63, 65, 66
LOCK: Final = {"sts": 55, "scs": 48}
EEPROM_END: Final = 40
BIT_VOLTAGE, BIT_HOT, BIT_OVERLOAD = 1, 4, 32


class FeetechBus:
    """Servos that hear the same line.

    Args:
        positions: where each servo stands, in counts, by id.
        series: which kind.
        speed: counts a second at most.
        acceleration: counts per s2.
    """

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
        self._rest = b""
        self._stored: dict[int, tuple[int, bytes]] = {}
        self.servos: dict[int, Servo] = {}
        for number, position in positions.items():
            motor = Motor(position, speed or 0.9 * self.counts, acceleration or 20.0 * self.counts)
            servo = Servo(number, motor, "little" if series == "sts" else "big")
            self._fill(servo)
            self.servos[number] = servo

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
        self._measure(servo)

    def receive(self, data: bytes, now_s: float) -> bytes:
        """What the servos say to what the host sent."""
        self._rest += data
        answer = b""
        while len(self._rest) >= 4:
            start = self._rest.find(b"\xff\xff")
            if start < 0:
                self._rest = self._rest[-1:]
                break
            self._rest = self._rest[start:]
            if len(self._rest) < 4:
                break
            length = self._rest[3]
            if self._rest[2] == 0xFF or length < 2:
                self._rest = self._rest[1:]
                continue
            if len(self._rest) < 4 + length:
                break
            packet, self._rest = self._rest[: 4 + length], self._rest[4 + length :]
            if packet[-1] == ~sum(packet[2:-1]) & 0xFF:
                answer += self._obey(packet[2], packet[4], packet[5:-1], now_s)
        return answer

    def step(self, now_s: float) -> None:
        """Live until `now_s`."""
        for servo in self.servos.values():
            servo.motor.step(now_s)
            self._measure(servo)

    def _obey(self, number: int, instruction: int, rest: bytes, now_s: float) -> bytes:
        self.step(now_s)
        if instruction == SYNC_WRITE and len(rest) >= 2:
            address, size = rest[0], rest[1]
            for i in range(2, len(rest) - size, size + 1):
                self._write(rest[i], address, rest[i + 1 : i + 1 + size])
            return b""
        if instruction == SYNC_READ and len(rest) >= 2:
            return b"".join(self._answer(i, self._read(i, rest[0], rest[1])) for i in rest[2:] if i in self.servos)
        if instruction == ACTION:
            for i, (address, data) in self._stored.items():
                self._write(i, address, data)
            self._stored.clear()
            return b""
        answer = b""
        for i in self.servos if number == EVERYONE else (number,):
            if i in self.servos:
                said = self._one(i, instruction, rest)
                answer += said if number != EVERYONE or instruction == PING else b""
        return answer

    def _one(self, number: int, instruction: int, rest: bytes) -> bytes:
        if instruction == PING:
            return self._answer(number, b"")
        if instruction == READ and len(rest) == 2:
            return self._answer(number, self._read(number, rest[0], rest[1]))
        if instruction == WRITE and rest:
            self._write(number, rest[0], rest[1:])
            return self._answer(number, b"")
        if instruction == REG_WRITE and rest:
            self._stored[number] = (rest[0], rest[1:])
            return self._answer(number, b"")
        return b""

    def _read(self, number: int, address: int, size: int) -> bytes:
        return bytes(self.servos[number].table[address : address + size]).ljust(size, b"\0")

    def _write(self, number: int, address: int, data: bytes) -> None:
        servo = self.servos.get(number)
        if servo is None or servo.failing.silent or address + len(data) > len(servo.table):
            return
        # Without the lock opened, settings last until the power is switched off; here they are refused.
        if address < EEPROM_END and servo.table[LOCK[self.series]]:
            return
        if POSITION <= address <= MOVING:
            return
        servo.table[address : address + len(data)] = data
        servo.motor.torque = servo.table[TORQUE] == 1 and not servo.failing.overload
        if address <= GOAL and address + len(data) >= GOAL + 2:
            raw = servo.get(GOAL, 2)
            servo.received.append(raw)
            low, high = servo.get(MINIMUM, 2), servo.get(MAXIMUM, 2)
            servo.motor.goal = float(min(max(raw, low), high) + self._offset(servo))
        if address <= TORQUE < address + len(data) and servo.table[TORQUE] == 0:
            servo.motor.goal = float("nan")

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

    def _answer(self, number: int, data: bytes) -> bytes:
        servo = self.servos[number]
        failing = servo.failing
        if failing.silent or failing.mute:
            return b""
        self._measure(servo)
        who = number if failing.answers_as is None else failing.answers_as
        body = bytes((who, len(data) + 2, self._status(servo))) + data
        check = ~sum(body) & 0xFF
        packet = b"\xff\xff" + body + bytes((check ^ 0x55 if failing.bad_checksum else check,))
        return packet * (1 + failing.twice)
