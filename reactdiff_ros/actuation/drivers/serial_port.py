"""A serial port for this process alone, in the shape that both makers' packet handlers expect of theirs.

Unlike theirs it never waits longer than its time limit: waiting is measured on the given clock, not on the wall clock,
babble on the line does not prolong it, and nothing waits for the port to drain. One writer a device: a lock file with
the holder's process and name, as serial programs have long used it. `Turns` chooses what a slow line carries.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import grp
import math
import os
import re
import select
import sys
import tempfile
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from reactdiff_ros.errors import DeviceError

if TYPE_CHECKING:
    from serial import Serial

    from reactdiff_ros.actuation.drivers.driver import Clock


def lock_folder() -> Path:
    """Where lock files are kept: /run/lock (Filesystem Hierarchy Standard), else a folder that can be written to."""
    for folder in ("/run/lock", "/var/lock", os.environ.get("XDG_RUNTIME_DIR", "")):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    return Path(tempfile.gettempdir())


class DeviceLock:
    """The lock of one device; the file has the process id in ten columns, then program and user.

    Raises:
        DeviceError: another process has it, which the sentence names; or the lock's file cannot be written.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        name = os.path.realpath(device).removeprefix("/dev/").replace("/", "_")
        self.path = (folder or lock_folder()) / f"LCK..{name}"
        self._fd = -1
        try:
            while self._fd < 0:
                self._take(device)
        except OSError as error:
            todo = error.strerror or str(error)
            if isinstance(error, PermissionError) and self.path.exists():
                todo += "; it is another account's: remove it when no program uses the device"
            raise DeviceError(f"the lock of {device} cannot be made", where=str(self.path), todo=todo) from error

    def _take(self, device: str) -> None:
        with ExitStack() as stack:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise _busy(device, _holder(fd)) from error
            # The holder before us may have removed the file between our opening and our locking: it is taken again.
            if not self.path.exists() or not os.path.samestat(os.fstat(fd), os.stat(self.path)):
                return
            # Programs that know the convention but no flock: their process is asked for.
            found = re.match(r"\s*([0-9]{1,9})\b", _holder(fd))
            if found and int(found[1]) != os.getpid() and psutil.pid_exists(int(found[1])):
                raise _busy(device, _holder(fd))
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid():>10}\n{Path(sys.argv[0]).name or 'python'} {_user()}\n".encode(), 0)
            stack.pop_all()
            self._fd = fd

    def release(self) -> None:
        """Give it back; harmless when done twice."""
        if self._fd >= 0:
            with suppress(OSError):
                os.unlink(self.path)
            os.close(self._fd)
            self._fd = -1


IN_USE: Final = "the port is in use"


def _busy(device: str, holder: str) -> DeviceError:
    who = f"process {' '.join(holder.split())}" if holder.split() else "another process"
    return DeviceError(IN_USE, where=device, todo=f"{who} has it: end that first")


def _holder(fd: int) -> str:
    return os.pread(fd, 200, 0).decode("utf-8", "replace")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


BEGIN_STEPS: Final = 1000
"""A joint that begins to move goes before all that are moving: a late start is seen, a step less in a motion is not."""


class Turns:
    """Chooses the commands that are sent: those of the joints that have been behind most, for longest.

    What is not sent is not kept either: the next tick's command takes its place, and nothing waits on the line.
    """

    def __init__(self) -> None:
        self.last: dict[int, int] = {}
        """The last command that each joint was sent, by its id."""
        self._behind: dict[int, int] = {}
        """Sum, over the ticks since then, of how far that was from what was wanted."""
        self._at_rest: set[int] = set()
        """Joints that were where they were wanted in the last tick."""

    def choose(self, wanted: Mapping[int, int], cost: Mapping[int, int], room: int) -> dict[int, int]:
        """The commands of `wanted`, in steps by id, that fit into `room` bytes; `cost`: the bytes of each."""
        for number, step in wanted.items():
            away = abs(step - self.last[number]) if number in self.last else 1
            begins = BEGIN_STEPS if away and number in self._at_rest else 0
            self._behind[number] = self._behind.get(number, 0) + away + begins
        self._at_rest = {number for number, step in wanted.items() if step == self.last.get(number)}
        chosen = {}
        for number in sorted(wanted, key=lambda n: -self._behind[n]):
            if cost[number] <= room:
                room -= cost[number]
                chosen[number] = wanted[number]
        return chosen

    def sent(self, steps: Mapping[int, int]) -> None:
        """These were sent."""
        self.last.update(steps)
        self._behind.update(dict.fromkeys(steps, 0))


ANSWER_S: Final = 0.012
"""How long an answer may take beyond its time on the wire: the servo's own delay and that of the USB adapter."""
WRITE_S: Final = 0.05
"""A port that takes nothing for this long is gone."""
QUEUE_S: Final = 0.02
"""Commands may take this long on the wire until what is sent after them, a stop perhaps, has its turn."""
ROUNDING: Final = 1e-6
QUEUE_BYTES: Final = 20
"""Or this many bytes, on a line that carries less in that time: any board's command fits."""
ERRORS: Final = (OSError, ValueError, TypeError, termios.error)
"""What the system and pyserial raise for a port that went away."""


class PortGoneError(DeviceError):
    """The port stopped working: the cable was pulled."""


