"""Who may talk to the page: Host against DNS rebinding, Origin against cross-site requests and websockets."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


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
        self._any_address = _is_wildcard(bound)
        if self._any_address:
            own = socket.gethostname().lower()
            self._names |= {own, own + ".local"}

    def refuses(self, host: str | None, origin: str | None) -> str | None:
        """A sentence that says why this request is refused, or None."""
        name = host_name(host) if host else None
        if name is None or not (name in self._names or (self._any_address and _is_address(name))):
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


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(bound: str) -> bool:
    return _is_address(bound) and ipaddress.ip_address(bound).is_unspecified
