"""Waiting for what happens in other processes."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: object = "", timeout_s: float = 40.0) -> None:
    """Return once the condition holds; fails after the time with what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
