"""A server with bounded connections: a stop gets through, however many silent connections others open.

A connection that sends nothing, or half a request, costs its sender nothing, and no token is checked before a request
is whole. So a newcomer is never refused: when all places are taken, the connection that has sent no whole request for
the longest time is ended. Its sender has to open it again and again; a request that is sent at once is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import hdrs, web

HEADERS_S: Final = 5.0
"""From the opening of a connection, or the first byte of its next request, to the end of the headers."""
BODY_S: Final = 5.0
"""From the end of the headers to the end of the body."""
HEAD_BYTES: Final = 64 * 1024
"""A connection that has sent more without a whole request is not read any further."""
IDLE_S: Final = 75.0
"""A connection without a next request is closed after this time."""
PLACES: Final = 4
"""Connections for each websocket that may be open: three quarters of them remain for requests, a stop among them."""
FEWEST_PLACES: Final = 64
"""A browser that opens a page takes seven."""
CROWDED_S: Final = 120.0
"""How long the lack of places is reported: a report and its end are two lines of a log."""
_QUEUE: Final = 1024
_IN_A_ROW: Final = 8
"""Connections that are accepted before the loop looks at those it has."""
_TURNS: Final = 5
"""Turns of the loop until a request that was sent with its connection has been read: the connection stays until then,
however many newcomers there are."""
_NAME: Final = "http"
"""What answers call the server, in place of the versions of Python and aiohttp."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _open_files() -> int:
    """How many files and sockets this process may have open."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if files == resource.RLIM_INFINITY else files


class _Connection(web.RequestHandler):
    def __init__(self, owner: BoundedServer, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        quiet: Any = None  # no log of requests
        super().__init__(
            server, loop=loop, access_log=quiet, keepalive_timeout=IDLE_S, lingering_time=BODY_S, auto_decompress=False
        )
        self._owner = owner
        self._wire: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._unused_bytes = 0
        self._early: list[bytes] = []
        self.address = ""
        self.fresh = True
        self.kept = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = transport
        self.address = _network(transport.get_extra_info("peername"))
        self._limit()
        self._grow_old(_TURNS)
        self._owner.entered(self)
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._no_limit()
        self._owner.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._wire is None:  # with the last message of the encryption's beginning
            self._early.append(data)
            return
        if not self._busy:
            if self._timer is None:
                self._limit()
            self._unused_bytes += len(data)
            if self._unused_bytes > HEAD_BYTES and self.transport is not None:
                self.transport.pause_reading()
        super().data_received(data)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if status == 400 or self._wire is None or self._wire.is_closing():
            # No HTTP, or a sender that went before its body was whole: aiohttp would log a traceback each time.
            answer: web.StreamResponse = web.Response(status=status, text=message)
            answer.force_close()
        else:
            answer = super().handle_error(request, status, exc, message)
        answer.headers[hdrs.SERVER] = _NAME
        return answer

    @contextlib.contextmanager
    def request_under_way(self) -> Iterator[None]:
        self._no_limit()
        self._busy, self._unused_bytes = True, 0
        self._owner.used(self)
        try:
            yield
        finally:
            self._busy = False

    def end(self) -> None:
        """End the connection at once, even if data is still to be sent."""
        if isinstance(self._wire, asyncio.WriteTransport):
            self._wire.abort()

    def _grow_old(self, turns: int) -> None:
        self.fresh = turns > 0
        if self.fresh:
            asyncio.get_running_loop().call_soon(self._grow_old, turns - 1)

    def _limit(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEADERS_S, self.end)

    def _no_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Door(asyncio.Protocol):
    """A connection that is not encrypted yet: it takes its place, and gives it to `inside` once it is.

    Args:
        owner: whose place it takes.
        inside: what speaks HTTP.
        context: of the encryption.
    """

    fresh = kept = False

    def __init__(self, owner: BoundedServer, inside: _Connection, context: ssl.SSLContext) -> None:
        self._owner, self._inside, self._context = owner, inside, context
        self._wire: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self.address = _network(transport.get_extra_info("peername"))
        self._owner.entered(self)
        self._task = asyncio.ensure_future(self._open(transport))

    def end(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    async def _open(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(
                transport, self._inside, self._context, server_side=True, ssl_handshake_timeout=HEADERS_S
            )
        except (OSError, asyncio.TimeoutError):  # it speaks no TLS, distrusts the certificate, is slow, or went
            encrypted = None
        self._owner.left(self)
        if encrypted is None or encrypted.is_closing():
            transport.abort()
        else:
            self._inside.connection_made(encrypted)


class BoundedServer:
    """Serves an application on one TCP port. `start` and `stop` run on an event loop.

    It has PLACES connections for each websocket, FEWEST_PLACES at least, unless that is more than half of the files
    that the process may open. One address has at most half of them (one /64 network for IPv6). Where there are too
    many, the one whose last whole request is the longest ago is ended, of that address or of all. Those that are `kept`
    stay.

    Args:
        app: what is served; not started yet.
        clients: websockets that may be open at the same time.
    """

    def __init__(self, app: web.Application, clients: int) -> None:
        app.middlewares.insert(0, self._noted)
        app.on_response_prepare.append(_rename)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        self._places = max(PLACES * clients, FEWEST_PLACES)
        self._places = min(self._places, _open_files() // 2)
        self.clients = min(clients, self._places // 2)
        """Websockets that the application may keep open."""
        self._open: dict[_Connection | _Door, None] = {}  # the one whose last request is the longest ago comes first
        self._listening: asyncio.Server | None = None
        self._crowded_s: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._others_errors: Any = None

    async def start(self, host: str, port: int, context: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Serve, encrypted where there is a `context`; returns address and port.

        Raises OSError if the port cannot be had: then another may be tried.
        """
        if self._runner.server is None:
            await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._loop = loop = asyncio.get_running_loop()

        def visited() -> asyncio.Protocol:
            inside = _Connection(self, server, loop)
            return inside if context is None else _Door(self, inside, context)

        self._listening = await loop.create_server(visited, host, port, backlog=_IN_A_ROW)
        for listening in self._listening.sockets:
            with listening.dup() as same:  # what waits in the kernel is another number than what is accepted in a row
                same.listen(_QUEUE)
        self._others_errors = loop.get_exception_handler()
        loop.set_exception_handler(self._loop_error)
        address = self._listening.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    async def stop(self) -> None:
        """Free the port and end all connections. Twice is fine."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
            if self._loop is not None and self._loop.get_exception_handler() == self._loop_error:
                self._loop.set_exception_handler(self._others_errors)
        for door in [each for each in self._open if isinstance(each, _Door)]:
            door.end()
        await self._runner.cleanup()

    @property
    def fault(self) -> str:
        """A sentence while there are too many connections and for CROWDED_S after; else empty. From any thread."""
        at, loop = self._crowded_s, self._loop
        if at is None or loop is None or loop.time() - at > CROWDED_S:
            return ""
        return (
            "too many connections: those without a request are ended, requests get through (ss -tn shows the senders)"
        )

    # ---- connections

    def entered(self, newcomer: _Connection | _Door) -> None:
        """A connection was opened: another one may have to go."""
        self._open[newcomer] = None
        share = self._places // 2
        if len(self._open) <= share:
            return
        loose = [each for each in self._open if not each.kept]
        neighbours = [each for each in loose if each.address == newcomer.address]
        if len(neighbours) > share:
            self._push_out(neighbours, len(neighbours) - share)
        elif len(self._open) > self._places:
            self._push_out(loose, len(self._open) - self._places)

    def used(self, connection: _Connection) -> None:
        """A whole request came."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def left(self, connection: _Connection | _Door) -> None:
        """A connection has ended."""
        self._open.pop(connection, None)

    def _push_out(self, loose: list[_Connection | _Door], count: int) -> None:
        self._crowded_s = asyncio.get_running_loop().time()
        for each in sorted(loose, key=lambda connection: connection.fresh)[:count]:  # the order of their age is kept
            self.left(each)
            each.end()

    def _loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Where the process has no file left, asyncio would log each attempt to accept, thousands a minute."""
        failed = context.get("socket")
        own = self._listening.sockets if self._listening is not None else ()
        if failed is not None and failed.fileno() in [each.fileno() for each in own]:
            self._push_out([each for each in self._open if not each.kept], len(self._open))
        elif self._others_errors is not None:
            self._others_errors(loop, context)
        else:
            loop.default_exception_handler(context)

    @web.middleware
    async def _noted(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        with _of(request).request_under_way():
            return await handler(request)


@contextlib.contextmanager
def kept(request: web.Request) -> Iterator[None]:
    """Meanwhile the connection of this request makes no place for others: for open websockets and for commands."""
    connection = _of(request)
    connection.kept = True
    try:
        yield
    finally:
        connection.kept = False


def _of(request: web.Request) -> _Connection:
    connection = request.protocol
    assert isinstance(connection, _Connection)
    return connection


async def _rename(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = _NAME


def _network(peer: Any) -> str:
    """What counts as one address: for IPv6 the /64 network, because its owner has all of its addresses."""
    try:
        address = ipaddress.ip_address(peer[0])
    except (TypeError, ValueError, IndexError):
        return ""
    return str(address if address.version == 4 else ipaddress.ip_network((int(address) >> 64 << 64, 64)))
