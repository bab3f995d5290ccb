"""A pseudo-terminal with an emulated bus behind it; the cable can be pulled and put back."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

IDLE_S = 0.005
"""The bus lives on at least this often while nobody speaks."""


SLOWLY = 8
"""Bytes at a time that come over a line with a baud rate."""


class Bus(Protocol):
    """What can be behind a wire."""

    def receive(self, data: bytes, now_s: float) -> bytes:
        """Answers to what the host sent."""

    def step(self, now_s: float) -> None:
        """Live until `now_s`."""


class Wire:
    """Serves a bus on a pseudo-terminal, in a thread of its own.

    Args:
        bus: what is behind it.
        link: where the port appears: a link that goes when the cable is pulled, and comes back with it.
        clock: seconds; the bus lives in its time.
        baud: bits a second that the line carries to the bus; None: all at once.
    """

    def __init__(self, bus: Bus, link: Path, clock: Callable[[], float], baud: int | None = None) -> None:
        self.bus, self.link = bus, link
        self.lock = threading.Lock()
        """Held while the bus works; take it to look at several things at once."""
        self._clock = clock
        self._byte_s = 10.0 / baud if baud else 0.0
        self._master = -1
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Wire:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    @property
    def plugged(self) -> bool:
        """Whether the cable is in."""
        return self._thread is not None

    def plug(self) -> None:
        """Put the cable in; nothing when it is."""
        if self.plugged:
            return
        self._master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        part = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        part.symlink_to(name)
        part.replace(self.link)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(self._master, slave, self._stop), daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Pull the cable: the port is gone for whoever has it open. The servos keep their power."""
        if self._thread is None:
            return
        self.link.unlink(missing_ok=True)
        self._stop.set()
        self._thread.join()
        self._thread = None

    def say(self, data: bytes) -> None:
        """Put bytes on the line that no servo sent."""
        if self.plugged:
            with suppress(OSError):
                os.write(self._master, data)

    def _serve(self, master: int, slave: int, stop: threading.Event) -> None:
        free_s, more = 0.0, False
        try:
            while not stop.is_set():
                heard = b""
                if select.select([master], [], [], IDLE_S)[0]:
                    with suppress(OSError):
                        heard = os.read(master, SLOWLY if self._byte_s else 4096)
                if self._byte_s:
                    # What waits goes on where the line was, also when this thread is late.
                    free_s = (free_s if more else max(free_s, self._clock())) + len(heard) * self._byte_s
                    more = len(heard) == SLOWLY
                    stop.wait(max(free_s - self._clock(), 0.0))
                with self.lock:
                    now_s = self._clock()
                    answer = self.bus.receive(heard, now_s) if heard else b""
                    self.bus.step(now_s)
                while answer and not stop.is_set():
                    # A host that does not read must not keep the bus from living.
                    if not select.select([], [master], [], IDLE_S)[1]:
                        break
                    with suppress(OSError):
                        answer = answer[os.write(master, answer) :]
        finally:
            os.close(slave)
            os.close(master)
