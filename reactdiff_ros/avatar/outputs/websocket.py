"""ARKit JSON over a websocket: every client gets every frame as text, one that does not read loses the oldest."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections import deque
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from reactdiff_ros.avatar.connections import BoundedServer, kept
from reactdiff_ros.avatar.outputs.arkit import encode
from reactdiff_ros.avatar.outputs.config import Target
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.types import ExpressionFrame

QUEUE = 10
"""Frames that wait for one client, 0.2 s; the oldest are dropped."""
MAX_CLIENTS = 20
STUCK_S = 5.0
"""A client that takes nothing for so long is disconnected."""
SEND_BUFFER_BYTES = 16 * 1024
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class _Client:
    def __init__(self, opened: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket, self._transport = opened, transport
        self._queue: deque[str] = deque(maxlen=QUEUE)
        self._wake = asyncio.Event()
        self.dropped = 0

    def offer(self, text: str) -> None:
        self.dropped += len(self._queue) == QUEUE
        self._queue.append(text)
        self._wake.set()

    async def send(self) -> None:
        """Until the client goes, or takes nothing for too long."""
        while not self.socket.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                try:
                    await asyncio.wait_for(self.socket.send_str(self._queue.popleft()), STUCK_S)
                except (asyncio.TimeoutError, ConnectionError, RuntimeError):
                    self.abort()
                    return

    def abort(self) -> None:
        """End the connection without waiting."""
        if self._transport is not None:
            self._transport.abort()


class ArkitServer:
    """Serves `ws://HOST:PORT/`. `start` and `stop` run on an event loop, `show` on any thread.

    A browser says from which page a connection comes: pages of this machine may connect, others only when they are
    named in `origins`. Programs say nothing and may connect.
    """

    def __init__(self, target: Target, origins: tuple[str, ...] = ()) -> None:
        self.target, self._origins = target, frozenset(o.lower() for o in origins)
        self.url = ""
        self._clients: set[_Client] = set()
        self._most_clients = MAX_CLIENTS
        self._gone_dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: BoundedServer | None = None
        self._number = 0
        self._newest: str | None = None
        self._lock = threading.Lock()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    @property
    def dropped(self) -> int:
        """Frames that clients did not take in time."""
        return self._gone_dropped + sum(client.dropped for client in tuple(self._clients))

    @property
    def trouble(self) -> str:
        """What is wrong with the connections; empty: nothing is. From any thread."""
        server = self._server
        return "" if server is None else server.trouble

    async def start(self) -> str:
        """Serve; returns the address. Raises DeviceError if the port cannot be had."""
        if self._server is not None:
            return self.url
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=4096)
        app.router.add_get("/", self._websocket)
        app.on_shutdown.append(self._hang_up)
        server = BoundedServer(app, MAX_CLIENTS)
        try:
            host, port = await server.start(self.target.host, self.target.port)
        except OSError as error:
            await server.stop()
            used = error.errno == errno.EADDRINUSE
            reason = "the port is in use" if used else (error.strerror or str(error))
            todo = "stop what uses it or give another port" if used else "give an address of this machine"
            where = str(self.target)
            raise DeviceError(f"the output arkit cannot be served, {reason}", where=where, todo=todo) from error
        self._server, self._most_clients = server, server.clients
        self.url = f"ws://{f'[{host}]' if ':' in host else host}:{port}/"
        return self.url

    async def stop(self) -> None:
        """Say goodbye to every client and free the port. Twice is fine."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        self._loop, self.url = None, ""

    def show(self, frame: ExpressionFrame) -> None:
        """Send a frame to all clients, from any thread; never waits."""
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            self._number += 1
            text = encode(frame, self._number)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._offer, text)

    def _offer(self, text: str) -> None:
        self._newest = text
        for client in self._clients:
            client.offer(text)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and not self._welcome(origin):
            sentence = f"Pages of {origin[:80]} may not connect; name them in the parameter origins."
            raise web.HTTPForbidden(text=sentence)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPUpgradeRequired(text="This is a websocket: connect with ws://.")
        if len(self._clients) >= self._most_clients:
            raise web.HTTPServiceUnavailable(
                text=f"{self._most_clients} clients are connected, which is all there may be."
            )
        opened = web.WebSocketResponse(heartbeat=20.0, max_msg_size=4096, compress=False)
        raw = request.transport.get_extra_info("socket") if request.transport is not None else None
        if raw is not None:
            # A small buffer: what a client does not read is dropped here, not sent to it minutes later.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(opened, request.transport)
        if self._newest is not None:
            client.offer(self._newest)
        self._clients.add(client)  # before anything is waited for: those who come meanwhile are counted against it
        sender: asyncio.Future[None] | None = None
        try:
            with kept(request):
                await opened.prepare(request)
                sender = asyncio.ensure_future(client.send())
                async for message in opened:  # nothing is expected of a client; reading answers its pings and its close
                    if message.type is WSMsgType.ERROR:
                        break
        finally:
            self._clients.discard(client)
            self._gone_dropped += client.dropped
            if sender is not None:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await sender
        return opened

    def _welcome(self, origin: str) -> bool:
        try:
            host = urlsplit(origin).hostname
        except ValueError:
            return False
        return host in LOCAL or origin.lower() in self._origins

    async def _hang_up(self, _app: web.Application) -> None:
        for client in list(self._clients):
            with contextlib.suppress(asyncio.TimeoutError, ConnectionError, RuntimeError):
                await asyncio.wait_for(
                    client.socket.close(code=WSCloseCode.GOING_AWAY, message=b"The robot stops."), 1.0
                )
