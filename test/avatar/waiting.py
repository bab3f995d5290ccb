"""Waiting for something on an event loop; without one: `deadline.until`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait on the event loop."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)
