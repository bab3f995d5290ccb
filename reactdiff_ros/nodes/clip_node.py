"""A media file played as if live: picture and sound on one clock, stamped with the time when they were due."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from reactdiff_ros import msg
from reactdiff_ros.capture.decode import encode_jpeg
from reactdiff_ros.capture.media import ClipPicture, ClipPlayer, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.messages import fill_audio
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.camera_node import jpeg_message
from reactdiff_ros.nodes.health import RATE_NS, Level, Meter
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import Sound

TOPIC = "camera/image_raw/compressed"
RETRY_S = 2.0
SIM_POLL_S = 0.005
"""Simulated time is looked at this often."""


class ClipNode(ReactdiffNode):
    """Plays `clip`; when it cannot be read, says so and tries again until it can."""

    NAME = "clip_node"
    SLOW = "fewer than half of the clip's pictures are played: this machine is overloaded, stop other programs on it"

    def setup(self) -> None:
        """Advertise; the file is opened by the player, so that a missing one fails nothing."""
        self._pictures = self.advertise(TOPIC)
        self._sounds = self.advertise("audio")
        self.backend = "ffmpeg"
        self._ended = self._visited = False

    def start(self) -> None:
        """Start the player."""
        self._ended = self._visited = False
        self.subscribe("camera/visitor", self._on_visitor)
        self._due = Meter()
        self.thread("player", self._play_until)

    def _on_visitor(self, message: Any) -> None:
        self._visited = bool(message.data)

    def figures(self) -> dict[str, str]:
        """Whether the clip is over, for who started it."""
        return {"ended": str(self._ended).lower()}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return "pauses for a visitor's camera" if self._visited else f"{self.values['clip']} plays"

    def nominal_hz(self) -> float:
        """Pictures a second that are due; unknown under simulated time, which runs at any speed."""
        return 0.0 if self.simulated() or self._visited else self._due.rate_hz(self.steady_ns(), RATE_NS)

    def _play_until(self, stopping: threading.Event) -> None:
        ended = False
        while not stopping.is_set() and not ended:
            try:
                ended = self._play(stopping)
                self.solved("sound")
                self.solved("picture")
                self._ended = ended
                if ended:
                    self.problem("end", f"{self.values['clip']} has ended: nothing more comes", Level.WARN)
            except ReactdiffError as error:
                self.problem("clip", str(error))
                stopping.wait(RETRY_S)
            except Exception as error:
                self.failed(error, "the player")
                stopping.wait(RETRY_S)

    def _play(self, stopping: threading.Event) -> bool:
        """Play until the end (true), until stopped, or until simulated time goes back: then it starts again."""
        name = str(self.values["clip"])
        if not name:
            raise MediaError("no clip is named", where="parameter clip", todo="give the path of a media file")
        clip = MediaClip(name)
        player = ClipPlayer(clip, bool(self.values["loop"]), self._clock_ns, self.now_ns, partial(self._wait, stopping))
        self.solved("clip")
        if not clip.has_sound:
            self.problem("sound", f"{name} has no sound: the speaker is followed by sight alone", Level.WARN)
        if not clip.has_picture:
            self.problem("picture", f"{name} has no pictures: the speaker is followed by sound alone", Level.WARN)
        for item, stamp_ns in player.items():
            for _ in range(player.dropped_pictures - self.meter.dropped[TOPIC]):
                self._due.output(self.steady_ns())
            self.meter.dropped[TOPIC] = player.dropped_pictures
            if isinstance(item, ClipPicture):
                self._due.output(self.steady_ns())
                self._publish_picture(item, stamp_ns)
            else:
                self._publish_sound(item, stamp_ns)
        return player.ended

    def _clock_ns(self) -> int:
        """What the clip is played by: simulated time where there is, else a clock that never jumps."""
        return self.now_ns() if self.simulated() else self.steady_ns()

    def _wait(self, stopping: threading.Event, ns: int) -> bool:
        seconds = max(ns, 0) / NS
        return stopping.wait(min(seconds, SIM_POLL_S) if self.simulated() else min(seconds, 1.0))

    def _publish_picture(self, picture: ClipPicture, stamp: int) -> None:
        if self._visited:
            return
        data = encode_jpeg(picture.bgr, int(self.values["jpeg_quality"]))
        self.publish(self._pictures, jpeg_message(data, stamp, str(self.values["frame_id"])))
        self.counted(stamp)

    def _publish_sound(self, sound: ClipSound, stamp: int) -> None:
        value = Sound(stamp, sound.rate_hz, sound.samples)
        if not self._visited:
            self.publish(self._sounds, fill_audio(msg.AudioChunk(), value, "microphone"))


def main() -> int:
    """Run the node."""
    return run(ClipNode)
