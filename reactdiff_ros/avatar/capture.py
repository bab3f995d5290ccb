"""What a visitor's browser sees and hears, handed on to the node that takes it. Nothing of it is read here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from reactdiff_ros.avatar.connections import kept

MESSAGE_BYTES: Final = 256 * 1024
VISITORS: Final = 4
"""Connections at the same time: one visitor's, and some that are being refused."""
GOODBYE_S: Final = 2.0
"""A page that does not answer the end of its visit keeps its connection for this long."""
NO_VISITORS: Final = "This robot has its own camera and microphone."
FULL: Final = "Too many visitors offer their cameras: try again."


class CaptureRelay:
    """Websockets of visitors, each tied to a stream socket.

    Messages follow their length there (uint32, little-endian), both ways; one that begins with { goes to the page as
    text.

    Args:
        to: the abstract socket to connect to, or what makes a connected one; empty: no one takes pictures.
    """

    def __init__(self, to: str | Callable[[], socket.socket] = "") -> None:
        self._to = to
        self._count = 0

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Handler of the address of the websockets."""
        opened = web.WebSocketResponse(timeout=GOODBYE_S, heartbeat=15.0, max_msg_size=MESSAGE_BYTES, compress=False)
        if not opened.can_prepare(request).ok:
            text = "This is a websocket: connect with ws://.\n"
            return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
        self._count += 1
        try:
            with kept(request):
                await opened.prepare(request)
                if self._count > VISITORS:
                    await opened.close(code=WSCloseCode.TRY_AGAIN_LATER, message=FULL.encode())
                else:
                    await self._relay(opened)
        finally:
            self._count -= 1
        return opened

    async def _relay(self, page: web.WebSocketResponse) -> None:
        try:
            if not self._to:
                raise FileNotFoundError
            if callable(self._to):
                reader, writer = await asyncio.open_connection(sock=self._to())
            else:
                reader, writer = await asyncio.open_unix_connection(self._to)
        except OSError:
            await page.close(code=WSCloseCode.TRY_AGAIN_LATER, message=NO_VISITORS.encode())
            return
        back = asyncio.ensure_future(_answers(reader, page))
        try:
            async for message in page:
                if message.type is not WSMsgType.BINARY:
                    break
                writer.write(len(message.data).to_bytes(4, "little") + message.data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await back


async def _answers(reader: asyncio.StreamReader, page: web.WebSocketResponse) -> None:
    """From the node to the page, until one of them ends; then the page's connection ends too."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, RuntimeError):
        while True:
            message = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little"))
            await (page.send_str(message.decode()) if message.startswith(b"{") else page.send_bytes(message))
    with contextlib.suppress(ConnectionError, RuntimeError):
        await page.close(code=WSCloseCode.GOING_AWAY)
