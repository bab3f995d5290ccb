"""An iterator worked through ahead of whoever needs it: pictures are decoded while others are perceived."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_LOOK_S = 0.1
"""How often a thread that waits for room looks whether it is still wanted."""


@dataclass(frozen=True, slots=True)
class _Last:
    error: BaseException | None


class _Ahead(Generic[Item]):
    def __init__(self, items: Iterator[Item], depth: int) -> None:
        self._items = items
        self._queue: Queue[Item | _Last] = Queue(depth)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name="decode", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        self._thread.start()
        try:
            while not isinstance(item := self._queue.get(), _Last):
                yield item
            if item.error is not None:
                raise item.error
        finally:
            self._unwanted.set()
            while self._thread.is_alive():
                self._empty()
                self._thread.join(_LOOK_S)

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # whatever it is, it belongs to who asked for the items
            error = raised
        finally:
            close = getattr(self._items, "close", None)  # here, because a database belongs to its thread
            if close is not None:
                close()
        self._put(_Last(error))

    def _put(self, item: Item | _Last) -> bool:
        while not self._unwanted.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_S)
            except Full:
                continue
            return True
        return False

    def _empty(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            pass


def in_thread(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """`items` in their order and with their errors; a thread of its own makes up to `depth` of them in advance."""
    return iter(_Ahead(items, depth))
