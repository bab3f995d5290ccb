"""Pololu Maestro boards over their command port (pyserial), compact or Pololu protocol, with their serial timeout.

Commands after the Maestro's user guide: 0x84 sets a target in quarters of microseconds (0 ends the pulses), 0x90 reads
the pulse that a channel sends (0: none), 0xA1 reads and clears the errors. The serial timeout is stored in the board by
its Control Center and cannot be set from here; so it is tried out once: after a silence as long, the board must report
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import AGAIN_S, Axis, Clock, Fault
from reactdiff_ros.actuation.drivers.pulse_board import SerialBoard
from reactdiff_ros.actuation.profile import MaestroDriver
from reactdiff_ros.errors import DeviceError

SET_TARGET: Final = 0x84
GET_POSITION: Final = 0x90
GET_ERRORS: Final = 0xA1
NAMED: Final = 0xAA
"""Begins a command of the Pololu protocol: the device's number, then the command without its highest bit."""
SIGNAL, OVERRUN, FULL, CRC, PROTOCOL, TIMEOUT = 1, 2, 4, 8, 16, 32
ANSWER_S: Final = 0.03
MISSES: Final = 3
"""So many questions in a row without an answer are a fault; before it is armed, it must have answered the last one."""
QUARTERS: Final = 4.0
"""Steps a microsecond."""
MARGIN: Final = 1.25
"""The silence in which the timeout is tried out, as a share of it."""


class MaestroBoard(SerialBoard):
    """The channels of one Maestro of the profile; see `SerialBoard` for the other arguments."""

    def __init__(
        self,
        config: MaestroDriver,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        answer_s: float = ANSWER_S,
        **options: Any,
    ) -> None:
        super().__init__(config.port, config.baud, axes, clock, answer_s=answer_s, **options)
        self._config, self.watchdog_s = config, config.timeout_s

    @property
    def _steps(self) -> float:
        return QUARTERS

    def _forget(self) -> None:
        self._timeout_works: bool | None = None
        self._misses = 0
        self._due_s = float("-inf")

    def check(self) -> dict[str, Fault]:
        """Ask the board how it is, and try its serial timeout: silent for 1.25 of it, while no joint is armed."""
        if self._connected and not self._armed and not self._timeout_works:
            try:
                self._try_timeout()
            except DeviceError:
                self._lost()
        self._misses, self._due_s = 0, float("-inf")
        return super().check()

    @property
    def _unanswered(self) -> bool:
        return 0 < self._misses < MISSES

    def _try_timeout(self) -> None:
        port = self._open_port()
        if self._errors() is None:
            return
        port.read(1, MARGIN * self._config.timeout_s + 0.02)
        errors = self._errors()
        self._timeout_works = None if errors is None else bool(errors & TIMEOUT)

    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        now_s = self._clock()
        errors = self._errors(axis) if now_s >= self._due_s else None
        if errors is None:
            self._misses += 1
            if self._unanswered:
                return {}
            # One that does not answer is asked rarely: waiting for it costs the others' time.
            self._due_s = now_s + AGAIN_S if now_s >= self._due_s else self._due_s
            fault = Fault("no_answer", "its board does not answer: is this its command port, in mode USB Dual Port?")
            return dict.fromkeys(self.axes, fault)
        self._misses = 0
        if self._timeout_works is False:
            text = (
                f"its board has no serial timeout of {self._config.timeout_s:g} s: set it in the Maestro Control Center"
            )
            return dict.fromkeys(self.axes, Fault("watchdog", text))
        if errors & TIMEOUT and self._armed:
            return dict.fromkeys(self._armed, Fault("watchdog", "its board heard nothing for too long and went home"))
        if errors & (SIGNAL | OVERRUN | FULL | CRC | PROTOCOL) and self._armed:
            text = f"its board had broken commands (errors 0x{errors:04x}) and went home: look at cable and baud rate"
            return dict.fromkeys(self._armed, Fault("checksum", text))
        return {}

    def arm(self, joint: str, position: float) -> Fault | None:
        """Pulses on, at `position`; only once `check` has seen the serial timeout work."""
        if self._connected and self._timeout_works is None:
            self.check()
            if self._connected and self._timeout_works is None:
                return self._faults.get(joint, Fault("no_answer", "its board does not answer"))
        return super().arm(joint, position)

    def _errors(self, axis: Axis | None = None) -> int | None:
        """Read and clear the errors, and in the same exchange the pulse of `axis`; None: no whole answer."""
        port = self._open_port()
        port.clearPort()
        position = () if axis is None else self._packet(GET_POSITION, axis.id)
        port.writePort((*self._packet(GET_ERRORS), *position))
        length = 2 if axis is None else 4
        answer = port.read(length, self._answer_s)
        if len(answer) != length:
            return None
        if axis is not None:
            self._reports(axis, int.from_bytes(answer[2:], "little") / 4.0)
        return int.from_bytes(answer[:2], "little")

    def _said(self, channel: int, quarters: int) -> bytes:
        return bytes(self._packet(SET_TARGET, channel, quarters & 0x7F, quarters >> 7 & 0x7F))

    def _packet(self, command: int, *data: int) -> tuple[int, ...]:
        device = self._config.device
        return (command, *data) if device is None else (NAMED, device, command & 0x7F, *data)

    def _off(self, channel: int) -> None:
        self._open_port().writePort(self._said(channel, 0))
