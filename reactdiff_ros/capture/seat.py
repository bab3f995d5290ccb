"""Who of several visitors is seen: one place, and a line of those who wait for it in order of their arrival."""

from __future__ import annotations

import threading


class Visitor:
    """One who has the place or waits for it."""

    def __init__(self) -> None:
        self.sent_away = False
        """Someone else gets the place: give it up soon."""


class Seat:
    """From any thread.

    Args:
        most: visitors at the same time, the one who has the place among them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line: list[Visitor] = []
        self._lock = threading.Lock()

    def enter(self) -> Visitor | None:
        """Come to the end of the line; None: it is full."""
        with self._lock:
            if len(self._line) >= self._most:
                return None
            self._line.append(visitor := Visitor())
            return visitor

    def leave(self, visitor: Visitor) -> None:
        """The next one moves up."""
        with self._lock:
            self._line.remove(visitor)

    def before(self, visitor: Visitor) -> int:
        """How many come before; 0: this one has the place."""
        with self._lock:
            return self._line.index(visitor)

    @property
    def state(self) -> str:
        """For pages: taken or free."""
        return "taken" if self._line else "free"

    @property
    def waiting(self) -> int:
        """How many wait."""
        return max(0, len(self._line) - 1)

    def pass_on(self) -> tuple[bool, str]:
        """Send away who has the place; whether there was one, and a sentence."""
        with self._lock:
            if not self._line:
                return False, "No visitor's camera is in use."
            self._line[0].sent_away = True
            return True, "The next visitor's turn begins." if len(self._line) > 1 else "The visit ends: no one waits."
