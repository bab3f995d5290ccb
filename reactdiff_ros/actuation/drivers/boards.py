"""Boards of hobby servos: Pololu Maestro, Ohbot's own board, PCA9685.

Maestro over its command port (pyserial), compact or Pololu protocol, with its serial timeout. Commands after the user
guide: 0x84 sets a target in quarters of microseconds (0 ends the pulses), 0x90 reads the pulse that a channel sends (0:
none), 0xA1 reads and clears the errors. The timeout is stored in the board by its Control Center and cannot be set from
here; so it is tried out once: after a silence as long, the board must report it.

Ohbot over serial: lines of text as the maker's package (ohbot 4.0.18) sends them; nothing is measured. `v` asks for the
version (its answer has v1 or v2 in it), `a0N` attaches motor N, `d0N` detaches it, `m0N,ANGLE,SPEED` moves it: angles
are 0 to 180 for the 0 to 1000 of the motor definitions. It has no watchdog, and does not report which motors are
attached.

PCA9685 on I2C through the maker's library (adafruit_pca9685): 16 channels of pulses, nothing measured. The chip has no
watchdog: it sends its last pulses for ever, whatever happens to the computer.

Of all of them: nothing is measured, so that a joint has pulses or has none.
"""

from __future__ import annotations

import errno
import math
import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import (
    AGAIN_S,
    LINK_FAULTS,
    MICROSECONDS,
    MISSES,
    Axis,
    Clock,
    Driver,
    Fault,
    Pulses,
    Reading,
    inside,
)
from reactdiff_ros.actuation.drivers.serial_port import DeviceLock, PortGoneError, SerialPort, Turns, explain
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import MaestroDriver, Pca9685Driver
from reactdiff_ros.errors import DeviceError, explained

GONE: Final = Fault("gone", "its board is gone: is it plugged in, does it have power?")


