"""Parts of perception_node: pictures that show nothing new, and packages that are not on every machine (stand-ins)."""

from __future__ import annotations

import array
import sys
from itertools import islice
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from sensor_msgs.msg import CameraInfo, Image

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import MessageError
from reactdiff_ros.nodes import perception_node
from reactdiff_ros.nodes.perception_node import Humans, PictureDecoder, PictureWatch, action_units
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Affect, People, PersonSeen, SpeakerFrame

FRAME_NS = NS // 30


def watched(pictures, seconds: float) -> list[str]:
    """The fault of pictures, 30 a second, after each of them."""
    watch, said = PictureWatch(), []
    for i, picture in enumerate(islice(pictures, round(30 * seconds))):
        watch.look(picture, 5 * NS + i * FRAME_NS)
        said.append(watch.fault)
    return said


def camera(level: float, noise: float, seed: int = 0):
    """A still scene, dark or bright, as a camera takes it."""
    random = np.random.default_rng(seed)
    scene = level * (1.0 + np.linspace(0.0, 0.5, 64)[None, :, None])
    while True:
        yield np.clip(scene + random.normal(0.0, noise, (48, 64, 3)), 0, 255).astype(np.uint8)


def test_a_still_scene_and_the_shipped_speaker_are_not_frozen():
    assert not any(watched(camera(100.0, 1.0), 4.0))
    clip = MediaClip(demo_clip_path()).pictures_and_sound()
    assert not any(watched((item.bgr for item in clip if isinstance(item, ClipPicture)), 12.0))


def test_the_same_picture_is_said_after_two_seconds_and_no_longer_than_it_lasts():
    one = next(camera(100.0, 1.0))
    said = watched((one for _ in iter(int, 1)), 4.0)
    assert not any(said[:60])
    assert set(said[61:]) == {"frozen"}
    for other in (next(camera(100.0, 1.0, seed=1)), np.repeat(one, 2, axis=0)):  # also of another size
        watch = PictureWatch()
        for i in range(90):
            watch.look(one, i * FRAME_NS)
        watch.look(other, 90 * FRAME_NS)
        assert watch.fault == ""


@pytest.mark.parametrize(("level", "noise"), [(0.0, 0.0), (2.0, 1.5), (255.0, 0.0)])
def test_a_picture_of_one_colour_is_said(level, noise):
    said = watched(camera(level, noise), 2.0)
    assert not any(said[:30])
    assert set(said[31:]) == {"blank"}


# REP-155


def frame(person: int) -> SpeakerFrame:
    probabilities = np.full(8, 0.1, np.float32)
    probabilities[2] = 0.4
    values, confidence = np.zeros(58, np.float32), np.ones(58, np.float32)
    values[INDEX["mouthSmileLeft"]], values[INDEX["mouthSmileRight"]] = 0.4, 0.8
    confidence[INDEX["mouthSmileRight"]] = 0.25
    affect = Affect("fear", probabilities, -0.5, 0.5)
    return SpeakerFrame(9, 9, None, person, person >= 0, person >= 0, values, confidence, 1.0, None, None, affect, None)


def test_action_units_follow_the_coefficients_and_their_confidence():
    intensity, confidence = action_units(frame(1))
    assert intensity.shape == confidence.shape == (99,)
    assert (intensity[12], confidence[12]) == (pytest.approx(0.6), pytest.approx(0.25))
    assert intensity.sum() == pytest.approx(0.6)


@pytest.fixture
def hri_msgs(monkeypatch):
    module = ModuleType("hri_msgs.msg")
    for name in ("EngagementLevel", "Expression", "FacialActionUnits", "IdsList", "NormalizedRegionOfInterest2D"):
        setattr(module, name, type(name, (SimpleNamespace,), {"DISENGAGED": 1, "ENGAGED": 3}))
    monkeypatch.setitem(sys.modules, "hri_msgs", ModuleType("hri_msgs"))
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", module)


class Graph:
    """Keeps what is published, which topics are latched, and which were retired."""

    def __init__(self):
        self.sent, self.latched, self.retired = [], set(), []
        self.humans = Humans(self._publisher, lambda p: self.retired.append(p.topic), "abcde", 0.5)

    def _publisher(self, _, topic, latched):
        self.latched |= {topic} if latched else set()
        return SimpleNamespace(topic=topic, publish=lambda message: self.sent.append((topic, message)))


