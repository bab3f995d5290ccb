"""Pages of the face: websockets that are opened as a browser opens them, and read."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

FACE_S: Final = 1.0
"""A page that was opened shows a face within this time."""
STEP_S: Final = 0.1


class Pages:
    """So many open pages, read by a thread of their own.

    Args:
        url: of the page, "http://HOST:PORT/".
        count: how many.
        reload_s: each is closed and opened anew after this time.
    """

    def __init__(self, url: str, count: int, reload_s: float = math.inf) -> None:
        self._url, self._count, self._reload_s = url.rstrip("/"), count, reload_s
        self._stop = threading.Event()
        self._opened = self._refused = self._without_face = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._open_all()), name="pages", daemon=True)
        self._thread.start()

    def close(self) -> list[str]:
        """Close them; what went wrong with them, in words."""
        self._stop.set()
        self._thread.join(5.0)
        found = []
        if self._refused or not self._opened:
            found.append(f"{self._refused} of {self._opened} pages were not let in")
        if self._without_face:
            found.append(f"{self._without_face} of {self._opened} pages showed no face for {FACE_S:g} s")
        return found

    async def _open_all(self) -> None:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(self._page(session) for _ in range(self._count)))

    async def _page(self, session: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            self._opened += 1
            if not await self._look(session):
                self._refused += 1
                await asyncio.sleep(STEP_S)

    async def _look(self, session: aiohttp.ClientSession) -> bool:
        """Open one page and read it until it is to be closed; False: it was not let in, or was closed."""
        import aiohttp

        begin_s, face = time.monotonic(), False
        try:
            page = await session.ws_connect(f"{self._url}/ws")
        except (aiohttp.ClientError, OSError):
            return self._stop.is_set()
        try:
            while not self._stop.is_set() and time.monotonic() - begin_s < self._reload_s:
                try:
                    message = await page.receive(timeout=STEP_S)
                except asyncio.TimeoutError:
                    continue
                if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self._stop.is_set()
                face = face or message.type == aiohttp.WSMsgType.BINARY
        finally:
            with suppress(asyncio.TimeoutError):  # a page that is left does not wait for a farewell
                await asyncio.wait_for(page.close(), STEP_S)
        self._without_face += not face and time.monotonic() - begin_s >= FACE_S
        return True
