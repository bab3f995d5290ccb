"""Ohbot's own board over serial: lines of text as the maker's package (ohbot 4.0.18) sends them; nothing is measured.

`v` asks for the version (its answer has v1 or v2 in it), `a0N` attaches motor N, `d0N` detaches it, `m0N,ANGLE,SPEED`
moves it: angles are 0 to 180 for the 0 to 1000 of the motor definitions. It has no watchdog, and does not report which
motors are attached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Fault
from reactdiff_ros.actuation.drivers.pulse_board import SerialBoard
from reactdiff_ros.actuation.profile import OhbotDriver
from reactdiff_ros.errors import DeviceError

SPEED: Final = 250
"""The greatest: the commands are limited already."""
COUNTS: Final = 1000
DEGREES: Final = 180
ANSWER_S: Final = 0.5
LOOK_S: Final = 0.0005
MISSES: Final = 3
UNKNOWN: Final = -1
"""The angle that a motor was last told, where another program told it."""
ASK_S: Final = 1.0
"""The line is slow: the board is asked how it is this rarely."""


class OhbotBoard(SerialBoard):
    """The motors of one Ohbot of the profile, axes in its counts; see `SerialBoard` for the other arguments."""

    def __init__(
        self, config: OhbotDriver, axes: Mapping[str, Axis], clock: Clock, *, answer_s: float = ANSWER_S, **options: Any
    ) -> None:
        super().__init__(config.port, config.baud, axes, clock, answer_s=answer_s, **options)

    def _forget(self) -> None:
        self._found = False
        self._misses = 0
        self._asked_s = float("-inf")

    def check(self) -> dict[str, Fault]:
        """Ask the board for its version, and wait for it; again where it does not answer, up to MISSES times."""
        if self._connected:
            try:
                port = self._open_port()
                for _ in range(MISSES):
                    port.clearPort()
                    port.writePort(b"v\n")
                    self._heard(port.read(64, self._answer_s, _is_version))
                    if not self._misses:
                        break
            except DeviceError:
                self._lost()
        return super().check()

    def arm(self, joint: str, position: float) -> Fault | None:
        """As `PulseBoard.arm`; a motor that may be detached is attached."""
        if not self.holding(joint):
            self._turns.last.pop(self.axes[joint].id, None)
        return super().arm(joint, position)

    def steer(self, joint: str, position: float) -> Fault | None:
        """Command a motor that may be attached without attaching it: a detached one gets no pulses by this.

        So does the makers' firmware (github.com/ohbot/ohbot-arduino 1.8): `m` sets the target, `a` alone attaches.
        """
        self._turns.last[self.axes[joint].id] = UNKNOWN
        fault = super().arm(joint, position)
        self._pulsing.pop(joint, None)
        return fault

    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        """Look at what it said to the last question, without waiting; then ask the next."""
        port, now_s = self._open_port(), self._clock()
        if now_s - self._asked_s >= ASK_S:
            if math.isfinite(self._asked_s):
                self._heard(port.read(64, LOOK_S))
            self._asked_s = now_s
            port.clearPort()
            port.writePort(b"v\n")
        if self._misses < MISSES and (self._found or not self._misses):
            return {}
        return dict.fromkeys(self.axes, Fault("no_answer", "its board does not answer: is this its port?"))

    def _heard(self, said: bytes) -> None:
        good = _is_version(said)
        self._misses = 0 if good else self._misses + 1
        self._found = good or (self._found and self._misses < MISSES)

    def _value(self, axis: Axis, position: float) -> float:
        count = axis.clamped(position)
        calibration = axis.calibration
        if calibration is not None:
            count = (COUNTS - count if calibration.drive_mode == 1 else count) + calibration.homing_offset
            count = min(max(count, calibration.range_min), calibration.range_max)
        return min(max(count, 0.0), float(COUNTS))

    @property
    def _steps(self) -> float:
        return DEGREES / COUNTS

    def _said(self, motor: int, angle: int) -> bytes:
        last = self._turns.last.get(motor)
        if last == angle:
            return b""  # the line is slow: what has not changed is not said again
        attach = f"a0{motor}\n" if last is None else ""
        return f"{attach}m0{motor},{angle},{SPEED}\n".encode("ascii")

    def _off(self, motor: int) -> None:
        self._turns.last.pop(motor, None)
        self._open_port().writePort(f"d0{motor}\n".encode("ascii"))


def _is_version(said: bytes) -> bool:
    return b"v1" in said or b"v2" in said
