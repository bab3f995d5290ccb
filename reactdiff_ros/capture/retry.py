"""When and how to try a missing device again."""

from __future__ import annotations

from collections.abc import Callable

from reactdiff_ros.clock import NS


class Backoff:
    """Waits that double from `first_s` to `longest_s` while a device stays away; time is an argument."""

    def __init__(self, first_s: float = 0.5, longest_s: float = 5.0) -> None:
        self._first_ns, self._longest_ns = round(first_s * NS), round(longest_s * NS)
        self.reset()

    def reset(self) -> None:
        """The device gives what it is for: when it is lost, it may be tried at once."""
        self._wait_ns = 0
        self._next_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """True when it is time to try (also after a backward jump of the clock)."""
        return self._next_ns is None or not self._next_ns - self._wait_ns <= now_ns < self._next_ns

    def tried(self, now_ns: int) -> None:
        """An attempt was made at `now_ns`: until `reset`, the next one waits longer."""
        self._wait_ns = min(max(2 * self._wait_ns, self._first_ns), self._longest_ns)
        self._next_ns = now_ns + self._wait_ns

    def attempt(self, now_ns: int, open_device: Callable[[], None]) -> bool:
        """Call `open_device` if it is time to; what it raises is raised.

        One that was opened counts as tried, too: it may give nothing, and be lost again at once.

        Returns:
            True if it was opened; False if it is not time to try yet.
        """
        if not self.due(now_ns):
            return False
        self.tried(now_ns)
        open_device()
        return True
