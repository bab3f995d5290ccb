"""A visitor's browser as camera and microphone: what its page sends, one visitor at a time; others wait in a line."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool, Header

from reactdiff_ros import msg
from reactdiff_ros.capture.browser import MESSAGE_BYTES, BrowserStream, Picture, acknowledge, is_picture
from reactdiff_ros.capture.seat import Seat, Visitor
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError, ReactdiffError
from reactdiff_ros.launching.process import capture_address
from reactdiff_ros.messages import fill_audio, fill_header
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.camera_node import camera_info
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
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
"""A page is told how far its clock is off where it is more than this."""
STOPS: Final = "The robot stops."
LAST_READS: Final = 64
_LENGTH: Final = struct.Struct("<I")


class BrowserNode(ReactdiffNode):
    """Publishes what the page of a visitor sends through the page's server. Others wait until it is their turn."""

    NAME = "browser_node"
    SLOW = "fewer than half of the visitor's pictures come: the network is slow, or a machine overloaded"

    def setup(self) -> None:
        """Check the settings."""
        if self.simulated():
            what = "a visitor's camera gives pictures of now, not of simulated time"
            raise ReactdiffError(what, todo="start without use_sim_time or without camera:=browser")
        self._pictures = self.advertise("camera/image_raw/compressed")
        self._infos = self.advertise("camera/camera_info")
        self._sounds = self.advertise("audio")
        self._presence = self.advertise("camera/visitor")
        self._size, self._there = (0, 0), False
        self._seat = Seat(VISITORS)
        self.backend = "websocket"

    def start(self) -> None:
        """Wait for visitors."""
        self._stopping = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listening.bind(capture_address(os.environ, self.get_namespace()))
        except OSError as error:
            self._listening.close()
            raise ReactdiffError(f"visitors cannot be received, {error.strerror}", where=self.NAME) from error
        self._listening.listen(8)
        self._listening.settimeout(POLL_S)
        self._threads = [threading.Thread(target=self._accept, name="visitors", daemon=True)]
        self._threads[0].start()
        self.serve("~/pass_seat_on", self._pass_on)
        self._tell(there=False)

    def stop(self) -> None:
        """Say goodbye to the visitor."""
        if getattr(self, "_threads", None):
            self._stopping.set()
            for thread in self._threads:
                thread.join(END_S)
            self._threads = []
            self._listening.close()

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        width, height = self._size
        return f"a visitor's camera gives {width}x{height}" if self._there else "waits for a visitor's camera"

    def settings(self) -> dict[str, Any]:
        """And whether a visitor is there and how many wait, for pages."""
        visitor = "taken" if self._seat.taken else "free"
        return {**super().settings(), "visitor": visitor, "waiting": self._seat.waiting}

    def _pass_on(self, _request: Any, response: Any) -> Any:
        response.success, response.message = self._seat.pass_on()
        return response

    def _tell(self, *, there: bool) -> None:
        self._there = there
        self.publish(self._presence, Bool(data=there))
        if not there:
            self._size = (0, 0)
            self.solved("visitor")

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                line, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError as error:
                self.failed(error, "the visitors' door")
                self._stopping.wait(POLL_S)
                continue
            if _user_of(line) not in (os.getuid(), 0):
                line.close()
            elif (visitor := self._seat.enter()) is not None:
                thread = threading.Thread(target=self._visit, args=(line, visitor), name="visitor", daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()
            else:
                _dismiss(line, "Too many visitors wait already: try again later.")

    def _visit(self, line: socket.socket, visitor: Visitor) -> None:
        reason, seated = "", False
        self.report()
        try:
            messages = _messages(line, POLL_S)
            reason = self._wait(line, messages, visitor)
            if seated := not reason:
                reason = self._stream(line, messages, visitor)
        except (OSError, EOFError):
            pass
        except Exception as error:
            self.failed(error, "a visitor's stream")
            reason = "The robot had an error: reload the page."
        finally:
            _dismiss(line, reason)
            if seated:
                self._tell(there=False)
            self._seat.leave(visitor)
            self.report()

    def _wait(self, line: socket.socket, messages: Iterator[bytes | None], visitor: Visitor) -> str:
        """Until it is this visitor's turn, or a sentence why it will not be."""
        told = 0
        while (before := self._seat.before(visitor)) > 0:
            if before != told:
                told = before
                _send(line, json.dumps({"waiting": before}).encode())
            if next(messages) is not None:
                return "This page did not wait for its turn."
            if self._stopping.is_set():
                return STOPS
        return ""

    def _stream(self, line: socket.socket, messages: Iterator[bytes | None], visitor: Visitor) -> str:
        """Take what a page sends until it goes; the sentence for it."""
        stream, bad, pinged_ns, told_s = BrowserStream(), 0, 0, 0.0
        heard_ns = self.steady_ns()
        _send(line, json.dumps({"seat": True}).encode())
        self.report()
        for message in messages:
            if self._stopping.is_set():
                break
            if visitor.sent_away:
                return "The operator has ended this visit."
            now_ns = self.steady_ns()
            if now_ns - pinged_ns >= PING_NS:
                pinged_ns = now_ns
                _send(line, stream.ping(self.now_ns()))
            if message is None:
                if now_ns - heard_ns > SILENT_NS:
                    return "Nothing came from this page for 5 s."
                continue
            heard_ns = now_ns
            try:
                self._publish(stream.receive(message, self.now_ns()))
            except MessageError as error:
                bad += 1
                self.problem("visitor", f"a visitor's page sends {error}", Level.WARN)
                if bad >= BAD_MESSAGES:
                    return f"These messages cannot be used: {error.what}."
            if abs(stream.ahead_s - told_s) > CLOCK_S:
                told_s = stream.ahead_s
                _send(line, json.dumps({"ahead_s": round(told_s, 1)}).encode())
            if is_picture(message):
                _send(line, acknowledge(message))
            self.meter.dropped["camera/image_raw/compressed"] = stream.dropped
            self.meter.dropped["audio"] = stream.lost
        return STOPS

    def _publish(self, found: Picture | Sound | None) -> None:
        if isinstance(found, Sound):
            self.publish(self._sounds, fill_audio(msg.AudioChunk(), found, "microphone"))
        elif found is not None:
            header = fill_header(Header(), found.stamp_ns, str(self.values["frame_id"]))
            message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
            message.data = array.array("B", found.jpeg)
            self.publish(self._pictures, message)
            field_deg = float(self.values["horizontal_fov_deg"])
            self.publish(self._infos, camera_info(header, found.width, found.height, field_deg))
            self._size = (found.width, found.height)
            self.meter.output(self.steady_ns(), (self.now_ns() - found.stamp_ns) / 1e6)
        if found is not None and not self._there:
            self._tell(there=True)


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


def _dismiss(line: socket.socket, sentence: str) -> None:
    """Say why, and hear out what is on its way: a line that is closed with something unread loses the sentence."""
    with suppress(OSError):
        line.settimeout(POLL_S)
        _send(line, json.dumps({"sentence": sentence}).encode())
        line.shutdown(socket.SHUT_WR)
        for _ in range(LAST_READS):
            if not line.recv(65536):
                break
    line.close()


def _user_of(line: socket.socket) -> int:
    form = struct.Struct("3i")
    return int(form.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))[1])


def main() -> int:
    """Run the node."""
    return run(BrowserNode)
