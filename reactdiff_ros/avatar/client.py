"""One open page: it gets the newest frame, and what it sends is not trusted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

BACKLOG_BYTES = 4096
SEND_TIMEOUT_S = 5.0
BAD_INPUT_LIMIT = 10
INPUT_RATE_LIMIT = 50
"""Messages of a page within ten seconds; ours sends five."""


class Client:
    """A websocket with one slot for the newest frame and one for the newest text of each kind.

    `understands` is given what the page says beside its frame rate, and says whether it means anything.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        understands: Callable[[Client, dict[str, Any]], bool],
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._understands = understands
        self._frame: bytes | None = None
        self._texts: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._inputs = 0
        self._inputs_since = 0.0
        self.fps: float | None = None
        self.wants_candidates = False
        self.sent = 0
        self.dropped = 0
        self.bad_inputs = 0

    def offer(self, frame: bytes) -> None:
        """The newest frame; one that was not sent yet is dropped."""
        if self._frame is not None:
            self.dropped += 1
        self._frame = frame
        self._wake.set()

    def offer_text(self, kind: str, text: str) -> None:
        """The newest text of this kind."""
        self._texts[kind] = text
        self._wake.set()

    def offer_candidates(self, candidates: str) -> None:
        """The newest candidates, for a page that asked for them."""
        if self.wants_candidates:
            self.offer_text("candidates", candidates)

    async def run(self) -> None:
        """Until the page goes, or misbehaves."""
        sender = asyncio.ensure_future(self._send())
        try:
            await self._receive()
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def close(self, code: int, reason: str) -> None:
        """Close with a sentence; a page that does not answer is not waited for."""
        with contextlib.suppress(asyncio.TimeoutError, ConnectionError, RuntimeError):
            await asyncio.wait_for(self._socket.close(code=code, message=reason.encode()), 1.0)

    def _congested(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > BACKLOG_BYTES

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        stuck_since: float | None = None
        while not self._socket.closed:
            await self._wake.wait()
            self._wake.clear()
            if self._congested():
                stuck_since = loop.time() if stuck_since is None else stuck_since
                if loop.time() - stuck_since > SEND_TIMEOUT_S and self._transport is not None:
                    self._transport.abort()
                    return
                continue
            stuck_since = None
            frame, self._frame = self._frame, None
            texts, self._texts = list(self._texts.values()), {}
            try:
                if frame is not None:
                    await self._socket.send_bytes(frame)
                    self.sent += 1
                for text in texts:
                    await self._socket.send_str(text)
            except (ConnectionError, RuntimeError):
                if self._transport is not None:
                    self._transport.abort()
                return

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.ERROR:
                break
            if self._too_often():
                await self.close(WSCloseCode.POLICY_VIOLATION, "Too many messages.")
                break
            if not self._understood(message.data if message.type is WSMsgType.TEXT else None):
                self.bad_inputs += 1
                if self.bad_inputs >= BAD_INPUT_LIMIT:
                    await self.close(WSCloseCode.POLICY_VIOLATION, "These messages mean nothing here.")
                    break

    def _too_often(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._inputs_since > 10.0:
            self._inputs, self._inputs_since = 0, now
        self._inputs += 1
        return self._inputs > INPUT_RATE_LIMIT

    def _understood(self, text: str | None) -> bool:
        """Take a page's report {"fps": number, ...}; False for anything else."""
        if text is None:
            return False
        try:
            report = json.loads(text)
        except (ValueError, RecursionError):
            return False
        fps = report.get("fps") if isinstance(report, dict) else None
        if not isinstance(fps, (int, float)) or isinstance(fps, bool) or not 0 <= fps <= 1000:
            return False
        if not self._understands(self, report):
            return False
        self.fps = round(float(fps), 1)
        return True
