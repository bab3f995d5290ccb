"""Outputs to other people's avatars: which face is sent when, UDP datagrams, and ARKit JSON over a websocket."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from reactdiff_ros.avatar.access import LOCAL_NAMES
from reactdiff_ros.avatar.config import Target
from reactdiff_ros.avatar.formats import arkit_json
from reactdiff_ros.avatar.web import Client, WebServer
from reactdiff_ros.clock import NS, StampGuard, to_ns
from reactdiff_ros.coefficients import bounded, neutral
from reactdiff_ros.types import ExpressionFrame

LONGEST_STEP_NS: Final = to_ns(0.06)
"""A step between two looks counts as no more than this.

After a longer one the process itself stood still, and frames that came meanwhile wait to be taken.
"""


class Feed:
    """Watches how long no frame came, as often as it is asked. All times are of one steady clock, in ns.

    Args:
        stale_s: if no frame comes for this long, the face begins to fade to neutral.
        fade_s: duration of the fade, linear.
    """

    def __init__(self, stale_s: float, fade_s: float) -> None:
        self._stale_ns, self._fade_ns = to_ns(stale_s), to_ns(fade_s)
        self._guard = StampGuard()
        self._last: ExpressionFrame | None = None
        self._silent_ns = 0
        self._seen_ns = 0

    def take(self, frame: ExpressionFrame, now_ns: int) -> bool:
        """A frame that came at `now_ns`; False: it came out of order and is not to be sent."""
        if self._guard.check(frame.stamp_ns) == "late":
            return False
        self._last, self._silent_ns, self._seen_ns = frame, 0, now_ns
        return True

    @property
    def stale(self) -> bool:
        """Whether, at the last look, no frame had come for `stale_s`."""
        return self._last is None or self._silent_ns > self._stale_ns

    def substitute(self, now_ns: int, stamp_ns: int) -> ExpressionFrame | None:
        """Look at `now_ns`: what to send in place of the frames that do not come; None: they do come.

        Args:
            now_ns: steady clock, 20 ms after the last look.
            stamp_ns: time of the frame, of the clock that frames are stamped with.
        """
        self._silent_ns += min(max(0, now_ns - self._seen_ns), LONGEST_STEP_NS)
        self._seen_ns = now_ns
        if not self.stale:
            return None
        last = self._last
        if last is None:
            return ExpressionFrame(stamp_ns, neutral(), "neutral", (), None, None, None, None)
        over = self._silent_ns - self._stale_ns
        weight = max(0.0, 1.0 - over / self._fade_ns) if self._fade_ns else 0.0
        faded = bounded(bounded(last.coefficients) * weight)
        stamp = last.stamp_ns + self._silent_ns if stamp_ns < last.stamp_ns else stamp_ns
        return replace(last, stamp_ns=stamp, coefficients=faded, mode="neutral", layers=())


RETRY_NS: Final = 2 * NS
BUFFER_BYTES: Final = 64 * 1024
"""About twenty datagrams: what does not leave is dropped rather than sent late."""


class UdpOutput:
    """Frames of one target as datagrams: never waits, and reports what is wrong in `problem` instead of raising.

    Call from one thread only: the first call after a failure may wait for the resolver of host names.
    """

    def __init__(self, target: Target, encode: Callable[[ExpressionFrame], bytes]) -> None:
        self.target = target
        self.problem = ""
        """One sentence on what is wrong now; empty: nothing that is known of."""
        self.sent = 0
        self.dropped = 0
        self._encode = encode
        self._socket: socket.socket | None = None
        self._try_ns: int | None = None
        self._good = 0

    def send(self, frame: ExpressionFrame, now_ns: int) -> None:
        """Encode and send. `now_ns`: a steady clock, for when a failed target is tried again."""
        if self._socket is None and not self._open(now_ns):
            self.dropped += 1
            return
        assert self._socket is not None
        try:
            self._socket.send(self._encode(frame))
        except BlockingIOError:
            self.dropped += 1
        except ConnectionRefusedError:
            # The answer to an earlier datagram: this one was not sent.
            self.dropped += 1
            self._report("no receiver is listening", "start the receiver, or check its port")
        except OSError as error:
            self.dropped += 1
            self._report(_reason(error), "check host and network")
            self.close()
            self._try_ns = now_ns + RETRY_NS
        else:
            self.sent += 1
            self._good += 1
            if self._good >= 2:  # a refusal is known one datagram later, so a single good send proves nothing
                self.problem = ""

    def close(self) -> None:
        """Close the socket. Twice is fine."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _open(self, now_ns: int) -> bool:
        if self._try_ns is not None and now_ns < self._try_ns:
            return False
        self._try_ns = now_ns + RETRY_NS
        try:
            found = socket.getaddrinfo(self.target.host, self.target.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            opened = socket.socket(family, kind, protocol)
        except OSError as error:
            self._report(f"the host is not known, {_reason(error)}", "check its name")
            return False
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            if _is_broadcast(str(address[0])):
                raise OSError(errno.EINVAL, "an address of many machines is not sent to")
            opened.connect(address)
        except OSError as error:
            opened.close()
            self._report(_reason(error), "check host and network")
            return False
        self._socket = opened
        self._good = 0
        return True

    def _report(self, what: str, todo: str) -> None:
        self._good = 0
        self.problem = f"the output {self.target.kind} does not reach its receiver, {what} ({self.target}): {todo}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _is_broadcast(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return parsed.is_multicast or str(parsed) == "255.255.255.255" or parsed.is_unspecified


QUEUE: Final = 10
"""Frames that wait for one websocket client, 0.2 s; the oldest are dropped."""
MAX_CLIENTS: Final = 20


class ArkitServer(WebServer):
    """Serves ARKit JSON at `ws://HOST:PORT/`: every client gets every frame as text.

    `show` may be called on any thread.

    A browser says which page opens a connection: pages of this machine may connect, others only when they are named in
    `origins`. Programs send no origin and may connect.
    """

    name = "the output arkit"
    scheme = "ws"
    goodbye = "The robot stops."

    def __init__(self, target: Target, origins: tuple[str, ...] = ()) -> None:
        super().__init__(target.host, [target.port], MAX_CLIENTS, QUEUE)
        self.target, self._origins = target, frozenset(o.lower() for o in origins)
        self._number = 0
        self._newest: str | None = None
        self._lock = threading.Lock()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The websocket."""
        router.add_get("/", self.websocket)

    def refuses(self, request: web.Request) -> web.Response | None:
        """Pages of other sites."""
        origin = request.headers.get("Origin")
        if origin is None or origin.lower() in self._origins:
            return None
        try:
            host = urlsplit(origin).hostname
        except ValueError:
            host = None
        if host in LOCAL_NAMES:
            return None
        sentence = f"Pages of {origin[:80]} may not connect; name them in the parameter origins."
        return web.Response(status=403, text=sentence)

    def greet(self, client: Client) -> None:
        """The newest frame."""
        if self._newest is not None:
            client.offer(self._newest)

    def show(self, frame: ExpressionFrame) -> None:
        """Send a frame to all clients; never waits."""
        if not self.url:
            return
        with self._lock:
            self._number += 1
            text = arkit_json(frame, self._number)
        self.call(lambda: self._offer(text))

    def _offer(self, text: str) -> None:
        self._newest = text
        for client in self._clients:
            client.offer(text)
