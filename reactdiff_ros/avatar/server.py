"""The screen face's server: page, websocket and REST on one port of this machine."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, web

from reactdiff_ros.avatar.client import Client
from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.guard import Guard
from reactdiff_ros.avatar.pages import PageFile, load_pages
from reactdiff_ros.avatar.wire import candidate_curves, encode_frame, frame_as_dict, to_json
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.types import ExpressionFrame, FloatArray

MESSAGE_BYTES = 4096
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AvatarServer:
    """Shows the face in browsers. `start` and `stop` run on an event loop; `show` and `status` on any thread.

    Every page gets the newest frame: one that cannot keep up misses frames and never holds up the others.
    """

    def __init__(self, config: AvatarConfig | None = None) -> None:
        self.config = config or AvatarConfig()
        self.url = ""
        self._guard = Guard(self.config.host, self.config.extra_hosts)
        self._pages: dict[str, PageFile] = {}
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._frame: ExpressionFrame | None = None
        self._message: bytes | None = None
        self._shown_at = 0.0
        self._count = 0
        self._rejected = 0
        self._refused_clients = 0
        self._bad_inputs = 0
        self._status: dict[str, Any] = {}
        self._error = ""
        self._wake_pending = False
        self._lock = threading.Lock()

    # ---- life

    async def start(self) -> str:
        """Serve; returns the page's address. Raises DeviceError if no port could be bound."""
        if self._runner is not None:
            return self.url
        self._loop = asyncio.get_running_loop()
        self._wake_pending = False
        self._pages = load_pages(self.config.look)
        app = web.Application(middlewares=[self._checked], client_max_size=MESSAGE_BYTES)
        app.on_shutdown.append(self._hang_up)
        app.router.add_get("/", self._index)
        app.router.add_get("/ws", self._websocket)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/api/status", self._api_status)
        app.router.add_get("/api/expression", self._api_expression)
        app.router.add_get("/{name}", self._file)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await runner.setup()
        try:
            port = await self._bind(runner)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self.url = f"http://{self._shown_host()}:{port}/"
        return self.url

    async def stop(self) -> None:
        """Say goodbye to every page and free the port. Twice is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self._loop = None
        self.url = ""

    async def _bind(self, runner: web.AppRunner) -> int:
        first = self.config.port
        ports = [0] if first == 0 else list(range(first, min(first + self.config.port_tries, 65536)))
        for port in ports:
            site = web.TCPSite(runner, self.config.host, port, backlog=128)
            try:
                await site.start()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    await site.stop() if site in runner.sites else None
                    continue
                where = f"{self.config.host}:{port}"
                reason = error.strerror or str(error)
                raise DeviceError(
                    f"the face's page cannot be served, {reason}", where=where, todo="set another host or port"
                ) from error
            return int(runner.addresses[0][1])
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

    # ---- what is shown

    def show(self, frame: ExpressionFrame) -> None:
        """Show `frame`, from any thread. A malformed frame is dropped and reported; nothing is raised."""
        with self._lock:
            try:
                self._message = encode_frame(frame, self._count + 1)
            except (ValueError, TypeError, AttributeError) as error:
                self._rejected += 1
                self._error = f"an expression frame was dropped: {error}"
                return
            self._count += 1
            self._frame = frame
        if not self._wake_pending:
            self._wake_pending = True  # before the call: the loop may clear it at once
            if not self._call(self._wake):
                self._wake_pending = False

    def status(self, status: dict[str, Any]) -> None:
        """Show `status` in the pages' panels, from any thread; 1 to 4 times a second is enough.

        Known keys: speaker, rates_hz, latency_ms, listener (dicts of numbers, texts, flags), last_error (text) and
        recording (text: what is recorded now; the page shows it beside the face, for people must know).
        Other keys are shown as they are.
        """
        self._status = dict(status)
        self._call(self._send_status)

    def wants_candidates(self) -> bool:
        """Whether a page shows the candidates now. From any thread."""
        return any(client.wants_candidates for client in tuple(self._clients))

    def candidates(self, candidates: FloatArray, chosen: int, rate_hz: float) -> None:
        """Show the candidates (K, horizon, 58) of a plan in the pages that ask for them, from any thread."""
        text = to_json({"type": "candidates", **candidate_curves(candidates, chosen, rate_hz)})

        def send() -> None:
            for client in self._clients:
                client.offer_candidates(text)

        self._call(send)

    def _call(self, work: Callable[[], None]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop was closed under us: the page is gone, the face's owner goes on
            return False
        return True

    def _wake(self) -> None:
        self._wake_pending = False
        if self._loop is not None and self._message is not None:
            self._shown_at = self._loop.time()
            for client in self._clients:
                client.offer(self._message)

    def _send_status(self) -> None:
        text = to_json({"type": "status", **self._report()})
        for client in self._clients:
            client.offer_status(text)

    def fresh(self) -> bool:
        """Whether an expression came within the last `stale_s`."""
        return (
            self._loop is not None
            and self._message is not None
            and self._loop.time() - self._shown_at <= self.config.stale_s
        )

    def _report(self) -> dict[str, Any]:
        fresh, clients = self.fresh(), tuple(self._clients)
        reason = "" if fresh else f"no expression for {self.config.stale_s:g} s: the face is neutral"
        return {
            "graph": self._status,
            "page": {
                "url": self.url,
                "look": self.config.look,
                "clients": len(clients),
                "clients_fps": [c.fps for c in clients],
                "frames": self._count,
                "frames_dropped": sum(c.dropped for c in clients),
                "frames_rejected": self._rejected,
                "clients_refused": self._refused_clients,
                "bad_inputs": self._bad_inputs,
                "fresh": fresh,
                "stale_s": self.config.stale_s,
                "reason": reason,
                "last_error": self._error,
            },
        }

    def stats(self) -> dict[str, Any]:
        """Counters of the page for status and diagnostics: url, clients, fps, frames, dropped, last_error."""
        return dict(self._report()["page"])

    # ---- requests

    @web.middleware
    async def _checked(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        reason = self._guard.refuses(request.headers.get("Host"), request.headers.get("Origin"))
        if reason is not None:
            return web.Response(status=403, text=reason + "\n", headers=_HEADERS)
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

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return _json({"ok": True, "fresh": self.fresh(), "clients": len(self._clients)})

    async def _api_status(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._report())

    async def _api_expression(self, _request: web.Request) -> web.StreamResponse:
        frame = self._frame
        return _json({"fresh": self.fresh(), "expression": None if frame is None else frame_as_dict(frame)})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(heartbeat=15.0, max_msg_size=MESSAGE_BYTES, compress=False)
        if not socket_.can_prepare(request).ok:
            return web.Response(status=426, text="This address is for websockets.\n", headers={"Upgrade": "websocket"})
        _small_buffer(request)
        await socket_.prepare(request)
        if len(self._clients) >= self.config.max_clients:
            self._refused_clients += 1
            reason = f"All {self.config.max_clients} places are taken: close another page of this face."
            await socket_.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode())
            return socket_
        client = Client(socket_, request.transport)
        self._clients.add(client)
        try:
            client.offer_status(to_json({"type": "status", **self._report()}))
            if self._message is not None and self.fresh():
                client.offer(self._message)
            await client.run()
        finally:
            self._clients.discard(client)
            self._bad_inputs += client.bad_inputs
        return socket_


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(text=to_json(value), content_type="application/json", headers={"Cache-Control": "no-store"})


def _small_buffer(request: web.Request) -> None:
    """Keep the kernel from storing seconds of stale frames for a page that does not read."""
    sock = request.transport.get_extra_info("socket") if request.transport is not None else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
