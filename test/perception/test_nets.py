from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_face import frontal_face, in_picture

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import MessageError, ReactdiffError
from reactdiff_ros.perception import nets as module
from reactdiff_ros.perception.nets import Detection, FaceNets, Region, plain_landmarks, region_of_landmarks, to_rgb


@pytest.fixture(scope="module")
def nets() -> FaceNets:
    return FaceNets()


@given(
    st.lists(st.integers(0, 70), min_size=0, max_size=4),
    st.sampled_from([np.uint8, np.int16, np.float32, np.bool_]),
    st.integers(16, 40),
)
@settings(max_examples=150, deadline=None)
def test_an_array_becomes_a_picture_or_one_sentence(shape, kind, side):
    try:
        rgb, scale = to_rgb(np.ones(shape, kind), side)
    except MessageError:
        refused = kind != np.uint8 or 0 in shape or len(shape) not in (2, 3) or shape[2:] not in ([], [1], [3], [4])
        if not refused:
            raise
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3
    assert rgb.shape[2] == 3
    assert 1 <= max(rgb.shape[:2]) <= side
    assert 0 < scale <= 1


def test_channels_end_up_as_rgb():
    bgr = np.zeros((40, 40, 3), np.uint8)
    bgr[..., 0] = 200
    assert to_rgb(bgr, 960)[0][0, 0].tolist() == [0, 0, 200]
    assert to_rgb(bgr[:, ::-1][::2], 960)[0].flags.c_contiguous


def test_the_caller_keeps_a_writable_picture(nets):
    bgr = np.zeros((64, 64, 3), np.uint8)
    nets.detect(to_rgb(bgr, 960)[0], 0.5)
    bgr[0] = 1


def test_the_region_covers_the_face_and_turns_with_it():
    points = in_picture(frontal_face(), x=300, y=200, scale=50, roll=-0.4)
    region = region_of_landmarks(points)
    assert region.angle == pytest.approx(0.4, abs=1e-6), "clockwise in the picture"
    assert np.abs(points[:, 0] - region.x).max() < region.side / 2
    assert np.abs(points[:, 1] - region.y).max() < region.side / 2


def _landmarks(count: int = 478, **more: float) -> Any:
    landmark_pb2 = importlib.import_module("mediapipe.framework.formats.landmark_pb2")
    values = np.random.default_rng(3).normal(0.5, 0.3, (count, 3)).astype(np.float32)
    items = [landmark_pb2.NormalizedLandmark(x=x, y=y, z=z) for x, y, z in values.tolist()]
    for name, value in more.items():
        setattr(items[count // 2], name, value)
    return landmark_pb2.NormalizedLandmarkList(landmark=items)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, float("inf"), float("nan")])
def test_plain_landmarks_are_read_to_the_bit(nets, value):
    message = _landmarks(x=value)
    read = plain_landmarks(message.SerializeToString())
    assert read is not None
    assert read.dtype == np.float64
    assert read.flags.c_contiguous
    assert read.tobytes() == np.array([(p.x, p.y, p.z) for p in message.landmark]).tobytes()


def _without_y() -> bytes:
    message = _landmarks()
    message.landmark[7].ClearField("y")
    return message.SerializeToString()


def _two_fields_swapped() -> bytes:
    whole = bytearray(_landmarks().SerializeToString())
    whole[2:7], whole[7:12] = whole[7:12], whole[2:7]
    return bytes(whole)


