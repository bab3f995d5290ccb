"""The pages that this package serves: the screen face with its operator's screen, the one from which devices get the
certificate that they have to trust first, and the preview of a robot.
"""

from __future__ import annotations

import asyncio
import html
import json
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from reactdiff_ros.avatar.access import OPERATOR, Guard, LinkAccess, is_this_machine, links, own_addresses, reached
from reactdiff_ros.avatar.arming import Answer, RobotConsole
from reactdiff_ros.avatar.capture import CaptureRelay
from reactdiff_ros.avatar.config import LOOKS, AvatarConfig
from reactdiff_ros.avatar.connections import BODY_S, kept
from reactdiff_ros.avatar.looks import PAGE, SUFFIX, read_look, shipped
from reactdiff_ros.avatar.model_file import AVATARS, SUFFIXES, shipped_avatar
from reactdiff_ros.avatar.web import Client, WebServer
from reactdiff_ros.avatar.wire import candidate_curves, encode_frame, encode_voice, frame_as_dict, to_json
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.resources import require
from reactdiff_ros.settings import state_folder
from reactdiff_ros.types import Explanation, ExpressionFrame, FloatArray, Sound, SpeakerFrame

if TYPE_CHECKING:
    from reactdiff_ros.avatar.certificates import Certificates

PASS_S: Final = 5.0
MODEL: Final = "avatar.glb"
"""Where pages fetch the avatar's file."""
DRAWN: Final = "soft"
"""The look of the face that replaces an avatar."""
WANTS: Final = ("candidates", "compared", "explanation", "seen", "voice")
"""What goes only to pages that ask for it: a plan's candidates, a second face to compare with, why the plan is what it
is, the visitor's face as perception sees it, the robot's voice."""
CERTIFICATE: Final = "reactdiff.crt"
NO_STORE: Final = {"Cache-Control": "no-store"}
_NO_JSON: Final = "Commands are JSON."
CONTENT_TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
    ".svg": "image/svg+xml", ".png": "image/png", ".webmanifest": "application/manifest+json",
}  # fmt: skip


def load_pages(look: str, folders: tuple[str, ...] = ("page",)) -> dict[str, bytes]:
    """The page's files by name, index.html with the configured look; files of a later folder replace earlier ones.

    Raises ReactdiffError if they are missing.
    """
    files = [path for folder in folders for path in (PAGE.parent / folder).glob("*")]
    pages = {path.name: path.read_bytes() for path in files if path.suffix in CONTENT_TYPES}
    if "index.html" not in pages:
        raise ReactdiffError("the face's page is missing", where=str(PAGE.parent), todo="install the package again")
    worn, model = ("own" if look.endswith(SUFFIX) else look), ""
    if look in AVATARS or look.endswith(SUFFIXES):
        worn, model = DRAWN, MODEL
    index = pages["index.html"].replace(b'data-look="soft"', f'data-look="{worn}"'.encode())
    pages["index.html"] = index.replace(b'data-avatar=""', f'data-avatar="{model}"'.encode())
    return pages


