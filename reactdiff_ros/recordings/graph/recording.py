"""Messages on their way to a bag: a queue bounded in bytes and a thread that writes. No ROS.

Who records never waits for the disk: what the disk cannot keep up with is dropped and counted, and a disk that is full
ends the recording with one sentence, nothing else.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from reactdiff_ros.errors import ReactdiffError

LOOK_S = 1.0
"""How often the free space is looked at."""
MB = 1_000_000


class Sink(Protocol):
    """What a recording writes to."""

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """One serialized message."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class Recording:
    """Writes to `sink` in a thread of its own until `close`, an error, or a disk that is nearly full.

    Args:
        sink: where it goes; used and closed by the thread alone.
        folder: a folder on the disk in question.
        queue_bytes: what may wait; the newest beyond it is dropped, so that the bag has one gap and no holes.
        keep_free_bytes: the recording ends before the disk has less.
        on_end: told once, from the thread, why it ended by itself.
    """

    def __init__(
        self, sink: Sink, folder: Path, queue_bytes: int, keep_free_bytes: int, on_end: Callable[[str], None]
    ) -> None:
        self._sink, self._folder, self._on_end = sink, folder, on_end
        self._limit, self._keep_free = queue_bytes, keep_free_bytes
        self._items: deque[tuple[str, int, bytes]] = deque()
        self._waiting_bytes = 0
        self._condition = threading.Condition()
        self._closing = False
        self._looked_s = float("-inf")
        self.written: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.ended = ""
        """Why it ended by itself; empty while it goes on."""
        self._thread = threading.Thread(target=self._run, name="bag", daemon=True)
        self._thread.start()

    @property
    def going_on(self) -> bool:
        """Messages are still written."""
        return not self._closing and not self.ended

    def put(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Queue a message; never waits. Dropped and counted when too much waits."""
        with self._condition:
            if self._closing or self.ended:
                return
            if self._items and self._waiting_bytes + len(data) > self._limit:
                self.dropped[topic] += 1
                return
            self._items.append((topic, stamp_ns, data))
            self._waiting_bytes += len(data)
            self._condition.notify()

    def close(self, timeout_s: float) -> bool:
        """Write what waits and complete the bag. False when that took longer than `timeout_s`; it goes on then."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._check_space()
                self._sink.write(*item)
                self.written[item[0]] += 1
            except Exception as error:
                self._end(error)
                break
        try:
            self._sink.close()
        except Exception as error:
            self._end(error)

    def _next(self) -> tuple[str, int, bytes] | None:
        with self._condition:
            while not self._items and not self._closing:
                self._condition.wait()
            if not self._items:
                return None
            item = self._items.popleft()
            self._waiting_bytes -= len(item[2])
            return item

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._looked_s < LOOK_S:
            return
        self._looked_s = now
        with suppress(FileNotFoundError):
            free = shutil.disk_usage(self._folder).free
            if free < self._keep_free:
                raise ReactdiffError(
                    f"recording has ended, for the disk is nearly full ({free // MB} MB are left)",
                    where=os.fspath(self._folder),
                    todo="make room and start the recording anew",
                )

    def _end(self, error: Exception) -> None:
        if isinstance(error, ReactdiffError):
            sentence = str(error)
        else:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            sentence = f"recording has ended, for the bag cannot be written ({self._folder}): {reason}"
        with self._condition:
            if self.ended:
                return
            self.ended = sentence
            self._items.clear()
            self._waiting_bytes = 0
        self._on_end(sentence)
