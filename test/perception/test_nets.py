"""The face networks: against MediaPipe's own, stored and live, and on what is no face or no network."""

import math
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import MessageError, WeightsError
from reactdiff_ros.perception.nets import LANDMARKS, RGB, FaceNets, Region, to_rgb
from reactdiff_ros.resources import demo_clip_path, resource_path
from reactdiff_ros.types import Array

STORED = Path(__file__).with_name("mediapipe_faces.npz")
"""MediaPipe's box and meshes of picture 40 of the demo clip: rows of `regions` are x, y, side, angle."""


@given(
    st.lists(st.integers(0, 70), min_size=0, max_size=4),
    st.sampled_from([np.uint8, np.int16, np.float32, np.bool_]),
    st.integers(16, 40),
)
def test_an_array_becomes_a_picture_or_one_sentence(shape, kind, side):
    try:
        rgb, scale = to_rgb(np.ones(shape, kind), side)
    except MessageError:
        assert kind != np.uint8 or 0 in shape or len(shape) not in (2, 3) or shape[2:] not in ([], [1], [3], [4])
        return
    assert (rgb.dtype, rgb.ndim, rgb.shape[2]) == (np.uint8, 3, 3)
    assert min(rgb.shape[:2]) >= 1
    assert max(rgb.shape[:2]) < 2 * side or 1 in rgb.shape[:2]
    assert 0 < scale <= 1


@pytest.mark.parametrize("name", ["detector", "mesh"])
def test_a_missing_damaged_or_wrong_network_is_one_sentence(tmp_path, name):
    shutil.copytree(resource_path("models/face"), tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{name}.onnx"
    other = resource_path("models/voice/silero_vad.onnx").read_bytes()
    for content in (None, path.read_bytes()[:-1000], other):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"face {name} cannot be loaded .*make setup") as caught:
            FaceNets(tmp_path)
        assert "\n" not in str(caught.value)


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.lists(st.floats() | st.floats(-300, 300), min_size=4, max_size=4),
)
def test_any_picture_and_region_give_landmarks_or_nothing(nets, size, numbers):
    picture = np.full((*size, 3), 127, np.uint8)
    assert isinstance(nets.detect(picture, 0.5), list)
    points = nets.mesh(picture, Region(*numbers))
    assert points is None or (points.shape == (LANDMARKS, 3) and np.isfinite(points).all())


def demo_picture(number: int = 40) -> RGB:
    return to_rgb(next(islice(MediaClip(demo_clip_path()).pictures(), number, None)).bgr, 960)[0]


def test_a_detection_begun_before_tells_the_same(nets):
    first, second = demo_picture(), demo_picture(0)
    (alone,), (other,) = nets.detect(first, 0.5), nets.detect(second, 0.5)
    assert alone != other
    nets.begin_detection(first)
    assert nets.detect(first, 0.5) == [alone]
    nets.begin_detection(first)
    assert nets.detect(second, 0.5) == [other], "what no one asked for is forgotten"


def apart(points: Array, others: Array) -> Array:
    """(478, 3) distances of landmarks, in eye distances (between the middles of the eyes' corners)."""
    right, left = (others[33] + others[133])[:2] / 2, (others[263] + others[362])[:2] / 2
    return np.abs(points - others) / math.dist(right, left)


def test_the_demo_face_is_read_as_mediapipe_read_it(nets):
    """Also where a decoder rounds another way: by half a percent of the eye distance."""
    picture, stored = demo_picture(), np.load(STORED)
    (found,) = nets.detect(picture, 0.5)
    assert np.abs(np.array(found.box) - stored["box"]).max() < 0.01 * found.box[2]
    assert found.score == pytest.approx(float(stored["score"]), abs=0.01)
    for region, expected in zip(stored["regions"], stored["landmarks"], strict=True):
        points = nets.mesh(picture, Region(*region.tolist()))
        off = apart(points, expected)
        assert max(np.hypot(off[:, 0], off[:, 1]).max(), off[:, 2].max()) < 0.005
        assert nets.mesh(picture, Region(*region.tolist())).tobytes() == points.tobytes()


def test_what_is_stored_is_mediapipes_and_the_files_are_what_the_converter_makes():
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (requirements/face-networks.txt)")
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")
    from tools.face_networks.__main__ import SOURCES, converted
    from tools.face_networks.reference import MediapipeNets

    mediapipe, picture, stored = MediapipeNets(), demo_picture(), np.load(STORED)
    ((box, score),) = mediapipe.detect(picture)
    assert box == pytest.approx(stored["box"], abs=0.5)
    assert score == pytest.approx(float(stored["score"]), abs=0.01)
    for region, expected in zip(stored["regions"], stored["landmarks"], strict=True):
        off = apart(mediapipe.mesh(picture, Region(*region.tolist())), expected)
        assert np.hypot(off[:, 0], off[:, 1]).max() < 0.005
    for name in SOURCES:
        assert converted(name) == resource_path(f"models/face/{name}").read_bytes()
