"""One writer a device: a lock file with the holder's process and name, as serial programs have long used it."""

from __future__ import annotations

import fcntl
import getpass
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from reactdiff_ros.errors import DeviceError


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
        real = os.path.realpath(device)
        name = real.removeprefix("/dev/").replace("/", "_")
        self.path = (folder or lock_folder()) / f"LCK..{name}"
        self._fd = -1
        for _ in range(100):
            if self._take(device):
                return
        raise DeviceError("the lock of a device cannot be taken", where=str(self.path))

    def _take(self, device: str) -> bool:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            todo = error.strerror or str(error)
            if self.path.exists():
                todo += "; it is another account's: remove it when no program uses the device"
            raise DeviceError(f"the lock of {device} cannot be made", where=str(self.path), todo=todo) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(fd)
            os.close(fd)
            raise _busy(device, holder) from error
        # The holder before us may have removed the file between our opening and our locking.
        try:
            same = os.fstat(fd).st_ino == os.stat(self.path).st_ino
        except FileNotFoundError:
            same = False
        if not same:
            os.close(fd)
            return False
        # Programs that know the convention but no flock: their process is asked for.
        holder = _holder(fd)
        pid = _pid(holder)
        if pid is not None and pid != os.getpid() and _alive(pid):
            os.close(fd)
            raise _busy(device, holder)
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid():>10}\n{Path(sys.argv[0]).name or 'python'} {_user()}\n".encode(), 0)
        except OSError as error:
            os.close(fd)
            todo = error.strerror or str(error)
            raise DeviceError(f"the lock of {device} cannot be made", where=str(self.path), todo=todo) from error
        self._fd = fd
        return True

    def release(self) -> None:
        """Give it back; harmless when done twice."""
        if self._fd >= 0:
            with suppress(OSError):
                os.unlink(self.path)
            os.close(self._fd)
            self._fd = -1


def _busy(device: str, holder: str) -> DeviceError:
    who = " ".join(holder.split())
    return DeviceError(
        "the port is in use",
        where=device,
        todo=f"process {who} has it: end that first" if who else "another process has it: end that first",
    )


def _holder(fd: int) -> str:
    return os.pread(fd, 200, 0).decode("utf-8", "replace")


def _pid(holder: str) -> int | None:
    first = holder.split()
    return int(first[0]) if first and first[0].isascii() and first[0].isdigit() and len(first[0]) < 10 else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
