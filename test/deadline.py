"""Waiting for what happens in other processes."""

import subprocess
import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: object = "", timeout_s: float = 40.0) -> None:
    """Return once the condition holds; fails after the time with what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ended(process: subprocess.Popen[bytes], timeout_s: float = 10.0) -> int:
    """Its exit status; killed after the time."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