class PulseBoard(Driver):
    """What drivers of hobby servos share; see `driver.Driver`."""

    feedback = False
    takes = MICROSECONDS
    """The pulses that its servos take."""

    def __init__(self, axes: Mapping[str, Axis], clock: Clock) -> None:
        super().__init__(axes, clock)
        self._pulsing: dict[str, bool] = {}
        """Whether a joint has pulses: as the board reports, or by its last command; a missing joint may."""
        self._sent: dict[str, Reading] = {}
        self._reported: dict[str, float] = {}
        self._turn = self._unanswered = 0
        """Whose turn it is to be asked about; questions in a row without an answer."""
        self._device: Any = None
        """The port or the chip; None: it is not open."""

    # What each board does in its own way. All may raise DeviceError, and nothing else.

    @abstractmethod
    def _connect(self) -> Any:
        """Open the device."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Give it back; harmless when it is not open; never raises."""

    @abstractmethod
    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        """The board's own health: faults by joint. Where it can report the pulse of `axis`, it calls `_reports`."""

    @property
    @abstractmethod
    def _steps(self) -> float:
        """How many of its steps the board makes of one of what `pulse` gives."""

    @abstractmethod
    def _pulses(self, steps: Mapping[int, int]) -> None:
        """Set pulses by channel, in steps of the board."""

    @abstractmethod
    def _off(self, channel: int) -> None:
        """No pulses."""

    def _fitting(self, steps: Mapping[int, int]) -> Mapping[int, int]:
        """Those of a tick's commands that the line carries."""
        return steps

    def pulse(self, joint: str, position: float) -> float:
        """What is sent for a position, but for rounding: microseconds (Ohbot: its counts)."""
        return self.takes.of(self.axes[joint], position)

    def position(self, joint: str, pulse: float) -> float:
        """The position for which `pulse` is sent."""
        return self.takes.position(self.axes[joint], pulse)

    def _step(self, joint: str, position: float) -> int:
        """What is sent for a position: whole steps, not beyond the limits and what was calibrated."""
        axis = self.axes[joint]
        value, *ends = (self._steps * self.pulse(joint, p) for p in (position, axis.lower, axis.upper))
        return inside(value, *ends)

    # The interface.

    def open(self) -> None:
        """Open the device; see `Driver.open`."""
        if self._device is None:
            self._device = self._connect()
        self._opened = True

    def close(self) -> None:
        """Give the device back; pulses go on."""
        self._opened = False
        self._armed.clear()
        self._disconnect()

    def ends(self, joint: str) -> tuple[float, float] | None:
        """The lowest and highest position that a joint takes; see `Driver.ends`."""
        axis = self.axes[joint]
        if axis.calibration is None:
            return None
        low, high = axis.calibration.range_min, axis.calibration.range_max
        one, other = self.position(joint, low), self.position(joint, high)
        return axis.between(one, other, abs(other - one) / (high - low))

    def step(self, joint: str) -> float:
        """The step in which a joint takes positions, in its unit."""
        pulse = self.axes[joint].pulse
        return 1.0 / (self._steps * abs(pulse.us_per_unit if pulse else 1.0))

    def reading(self, joint: str) -> Reading | None:
        """The pulse that the board reports, where it can; nothing is measured."""
        return self._sent.get(joint)

    def holding(self, joint: str) -> bool | None:
        """Whether it has pulses, see `Driver.holding`."""
        return self._pulsing.get(joint)

    def check(self) -> dict[str, Fault]:
        """Ask the board how it is, and twice for every pulse: see `_reports`."""
        if self._device is not None:
            self._faults = {}
            for axis in (None, *self.axes.values(), *self.axes.values()):
                if not self._faults:
                    self._look(axis, until_answered=True)
        else:
            self._lost()
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Ask the board how it is; come back to it when it was gone."""
        if self._device is None:
            self._come_back()
        if self._device is None:
            return
        axes = [*self.axes.values(), None]
        self._turn = (self._turn + 1) % len(axes)
        self._look(axes[self._turn])

    def arm(self, joint: str, position: float) -> Fault | None:
        """Pulses on, at `position`: its last command, as far as that is known."""
        axis = self.axes[joint]
        if self._device is None:
            return GONE
        fault = axis.calibration_fault("channel")
        if fault is not None:
            return fault
        if not math.isfinite(position):
            return Fault("refused", "its position is unknown")
        # A fault may be over; the watchdog's is, by this.
        self._faults.pop(joint, None)
        self._look(axis, until_answered=True)
        if joint in self._faults:
            return self._faults[joint]
        self._faults |= self._expired()
        if self._send({axis.id: self._step(joint, position)}):
            self._armed.add(joint)
            self._pulsing[joint] = True
            return None
        return GONE

    def command(self, positions: Mapping[str, float]) -> None:
        """Pulses of armed joints."""
        self._faults |= self._expired()
        steps: Mapping[int, int] = {
            self.axes[joint].id: self._step(joint, position) for joint, position in self._accepted(positions).items()
        }
        if steps and self._device is not None:
            steps = self._fitting(steps)
            if steps:
                self._send(steps)

    def release(self, joint: str) -> None:
        """No pulses."""
        self._armed.discard(joint)
        if self._device is not None:
            try:
                self._off(self.axes[joint].id)
            except DeviceError:
                self._lost()
                return
            self._forget_pulse(joint)
            fault = self._faults.get(joint)
            if fault is None or fault.kind not in LINK_FAULTS:
                self._pulsing[joint] = False

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
            self._sent[joint] = Reading(self._clock(), None, sent=self.position(joint, us))
        else:
            self._sent.pop(joint, None)

    def _look(self, axis: Axis | None, *, until_answered: bool = False) -> None:
        try:
            found = self._ask(axis)
            while until_answered and 0 < self._unanswered < MISSES:
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
    """What drivers of boards on a serial port share; see `driver.Driver`.

    Args:
        config: of the profile.
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
        answer_s: how long an answer may take.
        lock_folder: for the lock file.
        connect: opens the port; default: `SerialPort`.
    """

    default_answer_s: float

    def __init__(
        self,
        config: Any,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        answer_s: float | None = None,
        lock_folder: Path | None = None,
        connect: Callable[[], SerialPort] | None = None,
    ) -> None:
        super().__init__(axes, clock)
        self._config, self._answer_s = config, self.default_answer_s if answer_s is None else answer_s
        self._connect_port = connect or (lambda: SerialPort(config.port, config.baud, clock, lock_folder=lock_folder))
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
        return self._turns.choose(steps, cost, self._port.room())

    def _pulses(self, steps: Mapping[int, int]) -> None:
        data = b"".join(self._command_bytes(channel, step) for channel, step in steps.items())
        self._turns.sent(steps)
        if data:
            self._port.writePort(data)

    def _connect(self) -> SerialPort:
        port = self._connect_port()
        self._turns = Turns()
        self._forget()
        return port

    def _disconnect(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    @property
    def _port(self) -> SerialPort:
        if self._device is None:
            raise PortGoneError("the port is not open", where=self._config.port)
        port: SerialPort = self._device
        return port


SET_TARGET: Final = 0x84
GET_POSITION: Final = 0x90
GET_ERRORS: Final = 0xA1
NAMED: Final = 0xAA
"""Begins a command of the Pololu protocol: the device's number, then the command without its highest bit."""
SIGNAL, OVERRUN, FULL, CRC, PROTOCOL, TIMEOUT = 1, 2, 4, 8, 16, 32
QUARTERS: Final = 4.0
"""Steps a microsecond."""
MARGIN: Final = 1.25
"""The silence in which the timeout is tried out, as a share of it."""


