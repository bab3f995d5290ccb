"""One web server for pages and for the ARKit output: bounded connections, websockets that get the newest frames.

Each client has a short queue of frames: one that cannot keep up loses the oldest and never holds up the others. What a
client sends is not trusted: its size, rate and content are limited.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from reactdiff_ros.avatar.connections import BoundedServer, kept
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.settings import is_number

MESSAGE_BYTES: Final = 4096
BACKLOG_BYTES: Final = 4096
SEND_BUFFER_BYTES: Final = 8192
SOUNDS: Final = 200
"""Pieces of sound that may wait for a client."""
AGAIN_S: Final = 0.02
SEND_TIMEOUT_S: Final = 5.0
"""A client that reads nothing for this long is disconnected."""
BAD_INPUT_LIMIT: Final = 10
INPUT_RATE_LIMIT: Final = 50
"""Messages of a client within ten seconds; our page sends five."""
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")


class Client:
    """A websocket with a queue of the newest frames and one slot for the newest text of each kind.

    Args:
        opened: the websocket.
        transport: of its connection.
        queue: frames that may wait; of more the oldest is dropped.
        understood: takes a JSON object that the client sent; False: it means nothing. None: messages are ignored.
    """

    def __init__(
        self, opened: web.WebSocketResponse, transport: asyncio.Transport | None, queue: int,
        understood: Callable[[Client, dict[str, Any]], bool] | None,
    ) -> None:  # fmt: skip
        self._socket, self._transport, self._understood = opened, transport, understood
        self.waiting: deque[bytes | str] = deque(maxlen=queue)
        self._sounds: deque[bytes] = deque(maxlen=SOUNDS)
        self._texts: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._inputs = 0
        self._inputs_since = 0.0
        self.fps: float | None = None
        self.wants: frozenset[str] = frozenset()
        self.dropped = 0
        self.bad_inputs = 0

    def offer(self, frame: bytes | str) -> None:
        """The newest frame."""
        self.dropped += len(self.waiting) == self.waiting.maxlen
        self.waiting.append(frame)
        self._wake.set()

    def offer_sound(self, piece: bytes) -> None:
        """The next piece of sound."""
        self._sounds.append(piece)
        self._wake.set()

    def offer_text(self, kind: str, text: str) -> None:
        """The newest text of this kind."""
        self._texts[kind] = text
        self._wake.set()

    async def run(self) -> None:
        """Until the client goes, or misbehaves."""
        sender = asyncio.ensure_future(self._send())
        try:
            await self._receive()
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def close(self, code: int, reason: str) -> None:
        """Close with a sentence; a client that does not answer is not waited for."""
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
            if self._sounds:  # what cannot be sent now
                loop.call_later(AGAIN_S, self._wake.set)
            if self._congested():
                stuck_since = loop.time() if stuck_since is None else stuck_since
                if loop.time() - stuck_since > SEND_TIMEOUT_S and self._transport is not None:
                    self._transport.abort()
                    return
                continue
            stuck_since = None
            texts, self._texts = list(self._texts.values()), {}
            try:
                while self.waiting and not self._congested():
                    frame = self.waiting.popleft()
                    await (self._socket.send_str(frame) if isinstance(frame, str) else self._socket.send_bytes(frame))
                for text in texts:
                    await self._socket.send_str(text)
                while self._sounds and not self._congested():
                    await self._socket.send_bytes(self._sounds.popleft())
            except (ConnectionError, RuntimeError):
                if self._transport is not None:
                    self._transport.abort()
                return

    async def _receive(self) -> None:
        async for message in self._socket:  # reading also answers pings and the close
            if message.type is WSMsgType.ERROR:
                break
            if self._understood is None:
                continue
            if self._too_often():
                await self.close(WSCloseCode.POLICY_VIOLATION, "Too many messages.")
                break
            if not self._accepted(message.data if message.type is WSMsgType.TEXT else None):
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

    def _accepted(self, text: str | None) -> bool:
        """Take a page's report {"fps": number, ...}; False for anything else."""
        if text is None or self._understood is None:
            return False
        try:
            report = json.loads(text)
        except (ValueError, RecursionError):
            return False
        fps = report.get("fps") if isinstance(report, dict) else None
        if not is_number(fps) or not 0 <= fps <= 1000:
            return False
        if not self._understood(self, report):
            return False
        self.fps = round(float(fps), 1)
        return True


