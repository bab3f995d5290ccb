"""Who is there and what their face and voice do: one SpeakerFrame for each picture, as it arrives."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from geometry_msgs.msg import PointStamped
from std_msgs.msg import Bool, Header, String

from reactdiff_ros import msg
from reactdiff_ros.capture.compressed import decode_compressed
from reactdiff_ros.capture.decode import decode_image
from reactdiff_ros.capture.other_sound import StampedBytes, sampled_sound
from reactdiff_ros.clock import NS, StampGuard
from reactdiff_ros.coefficients import sides
from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import fill_gaze, fill_header, fill_people, fill_speaker, from_stamp, sound_value
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import UINT8, FloatArray, People, Picture, Sound, SpeakerFrame
from reactdiff_ros.worker import Worker

SPARSE: Final = 8
"""Every eighth row and column is checked."""
BLANK: Final = 3.0
"""Standard deviation of a channel (of 255) below which a picture shows nothing: the noise of a covered camera."""
BLANK_NS: Final = NS
FROZEN_NS: Final = 2 * NS
"""Durations after which it is reported."""


class PictureWatch:
    """Looks at some pixels of every picture: those of a living camera differ, by their noise at least."""

    def __init__(self) -> None:
        self._last: UINT8 | None = None
        self._now_ns = 0
        self._blank_ns: int | None = None
        self._frozen_ns: int | None = None

    def look(self, picture: UINT8, now_ns: int) -> None:
        """At a picture, (h, w, 3), that came at `now_ns` of a clock that never goes back."""
        seen = picture[::SPARSE, ::SPARSE].copy()
        blank = float(seen.reshape(-1, seen.shape[-1]).std(axis=0).max()) < BLANK
        frozen = self._last is not None and np.array_equal(seen, self._last)
        self._blank_ns = None if not blank else now_ns if self._blank_ns is None else self._blank_ns
        self._frozen_ns = None if not frozen else self._now_ns if self._frozen_ns is None else self._frozen_ns
        self._last, self._now_ns = seen, now_ns

    @property
    def fault(self) -> str:
        """What is wrong with the pictures: blank (one colour) or frozen (all the same); empty: nothing."""
        if self._blank_ns is not None and self._now_ns - self._blank_ns >= BLANK_NS:
            return "blank"
        return "frozen" if self._frozen_ns is not None and self._now_ns - self._frozen_ns >= FROZEN_NS else ""


try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


class PictureDecoder:
    """Decodes sensor_msgs Image and CompressedImage; keeps the focal length of the last camera_info."""

    def __init__(self) -> None:
        self._bridge: Any = CvBridge() if CvBridge is not None else None
        self._focal: tuple[float, int] | None = None

    @property
    def backend(self) -> str:
        """What decodes raw pictures."""
        return "opencv" if self._bridge is None else "cv_bridge"

    def on_camera_info(self, info: Any) -> None:
        """Keep the focal length; an uncalibrated camera (all zero) has none. Raises MessageError if impossible."""
        focal, width = float(info.k[0]), int(info.width)
        if focal == 0.0 or width == 0:
            self._focal = None
        elif not 1.0 <= focal <= 1e6:
            raise MessageError(f"a camera_info with a focal length of {focal:g} px")
        else:
            self._focal = (focal, width)

    def raw(self, message: Any) -> Picture:
        """An Image as Picture. Raises MessageError when it is malformed."""
        # cv_bridge trusts sizes, so ours looks first; it also knows encodings that cv_bridge refuses.
        pixels = decode_image(
            message.encoding, message.height, message.width, message.step, message.data, bool(message.is_bigendian)
        )
        if self._bridge is not None:
            with suppress(Exception):
                pixels = np.asarray(self._bridge.imgmsg_to_cv2(message, desired_encoding="bgr8"))
        return self._picture(message, pixels)

    def compressed(self, message: Any) -> Picture:
        """A CompressedImage as Picture. Raises MessageError when it is malformed."""
        return self._picture(message, decode_compressed(message.format, message.data))

    def _picture(self, message: Any, pixels: UINT8) -> Picture:
        focal = None if self._focal is None else self._focal[0] * pixels.shape[1] / self._focal[1]
        return Picture(from_stamp(message.header.stamp), pixels, message.header.frame_id or "camera", focal)


ACTION_UNITS = 99
FACS: Final[dict[int, tuple[str, ...]]] = {
    1: ("browInnerUp",), 2: ("browOuterUp",), 4: ("browDown",), 5: ("eyeWide",), 6: ("cheekSquint",),
    7: ("eyeSquint",), 9: ("noseSneer",), 10: ("mouthUpperUp",), 12: ("mouthSmile",), 14: ("mouthDimple",),
    15: ("mouthFrown",), 16: ("mouthLowerDown",), 17: ("mouthShrugLower",), 18: ("mouthPucker",),
    20: ("mouthStretch",), 22: ("mouthFunnel",), 24: ("mouthPress",), 26: ("jawOpen",),
    28: ("mouthRollLower", "mouthRollUpper"), 43: ("eyeBlink",),
}  # fmt: skip
"""FACS unit -> the ARKit coefficients whose mean represents it; a name without its side means both."""
_LABELS = {"disgust": "disgusted", "fear": "scared", "surprise": "surprised"}


def action_units(frame: SpeakerFrame) -> tuple[FloatArray, FloatArray]:
    """(99,) intensities 0..1 and (99,) confidences by FACS number; a unit is as sure as its least sure coefficient."""
    intensity = np.zeros(ACTION_UNITS, dtype=np.float32)
    confidence = np.zeros(ACTION_UNITS, dtype=np.float32)
    for unit, names in FACS.items():
        indices = [index for name in names for index in sides(name)]
        intensity[unit] = frame.coefficients[indices].mean()
        confidence[unit] = frame.confidence[indices].min()
    return intensity, confidence


_MARKS: Final = {"faces": "", "persons": "p", "voices": "v"}
"""What ids of each kind have before their number."""
ATTENTIVE: Final = 0.5
"""Attention from which a person counts as engaged, and belief from which they count as speaking."""


class Humans:
    """Publishes REP-155's topics. Raises ImportError at construction where hri_msgs is missing.

    The topics are absolute, as REP-155 and libhri have them, so all robots of a ROS domain share them: ids are random
    and change with every start.

    Args:
        advertise: (message class, absolute topic, latched) -> publisher; called once an id and topic.
        retire: destroys a publisher of a face, person or voice that is gone.
        mark: what ids begin with, letters; drawn by chance as hri_face_detect's are.
        score: least confidence of a face that is followed, 0..1.
    """

    def __init__(
        self, advertise: Callable[[Any, str, bool], Any], retire: Callable[[Any], None], mark: str, score: float
    ) -> None:
        from hri_msgs.msg import EngagementLevel, Expression, FacialActionUnits, IdsList, NormalizedRegionOfInterest2D

        self._kinds = {
            "roi": NormalizedRegionOfInterest2D, "expression": Expression, "facs": FacialActionUnits,
            "face_id": String, "voice_id": String, "anonymous": Bool, "engagement_status": EngagementLevel,
            "is_speaking": Bool,
        }  # fmt: skip
        self._ids, self._levels = IdsList, (EngagementLevel.DISENGAGED, EngagementLevel.ENGAGED)
        self._advertise, self._retire = advertise, retire
        self._mark, self._score = mark, score
        self._tracked = {kind: advertise(IdsList, f"/humans/{kind}/tracked", False) for kind in _MARKS}
        self._publishers: dict[int, dict[str, Any]] = {}
        self._told: dict[tuple[int, str], Any] = {}

    def publish(
        self, frame: SpeakerFrame, faces: tuple[int, ...], regions: Mapping[int, tuple[float, float, float, float]],
        people: People | None = None,
    ) -> None:  # fmt: skip
        """Ids of all in sight, and where in the picture; expression and action units of the speaker; who are people
        rather than passers-by, whether they look at the robot, and who speaks.

        `regions`: left, top, right and bottom of the faces that the picture shows, as shares of its sides.
        """
        stamp = fill_header(Header(), frame.stamp_ns, frame.frame_id)
        persons = () if people is None else tuple(p.person_id for p in people.persons)
        for kind, ids in (("faces", faces), ("persons", persons), ("voices", persons)):
            self._tracked[kind].publish(self._ids(header=stamp, ids=[self._name(i, _MARKS[kind]) for i in ids]))
        for gone in set(self._publishers) - set(faces):
            for publisher in self._publishers.pop(gone).values():
                self._retire(publisher)
            self._told = {key: value for key, value in self._told.items() if key[0] != gone}
        if frame.picture_stamp_ns is not None:
            picture = fill_header(Header(), frame.picture_stamp_ns, frame.frame_id)
            for person, (left, top, right, bottom) in regions.items():
                self._send(
                    person, "faces", "roi", header=picture, xmin=left, ymin=top, xmax=right, ymax=bottom, c=self._score
                )  # fmt: skip
        self._publish_speaker(frame, stamp)
        for seen in () if people is None else people.persons:
            i, engaged = seen.person_id, seen.attention > ATTENTIVE
            self._tell(i, "persons", "face_id", self._name(i), data=self._name(i))
            self._tell(i, "persons", "voice_id", self._name(i), data=self._name(i, "v"))
            self._tell(i, "persons", "anonymous", True, data=True)
            self._tell(i, "persons", "engagement_status", engaged, header=stamp, level=self._levels[engaged])
            self._tell(i, "voices", "is_speaking", seen.speaking > ATTENTIVE, data=seen.speaking > ATTENTIVE)

    def _publish_speaker(self, frame: SpeakerFrame, stamp: Any) -> None:
        if frame.person_id < 0 or not frame.mesh_present:
            return
        if (affect := frame.affect) is not None:
            self._send(
                frame.person_id, "faces", "expression", header=stamp,
                expression=_LABELS.get(affect.label, affect.label), valence=float(affect.valence),
                arousal=float(affect.arousal), confidence=float(affect.probabilities.max()),
            )  # fmt: skip
        intensity, confidence = action_units(frame)
        self._send(frame.person_id, "faces", "facs", header=stamp, intensity=intensity, confidence=confidence)

    def close(self) -> None:
        """Retire all publishers."""
        for publisher in (*self._tracked.values(), *(p for of in self._publishers.values() for p in of.values())):
            self._retire(publisher)
        self._publishers.clear()

    def _tell(self, person: int, kind: str, topic: str, state: Any, **values: Any) -> None:
        """Publish what lasts when it changes: the topic is latched."""
        if self._told.get((person, topic)) != state:
            self._told[person, topic] = state
            self._send(person, kind, topic, latched=True, **values)

    def _send(self, person: int, kind: str, topic: str, *, latched: bool = False, **values: Any) -> None:
        publishers = self._publishers.setdefault(person, {})
        if topic not in publishers:
            name = f"/humans/{kind}/{self._name(person, _MARKS[kind])}/{topic}"
            publishers[topic] = self._advertise(self._kinds[topic], name, latched)
        publishers[topic].publish(self._kinds[topic](**values))

    def _name(self, person: int, mark: str = "") -> str:
        """Ids are parts of topic names: letters and digits, beginning with a letter."""
        return f"{self._mark}{mark}{person}"


Evidence = TypeVar("Evidence", Picture, Sound)

SILENT_NS = 2 * NS
"""Pictures or sound are reported missing after this time."""
CLIPPED = 0.1
"""Share of samples at full scale above which the audio is clipped beyond use; loud speech clips only for moments."""
FAULTS: Final = {
    "picture_fault": {"picture": "missing", "blank": "blank", "frozen": "frozen"},
    "sound_fault": {"sound": "missing", "silence": "silent", "clipping": "clipped"},
}
"""What the status says of the evidence, by key of the problem in force; empty: no fault."""
REPLAY_PICTURES = 10
"""Live, the newest picture is worth more than all; of a replay every picture is wanted, so a hiccup loses none."""
_UNUSABLE: Final = {
    "blank": "the pictures on {} show one colour and nothing else: is the camera covered, or the room dark?",
    "frozen": "the pictures on {} are all the same: does the camera, or its driver, hang?",
}
_IMAGE, _COMPRESSED = "camera/image_raw", "camera/image_raw/compressed"
_AUDIO, _BYTES, _SAMPLES = "audio", "audio_stamped", "audio_capture"


class PerceptionNode(ReactdiffNode):
    """Pictures and sound in; `speaker/frame`, `gaze_target` and `people` out. The work is done in one worker thread."""

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
        self._people = self.advertise("people")
        self._humans = self._make_humans()
        self._speaker = "no one"
        self.backend = f"onnxruntime, {self._decoder.backend}"

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
        return f"listens to {self._speaker}" if self._speaker != "no one" else "no one is there"

    def settings(self) -> dict[str, Any]:
        """Effective settings, and what is wrong with the pictures and the sound, for pages."""
        given = {n: v for n, v in self.values.items() if n in ("image_transport", "mirror", "max_faces")}
        problems = {n: (said for key, said in of.items() if key in self.health) for n, of in FAULTS.items()}
        return given | {name: next(said, "") for name, said in problems.items()}

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
        fault = self._picture_watch.fault if seen else ""
        for key, sentence in _UNUSABLE.items():
            self.set_problem(key, sentence.format(topic) if key == fault else "", Level.WARN)
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
            with suppress(ImportError):  # not installed, which is the usual case
                self.subscribe(topic, callback)

    def _make_humans(self) -> Any:
        def advertise(kind: Any, topic: str, latched: bool) -> Any:
            return self.create_publisher(kind, topic, self.qos["latched"] if latched else 10)

        mark, score = "".join(random.choices(string.ascii_lowercase, k=5)), float(self.values["min_detection_score"])
        with suppress(ImportError):
            return Humans(advertise, self.destroy_publisher, mark, score) if self.values["humans"] else None
        return None

    # In the worker

    def _handle(self, topic: str, message: Any) -> None:
        if topic in (_IMAGE, _COMPRESSED):
            decode = self._decoder.raw if topic == _IMAGE else self._decoder.compressed
            picture = self._stamped(topic, decode(message))
            self._picture_watch.look(picture.bgr, self.running_ns())
            self._on_picture(topic, picture)
        else:
            sound = {_AUDIO: sound_value, _BYTES: self._bytes.sound, _SAMPLES: sampled_sound}[topic]
            self._on_sound(topic, self._stamped(topic, sound(message)))

    def _stamped(self, topic: str, value: Evidence) -> Evidence:
        """A driver that does not stamp: the time of arrival is used, and the diagnostics say so."""
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
                people = self._perception.people
                if people is not None:
                    self.publish(self._people, fill_people(msg.People(), people, msg.Person))

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
            self.get_logger().info(f"{topic} jumped back in time: starting again")
            # The other stream jumps as well, now or soon: it must not flush again.
            self._stamp_guards = {k: g if k == kind else StampGuard() for k, g in self._stamp_guards.items()}
            with self._busy:
                self._perception.reset()
        return True

    def _publish(self, frame: SpeakerFrame) -> None:
        from reactdiff_ros.perception import gaze_target

        target = gaze_target(frame)
        self.publish(self._frames, fill_speaker(msg.SpeakerFrame(), frame))
        if target is not None:
            self.publish(self._gaze_targets, fill_gaze(PointStamped(), target))
        self.counted(frame.stamp_ns)
        speaker = f"person {frame.person_id}" if frame.person_id >= 0 else "no one"
        if speaker == "no one" and frame.voice is not None and frame.voice.speaking:
            speaker = "a voice"
        self._speaker = speaker
        if self._humans is not None:
            seen = self._perception
            self._humans.publish(frame, seen.persons(), seen.regions(), seen.people)

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
