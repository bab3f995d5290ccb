"""Waiting for something, on an event loop and without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


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