class PageServer(WebServer):
    """A page with its files and its websocket; Host, Origin and the link's token are checked on every request."""

    name = "the face's page"
    goodbye = "The face's server stops."
    reads_clients = True

    folders: tuple[str, ...] = ("page",)
    """Where the page's files are; of two with the same name the later folder's is served."""
    open_to_all: frozenset[str] = frozenset()
    """Addresses that ask for no token, even from other machines."""

    def __init__(self, config: AvatarConfig, link_token: str = "") -> None:
        """`link_token` is asked for where the page is served beyond this machine; empty: a new one."""
        self.config = config
        ports = range(config.port, min(config.port + config.port_tries, 65536)) if config.port else [0]
        super().__init__(config.host, ports, config.max_clients)
        self._access = None if is_this_machine(config.host) else LinkAccess(link_token)
        self._guard = Guard(config.host, config.extra_hosts)
        self._pages: dict[str, bytes] = {}

    @property
    def link_token(self) -> str:
        """What the page's link holds; empty: the page asks for nothing."""
        return "" if self._access is None else self._access.token

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The page's files and its websocket."""
        self._pages = load_pages(self.config.look, self.folders)
        router.add_get("/", self._file)
        router.add_get("/ws", self.websocket)
        router.add_get("/looks/{name}.json", self._look)
        router.add_get(f"/{MODEL}", self._model)
        router.add_get("/three/bundle.js", self._bundle)
        router.add_get("/{name}", self._file)

    def refuses(self, request: web.Request) -> web.Response | None:
        """Other sites, and requests from other machines without the token."""
        reason = self._guard.refuses(request.headers.get("Host"), request.headers.get("Origin"))
        if reason is not None:
            return web.Response(status=403, text=reason + "\n")
        if self._access is not None and request.path not in self.open_to_all:
            return self._access.refuses(request) or self._access.welcome(request)
        return None

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return self._page(request.match_info.get("name", "index.html"))

    async def _look(self, request: web.Request) -> web.StreamResponse:
        """A look, read again each time so that a designer only reloads the page; a sentence where it is wrong."""
        name, own = request.match_info["name"], self.config.look
        if name == "own":
            try:
                return _json(read_look(Path(own)) if own.endswith(SUFFIX) else None)
            except ConfigError as error:
                return web.Response(status=422, text=f"{error}\n")
        if name not in (*LOOKS, "keys"):
            raise web.HTTPNotFound(text="There is no such look.\n")
        body, headers = shipped(name).read_bytes(), {"Cache-Control": "no-cache"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _model(self, _request: web.Request) -> web.StreamResponse:
        """The avatar's file that the face was started with, or the package's own."""
        own = self.config.look.endswith(SUFFIXES)
        path = Path(self.config.look) if own else shipped_avatar(AVATARS[0])
        return web.FileResponse(path, headers={"Content-Type": "model/gltf-binary"})

    async def _bundle(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(
            PAGE / "three" / "bundle.js", headers={"Content-Type": "text/javascript", "Cache-Control": "max-age=86400"}
        )

    def _page(self, name: str) -> web.StreamResponse:
        name = name if name in self._pages else name + ".html"
        if name not in self._pages:
            raise web.HTTPNotFound(text="There is no such page.\n")
        kind, headers = CONTENT_TYPES[Path(name).suffix], {"Cache-Control": "no-cache"}
        charset = None if kind == "image/png" else "utf-8"
        return web.Response(body=self._pages[name], content_type=kind, charset=charset, headers=headers)


class AvatarServer(PageServer):
    """Shows the face in browsers. `start` and `stop` run on an event loop; `show` and `status` on any thread."""

    open_to_all = frozenset({"/healthz", "/api/robot/stop"})
    """Supervisors ask whether it runs, and anyone who sees a robot do harm may stop it."""

    def __init__(
        self, config: AvatarConfig, console: RobotConsole | None = None, *, link_token: str = "",
        capture: str | Callable[[], socket.socket] = "",
        pass_on: Callable[[], Awaitable[tuple[bool, str]]] | None = None,
        choices: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
        choose: Callable[[str, str], None] = lambda kind, name: None,
    ) -> None:  # fmt: skip
        """`console` takes the commands to a robot's actuator, `capture` (see `CaptureRelay`) the camera and microphone
        of a visitor, whose visit `pass_on` ends; without them, pages have none to give. Pages offer `choices`
        (by kind, such as style, and name: coefficients of a face), and `choose` is called with kind and name.
        """
        super().__init__(config, link_token)
        self._pass_on = pass_on
        self._choices = choices or {}
        self._choose = choose
        self._certificates: Certificates | None = None
        self._trust: TrustServer | None = None
        self._relay = CaptureRelay(capture)
        self._console = console
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
        """Serve; returns the page's address.

        Raises:
            DeviceError: no port could be bound.
            ReactdiffError: the certificate cannot be made or kept.
        """
        if self.url:
            return self.url
        self._wake_pending = False
        self.renew_certificate()
        url = await super().start()
        try:
            await self._offer_trust()
        except BaseException:
            await self.stop()
            raise
        return url

    async def stop(self) -> None:
        """Say goodbye to every client and free the ports. Twice is fine."""
        trust, self._trust = self._trust, None
        if trust is not None:
            await trust.stop()
        await super().stop()

    def renew_certificate(self) -> bool:
        """With `https`: a certificate that is good now and for this machine's addresses, renewed where needed.

        To be called again and again: addresses change, certificates expire. On the event loop, or before `start`.

        Returns:
            Whether visitors who trusted the authority have to trust a new one.

        Raises:
            MissingExtraError: what makes certificates is not installed.
            ReactdiffError: the certificate cannot be kept.
        """
        if not self.config.https:
            return False
        if self._certificates is None:
            self._certificates = _certificates(self.config.state_dir)
            self.encryption = self._certificates.context
        addresses = () if is_this_machine(self.config.host) else own_addresses()
        return self._certificates.renew((*self._guard.names, *addresses), datetime.now(timezone.utc))

    async def _offer_trust(self) -> None:
        """The page of the certificate on the next free port."""
        if self._certificates is None:
            return
        port = (urlsplit(self.url).port or 0) + 1
        ports = range(port, min(port + self.config.port_tries, 65536))
        self._trust = TrustServer(self.config.host, ports, self._guard, self._certificates, self.url)
        await self._trust.start()

    @property
    def trust(self) -> tuple[str, str]:
        """Address of the page of the certificate, as this machine opens it, and its fingerprint; empty without."""
        if self._trust is None or self._certificates is None:
            return "", ""
        return self._trust.url, self._certificates.fingerprint

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The operator's screen; health, status and expression as JSON; commands to the robot."""
        router.add_get(OPERATOR, self._operator)
        router.add_get("/capture", self._relay.websocket)
        router.add_get("/link.svg", self._link_code)
        router.add_get("/healthz", self._healthz)
        router.add_get("/api/status", self._api_status)
        router.add_get("/api/expression", self._api_expression)
        router.add_post("/api/robot/{command}", self._api_robot)
        router.add_post("/api/visitor/pass", self._api_visitor)
        router.add_get("/api/choices", self._api_choices)
        router.add_post("/api/choose/{kind}/{name}", self._api_choose)
        super().add_routes(router)

    def greet(self, client: Client) -> None:
        """The status, and the expression if there is one now."""
        client.offer_text("status", to_json({"type": "status", **self._report()}))
        if self._message is not None and self.fresh():
            client.offer(self._message)

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """{"candidates": true} and so on: which of WANTS the page shows or plays now."""
        asked = {name: report.get(name, False) for name in WANTS}
        if not all(isinstance(value, bool) for value in asked.values()):
            return False
        client.wants = frozenset(name for name, value in asked.items() if value)
        return True

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
            if not self.call(self._wake):
                self._wake_pending = False

    def compare(self, frame: ExpressionFrame) -> None:
        """Show a second face next to the first in the pages that ask for it, from any thread."""
        if not self.wanted("compared"):
            return
        message = encode_frame(frame, self._count, 1)
        self._to_who_wants("compared", lambda client: client.offer(message))

    def status(self, status: dict[str, Any]) -> None:
        """Show `status` in the pages' panels, from any thread; 1 to 4 times a second is enough.

        Known keys: speaker, rates_hz, latency_ms, listener (dicts of numbers, texts, flags), last_error (text),
        recording (text: what is recorded now; the page shows it next to the face, because people must know),
        stages (each node's name with its level, message, rate, latency, dropped, missed and silent, for the operator),
        actuator (the robot: state, armed, fault and so on; where it is missing, the page has no panel for it).
        Other keys are shown as they are.
        """
        self._status = dict(status)
        self.call(self._send_status)

    def wanted(self, what: str) -> bool:
        """Whether a page shows or plays this one of WANTS now. From any thread."""
        return any(what in client.wants for client in tuple(self._clients))

    def candidates(self, candidates: FloatArray, chosen: int, rate_hz: float) -> None:
        """Show the candidates (K, horizon, 58) of a plan in the pages that ask for them, from any thread."""
        self._tell("candidates", candidate_curves(candidates, chosen, rate_hz))

    def explain(self, why: Explanation) -> None:
        """Show why the plan is what it is in the pages that ask for it, from any thread."""
        rows = {name: [round(float(v), 3) for v in getattr(why, name)] for name in ("smile", "brows", "nods_per_min")}
        self._tell("explanation", {"cues": list(why.cues), **rows})

    def seen(self, frame: SpeakerFrame) -> None:
        """Draw what is known of a visitor's face on their picture, in the pages that ask for it, from any thread."""
        place = None if frame.position_m is None or not frame.mesh_present else frame.position_m
        self._tell("seen", {"place": place, "face": [round(float(v), 3) for v in frame.coefficients]})

    def _tell(self, what: str, content: dict[str, Any]) -> None:
        if not self.wanted(what):
            return
        text = to_json({"type": what, **content})
        self._to_who_wants(what, lambda client: client.offer_text(what, text))

    def _to_who_wants(self, what: str, offer: Callable[[Client], None]) -> None:
        def send() -> None:
            for client in self._clients:
                if what in client.wants:
                    offer(client)

        self.call(send)

    def voice(self, sound: Sound) -> None:
        """Give the robot's voice to the pages that play it, from any thread."""
        message = encode_voice(sound)
        self._to_who_wants("voice", lambda client: client.offer_sound(message))

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
        loop = self._loop
        return loop is not None and self._message is not None and loop.time() - self._shown_at <= self.config.stale_s

    def _report(self) -> dict[str, Any]:
        fresh, clients = self.fresh(), tuple(self._clients)
        reason = "" if fresh else f"no expression for {self.config.stale_s:g} s: the face is neutral"
        return {
            "graph": self._status,
            "page": {
                "url": self.url, "shared": bool(self.link_token),
                "trust": next(iter(reached(self.trust[0])), "") if self.trust[0] else "",
                "look": self.config.look, "choices": bool(self._choices) and not self.link_token,
                "clients": len(clients), "clients_fps": [c.fps for c in clients], "frames": self._count,
                "frames_dropped": self.dropped, "frames_rejected": self._rejected,
                "clients_refused": self._refused_clients, "bad_inputs": self._past_bad_inputs, "fresh": fresh,
                "stale_s": self.config.stale_s, "reason": reason, "last_error": self._error,
            },
        }  # fmt: skip

    # ---- requests

    async def _operator(self, _request: web.Request) -> web.StreamResponse:
        return self._page("operator.html")

    async def _link_code(self, request: web.Request) -> web.StreamResponse:
        """The page's link as a QR code, for who has it already; with the request's host where phones reach that."""
        if not self.link_token:
            raise web.HTTPNotFound(text="This page is served to this machine alone: there is no link.\n")
        import segno

        asked = urlsplit(f"//{request.host}").hostname or ""
        base = self.url if is_this_machine(asked) else f"{request.scheme}://{request.host}/"
        picture = BytesIO()
        segno.make(links(base, self.link_token)[0], error="l", micro=False).save(picture, kind="svg", border=2, scale=4)
        return web.Response(body=picture.getvalue(), content_type="image/svg+xml", headers=NO_STORE)

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return _json({"ok": True, "fresh": self.fresh(), "clients": len(self._clients)})

    async def _api_status(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._report())

    async def _api_expression(self, _request: web.Request) -> web.StreamResponse:
        frame = self._frame
        return _json({"fresh": self.fresh(), "expression": None if frame is None else frame_as_dict(frame)})

    async def _api_robot(self, request: web.Request) -> web.StreamResponse:
        return _command_answer(await self._robot_answer(request))

    async def _robot_answer(self, request: web.Request) -> Answer:
        console = self._console
        if console is None or not self._status.get("actuator"):
            return Answer(404, "There is no robot with an actuator here.")
        command = request.match_info["command"]
        if command != "stop":
            return await self._commanded(request, lambda token: console.command(command, token))
        if request.content_type != "application/json":
            return Answer(415, _NO_JSON)
        with kept(request):
            return await console.stop()

    async def _api_visitor(self, request: web.Request) -> web.StreamResponse:
        return _command_answer(await self._commanded(request, self._visit_ended))

    async def _api_choices(self, _request: web.Request) -> web.StreamResponse:
        return _json({} if self.link_token else dict(self._choices))

    async def _api_choose(self, request: web.Request) -> web.StreamResponse:
        """A style or a gesture. Beyond this machine the operator's token is needed, as for the end of a visit."""
        kind, name = request.match_info["kind"], request.match_info["name"]

        async def chosen(token: object) -> Answer:
            if name not in self._choices.get(kind, ()):
                return Answer(404, f"There is no {kind[:20]} {name[:40]!r} here.")
            refused = self._console.refuses(token) if self.link_token and self._console is not None else None
            if refused is None:
                self._choose(kind, name)
            return refused or Answer(200, name)

        return _command_answer(await self._commanded(request, chosen))

    async def _visit_ended(self, token: object) -> Answer:
        """The next visitor's turn. Beyond this machine the link alone does not entitle to it: visitors have that."""
        if self._pass_on is None or self._console is None:
            return Answer(404, "There are no visitors here.")
        refused = self._console.refuses(token) if self.link_token else None
        if refused is not None:
            return refused
        try:
            done, message = await asyncio.wait_for(self._pass_on(), PASS_S)
        except (ReactdiffError, asyncio.TimeoutError) as error:
            return Answer(503, str(error) or "The visitors' node does not answer.")
        return Answer(200 if done else 409, message)

    async def _commanded(self, request: web.Request, command: Callable[[object], Awaitable[Answer]]) -> Answer:
        """The answer to a JSON object with a token; JSON, so that other sites' forms cannot send it."""
        if request.content_type != "application/json":
            return Answer(415, _NO_JSON)
        try:
            body = json.loads(await asyncio.wait_for(request.read(), BODY_S))
        except asyncio.TimeoutError:
            return Answer(408, f"The command did not arrive whole within {BODY_S:g} s: send it again.")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return Answer(400, "This command is not a JSON object.")
        with kept(request):
            return await command(body.get("token"))


class TrustServer(WebServer):
    """Offers the authority's certificate and says how devices take it, and nothing else. No token goes over this line.

    Args:
        host: as of the page that is encrypted.
        ports: tried one after the other.
        guard: checks Host and Origin.
        certificates: whose authority is offered.
        page: address of the page that is encrypted; its port counts.
    """

    name = "the page of the certificate"

    def __init__(self, host: str, ports: Sequence[int], guard: Guard, certificates: Certificates, page: str) -> None:
        super().__init__(host, ports, max_clients=1)
        self._guard, self._certificates, self._port = guard, certificates, urlsplit(page).port
        folder = PAGE / "trust"
        self._text, self._css = ((folder / name).read_text(encoding="utf-8") for name in ("trust.html", "trust.css"))

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The page, its style, and the certificate."""
        router.add_get("/", self._page)
        router.add_get("/trust.css", self._style)
        router.add_get(f"/{CERTIFICATE}", self._certificate)

    def refuses(self, request: web.Request) -> web.Response | None:
        """Other sites."""
        reason = self._guard.refuses(request.headers.get("Host"), request.headers.get("Origin"))
        return None if reason is None else web.Response(status=403, text=reason + "\n")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        host = urlsplit(f"//{request.host}").hostname or ""
        name = f"[{host}]" if ":" in host else host
        said = {"ADDRESS": f"https://{name}:{self._port}/", "FINGERPRINT": self._certificates.fingerprint}
        text = self._text
        for word, value in said.items():
            text = text.replace(f"%{word}%", html.escape(value))
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=NO_STORE)

    async def _style(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self._css, content_type="text/css", charset="utf-8", headers=NO_STORE)

    async def _certificate(self, _request: web.Request) -> web.StreamResponse:
        kind = "application/x-x509-ca-cert"
        return web.Response(body=self._certificates.authority, content_type=kind, headers=NO_STORE)


def _certificates(state_dir: str) -> Certificates:
    if sys.platform == "win32":
        raise ConfigError("keys cannot be kept from others on Windows: the page is served without encryption alone")
    require("cryptography")
    from reactdiff_ros.avatar.certificates import Certificates

    return Certificates(state_folder(state_dir, "https"))


def _json(value: dict[str, Any] | None, status: int = 200) -> web.Response:
    """`value` as JSON that no cache keeps."""
    return web.Response(text=to_json(value), status=status, content_type="application/json", headers=NO_STORE)


def _command_answer(answer: Answer) -> web.Response:
    return _json({"done": answer.done, "message": answer.message}, answer.status)


class PreviewServer(PageServer):
    """Shows a robot's profile in browsers. Everything runs on the event loop that `start` ran on."""

    folders = ("page", "page/robot")

    def __init__(self, wants: Callable[[dict[str, Any]], bool], config: AvatarConfig) -> None:
        """`wants` is given what a page asks for ({"play": ...} or {"seek": ...}); False: it means nothing."""
        super().__init__(config)
        self._wants = wants
        self._description = ""
        self._message: bytes | None = None

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._clients)

    def describe(self, description: dict[str, Any]) -> None:
        """Show another profile, or another state of the same."""
        self._description = to_json({"type": "robot", **description})
        for client in self._clients:
            client.offer_text("robot", self._description)

    def show(self, message: bytes) -> None:
        """Show a tick (`wire.encode_robot`)."""
        self._message = message
        for client in self._clients:
            client.offer(message)

    def greet(self, client: Client) -> None:
        """The robot, and where its joints are."""
        client.offer_text("robot", self._description)
        if self._message is not None:
            client.offer(self._message)

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """{"fps": ...} alone, or with what the page wants."""
        return set(report) == {"fps"} or self._wants(report)