class MaestroBoard(SerialBoard):
    """The channels of one Maestro of the profile; see `SerialBoard` for the arguments."""

    default_answer_s = 0.03

    def __init__(self, config: MaestroDriver, axes: Mapping[str, Axis], clock: Clock, **options: Any) -> None:
        super().__init__(config, axes, clock, **options)
        self.watchdog_s = config.timeout_s

    @property
    def _steps(self) -> float:
        return QUARTERS

    def _forget(self) -> None:
        self._timeout_works: bool | None = None
        self._unanswered = 0
        self._due_s = float("-inf")

    def check(self) -> dict[str, Fault]:
        """Ask the board how it is, and try its serial timeout: silent for 1.25 of it, while no joint is armed."""
        if self._device is not None and not self._armed and not self._timeout_works:
            try:
                self._try_timeout()
            except DeviceError:
                self._lost()
        self._unanswered, self._due_s = 0, float("-inf")
        return super().check()

    def _try_timeout(self) -> None:
        if self._errors() is None:
            return
        self._port.read(1, MARGIN * self._config.timeout_s + 0.02)
        errors = self._errors()
        self._timeout_works = None if errors is None else bool(errors & TIMEOUT)

    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        now_s = self._clock()
        errors = self._errors(axis) if now_s >= self._due_s else None
        if errors is None:
            self._unanswered += 1
            if self._unanswered < MISSES:
                return {}
            # One that does not answer is asked rarely: waiting for it costs the others' time.
            self._due_s = now_s + AGAIN_S if now_s >= self._due_s else self._due_s
            fault = Fault("no_answer", "its board does not answer: is this its command port, in mode USB Dual Port?")
            return dict.fromkeys(self.axes, fault)
        self._unanswered = 0
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
        if self._device is not None and self._timeout_works is None:
            self.check()
            if self._device is not None and self._timeout_works is None:
                return self._faults.get(joint, Fault("no_answer", "its board does not answer"))
        return super().arm(joint, position)

    def _errors(self, axis: Axis | None = None) -> int | None:
        """Read and clear the errors, and in the same exchange the pulse of `axis`; None: no whole answer."""
        port = self._port
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

    def _command_bytes(self, channel: int, quarters: int) -> bytes:
        return bytes(self._packet(SET_TARGET, channel, quarters & 0x7F, quarters >> 7 & 0x7F))

    def _packet(self, command: int, *data: int) -> tuple[int, ...]:
        device = self._config.device
        return (command, *data) if device is None else (NAMED, device, command & 0x7F, *data)

    def _off(self, channel: int) -> None:
        self._port.writePort(self._command_bytes(channel, 0))


SPEED: Final = 250
"""The greatest: the commands are limited already."""
COUNTS: Final = 1000.0
DEGREES: Final = 180
LOOK_S: Final = 0.0005
UNKNOWN: Final = -1
"""The last angle of a motor that another program may have set."""
ASK_S: Final = 1.0
"""The line is slow: the board is asked how it is this rarely."""


