"""Boards that make pulses for hobby servos: nothing is measured, so that a joint has pulses or has none."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from reactdiff_ros.actuation.calibration import Calibration
from reactdiff_ros.actuation.drivers.driver import (
    AGAIN_S,
    LINK_FAULTS,
    Axis,
    Clock,
    Driver,
    Fault,
    Reading,
    inside,
    pulse_position,
    pulse_us,
)
from reactdiff_ros.actuation.drivers.serial_port import PortGoneError, SerialPort, Turns
from reactdiff_ros.errors import DeviceError

GONE: Final = Fault("gone", "its board is gone: is it plugged in, does it have power?")


class PulseBoard(Driver):
    """What drivers of hobby servos share; see `driver.Driver`."""

    feedback = False

    def __init__(self, axes: Mapping[str, Axis], clock: Clock) -> None:
        super().__init__(axes, clock)
        self._pulsing: dict[str, bool] = {}
        """Whether a joint has pulses: as the board reports, or by its last command; a missing joint may."""
        self._sent: dict[str, Reading] = {}
        self._reported: dict[str, float] = {}
        self._turn = 0
        self._opened = False
        self._retry_s = 0.0

    # What each board does in its own way. All may raise DeviceError, and nothing else.

    @abstractmethod
    def _connect(self) -> None:
        """Open the device; harmless when it is."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Give it back; harmless when it is; never raises."""

    @property
    @abstractmethod
    def _connected(self) -> bool:
        """Whether it is open."""

    @abstractmethod
    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        """The board's own health: faults by joint. Where it can report the pulse of `axis`, it calls `_reports`."""

    @property
    def _unanswered(self) -> bool:
        """Whether the last question had no answer, and that is no fault yet."""
        return False

    @property
    @abstractmethod
    def _steps(self) -> float:
        """How many of its steps the board makes of one of what `_value` gives."""

    @abstractmethod
    def _pulses(self, steps: Mapping[int, int]) -> None:
        """Set pulses by channel, in steps of the board."""

    @abstractmethod
    def _off(self, channel: int) -> None:
        """No pulses."""

    def _fitting(self, steps: Mapping[int, int]) -> Mapping[int, int]:
        """Those of a tick's commands that the line carries."""
        return steps

    def _value(self, axis: Axis, position: float) -> float:
        """What a position is on the board: microseconds."""
        return pulse_us(axis, position)

    @property
    def steps(self) -> dict[str, float]:
        """The step in which each joint takes positions, in its unit."""
        return {n: 1.0 / (self._steps * abs(a.pulse.us_per_unit if a.pulse else 1.0)) for n, a in self.axes.items()}

    def _step(self, axis: Axis, position: float) -> int:
        """What is sent for a position: whole steps, not beyond the limits and what was calibrated."""
        value, *ends = (self._steps * self._value(axis, p) for p in (position, axis.lower, axis.upper))
        return inside(value, *ends)

    # The interface.

    def open(self) -> None:
        """Open the device; see `Driver.open`."""
        self._connect()
        self._opened = True

    def close(self) -> None:
        """Give the device back; pulses go on."""
        self._opened = False
        self._armed.clear()
        self._disconnect()

    def reading(self, joint: str) -> Reading | None:
        """The pulse that the board reports, where it can; nothing is measured."""
        return self._sent.get(joint)

    def holding(self, joint: str) -> bool | None:
        """Whether it has pulses, see `Driver.holding`."""
        return self._pulsing.get(joint)

    def check(self) -> dict[str, Fault]:
        """Ask the board how it is, and twice for every pulse: see `_reports`."""
        if self._connected:
            self._faults = {}
            for axis in (None, *self.axes.values(), *self.axes.values()):
                if not self._faults:
                    self._look(axis, until_answered=True)
        else:
            self._lost()
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Ask the board how it is; come back to it when it was gone."""
        now_s = self._clock()
        if not self._connected:
            if not self._opened or now_s < self._retry_s:
                return
            self._retry_s = now_s + AGAIN_S
            try:
                self._connect()
            except DeviceError:
                return
        axes = [*self.axes.values(), None]
        self._turn = (self._turn + 1) % len(axes)
        self._look(axes[self._turn])

    def arm(self, joint: str, position: float) -> Fault | None:
        """Pulses on, at `position`: its last command, as far as that is known."""
        axis = self.axes[joint]
        if not self._connected:
            return GONE
        if axis.calibration is None:
            return Fault("uncalibrated", "it is not calibrated: reactdiff robot calibrate")
        if axis.calibration.id != axis.id:
            return Fault("calibration", f"its calibration is that of channel {axis.calibration.id}: calibrate again")
        if not math.isfinite(position):
            return Fault("refused", "its position is unknown")
        # A fault may be over; the watchdog's is, by this.
        self._faults.pop(joint, None)
        self._look(axis, until_answered=True)
        if joint in self._faults:
            return self._faults[joint]
        self._faults |= self._expired()
        if self._send({axis.id: self._step(axis, position)}):
            self._armed.add(joint)
            self._pulsing[joint] = True
            return None
        return GONE

    def command(self, positions: Mapping[str, float]) -> None:
        """Pulses of armed joints."""
        self._faults |= self._expired()
        steps: Mapping[int, int] = {
            self.axes[joint].id: self._step(self.axes[joint], position)
            for joint, position in positions.items()
            if joint in self._armed and math.isfinite(position)
        }
        if steps and self._connected:
            steps = self._fitting(steps)
            if steps:
                self._send(steps)

    def release(self, joint: str) -> None:
        """No pulses."""
        self._armed.discard(joint)
        if self._connected:
            try:
                self._off(self.axes[joint].id)
            except DeviceError:
                self._lost()
                return
            self._forget_pulse(joint)
            fault = self._faults.get(joint)
            if fault is None or fault.kind not in LINK_FAULTS:
                self._pulsing[joint] = False

    def pulse(self, joint: str, position: float) -> float:
        """What is sent for a position, but for rounding: microseconds (Ohbot: its counts)."""
        return self._value(self.axes[joint], position)

    def recalibrate(self, joint: str, calibration: Calibration | None, *, release: bool = True) -> None:
        """Another calibration for a joint, which is released unless it differs by a little: for calibration alone."""
        if release:
            self.release(joint)
        self.axes = {**self.axes, joint: replace(self.axes[joint], calibration=calibration)}

    # Inside.

    def _reports(self, axis: Axis, us: float) -> None:
        """The board reports this pulse, 0 for none. One that does not come twice is no position to start from."""
        joint = axis.joint
        again = self._reported.get(joint) == us
        self._reported[joint], self._pulsing[joint] = us, us > 0.0
        if us > 0.0 and again:
            self._sent[joint] = Reading(self._clock(), None, sent=pulse_position(axis, us))
        else:
            self._sent.pop(joint, None)

    def _look(self, axis: Axis | None, *, until_answered: bool = False) -> None:
        try:
            found = self._ask(axis)
            while until_answered and self._unanswered:
                found = self._ask(axis)
        except DeviceError:
            self._lost()
            return
        for joint, fault in found.items():
            self._armed.discard(joint)
            self._faults[joint] = fault
            if fault.kind in LINK_FAULTS:
                self._forget_pulse(joint)
        self._faults = {j: f for j, f in self._faults.items() if j in found or f.kind == "watchdog"}

    def _send(self, steps: Mapping[int, int]) -> bool:
        try:
            self._pulses(steps)
        except DeviceError:
            self._lost()
            return False
        self._commanded_s = self._clock()
        return True

    def _lost(self) -> None:
        self._disconnect()
        self._retry_s = self._clock() + AGAIN_S
        self._armed.clear()
        self._faults = dict.fromkeys(self.axes, GONE)
        for joint in self.axes:
            self._forget_pulse(joint)

    def _forget_pulse(self, joint: str) -> None:
        self._pulsing.pop(joint, None)
        self._sent.pop(joint, None)
        self._reported.pop(joint, None)


class SerialBoard(PulseBoard):
    """What drivers of such boards share; see `driver.Driver`.

    Args:
        port: the device.
        baud: bits a second.
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
        answer_s: how long an answer may take.
        lock_folder: for the lock file.
        connect: opens the port; default: `SerialPort`.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        answer_s: float,
        lock_folder: Path | None = None,
        connect: Callable[[], SerialPort] | None = None,
    ) -> None:
        super().__init__(axes, clock)
        self._where, self._answer_s = port, answer_s
        self._connect_port = connect or (lambda: SerialPort(port, baud, clock, lock_folder=lock_folder))
        self._port: SerialPort | None = None
        self._turns = Turns()
        self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Nothing is known of the board: the port was just opened, or never."""

    @abstractmethod
    def _command_bytes(self, channel: int, step: int) -> bytes:
        """What sets a channel; nothing where that is not needed."""

    def _fitting(self, steps: Mapping[int, int]) -> Mapping[int, int]:
        cost = {channel: len(self._command_bytes(channel, step)) for channel, step in steps.items()}
        return self._turns.choose(steps, cost, self._open_port().room())

    def _pulses(self, steps: Mapping[int, int]) -> None:
        said = b"".join(self._command_bytes(channel, step) for channel, step in steps.items())
        self._turns.sent(steps)
        if said:
            self._open_port().writePort(said)

    @property
    def _connected(self) -> bool:
        return self._port is not None

    def _connect(self) -> None:
        if self._port is None:
            self._port = self._connect_port()
            self._turns = Turns()
            self._forget()

    def _disconnect(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def _open_port(self) -> SerialPort:
        if self._port is None:
            raise PortGoneError("the port is not open", where=self._where)
        return self._port
