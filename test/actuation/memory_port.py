"""A bus without a wire: a port in memory, and a clock that goes on a little whenever somebody looks at it."""

import math
import threading
from collections.abc import Callable, Sequence

from reactdiff_ros.actuation.drivers.serial_port import PortGoneError, SerialPort
from reactdiff_ros.actuation.emulators.rig import Bus
from reactdiff_ros.errors import DeviceError


class Ticker:
    """A clock; every look at it takes `step_s`."""

    def __init__(self, step_s: float = 0.0002) -> None:
        self.now_s, self._step_s = 100.0, step_s

    def __call__(self) -> float:
        self.now_s += self._step_s
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class MemoryWire:
    """What `Wire` is, in memory; `garble` may change what comes back.

    What is sent arrives at once; answers come when the line has carried the question at `baud`.
    """

    def __init__(self, bus: Bus, clock: Ticker, baud: int = 1_000_000) -> None:
        self.bus, self.clock, self.baud = bus, clock, baud
        self.lock = threading.Lock()
        self.plugged = False
        self.garble: Callable[[bytes], bytes] = lambda data: data

    def plug(self) -> None:
        self.plugged = True

    def pull(self) -> None:
        self.plugged = False

    def connect(self) -> SerialPort:
        if not self.plugged:
            raise DeviceError("there is no such port", where="memory")
        return MemoryPort(self)


class MemoryPort(SerialPort):
    """A port to a `MemoryWire`."""

    def __init__(self, wire: MemoryWire) -> None:
        self.path, self.is_using = "memory", False
        self._wire, self._clock = wire, wire.clock
        self._answer_ms, self._byte_ms = 12.0, 10_000.0 / wire.baud
        self._start_s = self._limit_ms = 0.0
        self._free_s = -math.inf
        self._waiting = b""

    def close(self) -> None:
        pass

    def clearPort(self) -> None:
        self._check()
        self._waiting = b""

    def readPort(self, length: int) -> bytes:
        self._check()
        if self.isPacketTimeout() or length <= 0:
            return b""
        if not self._waiting:
            self._clock.now_s = self._start_s + self._limit_ms / 1000.0
            return b""
        self._clock.now_s = max(self._clock.now_s, self._free_s)
        data, self._waiting = self._waiting[:length], self._waiting[length:]
        return data

    def writePort(self, packet: Sequence[int]) -> int:
        self._check()
        self._waiting += self._wire.garble(self._wire.bus.receive(bytes(packet), self._clock()))
        self._sent(len(packet))
        return len(packet)

    def _queued(self) -> int:
        return 0

    def _check(self) -> None:
        if not self._wire.plugged:
            raise PortGoneError("the port stopped working", where="memory")
