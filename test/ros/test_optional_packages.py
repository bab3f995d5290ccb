"""Packages that are not on every machine, by stand-ins with their interfaces: hri_msgs and cv_bridge."""

from __future__ import annotations

import array
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from sensor_msgs.msg import CameraInfo, Image

from reactdiff_ros.errors import MessageError
from reactdiff_ros.nodes import perception_node
from reactdiff_ros.nodes.perception_node import Humans
from reactdiff_ros.types import Affect, SpeakerFrame


def frame(person: int, label: str = "fear") -> SpeakerFrame:
    probabilities = np.full(7, 0.1, np.float32)
    probabilities[2] = 0.4
    zeros, ones = np.zeros(58, np.float32), np.ones(58, np.float32)
    affect = Affect(label, probabilities, -0.5, 0.5)
    return SpeakerFrame(9, 9, None, person, person >= 0, person >= 0, zeros, ones, 1.0, None, None, affect, None)


@pytest.fixture
def hri(monkeypatch):
    module = ModuleType("hri_msgs.msg")
    for name in ("Expression", "FacialActionUnits", "IdsList", "NormalizedRegionOfInterest2D"):
        setattr(module, name, type(name, (SimpleNamespace,), {}))
    monkeypatch.setitem(sys.modules, "hri_msgs", ModuleType("hri_msgs"))
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", module)


def test_speaker_is_told_as_rep_155_has_it(hri):
    told, retired = [], []

    class Publisher:
        def __init__(self, topic):
            self.topic = topic

        def publish(self, message):
            told.append((self.topic, message))

    humans = Humans(lambda kind, topic: Publisher(topic), lambda p: retired.append(p.topic), "abcde", 0.5)
    regions = {3: (0.1, 0.2, 0.4, 0.6), 5: (0.5, 0.2, 0.7, 0.6)}
    humans.publish(frame(3), (3, 5, 7), regions)
    messages, face = dict(told), "/humans/faces/abcde"
    assert messages["/humans/faces/tracked"].ids == ["abcde3", "abcde5", "abcde7"]
    assert messages[f"{face}3/expression"].expression == "scared"
    assert messages[f"{face}3/expression"].confidence == pytest.approx(0.4)
    assert messages[f"{face}3/facs"].intensity.shape == (99,)
    roi = messages[f"{face}5/roi"]  # libhri wants one of every face
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c) == (*regions[5], 0.5)
    assert f"{face}7/roi" not in messages  # it is not seen in this picture
    told.clear()
    humans.publish(frame(-1), (), {})
    assert [topic for topic, _ in told] == ["/humans/faces/tracked"]
    assert sorted(retired) == [f"{face}3/expression", f"{face}3/facs", f"{face}3/roi", f"{face}5/roi"]
    humans.publish(frame(5), (5,), {})
    humans.close()
    assert retired[4:] == ["/humans/faces/tracked", f"{face}5/expression", f"{face}5/facs"]


def test_without_the_package_nothing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "hri_msgs", None)
    with pytest.raises(ImportError):
        Humans(lambda kind, topic: None, lambda p: None, "a", 0.5)


def image(encoding="bgr8", data=None) -> Image:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    return Image(encoding=encoding, height=2, width=3, step=9, data=array.array("B", (data or pixels.tobytes())))


@pytest.mark.parametrize("installed", [False, True])
def test_cv_bridge_decodes_where_it_is_installed(monkeypatch, installed):
    asked = []

    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            asked.append(desired_encoding)
            return np.frombuffer(message.data, np.uint8).reshape(2, 3, 3)

    monkeypatch.setattr(perception_node, "CvBridge", CvBridge if installed else None)
    decoder = perception_node.PictureDecoder()
    assert decoder.raw(image()).bgr.ravel().tolist() == list(range(18))
    assert asked == (["bgr8"] if installed else [])
    with pytest.raises(MessageError):
        decoder.raw(image(data=b"\0" * 5))
    assert decoder.backend == ("cv_bridge" if installed else "opencv")


def test_what_cv_bridge_refuses_our_decoder_takes(monkeypatch):
    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            raise RuntimeError("[8UC3] is not a color format")

    monkeypatch.setattr(perception_node, "CvBridge", CvBridge)
    assert perception_node.PictureDecoder().raw(image("8UC3")).bgr.shape == (2, 3, 3)


def test_focal_length_follows_the_picture_and_an_uncalibrated_camera_tells_none():
    decoder = perception_node.PictureDecoder()
    assert decoder.raw(image()).focal_px is None
    decoder.on_camera_info(CameraInfo(width=6, k=[12.0, 0, 0, 0, 12.0, 0, 0, 0, 1.0]))
    assert decoder.raw(image()).focal_px == pytest.approx(6.0)
    for bad in (-5.0, float("nan"), float("inf")):
        with pytest.raises(MessageError):
            decoder.on_camera_info(CameraInfo(width=6, k=[bad, *[0.0] * 8]))
    decoder.on_camera_info(CameraInfo(width=6))
    assert decoder.raw(image()).focal_px is None
