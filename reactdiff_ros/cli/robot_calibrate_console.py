"""The operator's side of a calibration: prompts, answers that are awaited while a joint is held, and Ctrl-C."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError

LOOK_S: Final = 0.02
"""So often it is looked for an answer while nothing moves."""


class StoppedError(ReactdiffError):
    """The operator wants no more."""


def _nothing() -> None: ...


class Console:
    """Asks, and goes on working until the answer is there.

    Args:
        source: file descriptor that lines are read from.
        show: shows a line to the operator.
    """

    def __init__(self, source: int, show: Callable[[str], object]) -> None:
        self._source, self.show = source, show
        self._rest = b""
        self._ended = False
        self._signals = 0

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Ctrl-C, and whatever else wants to end this process, is a stop at the next safe moment."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._caught) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _caught(self, *_: Any) -> None:
        self._signals += 1

    def forget_stop(self) -> None:
        """What has to be done after a stop is not stopped by the same one."""
        self._signals = 0

    def check(self) -> None:
        """Raises StoppedError after Ctrl-C."""
        if self._signals:
            raise StoppedError("the calibration was stopped")

    def ask(self, question: str, *allowed: str, while_waiting: Callable[[], None] = _nothing) -> str:
        """The answer, in small letters; `q` stops.

        Args:
            question: what is asked.
            allowed: answers that there are; none: any.
            while_waiting: is called over and over; it takes its time itself, or none.

        Raises:
            StoppedError: Ctrl-C, `q`, or the answers ended.
        """
        self.show(question)
        while True:
            line = self.answer(0.0 if while_waiting is not _nothing else LOOK_S)
            if line is None:
                while_waiting()
            elif not allowed or line in allowed:
                return line
            else:
                self.show(f"  {' or '.join(repr(a) if a else 'Enter' for a in allowed)}, or q to stop")

    def answer(self, wait_s: float = 0.0) -> str | None:
        """A line that is there already, or comes within `wait_s`; None: none.

        Raises:
            StoppedError: see `ask`.
        """
        self.check()
        if b"\n" not in self._rest and not self._ended and select.select([self._source], [], [], wait_s)[0]:
            data = os.read(self._source, 4096)
            self._ended = not data
            self._rest += data
        if b"\n" not in self._rest:
            self.check()
            if self._ended:
                raise StoppedError("the calibration was stopped: there are no more answers")
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        text = line.decode("utf-8", "replace").strip().lower()
        if text == "q":
            raise StoppedError("the calibration was stopped")
        return text
