"""Who may open a page: Host and Origin are checked on every request, and beyond this machine the token of the link.

The token of a link is not the one that arms a robot: permission to see the face is no permission to move servos. It has
128 bits, so wrong ones are not counted: it cannot be guessed, and trying locks no one out.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from reactdiff_ros.errors import ConfigError

LINK_VARIABLE: Final = "REACTDIFF_LINK_TOKEN"
"""Who starts the page may give its link's token in the environment, and then prints the link; else the node does."""
HOST_VARIABLE: Final = "REACTDIFF_PAGE_HOST"
"""The host that links name, where it is not this machine: in a container, the one that publishes its port."""
QUERY: Final = "token"
OPERATOR: Final = "/operator"
"""The operator's screen, which has the same link as the face but for this path."""
ASKS: Final = 401
"""The status of an answer to a request without the token."""
_ASKING: Final = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Link needed</title>'
    "<p>Open the link that the terminal printed when the listener started: it contains the token for this page.\n"
)
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")


def new_link_token() -> str:
    """128 random bits in 22 characters of an address."""
    return secrets.token_urlsafe(16)


def checked_token(token: str, variable: str) -> str:
    """`token`, which `variable` of the environment may have given. Raises ConfigError if it could be guessed."""
    if _FORM.fullmatch(token):
        return token
    what = "the token is too short, or has characters that a token may not have"
    raise ConfigError(what, where=variable, todo="give 16 to 128 letters, digits, - and _, or leave it out")


def same_token(given: str, token: str) -> bool:
    """Whether a request's text (JSON may hold half a character) is the token; takes the same time whatever differs."""
    return hmac.compare_digest(given.encode(errors="backslashreplace"), token.encode())


def is_this_machine(host: str) -> bool:
    """Whether an address to bind, or the host of an address, is reached from this machine alone."""
    address = _address(host.strip("[]"))
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


class LinkAccess:
    """Lets in requests that have the token: from the link, as a cookie that the link left, or as a bearer.

    Raises:
        ConfigError: a token that is too short, or no part of an address.
    """

    def __init__(self, token: str = "") -> None:
        self.token = checked_token(token or new_link_token(), LINK_VARIABLE)

    def refuses(self, request: web.Request) -> web.Response | None:
        """The answer to a request without the token, or None."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        own = bearer.strip() if scheme.lower() == "bearer" else ""
        given = (request.query.get(QUERY, ""), request.cookies.get(_cookie(request), ""), own)
        if any([same_token(one, self.token) for one in given]):
            return None
        return web.Response(status=ASKS, text=_ASKING, content_type="text/html", headers={"WWW-Authenticate": "Bearer"})

    def welcome(self, request: web.Request) -> web.Response | None:
        """The answer to the opened link: a cookie, and the address without the token, which screens and histories
        shall not show. None where the request is no link.
        """
        if request.path not in ("/", OPERATOR) or QUERY not in request.query:
            return None
        rest = request.rel_url.without_query_params(QUERY)
        query = f"?{rest.raw_query_string}" if rest.raw_query_string else ""
        headers = {"Location": request.path + query}
        answer = web.Response(status=303, headers=headers | {"Cache-Control": "no-store"})
        name = _cookie(request)
        answer.set_cookie(name, self.token, httponly=True, samesite="Lax", secure=request.secure, path="/")
        return answer


def _cookie(request: web.Request) -> str:
    """Cookies know no ports: pages of several robots on one machine have one each."""
    sockname = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return f"reactdiff-{sockname[1] if sockname else 0}"


def reached(url: str) -> list[str]:
    """The page at `url` as others open it; where it is served on every address, once for each address, unless the
    environment names the host.

    Args:
        url: as the server gives it, with this machine's own address where it is served on every one.
    """
    where = urlsplit(url)
    host = where.hostname or ""
    if not is_this_machine(host):
        return [url]
    if published := os.environ.get(HOST_VARIABLE):
        return [f"{where.scheme}://{published}:{where.port}/"]
    version = 6 if ":" in host else 4
    found = [a for a in own_addresses() if _of(a) == version]
    hosts = [f"[{a}]" if version == 6 else a for a in found] or [f"[{host}]" if version == 6 else host]
    return [f"{where.scheme}://{name}:{where.port}/" for name in hosts]


def links(url: str, token: str) -> list[str]:
    """`reached` with the token of the link."""
    return [f"{page}?{QUERY}={token}" for page in reached(url)]


def own_addresses() -> Iterator[str]:
    """Addresses that other machines may reach, those of interfaces that are up."""
    import psutil

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, found in psutil.net_if_addrs().items():
        for each in found:
            if name in up and each.family in (socket.AF_INET, socket.AF_INET6) and _of(each.address):
                yield each.address


def _of(address: str) -> int:
    """4 or 6; 0 for what no other machine can open in a browser."""
    known = _address(address)
    if known is None or known.is_loopback or (known.version == 6 and known.is_link_local):
        return 0
    return known.version


# ---- Host and Origin

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def host_name(host: str) -> str | None:
    """The name of a Host header, lower case, without port and brackets; None if it is malformed."""
    if not host or "@" in host or "/" in host:
        return None
    try:
        parts = urlsplit("//" + host)
        _ = parts.port
    except ValueError:
        return None
    name = parts.hostname
    return name.rstrip(".") or None if name else None


class Guard:
    """Checks the Host and Origin headers of every request.

    A page of another site can make a browser send requests here, under its own name (Origin) or, by DNS rebinding,
    under its own host (Host). An address given as a number cannot be rebound, so on a wildcard bind every address
    of this machine's networks is let through, names only if they are this machine's or were configured.
    """

    def __init__(self, bound: str, extra: tuple[str, ...] = ()) -> None:
        self._names = LOCAL_NAMES | {name.lower().strip("[]").rstrip(".") for name in (bound, *extra)}
        address = _address(bound)
        self._any_address = address is not None and address.is_unspecified
        if self._any_address:  # what other machines may call this one
            own = socket.gethostname().lower()
            self._names |= {own, own if own.endswith(".local") else own + ".local"}

    @property
    def names(self) -> frozenset[str]:
        """Names and addresses under which the page may be opened, besides those of a wildcard's networks."""
        return frozenset(self._names)

    def refuses(self, host: str | None, origin: str | None) -> str | None:
        """A sentence that says why this request is refused, or None."""
        name = host_name(host) if host else None
        if name is None or not (name in self._names or (self._any_address and _address(name) is not None)):
            return (
                f"The host {(host or '')[:80]!r} is not one that this page is served under. "
                "Open it as localhost, or add the name to extra_hosts."
            )
        if origin is not None and not self._same_origin(origin, host or ""):
            return f"Requests from another site ({origin[:80]!r}) are refused."
        return None

    @staticmethod
    def _same_origin(origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
