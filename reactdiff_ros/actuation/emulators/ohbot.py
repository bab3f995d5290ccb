"""Ohbot's board: lines of text in, its version out when asked; motors in counts of 0 to 1000."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from reactdiff_ros.actuation.emulators.motor import Motor

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