OTHERWISE = {
    "nothing": lambda: b"",
    "cut off": lambda: _landmarks().SerializeToString()[:-1],
    "more than three fields": lambda: _landmarks(visibility=0.5).SerializeToString(),
    "every landmark with more": lambda: b"".join(_landmarks(1, presence=0.5).SerializeToString() for _ in range(17)),
    "a field is missing": _without_y,
    "a landmark is empty, as long as others together": lambda: _without_y() + b"\x0a\x03\x0d\x00\x00",
    "another order": _two_fields_swapped,
    "an unknown field of as many bytes": lambda: _landmarks().SerializeToString() + b"\x12\x0f" + bytes(15),
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_landmarks_laid_out_otherwise_are_left_to_protobuf(nets, how):
    assert plain_landmarks(OTHERWISE[how]()) is None


def test_a_landmark_with_more_fields_is_read_all_the_same(nets, monkeypatch):
    picture, region = np.zeros((64, 48, 3), np.uint8), Region(24, 32, 40)
    nets.warm_up()
    monkeypatch.setattr(nets._mesh, "run", lambda rgb, inputs: "packet")
    read = []
    for message in (_landmarks(), _landmarks(visibility=0.5)):
        monkeypatch.setattr(nets._mp, "get_serialized", lambda packet, told=message: told.SerializeToString())
        monkeypatch.setattr(nets._mp, "get_proto", lambda packet, told=message: told)
        read.append(nets.mesh(picture, region))
    expected = np.array([(p.x * 48, p.y * 64, p.z * 48) for p in message.landmark])
    assert [points.tobytes() for points in read] == [expected.tobytes()] * 2


@pytest.mark.parametrize(("count", "x"), [(477, 0.5), (479, 0.5), (1, 0.5), (478, float("nan"))])
def test_landmarks_that_are_no_mesh_are_no_face(nets, monkeypatch, count, x):
    nets.warm_up()
    message = _landmarks(count, x=x)
    monkeypatch.setattr(nets._mesh, "run", lambda rgb, inputs: "packet")
    monkeypatch.setattr(nets._mp, "get_serialized", lambda packet: message.SerializeToString())
    monkeypatch.setattr(nets._mp, "get_proto", lambda packet: message)
    assert nets.mesh(np.zeros((64, 48, 3), np.uint8), Region(24, 32, 40)) is None


@pytest.mark.parametrize(
    "region",
    [
        Region(np.nan, 0, 50),
        Region(0, 0, 0),
        Region(0, 0, -5),
        Region(0, 0, np.inf),
        Region(-5000, 9000, 40),
        Region(32, 32, 1e6),
    ],
)
def test_an_impossible_region_holds_no_face(nets, region):
    assert nets.mesh(np.zeros((64, 64, 3), np.uint8), region) is None


def test_a_graph_that_broke_is_built_again(nets):
    picture = np.zeros((64, 64, 3), np.uint8)
    nets.warm_up()
    broken = nets._detector
    broken._graph.close()
    assert nets.detect(picture, 0.5) == []
    assert nets.detect(picture, 0.5) == []
    assert broken._graph is not None


def _boxes(found: list[Detection]) -> list[tuple[float, ...]]:
    return [(*item.box, item.score) for item in found]


@pytest.mark.clips
def test_a_detection_begun_before_tells_the_same(clips, nets):
    pictures = [
        to_rgb(item.bgr, 960)[0] for item in islice(MediaClip(clips("real3dportrait_may_5s.mp4")).pictures(), 2)
    ]
    alone = [_boxes(nets.detect(rgb, 0.5)) for rgb in pictures]
    assert len(alone[0]) == 1
    assert alone[0] != alone[1]
    first, second = pictures
    region = nets.detect(first, 0.5)[0].region
    points = nets.mesh(first, region)
    nets.begin_detection(first)
    assert nets.mesh(first, region).tobytes() == points.tobytes()
    assert _boxes(nets.detect(first, 0.5)) == alone[0]
    nets.begin_detection(first)
    assert _boxes(nets.detect(second, 0.5)) == alone[1], "what nobody asked for is forgotten"
    nets.begin_detection(first)
    nets.begin_detection(second)
    assert _boxes(nets.detect(second, 0.5)) == alone[1]
    assert _boxes(nets.detect(first, 0.5)) == alone[0]


def test_a_detector_that_broke_after_it_was_begun_is_built_again(nets):
    picture = np.zeros((64, 64, 3), np.uint8)
    nets.warm_up()
    nets.begin_detection(picture)
    nets._detector._graph.close()
    assert nets.detect(picture, 0.5) == []
    nets.begin_detection(picture)
    assert nets.detect(picture, 0.5) == []


def test_mediapipe_is_entered_lean_and_stays_usable():
    code = (
        "import sys; from reactdiff_ros.perception.nets import FaceNets; FaceNets().warm_up();"
        "assert 'matplotlib' not in sys.modules and 'sounddevice' not in sys.modules;"
        "import mediapipe; assert mediapipe.solutions.face_mesh.FACEMESH_NUM_LANDMARKS == 468;"
        "assert mediapipe.Image is not None; assert not hasattr(mediapipe, 'nothing')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_without_mediapipe_one_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ReactdiffError, match="make setup"):
        FaceNets()


def test_only_the_libraries_notes_are_kept_from_the_terminal(capfd):
    with module._without_loading_notes():
        os.write(2, b"W0000 00:00:1 inference_feedback_manager.cc:114] note\nsomething real\n")
    assert capfd.readouterr().err == "something real\n"


def test_notes_are_let_through_when_loading_fails(capfd):
    def fail() -> None:
        with module._without_loading_notes():
            os.write(2, b"before\n")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert capfd.readouterr().err == "before\n"
