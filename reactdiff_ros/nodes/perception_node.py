"""Who is there and what their face and voice do: one SpeakerFrame a picture, as it arrives."""

from __future__ import annotations

import random
import string
import threading
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from reactdiff_ros.capture.decode import StampedBytes, sampled_sound
from reactdiff_ros.clock import NS, StampGuard
from reactdiff_ros.types import Picture, Sound, SpeakerFrame

from . import convert
from .base import ReactdiffNode
from .health import Level
from .picture_watch import PictureWatch
from .pictures import PictureDecoder
from .runner import run
from .worker import Worker

Evidence = TypeVar("Evidence", Picture, Sound)

SILENT_NS = 2 * NS
"""Pictures or sound that have not come for so long are missed."""
CLIPPED = 0.1
"""Where so large a share of the samples is at full scale, the sound is a ruin; loud speech touches it for moments."""
REPLAY_PICTURES = 10
"""Live, the newest picture is worth more than all; of a replay every picture is wanted, so a hiccup loses none."""
_IMAGE, _COMPRESSED = "camera/image_raw", "camera/image_raw/compressed"
_AUDIO, _BYTES, _SAMPLES = "audio", "audio_stamped", "audio_capture"


class PerceptionNode(ReactdiffNode):
    """Pictures and sound in; `speaker/frame` and `gaze_target` out. The work is done in one worker thread."""

    NAME = "perception_node"

    def setup(self) -> None:
        """Load the networks."""
        # Imported here: the networks take a second, in which the node can already be seen.
        from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception

        self._perception = SpeakerPerception(self.configured(PerceptionConfig))
        self._perception.warm_up()
        self._busy = threading.Lock()
        self._decoder = PictureDecoder()
        self._bytes = StampedBytes()
        self._frames, self._gaze_targets = self.advertise("speaker/frame"), self.advertise("gaze_target")
        self._humans = self._make_humans()
        self._speaker = "nobody"
        self.backend = f"mediapipe, {self._decoder.backend}"

    def start(self) -> None:
        """Subscribe and start the worker."""
        self._stamp_guards = {"picture": StampGuard(), "sound": StampGuard()}
        self._seen_ns = {"picture": self.running_ns(), "sound": self.running_ns()}
        self._audible_ns = self.running_ns()
        self._picture_watch = PictureWatch()
        self._perception.reset()
        pictures = REPLAY_PICTURES if self.simulated() else 1
        depths = {_IMAGE: pictures, _COMPRESSED: pictures, _AUDIO: 50, _BYTES: 50, _SAMPLES: 50}
        self._worker = self.work(Worker("perception", self._handle, depths, self.failed))
        transport = self.values["image_transport"]
        if transport in ("raw", "both"):
            self.subscribe(_IMAGE, partial(self._worker.put, _IMAGE), depth=max(pictures, 5))
        if transport in ("compressed", "both"):
            self.subscribe(_COMPRESSED, partial(self._worker.put, _COMPRESSED), depth=max(pictures, 5))
        self.subscribe("camera/camera_info", self._decoder.on_camera_info)
        self.subscribe("robot_speaking", lambda m: self._perception.robot_speaking(bool(m.data), self.now_ns()))
        self.subscribe(_AUDIO, partial(self._worker.put, _AUDIO))
        self._subscribe_foreign()
        self.serve("select_person", self._select)
        self.serve("~/reset", self._reset)

    def teardown(self) -> None:
        """Take back what is published of persons alone."""
        humans, self._humans = getattr(self, "_humans", None), None
        if humans is not None:
            humans.close()

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return f"listens to {self._speaker}" if self._speaker != "nobody" else "nobody is there"

    def settings(self) -> dict[str, Any]:
        """Effective settings."""
        return {n: v for n, v in self.values.items() if n in ("image_transport", "mirror", "max_faces")}

    def observe_health(self) -> None:
        """Say what is missing."""
        now = self.running_ns()
        names = {"raw": _IMAGE, "compressed": _COMPRESSED, "both": f"{_IMAGE} or {_COMPRESSED}"}
        topic = names[self.values["image_transport"]]
        missing = {
            "picture": f"no pictures on {topic}: the camera is missing, or its topic has another name",
            "sound": f"no sound on {_AUDIO}: the speaker is followed by sight alone",
        }
        sources = {"picture": (_IMAGE, _COMPRESSED), "sound": (_AUDIO, _BYTES, _SAMPLES)}
        for kind, sentence in missing.items():
            malformed = any(f"drop {source}" in self.health for source in sources[kind])
            silent = now - self._seen_ns[kind] > SILENT_NS and not malformed
            self.set_problem(kind, sentence if silent else "", Level.WARN)
        self._say_unusable(topic, now)

    def _say_unusable(self, topic: str, now: int) -> None:
        """Say what comes and can tell nothing."""
        seen, heard = "picture" not in self.health, "sound" not in self.health
        self.set_problem("scene", self._picture_watch.sentence(topic) if seen else "", Level.WARN)
        if not self._perception.digitally_silent:
            self._audible_ns = now
        silent = heard and now - self._audible_ns > SILENT_NS
        sentence = f"the sound on {_AUDIO} is digitally silent: is the microphone muted?"
        self.set_problem("silence", sentence if silent else "", Level.WARN)
        clipped = heard and self._perception.clipping > CLIPPED
        sentence = f"the sound on {_AUDIO} is cut off at full scale: turn the microphone's gain down"
        self.set_problem("clipping", sentence if clipped else "", Level.WARN)

    def _subscribe_foreign(self) -> None:
        for topic, callback in (
            (_BYTES, partial(self._worker.put, _BYTES)),
            ("audio_info", self._bytes.on_info),
            (_SAMPLES, partial(self._worker.put, _SAMPLES)),
        ):
            try:
                self.subscribe(topic, callback)
            except ImportError:
                continue  # not installed, which is the usual case

    def _make_humans(self) -> Any:
        from .humans import Humans

        if not self.values["humans"]:
            return None
        try:
            return Humans(
                lambda kind, topic: self.create_publisher(kind, topic, 10), self.destroy_publisher,
                "".join(random.choices(string.ascii_lowercase, k=5)), float(self.values["min_detection_score"]),
            )  # fmt: skip
        except ImportError:
            return None

    # In the worker

    def _handle(self, topic: str, message: Any) -> None:
        if topic in (_IMAGE, _COMPRESSED):
            decode = self._decoder.raw if topic == _IMAGE else self._decoder.compressed
            picture = self._stamped(topic, decode(message))
            self._picture_watch.look(picture.bgr, self.running_ns())
            self._on_picture(topic, picture)
        else:
            sound = {_AUDIO: convert.sound_value, _BYTES: self._bytes.sound, _SAMPLES: sampled_sound}[topic]
            self._on_sound(topic, self._stamped(topic, sound(message)))

    def _stamped(self, topic: str, value: Evidence) -> Evidence:
        """A driver that does not stamp: the time of arrival stands in, and the diagnostics say so."""
        if value.stamp_ns:
            self.solved(f"stamp {topic}")
            return value
        sentence = f"{topic} carries no stamps: the time of arrival is taken, so latency cannot be known"
        self.problem(f"stamp {topic}", sentence, Level.WARN)
        return replace(value, stamp_ns=self.now_ns())

    def _on_picture(self, topic: str, picture: Picture) -> None:
        if self._in_time("picture", topic, picture.stamp_ns):
            with self._busy:
                self._publish(self._perception.observe_picture(picture))

    def _on_sound(self, topic: str, sound: Sound) -> None:
        if self._in_time("sound", topic, sound.stamp_ns):
            with self._busy:
                for frame in self._perception.observe_sound(sound):
                    self._publish(frame)

    def _in_time(self, kind: str, topic: str, stamp_ns: int) -> bool:
        """False for what is out of order; a jump back flushes all that was known."""
        verdict = self._stamp_guards[kind].check(stamp_ns)
        if verdict == "late":
            self.meter.dropped[f"{topic} (late)"] += 1
            return False
        self._seen_ns[kind] = self.running_ns()
        self.check_clock(topic, stamp_ns)
        if verdict == "jump":
            self.get_logger().info(f"{topic} jumped back in time: starting anew")
            # The other stream jumps as well, now or soon: it must not flush again.
            self._stamp_guards = {k: g if k == kind else StampGuard() for k, g in self._stamp_guards.items()}
            with self._busy:
                self._perception.reset()
        return True

    def _publish(self, frame: SpeakerFrame) -> None:
        from reactdiff_ros.perception import gaze_target

        target = gaze_target(frame)
        self.publish(self._frames, convert.speaker_message(frame))
        if target is not None:
            self.publish(self._gaze_targets, convert.gaze_message(target))
        self.meter.output(self.steady_ns(), (self.now_ns() - frame.stamp_ns) / 1e6)
        speaker = f"person {frame.person_id}" if frame.person_id >= 0 else "nobody"
        if speaker == "nobody" and frame.voice is not None and frame.voice.speaking:
            speaker = "a voice"
        self._speaker = speaker
        if self._humans is not None:
            self._humans.publish(frame, self._perception.persons(), self._perception.regions())

    # Services

    def _select(self, request: Any, response: Any) -> Any:
        with self._busy:
            response.success = self._perception.select(int(request.person_id), bool(request.lock))
            response.persons = list(self._perception.persons())
        wanted = "anybody" if request.person_id < 0 else f"person {request.person_id}"
        response.message = f"listens to {wanted}" if response.success else f"{wanted} is not in sight"
        return response

    def _reset(self, _request: Any, response: Any) -> Any:
        with self._busy:
            self._perception.reset()
        response.success, response.message = True, "forgot all persons"
        return response


def main() -> int:
    """Run the node."""
    return run(PerceptionNode)
