"""Datagrams to another program: never waits, never raises for what the network does, says what is wrong."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable

from reactdiff_ros.avatar.outputs.config import Target
from reactdiff_ros.clock import NS
from reactdiff_ros.types import ExpressionFrame

RETRY_NS = 2 * NS
BUFFER_BYTES = 64 * 1024
"""About twenty datagrams: what does not leave is dropped rather than sent late."""


class UdpOutput:
    """Frames of one target as datagrams.

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
            self._say("nobody listens there", "start the receiver, or check its port")
        except OSError as error:
            self.dropped += 1
            self._say(_reason(error), "check host and network")
            self.close()
            self._try_ns = now_ns + RETRY_NS
        else:
            self.sent += 1
            self._heard_nothing_bad()

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
            self._say(f"the host is not known, {_reason(error)}", "check its name")
            return False
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            if _is_broadcast(str(address[0])):
                raise OSError(errno.EINVAL, "an address of many machines is not sent to")
            opened.connect(address)
        except OSError as error:
            opened.close()
            self._say(_reason(error), "check host and network")
            return False
        self._socket = opened
        self._good = 0
        return True

    def _heard_nothing_bad(self) -> None:
        # A refusal is known one datagram later, so a single good send proves nothing.
        self._good += 1
        if self._good >= 2 and self.problem:
            self.problem = ""

    def _say(self, what: str, todo: str) -> None:
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
