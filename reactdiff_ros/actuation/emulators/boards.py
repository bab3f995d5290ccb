"""Boards of hobby servos: Pololu Maestro, Ohbot, PCA9685 on I2C.

Maestro: the compact and the Pololu protocol and error bits after the Maestro's user guide; targets are quarters of
microseconds, 0 ends the pulses. Ohbot: lines of text in, its version out when asked; motors in counts of 0 to 1000.
PCA9685: an I2C bus in memory, registers after the chip's data sheet.
"""

from __future__ import annotations

import errno
import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from reactdiff_ros.actuation.drivers import boards as wire
from reactdiff_ros.actuation.emulators.servos import Motor

LENGTHS: Final = {wire.SET_TARGET: 3, wire.GET_POSITION: 1, wire.GET_ERRORS: 0}
"""Arguments of the commands that the driver uses; others are protocol errors."""


@dataclass
class Channel:
    """One channel, and the hobby servo on it."""

    target: int = 0
    """Quarters of microseconds; 0: no pulses."""
    goes_home: bool = True
    """Whether an error ends its pulses; else it goes on."""
    servo: Motor = field(default_factory=lambda: Motor(6000.0, 12_000.0, 400_000.0))
    """Where the horn is, in quarters of microseconds."""
    received: list[int] = field(default_factory=list)


class MaestroBoard:
    """One Maestro.

    Args:
        channels: how many (6, 12, 18 or 24).
        device: its number, for the Pololu protocol.
        timeout_s: its serial timeout; 0: none.
    """

    def __init__(self, channels: int = 12, device: int = 12, timeout_s: float = 0.5) -> None:
        self.channels = [Channel() for _ in range(channels)]
        self.timeout_s = timeout_s
        self.errors = 0
        self.silent = False
        """It hears nothing and says nothing."""
        self._device = device
        self._rest = b""
        self._heard_s = math.nan
        self._timed_out = False

    def receive(self, data: bytes, now_s: float) -> bytes:
        """What it says to what the host sent."""
        if self.silent:
            return b""
        self.step(now_s)
        self._rest += data
        answer = b""
        while self._rest:
            taken, said = self._command(now_s)
            if taken == 0:
                break
            self._rest = self._rest[taken:]
            answer += said
        return answer

    def step(self, now_s: float) -> None:
        """Live until `now_s`; after a silence of `timeout_s`, error and home."""
        if math.isnan(self._heard_s):
            self._heard_s = now_s
        due_s = self._heard_s + self.timeout_s
        if self.timeout_s > 0 and now_s > due_s and not self._timed_out:
            self._move(due_s)
            self._timed_out = True
            self._error(wire.TIMEOUT)
        self._move(now_s)

    def _move(self, now_s: float) -> None:
        for channel in self.channels:
            channel.servo.torque = channel.target != 0
            channel.servo.goal = float(channel.target) if channel.target else math.nan
            channel.servo.step(now_s)

    def _command(self, now_s: float) -> tuple[int, bytes]:
        """Bytes that the first command takes (0: it is not complete), and the answer."""
        first, at, mine = self._rest[0], 1, True
        if first == wire.NAMED:  # Pololu protocol: device number, then the command without its highest bit
            if len(self._rest) < 3:
                return (1, b"") if len(self._rest) == 2 and self._rest[1] >= 0x80 else (0, b"")
            if self._rest[1] >= 0x80:
                return 1, b""  # it was the byte that shows the baud rate
            first, at = self._rest[2] | 0x80, 3
            mine = self._rest[1] == self._device
        size = LENGTHS.get(first, 0)
        arguments = self._rest[at : at + size]
        if first not in LENGTHS or any(byte & 0x80 for byte in arguments):
            self._error(wire.PROTOCOL)
            return at, b""
        if len(arguments) < size:
            return 0, b""
        if not mine:
            return at + size, b""
        self._heard_s, self._timed_out = now_s, False
        return at + size, self._obey(first, arguments)

    def _obey(self, command: int, arguments: bytes) -> bytes:
        if command == wire.GET_ERRORS:
            errors, self.errors = self.errors, 0
            return errors.to_bytes(2, "little")
        if command == wire.GET_POSITION:
            place = self.channels[arguments[0]].target if arguments[0] < len(self.channels) else 0
            return place.to_bytes(2, "little")
        if arguments[0] >= len(self.channels):
            self._error(wire.PROTOCOL)
            return b""
        quarters = arguments[1] | arguments[2] << 7
        self.channels[arguments[0]].target = quarters
        self.channels[arguments[0]].received.append(quarters)
        return b""

    def _error(self, bit: int) -> None:
        """Remember the error; every channel goes home."""
        self.errors |= bit
        for channel in self.channels:
            if channel.goes_home:
                channel.target = 0


