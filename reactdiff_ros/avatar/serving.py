"""What every page of ours is served by: one port of this machine, checked requests, pages that get the newest frame."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, web

from reactdiff_ros.avatar.client import Client
from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.connections import BoundedServer, kept
from reactdiff_ros.avatar.guard import Guard
from reactdiff_ros.avatar.link import Door, is_this_machine
from reactdiff_ros.avatar.pages import PageFile, load_pages
from reactdiff_ros.avatar.wire import to_json
from reactdiff_ros.errors import DeviceError

MESSAGE_BYTES = 4096
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serves one page and its websocket. `start` and `stop` run on an event loop.

    Every page gets the newest frame: one that cannot keep up misses frames and never holds up the others.
    """

    folders: tuple[str, ...] = ("page",)
    """Where the page's files are; of two with the same name the later folder's is served."""

    open_to_all: frozenset[str] = frozenset()
    """Addresses that ask for no token beyond this machine either."""

    def __init__(self, config: AvatarConfig | None = None, link_token: str = "") -> None:
        """`link_token` is asked for where the page is served beyond this machine; empty: a new one."""
        self.config = config or AvatarConfig()
        self._door = None if is_this_machine(self.config.host) else Door(link_token)
        self.url = ""
        self._guard = Guard(self.config.host, self.config.extra_hosts)
        self._pages: dict[str, PageFile] = {}
        self._clients: set[Client] = set()
        self._most_clients = self.config.max_clients
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: BoundedServer | None = None
        self._refused_clients = 0
        self._bad_inputs = 0

    # ---- what a page of its own adds

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Addresses beside the page's files and its websocket."""

    def greet(self, client: Client) -> None:
        """Give a page that was just opened what it needs."""

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """Take what a page says beyond its frame rate; False: it means nothing here."""
        return True

    @property
    def link_token(self) -> str:
        """What the page's link holds; empty: the page asks for nothing."""
        return "" if self._door is None else self._door.token

    # ---- life

    async def start(self) -> str:
        """Serve; returns the page's address. Raises DeviceError if no port could be bound."""
        if self._server is not None:
            return self.url
        self._loop = asyncio.get_running_loop()
        self._pages = load_pages(self.config.look, self.folders)
        app = web.Application(middlewares=[self._checked], client_max_size=MESSAGE_BYTES)
        app.on_shutdown.append(self._hang_up)
        app.router.add_get("/", self._index)
        app.router.add_get("/ws", self._websocket)
        self.add_routes(app.router)
        app.router.add_get("/{name}", self._file)
        server = BoundedServer(app, self.config.max_clients)
        try:
            port = await self._bind(server)
        except BaseException:
            await server.stop()
            raise
        self._server, self._most_clients = server, server.clients
        self.url = f"http://{self._shown_host()}:{port}/"
        return self.url

    async def stop(self) -> None:
        """Say goodbye to every page and free the port. Twice is fine."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        self._loop = None
        self.url = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the connections; empty: nothing is. From any thread."""
        server = self._server
        return "" if server is None else server.trouble

    async def _bind(self, server: BoundedServer) -> int:
        first = self.config.port
        ports = [0] if first == 0 else list(range(first, min(first + self.config.port_tries, 65536)))
        for port in ports:
            try:
                return (await server.start(self.config.host, port))[1]
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                where = f"{self.config.host}:{port}"
                reason = error.strerror or str(error)
                raise DeviceError(
                    f"the face's page cannot be served, {reason}", where=where, todo="set another host or port"
                ) from error
        span = f"{ports[0]} to {ports[-1]}"
        raise DeviceError(
            "the face's page cannot be served, all ports are in use",
            where=f"{self.config.host}, {span}",
            todo="stop what uses them or set another port",
        )

    def _shown_host(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)
        return f"[{host}]" if ":" in host and not host.startswith("[") else host

    async def _hang_up(self, _app: web.Application) -> None:
        for client in list(self._clients):
            await client.close(WSCloseCode.GOING_AWAY, "The face's server stops.")

    def _call(self, work: Callable[[], None]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop was closed under us: the page is gone, the face's owner goes on
            return False
        return True

    # ---- requests

    @web.middleware
    async def _checked(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        reason = self._guard.refuses(request.headers.get("Host"), request.headers.get("Origin"))
        if reason is not None:
            return web.Response(status=403, text=reason + "\n", headers=_HEADERS)
        if self._door is not None and request.path not in self.open_to_all:
            answer = self._door.refuses(request) or self._door.welcome(request)
            if answer is not None:
                answer.headers.update(_HEADERS)
                return answer
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(_HEADERS)
            raise
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, request.match_info["name"])

    def _page(self, request: web.Request, name: str) -> web.StreamResponse:
        page = self._pages.get(name)
        if page is None:
            raise web.HTTPNotFound(text="There is no such page.\n")
        headers = {"ETag": page.etag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == page.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=page.body, content_type=page.content_type, charset="utf-8", headers=headers)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(heartbeat=15.0, max_msg_size=MESSAGE_BYTES, compress=False)
        if not socket_.can_prepare(request).ok:
            return web.Response(status=426, text="This address is for websockets.\n", headers={"Upgrade": "websocket"})
        _small_buffer(request)
        await socket_.prepare(request)
        if len(self._clients) >= self._most_clients:
            self._refused_clients += 1
            reason = f"All {self._most_clients} places are taken: close another page of this face."
            await socket_.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode())
            return socket_
        client = Client(socket_, request.transport, self.understood)
        self._clients.add(client)
        try:
            with kept(request):
                self.greet(client)
                await client.run()
        finally:
            self._clients.discard(client)
            self._bad_inputs += client.bad_inputs
        return socket_


def json_answer(value: dict[str, Any], status: int = 200) -> web.Response:
    """`value` as JSON that nobody keeps."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=to_json(value), status=status, content_type="application/json", headers=headers)


def _small_buffer(request: web.Request) -> None:
    """Keep the kernel from storing seconds of stale frames for a page that does not read."""
    sock = request.transport.get_extra_info("socket") if request.transport is not None else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
