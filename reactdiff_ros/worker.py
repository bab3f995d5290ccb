"""A thread that handles what others hand to it, and drops the oldest where it cannot keep up."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any


class Worker:
    """Handles items in the order of arrival, in one thread.

    Every kind of item has a depth: when more of a kind wait, its oldest is dropped and counted. Where one may wait, the
    newest takes the oldest's place in the queue, so that a kind that comes often does not starve behind another: a
    picture that went back to the end each time would never be seen while sound is behind. With `tick_s` the
    thread also calls `tick` at that period, between items, on a schedule that does not drift.

    Args:
        handle: called with (kind, item); what it raises goes to `failed` and ends nothing.
        depths: how many items of each kind may wait.
        failed: called with every exception and the kind of its item (the worker's name for `tick`).
    """

    def __init__(
        self, name: str, handle: Callable[[str, Any], None], depths: Mapping[str, int],
        failed: Callable[[Exception, str], None], *, tick: Callable[[], None] | None = None, tick_s: float = 0.0,
    ) -> None:  # fmt: skip
        self._handle, self._failed = handle, failed
        self._depths = dict(depths)
        self._tick, self._tick_s = tick, tick_s
        self._items: deque[tuple[str, Any]] = deque()
        self._waiting: Counter[str] = Counter()
        self._condition = threading.Condition()
        self._stopping = False
        self._busy_since: float | None = None
        self.dropped: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, kind: str, item: Any) -> None:
        """Queue an item; the oldest of its kind is dropped if too many wait."""
        with self._condition:
            if self._waiting[kind] < self._depths[kind]:
                self._items.append((kind, item))
                self._waiting[kind] += 1
            else:
                self._replace_oldest(kind, item)
            self._condition.notify()

    def allow(self, kind: str, depth: int) -> None:
        """Take items of one more kind from now on."""
        with self._condition:
            self._depths[kind] = depth

    def waiting(self) -> int:
        """How many items wait."""
        return len(self._items)

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Drop what waits and end the thread. False if it still works on something after `timeout_s`."""
        with self._condition:
            self._stopping = True
            self._items.clear()
            self._waiting.clear()
            self._condition.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def busy_s(self) -> float:
        """How long the thread has been working on the present item; 0 when it waits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _replace_oldest(self, kind: str, item: Any) -> None:
        places = [i for i, (other, _) in enumerate(self._items) if other == kind]
        # Each one that waits moves up by one place, so those of a kind stay in order.
        waiting = [self._items[i][1] for i in places[1:]]
        for i, newer in zip(places, [*waiting, item], strict=True):
            self._items[i] = (kind, newer)
        self.dropped[kind] += 1

    def _run(self) -> None:
        next_tick = time.monotonic() + self._tick_s
        while True:
            with self._condition:
                while not self._items and not self._stopping:
                    wait = next_tick - time.monotonic() if self._tick else None
                    if wait is not None and wait <= 0.0:
                        break
                    self._condition.wait(wait)
                if self._stopping:
                    return
                entry = self._items.popleft() if self._items else None
                if entry is not None:
                    self._waiting[entry[0]] -= 1
            if entry is not None:
                self._work(entry[0], self._handle, *entry)
            if self._tick and time.monotonic() >= next_tick:
                self._work(self._thread.name, self._tick)
                next_tick = max(next_tick + self._tick_s, time.monotonic())

    def _work(self, kind: str, work: Callable[..., None], *arguments: Any) -> None:
        self._busy_since = time.monotonic()
        try:
            work(*arguments)
        except Exception as error:
            self._failed(error, kind)
        finally:
            self._busy_since = None


def nothing(_kind: str, _item: Any) -> None:
    """The `handle` of a worker that only ticks."""