class OhbotBoard(SerialBoard):
    """The motors of one Ohbot of the profile, axes in its counts; see `SerialBoard` for the arguments."""

    default_answer_s = 0.5
    takes = Pulses(COUNTS / 2, 0.0, COUNTS)

    def _forget(self) -> None:
        self._found = False
        self._misses = 0
        self._asked_s = float("-inf")

    def check(self) -> dict[str, Fault]:
        """Ask the board for its version, and wait for it; again where it does not answer, up to MISSES times."""
        if self._device is not None:
            try:
                port = self._port
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
        """Read its answer to the last question, without waiting; then ask the next."""
        port, now_s = self._port, self._clock()
        if now_s - self._asked_s >= ASK_S:
            if math.isfinite(self._asked_s):
                self._heard(port.read(64, LOOK_S))
            self._asked_s = now_s
            port.clearPort()
            port.writePort(b"v\n")
        if self._misses < MISSES and (self._found or not self._misses):
            return {}
        return dict.fromkeys(self.axes, Fault("no_answer", "its board does not answer: is this its port?"))

    def _heard(self, answer: bytes) -> None:
        good = _is_version(answer)
        self._misses = 0 if good else self._misses + 1
        self._found = good or (self._found and self._misses < MISSES)

    @property
    def _steps(self) -> float:
        return DEGREES / COUNTS

    def _command_bytes(self, motor: int, angle: int) -> bytes:
        last = self._turns.last.get(motor)
        if last == angle:
            return b""  # the line is slow: what has not changed is not sent again
        attach = f"a0{motor}\n" if last is None else ""
        return f"{attach}m0{motor},{angle},{SPEED}\n".encode("ascii")

    def _off(self, motor: int) -> None:
        self._turns.last.pop(motor, None)
        self._port.writePort(f"d0{motor}\n".encode("ascii"))


def _is_version(answer: bytes) -> bool:
    return b"v1" in answer or b"v2" in answer


TICKS: Final = 4096
SLEEP, INCREMENT = 0x10, 0x20


class LinuxI2c:
    """One of the kernel's I2C buses, with the lock that the library asks for.

    Raises:
        OSError: there is none, or it may not be used.
    """

    def __init__(self, number: int) -> None:
        from adafruit_blinka.microcontroller.generic_linux.i2c import I2C

        path = f"/dev/i2c-{number}"
        # The library's own error names neither.
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        bus: Any = I2C(number)
        self._lock = threading.Lock()
        self.writeto, self.readfrom_into = bus.writeto, bus.readfrom_into
        self.writeto_then_readfrom = bus.writeto_then_readfrom

    def try_lock(self) -> bool:
        """Take the bus."""
        return self._lock.acquire(blocking=False)

    def unlock(self) -> None:
        """Give it back."""
        self._lock.release()


class Pca9685Board(PulseBoard):
    """The channels of one PCA9685.

    Args:
        config: of the profile.
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
        i2c: what opens an I2C bus by its number.
        lock_folder: for the lock file.
    """

    def __init__(
        self,
        config: Pca9685Driver,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        i2c: Callable[[int], Any] = LinuxI2c,
        lock_folder: Path | None = None,
    ) -> None:
        super().__init__(axes, clock)
        self._config, self._i2c, self._folder = config, i2c, lock_folder
        self._path = f"/dev/i2c-{config.bus}"
        self._where = f"{self._path}, address 0x{config.address:02x}"
        self._lock: DeviceLock | None = None
        self._hz = config.pulse_hz

    def _connect(self) -> Any:
        from adafruit_pca9685 import PCA9685

        # Several boards share a bus: each address has a lock.
        self._lock = DeviceLock(f"{self._path}-{self._config.address:02x}", self._folder)
        try:
            try:
                bus = self._i2c(self._config.bus)
            except OSError as error:
                raise explain(self._path, error) from error
            todo = "does it have power, is this its address?"
            with explained(
                (OSError, ValueError), "no PCA9685 answers", where=self._where, todo=todo, error=DeviceError
            ):
                board = PCA9685(bus, address=self._config.address)
                board.frequency = self._config.pulse_hz
                self._hz = float(board.frequency)
        except BaseException:
            self._disconnect()
            raise
        return board

    def _disconnect(self) -> None:
        # The library's own way of closing resets the chip's addressing; pulses are to go on as they are.
        self._device = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        with self._answering():
            mode = int(self._device.mode1_reg)
            if axis is not None:
                ticks = self._device.channels[axis.id].duty_cycle >> 4
                self._reports(axis, ticks / TICKS / self._hz * 1e6)
        if mode & SLEEP or not mode & INCREMENT:
            raise PortGoneError("the board lost its power", where=self._where, todo=os.strerror(errno.EIO))
        return {}

    def _answering(self) -> AbstractContextManager[None]:
        return explained((OSError, ValueError), "the board stopped answering", where=self._where, error=PortGoneError)

    @property
    def _steps(self) -> float:
        return 1e-6 * self._hz * TICKS

    def _pulses(self, steps: Mapping[int, int]) -> None:
        with self._answering():
            for channel, ticks in steps.items():
                self._device.channels[channel].duty_cycle = ticks << 4

    def _off(self, channel: int) -> None:
        self._pulses({channel: 0})