class WebServer:
    """Serves one address and its websockets. `start` and `stop` run on an event loop.

    Args:
        host: address to bind.
        ports: tried one after the other; 0 = any free one.
        max_clients: websockets that may be open at the same time.
        queue: frames that may wait for one of them.
    """

    name = "the server"
    """For error messages."""
    scheme = "http"
    goodbye = "The server stops."
    reads_clients = False
    """Whether `understood` is asked about what clients send; else it is ignored."""

    def __init__(self, host: str, ports: Sequence[int], max_clients: int, queue: int = 1) -> None:
        self._host, self._ports, self._max_clients, self._queue = host, ports, max_clients, queue
        self.url = ""
        self.encryption: ssl.SSLContext | None = None
        """Of the connections; None: they are not encrypted."""
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: BoundedServer | None = None
        self._refused_clients = 0
        self._past_bad_inputs = 0
        self._past_dropped = 0

    # ---- what a server adds

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Its addresses."""
        raise NotImplementedError

    def refuses(self, request: web.Request) -> web.Response | None:
        """The answer to a request that may not pass, or None."""
        return None

    def greet(self, client: Client) -> None:
        """Give a client that has just connected what it needs."""

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """Take a JSON object of a client; False: it means nothing here."""
        return True

    # ---- life

    async def start(self) -> str:
        """Serve; returns the address. Raises DeviceError if no port could be bound."""
        if self._server is not None:
            return self.url
        self._loop = asyncio.get_running_loop()
        app = web.Application(middlewares=[self._checked], client_max_size=MESSAGE_BYTES)
        app.on_shutdown.append(self._hang_up)
        self.add_routes(app.router)
        server = BoundedServer(app, self._max_clients)
        try:
            port = await self._bind(server)
        except BaseException:
            await server.stop()
            raise
        self._server = server
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        self.url = f"{self.scheme}{'s' if self.encryption else ''}://{f'[{host}]' if ':' in host else host}:{port}/"
        return self.url

    async def stop(self) -> None:
        """Say goodbye to every client and free the port. Twice is fine."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        self._loop, self.url = None, ""

    @property
    def fault(self) -> str:
        """What is wrong with the connections; empty: nothing is. From any thread."""
        server = self._server
        return "" if server is None else server.fault

    @property
    def clients(self) -> int:
        """How many websockets are open."""
        return len(self._clients)

    @property
    def dropped(self) -> int:
        """Frames that clients did not take in time."""
        return self._past_dropped + sum(client.dropped for client in tuple(self._clients))

    async def _bind(self, server: BoundedServer) -> int:
        for port in self._ports:
            try:
                return (await server.start(self._host, port, self.encryption))[1]
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                what, where = f"{self.name} cannot be served, {error.strerror or error}", f"{self._host}:{port}"
                raise DeviceError(what, where=where, todo="set another host or port") from error
        one = len(self._ports) == 1
        what = f"{self.name} cannot be served, {'the port is' if one else 'all ports are'} in use"
        span = str(self._ports[0]) if one else f"{self._ports[0]} to {self._ports[-1]}"
        raise DeviceError(what, where=f"{self._host}:{span}", todo="stop what uses it or set another port")

    async def _hang_up(self, _app: web.Application) -> None:
        for client in list(self._clients):
            await client.close(WSCloseCode.GOING_AWAY, self.goodbye)

    def call(self, work: Callable[[], None]) -> bool:
        """Run `work` on the event loop, from any thread; False: the server does not run."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop was closed under us
            return False
        return True

    # ---- requests

    @web.middleware
    async def _checked(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        refused = self.refuses(request)
        if refused is not None:
            refused.headers.update(HEADERS)
            return refused
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Handler of the address of the websockets."""
        opened = web.WebSocketResponse(heartbeat=15.0, max_msg_size=MESSAGE_BYTES, compress=False)
        if not opened.can_prepare(request).ok:
            text = "This is a websocket: connect with ws://.\n"
            return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
        _small_buffer(request)
        understood = self.understood if self.reads_clients else None
        client = Client(opened, request.transport, self._queue, understood)
        most = self._max_clients if self._server is None else self._server.clients
        full = len(self._clients) >= most
        if not full:
            self._clients.add(client)  # before anything is awaited: clients that come meanwhile are counted
        try:
            with kept(request):
                await opened.prepare(request)
                if full:
                    self._refused_clients += 1
                    reason = f"All {most} places are taken: close another client of this server."
                    await opened.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode())
                else:
                    self.greet(client)
                    await client.run()
        finally:
            if not full:
                self._clients.discard(client)
                self._past_bad_inputs += client.bad_inputs
                self._past_dropped += client.dropped
        return opened


def _small_buffer(request: web.Request) -> None:
    """Keep the kernel from storing seconds of stale frames for a client that does not read."""
    sock = request.transport.get_extra_info("socket") if request.transport is not None else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class EventLoop:
    """An asyncio loop in its own thread, where a server runs next to other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="avatar", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _T], timeout_s: float = 5.0) -> _T:
        """Run a coroutine there and wait for what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._loop.close()
