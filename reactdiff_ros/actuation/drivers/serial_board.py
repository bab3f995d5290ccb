"""Boards of hobby servos on a serial port: opening it, losing it, and finding it again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from reactdiff_ros.actuation.drivers.axes import Axis
from reactdiff_ros.actuation.drivers.driver import Clock
from reactdiff_ros.actuation.drivers.pulse_board import PulseBoard
from reactdiff_ros.actuation.drivers.serial_port import PortGoneError, SerialPort
from reactdiff_ros.actuation.drivers.turns import Turns


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
        self._open = connect or (lambda: SerialPort(port, baud, clock, lock_folder=lock_folder))
        self._port: SerialPort | None = None
        self._turns = Turns()
        self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Nothing is known of the board: the port was just opened, or never."""

    @abstractmethod
    def _said(self, channel: int, step: int) -> bytes:
        """What sets a channel; nothing where that is not needed."""

    def _fitting(self, steps: Mapping[int, int]) -> Mapping[int, int]:
        cost = {channel: len(self._said(channel, step)) for channel, step in steps.items()}
        return self._turns.choose(steps, cost, self._open_port().room())

    def _pulses(self, steps: Mapping[int, int]) -> None:
        said = b"".join(self._said(channel, step) for channel, step in steps.items())
        self._turns.sent(steps)
        if said:
            self._open_port().writePort(said)

    @property
    def _connected(self) -> bool:
        return self._port is not None

    def _connect(self) -> None:
        if self._port is None:
            self._port = self._open()
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
