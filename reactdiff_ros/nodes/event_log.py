"""A node's log: every line has an event, a level and a sentence; repeated ones are held back and counted.

As text, or with REACTDIFF_LOG=json as one JSON object a line on stderr. `/rosout` has the sentences in both cases.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ..clock import NS
from ..printable import printable

LOG_VARIABLE: Final = "REACTDIFF_LOG"
JSON: Final = "json"
NOTE: Final = "note"
"""The event of lines that belong to no problem."""
BURST: Final = 5
"""So many lines of an event are let through in PERIOD_NS; lines of no event are never held back."""
PERIOD_NS: Final = 10 * NS
MOST_EVENTS: Final = 1000
"""Events come from keys of the code, but topics are in some of them."""


class Repeats:
    """Counts lines by event on a steady clock. Thread-safe."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int, int]] = {}
        self._lock = threading.Lock()

    def held_back(self, event: str, now_ns: int) -> int | None:
        """None: hold this line back; else say it, and how many were held back before it."""
        with self._lock:
            began_ns, said, held = self._windows.get(event, (now_ns, 0, 0))
            if now_ns - began_ns >= PERIOD_NS:
                began_ns, said = now_ns, 0
            if said >= BURST:
                self._windows[event] = (began_ns, said, held + 1)
                return None
            if len(self._windows) >= MOST_EVENTS and event not in self._windows:
                self._windows.clear()
            self._windows[event] = (began_ns, said + 1, 0)
            return held


class EventLog:
    """What a node's `get_logger` gives: rclpy's logger, with events.

    Args:
        logger: rclpy's.
        node: its whole name.
        as_json: write a JSON object a line with `write`; rclpy's console output is then off (`console_arguments`).
            None: as the environment says.
        write: takes a line without its end.
    """

    def __init__(
        self, logger: Any, node: str, as_json: bool | None = None, write: Callable[[str], None] | None = None
    ) -> None:  # fmt: skip
        self._logger, self._node = logger, node
        self._json = wants_json(os.environ) if as_json is None else as_json
        self._write = write or _to_stderr
        self._repeats = Repeats()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    def info(self, sentence: str, event: str = NOTE) -> None:
        """Something that people may want to know."""
        told = self._told("info", sentence, event)
        if told:
            self._logger.info(told)

    def warning(self, sentence: str, event: str = NOTE) -> None:
        """Something that may be wrong."""
        told = self._told("warning", sentence, event)
        if told:
            self._logger.warning(told)

    def error(self, sentence: str, event: str = NOTE) -> None:
        """Something that is wrong."""
        told = self._told("error", sentence, event)
        if told:
            self._logger.error(told)

    def _told(self, level: str, sentence: str, event: str) -> str:
        sentence = printable(sentence)
        held = 0 if event == NOTE else self._repeats.held_back(f"{level} {event}", time.monotonic_ns())
        if held is None:
            return ""
        if self._json:
            line = {"time": time.time(), "level": level, "node": self._node, "event": event, "sentence": sentence}
            self._write(json.dumps(line | ({"suppressed": held} if held else {}), ensure_ascii=False))
        return f"{sentence} ({held} more of these were not said)" if held else sentence


def wants_json(environment: Any) -> bool:
    """Whether the environment asks for JSON lines."""
    return str(environment.get(LOG_VARIABLE, "")).strip().lower() == JSON


def console_arguments(args: list[str] | None, environment: Any) -> list[str] | None:
    """Arguments of rclpy.init: without its own lines on the console where those are JSON."""
    if not wants_json(environment):
        return args
    return [*(sys.argv if args is None else args), "--ros-args", "--disable-stdout-logs"]


def _to_stderr(line: str) -> None:
    # One write: those of threads must not mix, and print makes two.
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
