"""Boards that make pulses for hobby servos: nothing is measured, so that a joint has pulses or has none."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from reactdiff_ros.actuation.calibration.file import Calibration
from reactdiff_ros.actuation.drivers.axes import Axis, inside, pulse_position, pulse_us
from reactdiff_ros.actuation.drivers.driver import LINK_FAULTS, Clock, Fault, Reading
from reactdiff_ros.actuation.drivers.health import AGAIN_S
from reactdiff_ros.errors import DeviceError

GONE: Final = Fault("gone", "its board is gone: is it plugged in, does it have power?")
SAFE: Final = 0.8
"""A silence of this share of the hardware's is counted as its expiry: its clock is not ours."""


class PulseBoard(ABC):
    """What drivers of hobby servos share; see `driver.Driver`."""

    feedback: Final = False
    watchdog_s: float | None = None

    def __init__(self, axes: Mapping[str, Axis], clock: Clock) -> None:
        self.axes: Mapping[str, Axis] = dict(axes)
        self._clock = clock
        self._faults: dict[str, Fault] = {}
        self._armed: set[str] = set()
        self._pulsing: dict[str, bool] = {}
        """Whether a joint has pulses: as the board reports, or as it was last told; a joint that is missing may."""
        self._sent: dict[str, Reading] = {}
        self._reported: dict[str, float] = {}
        self._turn = 0
        self._opened = False
        self._retry_s = 0.0
        self._commanded_s = 0.0

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
        """The board's own health: faults by joint. Where it can report the pulse of `axis`, `_reports` is told."""

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
        """The step in which each joint is told where to go, in its unit."""
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

    @property
    def armed(self) -> frozenset[str]:
        """Joints that take commands."""
        return frozenset(self._armed)

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""
        return dict(self._faults)

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
        """Pulses on, at `position`: where it was told to be last, as far as anybody knows."""
        axis = self.axes[joint]
        if not self._connected:
            return GONE
        if axis.calibration is None:
            return Fault("uncalibrated", "it is not calibrated: reactdiff robot calibrate")
        if axis.calibration.id != axis.id:
            return Fault("calibration", f"its calibration is that of channel {axis.calibration.id}: calibrate again")
        if not math.isfinite(position):
            return Fault("refused", "nobody knows where it is")
        # A fault may be over; the watchdog's is, by this.
        self._faults.pop(joint, None)
        self._look(axis, until_answered=True)
        if joint in self._faults:
            return self._faults[joint]
        self._expire()
        if self._send({axis.id: self._step(axis, position)}):
            self._armed.add(joint)
            self._pulsing[joint] = True
            return None
        return GONE

    def command(self, positions: Mapping[str, float]) -> None:
        """Pulses of armed joints."""
        self._expire()
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

    def release_all(self) -> None:
        """No pulses anywhere."""
        for joint in self.axes:
            self.release(joint)

    def stop(self) -> None:
        """Hold: the last pulses go on; nothing is commanded until armed again."""
        self._armed.clear()

    def pulse(self, joint: str, position: float) -> float:
        """What is sent for a position, but for rounding: microseconds (Ohbot: its counts)."""
        return self._value(self.axes[joint], position)

    def recalibrate(self, joint: str, calibration: Calibration | None, *, release: bool = True) -> None:
        """Another calibration for a joint, which is released unless it differs by a little: for calibration alone."""
        if release:
            self.release(joint)
        self.axes = {**self.axes, joint: replace(self.axes[joint], calibration=calibration)}

    # Inside.

    def _expire(self) -> None:
        """After a silence as long as the watchdog's the board went where it wanted: nothing may jump from there."""
        now_s = self._clock()
        silent_s = now_s - self._commanded_s
        if self.watchdog_s is not None and self._armed and silent_s > SAFE * self.watchdog_s:
            text = f"nothing was sent for {silent_s:.2f} s, so that its board's watchdog has stopped it"
            self._faults.update(dict.fromkeys(self._armed, Fault("watchdog", text)))
            self._armed.clear()

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
