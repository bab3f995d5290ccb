"""Servers that speak the robots' published protocols on a free port, in a thread, and can be told to fail."""

import asyncio
import json
import socket
import threading
from typing import Any

from aiohttp import WSMsgType, web


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Robot:
    """A robot's computer: an aiohttp application in a thread."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.got: list[dict[str, Any]] = []
        self.sockets: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())

    def routes(self, app: web.Application) -> None:
        """What it serves."""

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60.0)

    async def _start(self) -> None:
        app = web.Application()
        self.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    def hang_up(self) -> None:
        """End all connections."""
        for opened in list(self.sockets):
            self._run(opened.close())

    def close(self) -> None:
        if self._thread.is_alive():
            self.hang_up()
            self._run(self._runner.cleanup())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)

    async def opened(self, request: web.Request) -> web.WebSocketResponse:
        """A websocket that was opened."""
        found = web.WebSocketResponse()
        await found.prepare(request)
        self.sockets.add(found)
        return found

    async def conversation(self, request: web.Request) -> web.WebSocketResponse:
        """A websocket on which the robot listens until the other side closes it."""
        opened = await self.opened(request)
        async for message in opened:
            if message.type is WSMsgType.TEXT:
                self.got.append(json.loads(message.data))
                await self.heard(opened, self.got[-1])
        self.sockets.discard(opened)
        return opened

    async def heard(self, opened: web.WebSocketResponse, message: dict[str, Any]) -> None:
        """What it does on a message."""


class FakeReachy(Robot):
    """The daemon's websockets and motors; targets become positions at once, as in its --mockup-sim."""

    def __init__(self, port: int = 0) -> None:
        self.pose = {"x": 0.0, "y": 0.0, "z": 0.0, "roll": 0.0, "pitch": 0.3, "yaw": 0.0}
        self.antennas = [-0.5, 0.5]
        self.mode, self.modes, self.talks, self.complaint = "disabled", [], True, ""
        self.answer = 200
        """Of its motors."""
        super().__init__(port)

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/api/move/ws/set_target", self.conversation)
        app.router.add_get("/api/state/ws/full", self._states)
        app.router.add_post("/api/motors/set_mode/{mode}", self._set_mode)

    async def heard(self, opened: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if self.complaint:
            await opened.send_json({"status": "error", "detail": self.complaint})
            return
        self.pose = dict(message["target_head_pose"])
        self.antennas = list(message.get("target_antennas", self.antennas))

    async def _states(self, request: web.Request) -> web.WebSocketResponse:
        opened = await self.opened(request)
        while not opened.closed:
            if self.talks:
                state = {"control_mode": self.mode, "head_pose": self.pose, "antennas_position": self.antennas}
                await opened.send_json(state | {"body_yaw": 0.0, "timestamp": "2026-01-01T00:00:00Z"})
            await asyncio.sleep(0.02)
        self.sockets.discard(opened)
        return opened

    async def _set_mode(self, request: web.Request) -> web.Response:
        if self.answer != 200:
            return web.Response(status=self.answer)
        self.mode = request.match_info["mode"]
        self.modes.append(self.mode)
        return web.json_response({"status": f"motors changed to {self.mode} mode"})


class FakeFurhat(Robot):
    """The realtime API's events, as far as a face needs them."""

    def __init__(self, port: int = 0, key: str = "") -> None:
        self.key = key
        super().__init__(port)

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/v1/events", self.conversation)

    async def heard(self, opened: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["type"] == "request.auth":
            access = message.get("key", "") == self.key
            await opened.send_json({"type": "response.auth", "access": access, "scope": "admin" if access else ""})

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What it got of one kind."""
        return [message for message in self.got if message["type"] == f"request.{kind}"]

    def params(self) -> list[dict[str, float]]:
        """The parameters of every face that it got."""
        return [message["params"] for message in self.of("face.params")]