class SerialPort:
    """A port that packet handlers can use: `is_using`, `clearPort`, `readPort`, `writePort`, time limits in ms.

    Args:
        path: the device; a link such as /dev/serial/by-id/... is good.
        baud: bits a second.
        clock: seconds of a clock that only goes forward.
        answer_s: see `ANSWER_S`.
        lock_folder: for the lock file.

    Raises:
        DeviceError: missing, busy (names the holder), not permitted (names the group), or no serial port.
        ModuleNotFoundError: pyserial is not installed.
    """

    def __init__(
        self, path: str, baud: int, clock: Clock, *, answer_s: float = ANSWER_S, lock_folder: Path | None = None
    ) -> None:
        import serial

        self.path, self.is_using = path, False
        self._clock, self._answer_ms = clock, 1000.0 * answer_s
        self._byte_ms = 10_000.0 / baud  # start bit, eight bits, stop bit
        self._start_s = self._limit_ms = 0.0
        self._free_s = -math.inf
        """When the line will have carried what was sent, at its baud rate."""
        if not os.path.exists(path):
            raise explain(path, FileNotFoundError(errno.ENOENT, "no such device"))
        self._lock = DeviceLock(path, lock_folder)
        try:
            self._serial: Serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        except ERRORS as error:
            self._lock.release()
            raise explain(path, error) from error
        # USB adapters collect bytes for 16 ms unless asked not to; where that is unknown, nothing is lost.
        with suppress(*ERRORS, NotImplementedError):
            self._serial.set_low_latency_mode(True)
        self._fd = self._serial.fileno()
        try:
            self.clearPort()
        except PortGoneError:
            self.close()
            raise

    def room(self) -> int:
        """Bytes of commands that may be sent now, for the line to have carried all that was sent within QUEUE_S.

        The system's own queue counts where it is known; that of an adapter does not, so that also the time counts which
        the bytes take at the port's baud rate.
        """
        now_s, byte_s = self._clock(), self._byte_ms / 1000.0
        self._free_s = max(self._free_s, now_s + self._queued() * byte_s)
        most = max(int(QUEUE_S / byte_s), QUEUE_BYTES)
        return max(most - math.ceil((self._free_s - now_s) / byte_s - ROUNDING), 0)

    def carried(self) -> None:
        """A device has answered the last request: the line has carried all that was sent before."""
        self._free_s = self._clock()

    def _queued(self) -> int:
        with suppress(*ERRORS, NotImplementedError):
            return int(self._serial.out_waiting)
        return 0

    def _sent(self, count: int) -> None:
        self._free_s = max(self._free_s, self._clock()) + count * self._byte_ms / 1000.0

    def close(self) -> None:
        """Give the port and its lock back; harmless when done twice."""
        with suppress(*ERRORS):
            self._serial.close()
        self._lock.release()

    def read(self, length: int, wait_s: float, enough: Callable[[bytes], bool] = lambda data: False) -> bytes:
        """Up to `length` bytes, fewer when they do not come within `wait_s` or what came is `enough`.

        Raises:
            PortGoneError: the port stopped working.
        """
        self.setPacketTimeoutMillis(1000.0 * wait_s)
        data = b""
        while len(data) < length and not enough(data) and (part := self.readPort(length - len(data))):
            data += part
        return data

    def clearPort(self) -> None:  # noqa: N802 - the names are the makers'
        """Forget what came unasked."""
        try:
            self._serial.reset_input_buffer()
        except ERRORS as error:
            raise self._gone(error) from error

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """What there is, up to `length` bytes; waits for the first until the time limit.

        What came in time is taken also by a process that itself had to wait for longer: servos are not silent then.
        """
        if length <= 0:
            return b""
        left_s = max(self._limit_ms / 1000.0 - (self._clock() - self._start_s), 0.0)
        try:
            if not select.select([self._fd], [], [], left_s)[0]:
                return b""
            data = os.read(self._fd, length)
        except ERRORS as error:
            raise self._gone(error) from error
        if not data:
            raise self._gone(OSError(errno.EIO, "the device has gone"))
        return data

    def writePort(self, packet: Sequence[int]) -> int:  # noqa: N802
        """Send; the number of bytes.

        Not through pyserial, whose time limit also cuts off what was sent in time by a process that had to wait.
        """
        data, start_s = bytes(packet), self._clock()
        sent = 0
        try:
            while sent < len(data):
                left_s = max(WRITE_S - (self._clock() - start_s), 0.0)
                if not select.select([], [self._fd], [], left_s)[1]:
                    raise OSError(errno.ETIMEDOUT, "the device takes nothing")
                sent += os.write(self._fd, data[sent:])
        except ERRORS as error:
            raise self._gone(error) from error
        self._sent(sent)
        return sent

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """The time limit for a packet of that length."""
        self.setPacketTimeoutMillis(self._byte_ms * packet_length + self._answer_ms)

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """The time limit, from now."""
        self._start_s, self._limit_ms = self._clock(), msec

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the time limit has passed."""
        return self._clock() - self._start_s >= self._limit_ms / 1000.0

    def _gone(self, error: Exception) -> PortGoneError:
        self.is_using = False
        return PortGoneError("the port stopped working", where=self.path, todo=str(error))


def ports() -> list[str]:
    """Serial ports of this machine that something is plugged into."""
    from serial.tools.list_ports import comports

    return sorted(port.device for port in comports() if port.vid is not None)


def explain(path: str, error: Exception) -> DeviceError:
    """Why a device could not be opened, and what to do about it."""
    code = getattr(error, "errno", None)
    if isinstance(error, PermissionError) or code in (errno.EACCES, errno.EPERM):
        group = "dialout"
        with suppress(OSError, KeyError):
            group = grp.getgrgid(os.stat(path).st_gid).gr_name
        return DeviceError(
            "the port may not be used by this account",
            where=path,
            todo=f"join its group: sudo usermod -aG {group} $USER, then log out and in again",
        )
    if isinstance(error, FileNotFoundError) or code in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR):
        return DeviceError("there is no such port", where=path, todo="is it plugged in, and is this its name?")
    if code in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return _busy(path, "")
    return DeviceError("the port cannot be opened", where=path, todo=str(error))
