"""The page, without encryption, from which a visitor's device gets the certificate that it has to trust first."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from reactdiff_ros.avatar.access import Guard
from reactdiff_ros.avatar.certificates import Certificates
from reactdiff_ros.avatar.web import WebServer

CERTIFICATE: Final = "reactdiff.crt"
_KINDS: Final = {"trust.html": "text/html", "trust.css": "text/css"}


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
        folder = resources.files("reactdiff_ros.avatar") / "page" / "trust"
        self._files = {name: (folder / name).read_text(encoding="utf-8") for name in _KINDS}

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
        text = self._files["trust.html"]
        for word, value in said.items():
            text = text.replace(f"%{word}%", html.escape(value))
        return _answer(text, "text/html")

    async def _style(self, _request: web.Request) -> web.StreamResponse:
        return _answer(self._files["trust.css"], "text/css")

    async def _certificate(self, _request: web.Request) -> web.StreamResponse:
        headers = {"Cache-Control": "no-store"}
        kind = "application/x-x509-ca-cert"
        return web.Response(body=self._certificates.authority, content_type=kind, headers=headers)


def _answer(text: str, kind: str) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=headers)
