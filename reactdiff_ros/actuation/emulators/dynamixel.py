"""A bus of Dynamixel X servos, protocol 2: packets, control table and Bus Watchdog after the makers' e-manual (XM430).

Packets: FF FF FD 00 id length(2) instruction parameters crc(2); FF FF FD inside is followed by another FD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from reactdiff_ros.actuation.emulators.servo import Motor, Servo, ServoLine

REBOOT, STATUS = 8, 0x55
HEADER: Final = b"\xff\xff\xfd\x00"
MODEL, ID, MODE, OFFSET, HOTTEST, CURRENT_LIMIT, MAXIMUM, MINIMUM = 0, 7, 11, 20, 31, 38, 48, 52
TORQUE, RETURN_LEVEL, ERROR, WATCHDOG, GOAL, MOVING = 64, 68, 70, 98, 116, 122
LOAD, SPEED, POSITION, VOLTAGE, HEAT = 126, 128, 132, 144, 146
EEPROM_END: Final = 64
GOALS: Final = range(100, 120)
COUNTS: Final = 4096
TICK_S: Final = 0.02
"""The watchdog's unit."""
EXPIRED: Final = 0xFF
NO_ERROR, BAD_INSTRUCTION, OUT_OF_RANGE, OUT_OF_LIMIT, NO_ACCESS, ALERT = 0, 2, 4, 6, 7, 0x80
BIT_VOLTAGE, BIT_HOT, BIT_OVERLOAD = 1, 4, 32
MODELS_WITH_LOAD: Final = {1060, 1070, 1080, 1090, 1160}


def crc16(data: bytes) -> int:
    """CRC-16 with the polynomial 0x8005, from 0, not reflected (the e-manual's)."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class DynamixelBus(ServoLine):
    """Servos on one line.

    Args:
        positions: where each servo is, in counts, by id.
        model: its number; 1060 is an XL430-W250, 1020 an XM430-W350.
        speed: counts a second at most.
        acceleration: counts per s2.
    """

    address_bytes = 2

    def __init__(
        self,
        positions: Mapping[int, float],
        model: int = 1060,
        *,
        speed: float = 4000.0,
        acceleration: float = 80_000.0,
    ) -> None:
        self.expired_s: list[float] = []
        """When a servo's watchdog expired."""
        self._model = model
        super().__init__({i: Servo(i, Motor(p, speed, acceleration), "little") for i, p in positions.items()})

    def _fill(self, servo: Servo) -> None:
        servo.put(MODEL, 2, self._model)
        servo.table[6], servo.table[ID], servo.table[8], servo.table[MODE] = 45, servo.id, 1, 3
        servo.table[HOTTEST], servo.table[RETURN_LEVEL] = 72, 2
        servo.put(CURRENT_LIMIT, 2, 1193)
        servo.put(MAXIMUM, 4, COUNTS - 1)
        servo.put(MINIMUM, 4, 0)

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
            ticks = servo.table[WATCHDOG]
            due_s = servo.last_heard_s + ticks * TICK_S
            if 0 < ticks < 128 and now_s > due_s:
                servo.motor.step(due_s)
                servo.table[WATCHDOG] = EXPIRED
                self.expired_s.append(due_s)
                servo.motor.halt()
        super().step(now_s)

    def _identity(self, servo: Servo) -> bytes:
        return bytes(servo.table[0:2]) + bytes(servo.table[6:7])

    def _unknown(self, servo: Servo, instruction: int) -> bytes:
        if instruction != REBOOT:
            return self._answer(servo, b"", BAD_INSTRUCTION)
        servo.table[TORQUE] = servo.table[WATCHDOG] = 0
        servo.motor.torque = False
        return self._answer(servo, b"")

    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        if servo.failing.silent:
            return NO_ERROR
        end = address + len(data)
        if end > 147 or address == ERROR or address >= MOVING:
            return NO_ACCESS
        if address < EEPROM_END and servo.table[TORQUE]:
            return NO_ACCESS
        touches_goal = address < GOALS.stop and end > GOALS.start
        if touches_goal and servo.table[WATCHDOG] == EXPIRED:
            return OUT_OF_RANGE
        if address <= GOAL and end >= GOAL + 4:
            goal = int.from_bytes(data[GOAL - address : GOAL - address + 4], "little", signed=True)
            servo.received.append(goal)
            if not servo.get(MINIMUM, 4, signed=True) <= goal <= servo.get(MAXIMUM, 4, signed=True):
                return OUT_OF_LIMIT
        if address <= WATCHDOG < end and not 0 <= data[WATCHDOG - address] <= 127:
            return OUT_OF_RANGE
        servo.table[address:end] = data
        if address <= TORQUE < end:
            servo.motor.torque = servo.table[TORQUE] == 1 and not servo.failing.overload
            servo.motor.goal = math.nan
        if address <= GOAL and end >= GOAL + 4:
            servo.motor.goal = float(servo.get(GOAL, 4, signed=True) - servo.get(OFFSET, 4, signed=True))
        return NO_ERROR

    def _measure(self, servo: Servo) -> None:
        failing, motor = servo.failing, servo.motor
        if failing.overload:
            motor.torque = False
        shown = round(motor.position) + servo.get(OFFSET, 4, signed=True)
        servo.put(POSITION, 4, 0x7FFF_FFFF if failing.nonsense else shown)
        servo.put(SPEED, 4, round(motor.velocity / COUNTS * 60 / 0.229))
        full = 1000 if self._model in MODELS_WITH_LOAD else servo.get(CURRENT_LIMIT, 2)
        share = 0.99 if failing.overload else 0.3 * min(abs(motor.velocity) / motor.speed, 1.0)
        servo.put(LOAD, 2, round(math.copysign(share * full, motor.velocity)))
        servo.put(VOLTAGE, 2, 55 if failing.voltage else 120)
        servo.table[HEAT] = 88 if failing.hot else 35
        servo.table[MOVING] = int(motor.velocity != 0.0)
        servo.table[ERROR] = failing.voltage * BIT_VOLTAGE | failing.hot * BIT_HOT | failing.overload * BIT_OVERLOAD

    def _packet(self, servo: Servo, number: int, data: bytes, error: int) -> bytes:
        if servo.table[RETURN_LEVEL] == 0:
            return b""
        error |= ALERT if servo.table[ERROR] else 0
        body = (bytes((STATUS, error)) + data).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        packet = HEADER + bytes((number,)) + (len(body) + 2).to_bytes(2, "little") + body
        crc = crc16(packet) ^ (0x5A5A if servo.failing.bad_checksum else 0)
        return packet + crc.to_bytes(2, "little")
