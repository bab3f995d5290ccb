"""Parts of perception_node: packages that are not on every machine (stand-ins)."""

from __future__ import annotations

import array
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from sensor_msgs.msg import CameraInfo, Image

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import MessageError
from reactdiff_ros.nodes import perception_node
from reactdiff_ros.nodes.perception_node import Humans, PictureDecoder
from reactdiff_ros.types import Affect, People, PersonSeen, SpeakerFrame


def frame(person: int) -> SpeakerFrame:
    values, confidence = np.zeros(58, np.float32), np.ones(58, np.float32)
    values[INDEX["mouthSmileLeft"]], values[INDEX["mouthSmileRight"]] = 0.4, 0.8
    confidence[INDEX["mouthSmileRight"]] = 0.25
    affect = Affect("fear", np.full(8, 0.4, np.float32), -0.5, 0.5)
    return SpeakerFrame(9, 9, None, person, person >= 0, person >= 0, values, confidence, 1.0, None, None, affect, None)


def people(speaking: float) -> People:
    persons = (PersonSeen(3, None, speaking, 0.9, 0.0), PersonSeen(5, None, 0.1, 0.2, speaking))
    return People(9, persons, 3, 0.1)


def test_people_are_published_as_rep_155_has_it_where_hri_msgs_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", None)
    with pytest.raises(ImportError):
        Humans(lambda *_: None, lambda _: None, "a", 0.5)
    module = ModuleType("hri_msgs.msg")
    for name in ("EngagementLevel", "Expression", "FacialActionUnits", "IdsList", "NormalizedRegionOfInterest2D"):
        setattr(module, name, type(name, (SimpleNamespace,), {"DISENGAGED": 1, "ENGAGED": 3}))
    monkeypatch.setitem(sys.modules, "hri_msgs", ModuleType("hri_msgs"))
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", module)
    sent, lasting, retired = [], set(), []

    def publisher(_, topic, lasts):
        lasting.update({topic} if lasts else ())
        return SimpleNamespace(topic=topic, publish=lambda message: sent.append((topic, message)))

    humans = Humans(publisher, lambda p: retired.append(p.topic), "abcde", 0.5)
    face, person, voice = "/humans/faces/abcde", "/humans/persons/abcdep", "/humans/voices/abcdev"
    tracked = [f"/humans/{kind}/tracked" for kind in ("faces", "persons", "voices")]
    regions = {3: (0.1, 0.2, 0.4, 0.6), 5: (0.5, 0.2, 0.7, 0.6)}
    humans.publish(frame(3), (3, 5, 7), regions, people(0.9))
    messages = dict(sent)
    ids = [["abcde3", "abcde5", "abcde7"], ["abcdep3", "abcdep5"], ["abcdev3", "abcdev5"]]
    assert [messages[topic].ids for topic in tracked] == ids
    expression, units = messages[f"{face}3/expression"], messages[f"{face}3/facs"]
    assert (expression.expression, expression.confidence) == ("scared", pytest.approx(0.4))
    assert units.intensity.shape == units.confidence.shape == (99,)
    assert (units.intensity[12], units.confidence[12]) == (pytest.approx(0.6), pytest.approx(0.25))
    roi = messages[f"{face}5/roi"]  # libhri wants one of every face
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c) == (*regions[5], 0.5)
    assert f"{face}7/roi" not in messages  # it is not in this picture
    assert (messages[f"{person}3/face_id"].data, messages[f"{person}5/voice_id"].data) == ("abcde3", "abcdev5")
    assert [messages[f"{person}{i}/engagement_status"].level for i in (3, 5)] == [3, 1]
    assert [messages[f"{voice}{i}/is_speaking"].data for i in (3, 5)] == [True, False]
    assert {f"{person}3/face_id", f"{voice}3/is_speaking"} <= lasting

    sent.clear()
    humans.publish(frame(3), (3, 5), regions, people(0.9))
    assert not lasting & {topic for topic, _ in sent}, "only what changes"
    humans.publish(frame(3), (3, 5), regions, people(0.2))
    assert [m.data for topic, m in sent if topic in lasting] == [False]

    retired.clear()
    humans.publish(frame(-1), (), {})
    assert set(retired) == lasting | {f"{face}3/expression", f"{face}3/facs", f"{face}3/roi", f"{face}5/roi"}
    humans.publish(frame(5), (5,), {})
    retired.clear()
    humans.close()
    assert set(retired) == {*tracked, f"{face}5/expression", f"{face}5/facs"}


# Pictures


def image(encoding: str) -> Image:
    return Image(encoding=encoding, height=2, width=3, step=9, data=array.array("B", range(18)))


@pytest.mark.parametrize("installed", [False, True])
def test_cv_bridge_decodes_where_it_is_installed_and_our_decoder_what_it_refuses(monkeypatch, installed):
    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            if message.encoding == "8UC3":
                raise RuntimeError("[8UC3] is not a color format")
            return np.frombuffer(message.data, np.uint8).reshape(2, 3, 3)

    monkeypatch.setattr(perception_node, "CvBridge", CvBridge if installed else None)
    decoder = PictureDecoder()
    assert decoder.raw(image("bgr8")).bgr.ravel().tolist() == list(range(18))
    assert decoder.raw(image("8UC3")).bgr.shape == (2, 3, 3)
    assert decoder.backend == ("cv_bridge" if installed else "opencv")
    assert decoder.raw(image("bgr8")).focal_px is None, "of an uncalibrated camera"
    decoder.on_camera_info(CameraInfo(width=6, k=[12.0, *[0.0] * 8]))
    assert decoder.raw(image("bgr8")).focal_px == pytest.approx(6.0), "it follows the picture"
    for bad in (-5.0, float("nan"), float("inf")):
        with pytest.raises(MessageError):
            decoder.on_camera_info(CameraInfo(width=6, k=[bad, *[0.0] * 8]))
