"""When and how to try a missing device again."""

from __future__ import annotations

from collections.abc import Callable

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError


class Backoff:
    """Waits that double from `first_s` to `longest_s` while a device stays away; time is an argument."""

    def __init__(self, first_s: float = 0.5, longest_s: float = 5.0) -> None:
        self._first_ns, self._longest_ns = round(first_s * NS), round(longest_s * NS)
        self.reset()

    def reset(self) -> None:
        """The device is there: the next failure may be retried at once."""
        self._wait_ns = 0
        self._next_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """True when it is time to try (also after a backward jump of the clock)."""
        return self._next_ns is None or not self._next_ns - self._wait_ns <= now_ns < self._next_ns

    def failed(self, now_ns: int) -> None:
        """An attempt failed at `now_ns`."""
        self._wait_ns = min(max(2 * self._wait_ns, self._first_ns), self._longest_ns)
        self._next_ns = now_ns + self._wait_ns

    def attempt(self, now_ns: int, open_device: Callable[[], None]) -> bool:
        """Call `open_device` if it is time to.

        Returns:
            True if it was opened; False if it is not time to try yet.

        Raises:
            DeviceError: it was tried and failed; the next attempt waits longer.
        """
        if not self.due(now_ns):
            return False
        try:
            open_device()
        except DeviceError:
            self.failed(now_ns)
            raise
        return True