def test_the_speaker_is_published_as_rep_155_has_it(hri_msgs):
    graph, face = Graph(), "/humans/faces/abcde"
    humans, sent, retired = graph.humans, graph.sent, graph.retired
    regions = {3: (0.1, 0.2, 0.4, 0.6), 5: (0.5, 0.2, 0.7, 0.6)}
    humans.publish(frame(3), (3, 5, 7), regions)
    messages = dict(sent)
    assert messages["/humans/faces/tracked"].ids == ["abcde3", "abcde5", "abcde7"]
    assert messages[f"{face}3/expression"].expression == "scared"
    assert messages[f"{face}3/expression"].confidence == pytest.approx(0.4)
    assert messages[f"{face}3/facs"].intensity.shape == (99,)
    roi = messages[f"{face}5/roi"]  # libhri wants one of every face
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c) == (*regions[5], 0.5)
    assert f"{face}7/roi" not in messages  # it is not in this picture
    sent.clear()
    humans.publish(frame(-1), (), {})
    assert [topic for topic, _ in sent] == [f"/humans/{kind}/tracked" for kind in ("faces", "persons", "voices")]
    assert sorted(retired) == [f"{face}3/expression", f"{face}3/facs", f"{face}3/roi", f"{face}5/roi"]
    humans.publish(frame(5), (5,), {})
    humans.close()
    kinds = ("faces", "persons", "voices")
    assert retired[4:] == [*(f"/humans/{k}/tracked" for k in kinds), f"{face}5/expression", f"{face}5/facs"]


def test_everyone_who_is_here_is_a_person_with_a_face_and_a_voice(hri_msgs):
    graph = Graph()
    humans, sent = graph.humans, graph.sent

    def people(speaking: float) -> People:
        persons = (PersonSeen(3, None, speaking, 0.9, 0.0), PersonSeen(5, None, 0.1, 0.2, speaking))
        return People(9, persons, 3, 0.1)

    humans.publish(frame(3), (3, 5, 7), {}, people(0.9))
    messages = dict(sent)
    assert messages["/humans/faces/tracked"].ids == ["abcde3", "abcde5", "abcde7"]
    assert messages["/humans/persons/tracked"].ids == ["abcdep3", "abcdep5"]
    assert messages["/humans/voices/tracked"].ids == ["abcdev3", "abcdev5"]
    person, voice = "/humans/persons/abcdep", "/humans/voices/abcdev"
    assert messages[f"{person}3/face_id"].data == "abcde3"
    assert messages[f"{person}5/voice_id"].data == "abcdev5"
    assert [messages[f"{person}{i}/engagement_status"].level for i in (3, 5)] == [3, 1]
    assert [messages[f"{voice}{i}/is_speaking"].data for i in (3, 5)] == [True, False]
    assert {f"{person}3/face_id", f"{voice}3/is_speaking"} <= graph.latched
    sent.clear()
    humans.publish(frame(3), (3, 5), {}, people(0.9))
    assert not any("is_speaking" in topic or "_id" in topic for topic, _ in sent), "only what changes"
    humans.publish(frame(3), (3, 5), {}, people(0.2))
    assert [m.data for topic, m in sent if "is_speaking" in topic] == [False]


def test_without_hri_msgs_nothing_of_it_is_published(monkeypatch):
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", None)
    with pytest.raises(ImportError):
        Humans(lambda *_: None, lambda _: None, "a", 0.5)


# Pictures


def image(encoding="bgr8", data=None) -> Image:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    return Image(encoding=encoding, height=2, width=3, step=9, data=array.array("B", (data or pixels.tobytes())))


@pytest.mark.parametrize("installed", [False, True])
def test_cv_bridge_decodes_where_it_is_installed_and_our_decoder_what_it_refuses(monkeypatch, installed):
    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            if message.encoding == "8UC3":
                raise RuntimeError("[8UC3] is not a color format")
            return np.frombuffer(message.data, np.uint8).reshape(2, 3, 3)

    monkeypatch.setattr(perception_node, "CvBridge", CvBridge if installed else None)
    decoder = PictureDecoder()
    assert decoder.raw(image()).bgr.ravel().tolist() == list(range(18))
    assert decoder.raw(image("8UC3")).bgr.shape == (2, 3, 3)
    with pytest.raises(MessageError):
        decoder.raw(image(data=b"\0" * 5))
    assert decoder.backend == ("cv_bridge" if installed else "opencv")


def test_focal_length_follows_the_picture_and_an_uncalibrated_camera_tells_none():
    decoder = PictureDecoder()
    assert decoder.raw(image()).focal_px is None
    decoder.on_camera_info(CameraInfo(width=6, k=[12.0, 0, 0, 0, 12.0, 0, 0, 0, 1.0]))
    assert decoder.raw(image()).focal_px == pytest.approx(6.0)
    for bad in (-5.0, float("nan"), float("inf")):
        with pytest.raises(MessageError):
            decoder.on_camera_info(CameraInfo(width=6, k=[bad, *[0.0] * 8]))
    decoder.on_camera_info(CameraInfo(width=6))
    assert decoder.raw(image()).focal_px is None
