"""PCA9685 boards on I2C through the maker's library (adafruit_pca9685): 16 channels of pulses, nothing measured.

The chip has no watchdog: it sends its last pulses for ever, whatever happens to the computer.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Fault
from reactdiff_ros.actuation.drivers.pulse_board import PulseBoard
from reactdiff_ros.actuation.drivers.serial_port import DeviceLock, PortGoneError, explain
from reactdiff_ros.actuation.profile import Pca9685Driver
from reactdiff_ros.errors import DeviceError

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
        bus: what opens an I2C bus by its number.
        lock_folder: for the lock file.
    """

    def __init__(
        self,
        config: Pca9685Driver,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        bus: Callable[[int], Any] = LinuxI2c,
        lock_folder: Path | None = None,
    ) -> None:
        super().__init__(axes, clock)
        self._config, self._bus, self._folder = config, bus, lock_folder
        self._path = f"/dev/i2c-{config.bus}"
        self._where = f"{self._path}, address 0x{config.address:02x}"
        self._board: Any = None
        self._lock: DeviceLock | None = None
        self._hz = config.pulse_hz

    @property
    def _connected(self) -> bool:
        return self._board is not None

    def _connect(self) -> None:
        if self._board is not None:
            return
        from adafruit_pca9685 import PCA9685

        # Several boards share a bus: each address has a lock of its own.
        self._lock = DeviceLock(f"{self._path}-{self._config.address:02x}", self._folder)
        try:
            try:
                bus = self._bus(self._config.bus)
            except OSError as error:
                raise explain(self._path, error) from error
            try:
                board = PCA9685(bus, address=self._config.address)
                board.frequency = self._config.pulse_hz
                self._hz = float(board.frequency)
            except (OSError, ValueError) as error:
                todo = "does it have power, is this its address?"
                raise DeviceError("no PCA9685 answers", where=self._where, todo=todo) from error
        except BaseException:
            self._disconnect()
            raise
        self._board = board

    def _disconnect(self) -> None:
        # The library's own way of closing resets the chip's addressing; pulses are to go on as they are.
        self._board = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _ask(self, axis: Axis | None) -> dict[str, Fault]:
        try:
            mode = int(self._board.mode1_reg)
            if axis is not None:
                ticks = self._board.channels[axis.id].duty_cycle >> 4
                self._reports(axis, ticks / TICKS / self._hz * 1e6)
        except (OSError, ValueError) as error:
            raise PortGoneError("the board stopped answering", where=self._where, todo=str(error)) from error
        if mode & SLEEP or not mode & INCREMENT:
            raise PortGoneError("the board lost its power", where=self._where, todo=os.strerror(errno.EIO))
        return {}

    @property
    def _steps(self) -> float:
        return 1e-6 * self._hz * TICKS

    def _pulses(self, steps: Mapping[int, int]) -> None:
        try:
            for channel, ticks in steps.items():
                self._board.channels[channel].duty_cycle = ticks << 4
        except (OSError, ValueError) as error:
            raise PortGoneError("the board stopped answering", where=self._where, todo=str(error)) from error

    def _off(self, channel: int) -> None:
        self._pulses({channel: 0})