MOVE: Final = re.compile(r"m0([0-7]),(\d{1,3}),(\d+(?:\.\d+)?)")
SWITCH: Final = re.compile(r"([ad])0([0-7])")


@dataclass
class OhbotMotor:
    """One motor."""

    servo: Motor = field(default_factory=lambda: Motor(500.0, 2000.0, 60_000.0))
    received: list[int] = field(default_factory=list)
    """Angles, 0 to 180."""


class OhbotBoard:
    """One board with eight motors."""

    def __init__(self) -> None:
        self.motors = [OhbotMotor() for _ in range(8)]
        self.silent = False
        """It hears nothing and says nothing."""
        self._rest = b""

    def receive(self, data: bytes, now_s: float) -> bytes:
        """What it says to what the host sent."""
        if self.silent:
            return b""
        self.step(now_s)
        *lines, self._rest = (self._rest + data)[-4096:].split(b"\n")
        return b"".join(self._obey(line.decode("latin-1").strip()) for line in lines)

    def step(self, now_s: float) -> None:
        """Live until `now_s`."""
        for motor in self.motors:
            motor.servo.step(now_s)

    def _obey(self, line: str) -> bytes:
        if line == "v":
            return b"v2.1\r\n"
        move, switch = MOVE.fullmatch(line), SWITCH.fullmatch(line)
        if move and int(move[2]) <= 180:
            motor = self.motors[int(move[1])]
            motor.received.append(int(move[2]))
            motor.servo.goal = int(move[2]) / 180 * 1000
        elif switch:
            self.motors[int(switch[2])].servo.torque = switch[1] == "a"
        return b""


MODE1, FIRST, PRESCALE = 0x00, 0x06, 0xFE
OSCILLATOR_HZ: Final = 25_000_000
FULL_OFF: Final = 0x1000


class Pca9685:
    """One chip."""

    def __init__(self) -> None:
        self.absent = False
        """It does not answer on the bus."""
        self._at = 0
        self.reset()

    def reset(self) -> None:
        """As after its power was off: asleep, 200 Hz, no pulses."""
        self.registers = bytearray(256)
        self.registers[MODE1], self.registers[PRESCALE] = 0x11, 0x1E
        for channel in range(16):
            self.registers[FIRST + 4 * channel + 3] = FULL_OFF >> 8

    def pulse_us(self, channel: int) -> float:
        """The pulse of a channel; 0: none."""
        at = FIRST + 4 * channel
        off = int.from_bytes(self.registers[at + 2 : at + 4], "little")
        if self.registers[MODE1] & wire.SLEEP or off & FULL_OFF:
            return 0.0
        on = int.from_bytes(self.registers[at : at + 2], "little")
        return ((off - on) % 4096) * (self.registers[PRESCALE] + 1) / OSCILLATOR_HZ * 1e6

    def write(self, data: bytes) -> None:
        """A register's number, then bytes for it and, with auto-increment, those after it."""
        if not data:
            return
        self._at = data[0]
        for value in data[1:]:
            # The frequency can be set in sleep alone.
            if self._at != PRESCALE or self.registers[MODE1] & wire.SLEEP:
                self.registers[self._at] = value & 0x7F if self._at == MODE1 else value
            self._next()

    def read(self, length: int) -> bytes:
        """Bytes from the register that was named last."""
        data = bytearray()
        for _ in range(length):
            data.append(self.registers[self._at])
            self._next()
        return bytes(data)

    def _next(self) -> None:
        if self.registers[MODE1] & wire.INCREMENT:
            self._at = (self._at + 1) % 256


class I2cBus:
    """A bus in the shape that CircuitPython's libraries expect."""

    def __init__(self) -> None:
        self.chips: dict[int, Pca9685] = {}

    def add(self, address: int) -> Pca9685:
        """Put a chip on the bus."""
        self.chips[address] = Pca9685()
        return self.chips[address]

    def try_lock(self) -> bool:
        """Take the bus."""
        return True

    def unlock(self) -> None:
        """Give it back."""

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """Write to a chip."""
        self._chip(address).write(bytes(buffer[start:end]))

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """Read from a chip."""
        end = len(buffer) if end is None else end
        buffer[start:end] = self._chip(address).read(end - start)

    def writeto_then_readfrom(
        self, address: int, out_buffer: Any, in_buffer: Any, *, out_start: int = 0, out_end: int | None = None,
        in_start: int = 0, in_end: int | None = None,
    ) -> None:  # fmt: skip
        """Write to a chip, then read from it."""
        self.writeto(address, out_buffer, start=out_start, end=out_end)
        self.readfrom_into(address, in_buffer, start=in_start, end=in_end)

    def _chip(self, address: int) -> Pca9685:
        chip = self.chips.get(address)
        if chip is None or chip.absent:
            raise OSError(errno.EREMOTEIO, "no chip acknowledges")
        return chip
