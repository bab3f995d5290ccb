"""A visitor's browser as camera and microphone: what its page sends, one visitor at a time; others wait in a line."""

from __future__ import annotations

import os
import socket
import threading
from functools import partial
from typing import Any

from std_msgs.msg import Bool

from reactdiff_ros import msg
from reactdiff_ros.capture.browser import Picture
from reactdiff_ros.capture.visits import POLL_S, Host, Visits
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.process import capture_address, peer_of
from reactdiff_ros.messages import fill_audio
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.camera_node import camera_info, jpeg_message
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import Sound


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
        self.backend = "websocket"

    def start(self) -> None:
        """Wait for visitors."""
        self._visits = Visits(
            Host(
                take=self._publish, there=self._tell, changed=self.report, failed=self.failed, now_ns=self.now_ns,
                bad=lambda what: self.problem("visitor", what, Level.WARN), steady_ns=self.steady_ns,
            )
        )  # fmt: skip
        self._listening: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listening.bind(capture_address(os.environ, self.get_namespace()))
        except OSError as error:
            self._listening.close()
            raise ReactdiffError(f"visitors cannot be received, {error.strerror}", where=self.NAME) from error
        self._listening.listen(8)
        self._listening.settimeout(POLL_S)
        self.thread("visitors", partial(self._accept, self._listening))
        self.serve("~/pass_seat_on", self._pass_on)
        self._tell(False)

    def stop(self) -> None:
        """Say goodbye to the visitor."""
        self.end_threads()
        listening, self._listening = getattr(self, "_listening", None), None
        if listening is not None:
            self._visits.close()
            listening.close()

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        width, height = self._size
        return f"a visitor's camera gives {width}x{height}" if self._there else "waits for a visitor's camera"

    def settings(self) -> dict[str, Any]:
        """And whether a visitor is there and how many wait, for pages."""
        visits = getattr(self, "_visits", None)
        visitor, waiting = ("free", 0) if visits is None else (visits.queue.state, visits.queue.waiting)
        return {**super().settings(), "visitor": visitor, "waiting": waiting}

    def _pass_on(self, _request: Any, response: Any) -> Any:
        response.success, response.message = self._visits.queue.pass_on()
        return response

    def _tell(self, there: bool) -> None:
        self._there = there
        self.publish(self._presence, Bool(data=there))
        if not there:
            self._size = (0, 0)
            self.solved("visitor")

    def _accept(self, listening: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                line, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError as error:
                self.failed(error, "the visitors' door")
                stopping.wait(POLL_S)
                continue
            if peer_of(line)[1] not in (os.getuid(), 0):
                line.close()
            else:
                self._visits.enter(line)

    def _publish(self, found: Picture | Sound) -> None:
        if isinstance(found, Sound):
            self.publish(self._sounds, fill_audio(msg.AudioChunk(), found, "microphone"))
        else:
            message = jpeg_message(found.jpeg, found.stamp_ns, str(self.values["frame_id"]))
            self.publish(self._pictures, message)
            field_deg = float(self.values["horizontal_fov_deg"])
            self.publish(self._infos, camera_info(message.header, found.width, found.height, field_deg))
            self._size = (found.width, found.height)
            self.counted(found.stamp_ns)
        self.meter.dropped["camera/image_raw/compressed"] = self._visits.dropped
        self.meter.dropped["audio"] = self._visits.lost


def main() -> int:
    """Run the node."""
    return run(BrowserNode)
