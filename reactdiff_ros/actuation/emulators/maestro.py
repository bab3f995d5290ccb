"""A Pololu Maestro: the compact and the Pololu protocol, speed and acceleration limits, errors, serial timeout.

Commands and error bits after the Maestro's user guide. Targets are quarters of microseconds; 0 ends the pulses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from reactdiff_ros.actuation.emulators.motor import Motor

SET_TARGET, SET_SPEED, SET_ACCELERATION, GET_POSITION, GET_MOVING, GET_ERRORS, GO_HOME, SET_MANY = (
    0x84, 0x87, 0x89, 0x90, 0x93, 0xA1, 0xA2, 0x9F,
)  # fmt: skip
LENGTHS: Final = {
    SET_TARGET: 3,
    SET_SPEED: 3,
    SET_ACCELERATION: 3,
    GET_POSITION: 1,
    GET_MOVING: 0,
    GET_ERRORS: 0,
    GO_HOME: 0,
}
PROTOCOL_ERROR, TIMEOUT_ERROR = 1 << 4, 1 << 5
OnError = Literal["off", "ignore"] | int
"""What a channel does on an error: no pulses, what it did, or a pulse in quarters of microseconds."""


@dataclass
class Channel:
    """One channel, and the hobby servo on it."""

    target: int = 0
    """Quarters of microseconds; 0: no pulses."""
    on_error: OnError = "off"
    servo: Motor = field(default_factory=lambda: Motor(6000.0, 12_000.0, 400_000.0))
    """Where the horn stands, in quarters of microseconds."""
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
        self.expired_s: list[float] = []
        """When its serial timeout passed."""
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
            self.expired_s.append(due_s)
            self._error(TIMEOUT_ERROR)
        self._move(now_s)

    def _move(self, now_s: float) -> None:
        for channel in self.channels:
            channel.servo.torque = channel.target != 0
            channel.servo.goal = float(channel.target) if channel.target else math.nan
            channel.servo.step(now_s)

    def _command(self, now_s: float) -> tuple[int, bytes]:
        """Bytes that the first command takes (0: it is not complete), and the answer."""
        first, at = self._rest[0], 1
        if first == 0xAA:  # Pololu protocol: device number, then the command without its highest bit
            if len(self._rest) < 3:
                return (1, b"") if len(self._rest) == 2 and self._rest[1] >= 0x80 else (0, b"")
            if self._rest[1] >= 0x80:
                return 1, b""  # it was the byte that shows the baud rate
            first, at = self._rest[2] | 0x80, 3
            mine = self._rest[1] == self._device
        else:
            mine = True
        if first == SET_MANY:
            size = 2 + 2 * self._rest[at] if len(self._rest) > at else 1
        elif first in LENGTHS:
            size = LENGTHS[first]
        else:
            self._error(PROTOCOL_ERROR)
            return at, b""
        arguments = self._rest[at : at + size]
        if any(byte & 0x80 for byte in arguments):
            self._error(PROTOCOL_ERROR)
            return at, b""
        if len(arguments) < size:
            return 0, b""
        if not mine:
            return at + size, b""
        self._heard_s, self._timed_out = now_s, False
        return at + size, self._obey(first, arguments)

    def _obey(self, command: int, arguments: bytes) -> bytes:
        if command == GET_ERRORS:
            errors, self.errors = self.errors, 0
            return errors.to_bytes(2, "little")
        if command == GO_HOME:
            self._home()
            return b""
        if command == GET_MOVING:
            return bytes((int(any(c.servo.velocity != 0.0 for c in self.channels)),))
        if command == SET_MANY:
            values = [arguments[i] | arguments[i + 1] << 7 for i in range(2, len(arguments), 2)]
            for i, value in enumerate(values, start=arguments[1]):
                self._target(i, value)
            return b""
        if command == GET_POSITION:
            place = self.channels[arguments[0]].target if arguments[0] < len(self.channels) else 0
            return place.to_bytes(2, "little")
        if command == SET_TARGET:
            self._target(arguments[0], arguments[1] | arguments[2] << 7)
        return b""

    def _target(self, number: int, quarters: int) -> None:
        if number >= len(self.channels):
            self._error(PROTOCOL_ERROR)
            return
        self.channels[number].target = quarters
        self.channels[number].received.append(quarters)

    def _error(self, bit: int) -> None:
        self.errors |= bit
        self._home()

    def _home(self) -> None:
        for channel in self.channels:
            if channel.on_error != "ignore":
                channel.target = 0 if channel.on_error == "off" else channel.on_error
