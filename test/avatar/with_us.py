"""Programs that end with the tests that start them, in whatever way these end; and waiting for something."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence


def with_us(command: Sequence[str]) -> list[str]:
    """`command`, killed by the kernel when the thread that starts it is gone (setpriv of util-linux, where it is)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else [*command]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait on the event loop."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)


def wait(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait where there is no event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in time"
        time.sleep(0.01)
