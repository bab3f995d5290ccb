"""The screen face's server: page, websocket and REST on one port of this machine."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from aiohttp import web

from reactdiff_ros.avatar.arming import Answer, Desk
from reactdiff_ros.avatar.client import Client
from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.connections import BODY_S, kept
from reactdiff_ros.avatar.link import OPERATOR
from reactdiff_ros.avatar.serving import PageServer, json_answer
from reactdiff_ros.avatar.wire import candidate_curves, encode_frame, frame_as_dict, to_json
from reactdiff_ros.types import ExpressionFrame, FloatArray


class AvatarServer(PageServer):
    """Shows the face in browsers. `start` and `stop` run on an event loop; `show` and `status` on any thread."""

    open_to_all = frozenset({"/healthz", "/api/robot/stop"})
    """Whether it runs, for supervisors; and whoever sees a robot do harm may stop it."""

    def __init__(self, config: AvatarConfig | None = None, desk: Desk | None = None, *, link_token: str = "") -> None:
        """`desk` takes the commands to a robot's actuator; without one, pages have none to give."""
        super().__init__(config, link_token)
        self._desk = desk
        self._frame: ExpressionFrame | None = None
        self._message: bytes | None = None
        self._shown_at = 0.0
        self._count = 0
        self._rejected = 0
        self._status: dict[str, Any] = {}
        self._error = ""
        self._wake_pending = False
        self._lock = threading.Lock()

    async def start(self) -> str:
        """Serve; returns the page's address. Raises DeviceError if no port could be bound."""
        if not self.url:
            self._wake_pending = False
        return await super().start()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The operator's screen; health, status and expression as JSON; commands to the robot."""
        router.add_get(OPERATOR, self._operator)
        router.add_get("/healthz", self._healthz)
        router.add_get("/api/status", self._api_status)
        router.add_get("/api/expression", self._api_expression)
        router.add_post("/api/robot/{command}", self._api_robot)

    def greet(self, client: Client) -> None:
        """The status, and the expression if there is one now."""
        client.offer_text("status", to_json({"type": "status", **self._report()}))
        if self._message is not None and self.fresh():
            client.offer(self._message)

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """{"candidates": whether the page shows them}."""
        wants = report.get("candidates", False)
        if isinstance(wants, bool):
            client.wants_candidates = wants
        return isinstance(wants, bool)

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

        Known keys: speaker, rates_hz, latency_ms, listener (dicts of numbers, texts, flags), last_error (text),
        recording (text: what is recorded now; the page shows it beside the face, for people must know),
        stages (each node's name with its level, message, rate, latency, dropped, missed and silent, for the operator),
        actuator (the robot: state, armed, fault and so on; where it is missing, the page has no panel for it).
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

    def _wake(self) -> None:
        self._wake_pending = False
        if self._loop is not None and self._message is not None:
            self._shown_at = self._loop.time()
            for client in self._clients:
                client.offer(self._message)

    def _send_status(self) -> None:
        text = to_json({"type": "status", **self._report()})
        for client in self._clients:
            client.offer_text("status", text)

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

    async def _operator(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, "operator.html")

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return json_answer({"ok": True, "fresh": self.fresh(), "clients": len(self._clients)})

    async def _api_status(self, _request: web.Request) -> web.StreamResponse:
        return json_answer(self._report())

    async def _api_expression(self, _request: web.Request) -> web.StreamResponse:
        frame = self._frame
        return json_answer({"fresh": self.fresh(), "expression": None if frame is None else frame_as_dict(frame)})

    async def _api_robot(self, request: web.Request) -> web.StreamResponse:
        """A command of a page: JSON, so that other sites' forms cannot send it."""
        answer = await self._robot_answer(request)
        return json_answer({"done": answer.done, "message": answer.message}, answer.status)

    async def _robot_answer(self, request: web.Request) -> Answer:
        if self._desk is None or not self._status.get("actuator"):
            return Answer(404, "There is no robot with an actuator here.")
        if request.content_type != "application/json":
            return Answer(415, "Commands to the robot are JSON.")
        command = request.match_info["command"]
        if command == "stop":
            with kept(request):
                return await self._desk.stop()
        try:
            body = json.loads(await asyncio.wait_for(request.read(), BODY_S))
        except asyncio.TimeoutError:
            return Answer(408, f"The command did not arrive whole within {BODY_S:g} s: send it again.")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return Answer(400, "This command is no JSON object.")
        with kept(request):
            return await self._desk.command(command, body.get("token"))
