"""Visitors' browsers as camera and microphone: one is seen and heard, others wait in a line."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.capture.browser import MESSAGE_BYTES, BrowserStream, Picture, acknowledge, is_picture
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.types import Sound

POLL_S: Final = 0.2
PING_NS: Final = NS
SILENT_NS: Final = 5 * NS
"""A page that sends nothing for this long gives its place to the next visitor."""
BAD_MESSAGES: Final = 10
VISITORS: Final = 4
"""One who is seen, and those who wait."""
END_S: Final = 3.0
CLOCK_S: Final = 2.0
"""A page learns how far its clock is off where it is more than this."""
STOPS: Final = "The robot stops."
FULL: Final = "Too many visitors wait already: try again later."
LAST_READS: Final = 64
_LENGTH: Final = struct.Struct("<I")


class Visitor:
    """One who has the place or waits for it."""

    def __init__(self) -> None:
        self.sent_away = False
        """Someone else gets the place: give it up soon."""


class VisitorQueue:
    """Visitors in order of arrival: the first has the place, the others wait. From any thread.

    Args:
        most: visitors at the same time, the one who has the place among them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._visitors: list[Visitor] = []
        self._lock = threading.Lock()

    def enter(self) -> Visitor | None:
        """Come to the end of the queue; None: it is full."""
        with self._lock:
            if len(self._visitors) >= self._most:
                return None
            self._visitors.append(visitor := Visitor())
            return visitor

    def leave(self, visitor: Visitor) -> None:
        """The next one moves up."""
        with self._lock:
            self._visitors.remove(visitor)

    def before(self, visitor: Visitor) -> int:
        """How many come before; 0: this one has the place."""
        with self._lock:
            return self._visitors.index(visitor)

    @property
    def state(self) -> str:
        """For pages: taken or free."""
        return "taken" if self._visitors else "free"

    @property
    def waiting(self) -> int:
        """How many wait."""
        return max(0, len(self._visitors) - 1)

    def pass_on(self) -> tuple[bool, str]:
        """Send away who has the place; whether there was one, and a sentence."""
        with self._lock:
            if not self._visitors:
                return False, "No visitor's camera is in use."
            self._visitors[0].sent_away = True
            return True, "The next visitor's turn begins." if self._visitors[1:] else "The visit ends: no one waits."


@dataclass(frozen=True)
class Host:
    """Who receives visitors. All but the clocks are called in the visitors' threads."""

    take: Callable[[Picture | Sound], None]
    """What the visitor's page sent."""
    there: Callable[[bool], None]
    """Whether a visitor is seen from now on."""
    changed: Callable[[], None]
    """The line of visitors has changed."""
    bad: Callable[[str], None]
    """A message of the page cannot be used, and why."""
    failed: Callable[[Exception, str], None]
    """An error of our own."""
    now_ns: Callable[[], int]
    """The clock of the stamps."""
    steady_ns: Callable[[], int]
    """A clock that never goes back."""


class Visits:
    """Takes what the pages of visitors send over a stream socket each. From any thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.queue = VisitorQueue(VISITORS)
        self.dropped = self.lost = 0
        """Pictures that came too late, and lost chunks of sound, of the visitor who is there."""
        self._there = False
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def enter(self, line: socket.socket) -> None:
        """A page has connected; its messages follow their length (uint32, little-endian), both ways."""
        if (visitor := self.queue.enter()) is None:
            dismiss(line, FULL)
            return
        thread = threading.Thread(target=self._visit, args=(line, visitor), name="visitor", daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def close(self) -> None:
        """Say goodbye to all."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(END_S)

    def _visit(self, line: socket.socket, visitor: Visitor) -> None:
        reason, seated = "", False
        self._host.changed()
        try:
            messages = _messages(line, POLL_S)
            reason = self._wait(line, messages, visitor)
            if seated := not reason:
                reason = self._stream(line, messages, visitor)
        except (OSError, EOFError):
            pass
        except Exception as error:
            self._host.failed(error, "a visitor's stream")
            reason = "The robot had an error: reload the page."
        finally:
            dismiss(line, reason)
            if seated:
                self._there = False
                self._host.there(False)
            self.queue.leave(visitor)
            self._host.changed()

    def _wait(self, line: socket.socket, messages: Iterator[bytes | None], visitor: Visitor) -> str:
        """Until it is this visitor's turn, or a sentence why it will not be."""
        announced = 0
        while (before := self.queue.before(visitor)) > 0:
            if before != announced:
                announced = before
                _send(line, json.dumps({"waiting": before}).encode())
            if next(messages) is not None:
                return "This page did not wait for its turn."
            if self._stopping.is_set():
                return STOPS
        return ""

    def _stream(self, line: socket.socket, messages: Iterator[bytes | None], visitor: Visitor) -> str:
        """Take what a page sends until it goes; the sentence for it."""
        stream, bad, pinged_ns, reported_s = BrowserStream(), 0, 0, 0.0
        heard_ns = self._host.steady_ns()
        _send(line, json.dumps({"seat": True}).encode())
        self._host.changed()
        for message in messages:
            if self._stopping.is_set():
                break
            if visitor.sent_away:
                return "The operator has ended this visit."
            now_ns = self._host.steady_ns()
            if now_ns - pinged_ns >= PING_NS:
                pinged_ns = now_ns
                _send(line, stream.ping(self._host.now_ns()))
            if message is None:
                if now_ns - heard_ns > SILENT_NS:
                    return "Nothing came from this page for 5 s."
                continue
            heard_ns = now_ns
            try:
                found = stream.receive(message, self._host.now_ns())
            except MessageError as error:
                bad += 1
                self._host.bad(f"a visitor's page sends {error}")
                if bad >= BAD_MESSAGES:
                    return f"These messages cannot be used: {error.what}."
                found = None
            if found is not None:
                self._host.take(found)
                if not self._there:
                    self._there = True
                    self._host.there(True)
            if abs(stream.ahead_s - reported_s) > CLOCK_S:
                reported_s = stream.ahead_s
                _send(line, json.dumps({"ahead_s": round(reported_s, 1)}).encode())
            if is_picture(message):
                _send(line, acknowledge(message))
            self.dropped, self.lost = stream.dropped, stream.lost
        return STOPS


def _messages(line: socket.socket, poll_s: float) -> Iterator[bytes | None]:
    """Messages behind their lengths; None each time that nothing has come for a while. Raises EOFError at the end."""
    line.settimeout(poll_s)
    waiting = bytearray()
    while True:
        while len(waiting) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(waiting)
            if length > MESSAGE_BYTES:
                raise EOFError
            if len(waiting) < _LENGTH.size + length:
                break
            yield bytes(waiting[_LENGTH.size : _LENGTH.size + length])
            del waiting[: _LENGTH.size + length]
        try:
            data = line.recv(65536)
        except TimeoutError:
            yield None
            continue
        if not data:
            raise EOFError
        waiting += data


def _send(line: socket.socket, message: bytes) -> None:
    line.sendall(_LENGTH.pack(len(message)) + message)


def dismiss(line: socket.socket, sentence: str) -> None:
    """Say why, and hear out what is on its way: a line that is closed with something unread loses the sentence."""
    with suppress(OSError):
        line.settimeout(POLL_S)
        _send(line, json.dumps({"sentence": sentence}).encode())
        line.shutdown(socket.SHUT_WR)
        for _ in range(LAST_READS):
            if not line.recv(65536):
                break
    line.close()
