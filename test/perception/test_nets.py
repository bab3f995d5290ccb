from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import MessageError, ReactdiffError
from reactdiff_ros.perception import nets as module
from reactdiff_ros.perception.nets import Detection, FaceNets, plain_landmarks, to_rgb


@pytest.fixture(scope="module")
def nets() -> FaceNets:
    return FaceNets()


@given(
    st.lists(st.integers(0, 70), min_size=0, max_size=4),
    st.sampled_from([np.uint8, np.int16, np.float32, np.bool_]),
    st.integers(16, 40),
)
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
