"""One Ctrl-C is one signal: a terminal and a launcher (`ros2 launch`, `timeout`) both send SIGINT for it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

AGAIN_S: Final = 1.0
"""A signal that follows another one within this time is a copy of it."""


class Press:
    """Tells a new Ctrl-C from a copy of the last one. `clock`: steady, s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = float("-inf")

    def is_copy(self) -> bool:
        """Whether the signal that has just arrived is a copy."""
        now_s = self._clock()
        if now_s - self._last_s < AGAIN_S:
            return True
        self._last_s = now_s
        return False


_press = Press()


def interrupt(number: int, frame: FrameType | None) -> None:
    """As Python's own handler of SIGINT. A copy is ignored: it would interrupt the cleanup after the first."""
    if not _press.is_copy():
        raise KeyboardInterrupt


def catch_interrupts() -> None:
    """Use `interrupt` for SIGINT, unless this process was started with SIGINT ignored, as a shell's background jobs."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)


def ignore_interrupts() -> None:
    """The last call of a process: Python gives SIGINT its default action while it is taken down, but keeps SIG_IGN."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class StopFlag:
    """Set by the first SIGINT, SIGTERM or SIGHUP; long work checks it and ends cleanly."""

    def __init__(self) -> None:
        self.set = False
        self._press = Press()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set = self.set or not self._press.is_copy()
