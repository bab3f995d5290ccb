"""What tests of the pages' servers share: tokens, requests, and a wait on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

TOKEN = "abcde-fghjk-mnp23"
"""Of a robot's operator."""
LINK = "a-token_of-22-letters0"
"""Of a page's link."""


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait on the event loop; without one: `deadline.until`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def upgrade(path: str) -> bytes:
    """The request for a websocket."""
    return (
        f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
