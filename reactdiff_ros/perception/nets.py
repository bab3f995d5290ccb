"""MediaPipe's face networks, driven by us: the full-range detector, and the 478-point mesh in a region that we choose.

MediaPipe's ready-made FaceMesh decides by itself which faces it follows and may swap them. Here each followed person
has an own region, so identities are ours (see `tracking.py`), and the detector runs only when asked. The mesh runs in
the thread that calls it, the detector in its own thread, so that it can work in parallel with the mesh. The networks
and the steps inside the graphs are MediaPipe's own (version 0.10.21, CPU, XNNPACK).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import os
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import MessageError, ReactdiffError

Array = NDArray[np.float64]
RGB = NDArray[np.uint8]

LANDMARKS = 478
SMALLEST_SIDE_PX = 32
REGION_MARGIN = 1.5
"""The side of a region in larger sides of the face in it."""

_DETECTOR = """
input_stream: "image" output_stream: "detections" num_threads: 1
node { calculator: "FaceDetectionFullRangeCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_MESH = """
input_stream: "image" input_stream: "roi" output_stream: "landmarks"
input_side_packet: "with_attention"
executor { type: "ApplicationThreadExecutor" }
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image" input_stream: "ROI:roi" input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


@dataclass(frozen=True, slots=True)
class Region:
    """A square part of the picture. Centre and side in pixels of the picture given to the nets, angle in rad."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """A face box of the full-range detector.

    `region` is the square to run the mesh in; `eyes` the midpoint between the eyes (px), `score` 0..1.
    """

    region: Region
    box: tuple[float, float, float, float]
    """x, y of the upper left corner, width, height in px."""
    eyes: tuple[float, float]
    score: float


def to_rgb(bgr: NDArray[Any], max_side_px: int) -> tuple[RGB, float]:
    """RGB picture with no side over `max_side_px`, and its scale relative to `bgr`.

    Takes uint8 (height, width), (height, width, 1), (.., 3) BGR or (.., 4) BGRA.

    Raises:
        MessageError: for any other array.
    """
    if not isinstance(bgr, np.ndarray) or bgr.dtype != np.uint8 or bgr.ndim not in (2, 3) or bgr.size == 0:
        shape = getattr(bgr, "shape", type(bgr).__name__)
        raise MessageError("a picture must be uint8 of shape height x width x 3", where=f"got {shape}")
    if bgr.ndim == 3 and bgr.shape[2] not in (1, 3, 4):
        raise MessageError("a picture must have 1, 3 or 4 channels", where=f"got {bgr.shape}")
    height, width = bgr.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    picture = bgr
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(np.ascontiguousarray(bgr), size, interpolation=cv2.INTER_AREA)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return cv2.cvtColor(np.ascontiguousarray(picture), code).astype(np.uint8, copy=False), scale


def region_of_landmarks(points: Array) -> Region:
    """The region in which the mesh is run on the next picture: larger than the points' extent, turned with the eyes."""
    x, y = points[:, 0], points[:, 1]
    left, right, top, bottom = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    across = points[263] - points[33]
    angle = float(np.arctan2(across[1], across[0]))
    return Region((left + right) / 2, (top + bottom) / 2, REGION_MARGIN * max(right - left, bottom - top), angle)


_ROW_BYTES: Final = 17
_TAGS: Final = {0: b"\x0a", 1: b"\x0f", 2: b"\x0d", 7: b"\x15", 12: b"\x1d"}
"""A landmark as serialized: tag and length (15) in the list, then x, y and z, each a tag before 4 bytes."""


def plain_landmarks(serialized: bytes) -> Array | None:
    """x, y, z (n, 3) of a serialized NormalizedLandmarkList; None unless every landmark has just these three.

    Read at once: protobuf hands out number by number, which takes more time than all the geometry of a picture.
    """
    count, rest = divmod(len(serialized), _ROW_BYTES)
    if not count or rest:
        return None
    if any(serialized[place::_ROW_BYTES] != tag * count for place, tag in _TAGS.items()):
        return None
    values: NDArray[np.float32] = np.ndarray((count, 3), "<f4", serialized, offset=3, strides=(_ROW_BYTES, 5))
    return values.astype(np.float64)


class FaceNets:
    """Detector and mesh. Not thread-safe; same picture and region, same bits.

    OpenCV keeps to one thread from then on, in the whole process: its parts of a picture are so small that waiting
    for a second thread costs more than it does, up to milliseconds where the processor is busy.
    """

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        try:
            self._mp = _mediapipe()
        except ImportError as error:
            raise ReactdiffError(
                "mediapipe's face networks cannot be loaded", where=str(error), todo="run 'make setup'"
            ) from error
        self._detector: _Graph | None = None
        self._mesh: _Graph | None = None
        self._begun: RGB | None = None

    def warm_up(self) -> None:
        """Loads both networks by running them on an empty picture."""
        empty = np.zeros((192, 192, 3), dtype=np.uint8)
        with _without_loading_notes():
            self.detect(empty, 0.5)
            self.mesh(empty, Region(96.0, 96.0, 192.0))

    def begin_detection(self, rgb: RGB) -> None:
        """Starts the detector on a picture and does not wait: `detect` of this very picture does.

        In between the mesh can run on another core. A result that is not fetched is dropped with the next picture.
        """
        if min(rgb.shape[:2]) < SMALLEST_SIDE_PX:
            return
        if self._detector is None:
            self._detector = _Graph(self._mp, _DETECTOR, "detections", {})
        if self._begun is not None:
            self._detector.result()
        self._detector.begin(rgb, {})
        self._begun = rgb

    def detect(self, rgb: RGB, min_score: float) -> list[Detection]:
        """All faces with at least `min_score` (the net's own threshold is 0.5), best first."""
        if self._begun is not rgb:
            self.begin_detection(rgb)
        if self._begun is not rgb or self._detector is None:  # too small
            return []
        packet, self._begun = self._detector.result(), None
        if packet is None:
            return []
        height, width = rgb.shape[:2]
        found = [_detection(item, width, height) for item in self._mp.get_proto_list(packet)]
        return sorted((d for d in found if d is not None and d.score >= min_score), key=lambda d: -d.score)

    def mesh(self, rgb: RGB, region: Region) -> Array | None:
        """Landmarks (478, 3) in px (z on the scale of x, smaller = nearer), or None where the net sees no face."""
        height, width = rgb.shape[:2]
        known = all(map(math.isfinite, (region.x, region.y, region.side, region.angle)))
        if min(height, width) < SMALLEST_SIDE_PX or region.side < 8 or not known:
            return None
        if self._mesh is None:
            self._mesh = _Graph(self._mp, _MESH, "landmarks", {"with_attention": self._mp.create_bool(True)})
        roi = self._mp.NormalizedRect(
            x_center=region.x / width,
            y_center=region.y / height,
            width=region.side / width,
            height=region.side / height,
            rotation=region.angle,
        )
        packet = self._mesh.run(rgb, {"roi": self._mp.create_proto(roi)})
        if packet is None:
            return None
        array = plain_landmarks(self._mp.get_serialized(packet))
        if array is None:
            array = np.array([(p.x, p.y, p.z) for p in self._mp.get_proto(packet).landmark], dtype=np.float64)
        if len(array) != LANDMARKS:
            return None
        array *= (width, height, width)
        return array if np.isfinite(array).all() else None


class _Graph:
    """One MediaPipe graph with one output stream; rebuilt after an error, which a graph does not survive."""

    def __init__(self, mp: Any, text: str, output: str, side: dict[str, Any]) -> None:
        self._mp, self._text, self._output, self._side = mp, text, output, side
        self._time = 0
        self._packet: Any = None
        self._graph = self._start()

    def _start(self) -> Any:
        config = self._mp.parse(self._text)
        graph = self._mp.CalculatorGraph(graph_config=config)

        def keep(_: str, packet: Any) -> None:
            self._packet = packet

        graph.observe_output_stream(self._output, keep, True)
        graph.start_run(self._side)
        return graph

    def run(self, rgb: RGB, inputs: dict[str, Any]) -> Any | None:
        """Output packet for one picture, None when it is empty or the graph failed on it."""
        self.begin(rgb, inputs)
        return self.result()

    def begin(self, rgb: RGB, inputs: dict[str, Any]) -> None:
        """Hands the graph a picture; to be followed by `result`."""
        self._time += 1
        self._packet = None
        rgb.setflags(write=False)
        image = self._mp.create_image_frame(image_format=self._mp.SRGB, data=rgb, copy=False)
        try:
            self._graph.add_packet_to_input_stream(stream="image", packet=image.at(self._time))
            for stream, packet in inputs.items():
                self._graph.add_packet_to_input_stream(stream=stream, packet=packet.at(self._time))
        except (RuntimeError, ValueError):
            self._graph = self._start()

    def result(self) -> Any | None:
        """Waits for the output packet of the picture that was begun, None as in `run`."""
        try:
            self._graph.wait_until_idle()
        except (RuntimeError, ValueError):
            self._graph = self._start()
            return None
        packet = self._packet
        return None if packet is None or packet.is_empty() else packet


def _detection(item: Any, width: int, height: int) -> Detection | None:
    box = item.location_data.relative_bounding_box
    keys = item.location_data.relative_keypoints
    if len(keys) < 2:
        return None
    x, y, w, h = box.xmin * width, box.ymin * height, box.width * width, box.height * height
    right = np.array([keys[0].x * width, keys[0].y * height])
    left = np.array([keys[1].x * width, keys[1].y * height])
    values = np.array([x, y, w, h, *right, *left])
    if not np.isfinite(values).all() or w < 1 or h < 1:
        return None
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    eyes = (right + left) / 2
    return Detection(
        region=Region(x + w / 2, y + h / 2, REGION_MARGIN * max(w, h), angle),
        box=(x, y, w, h),
        eyes=(float(eyes[0]), float(eyes[1])),
        score=float(item.score[0]),
    )


_NOTES: Final = ("W0000 ", "I0000 ", "INFO: Created TensorFlow Lite", "WARNING: All log messages before absl")


@contextlib.contextmanager
def _without_loading_notes() -> Iterator[None]:
    """Keeps MediaPipe's notes to its own developers off the user's terminal; everything else comes through.

    They are written by C++ straight to file descriptor 2, before any logging could be set.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        yield
        return
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(terminal, 2)
                caught.seek(0)
                for line in caught:
                    if not line.decode(errors="replace").startswith(_NOTES):
                        os.write(2, line)
    finally:
        os.close(terminal)


def _mediapipe() -> Any:
    """The parts of mediapipe that are used here, without its package's `__init__`.

    That `__init__` imports every solution and task, matplotlib and sounddevice: 0.6 s and 60 MB without use here.
    So the package is entered as one whose further contents load when they are asked for.
    """
    if "mediapipe" not in sys.modules:
        spec = importlib.util.find_spec("mediapipe")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("mediapipe is not installed")
        package = types.ModuleType("mediapipe")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec

        def load(name: str) -> Any:
            if name == "solutions":
                return importlib.import_module("mediapipe.python.solutions")
            if name == "tasks":
                return importlib.import_module("mediapipe.tasks.python")
            try:
                return getattr(importlib.import_module("mediapipe.python"), name)
            except AttributeError:
                raise AttributeError(f"module 'mediapipe' has no attribute {name!r}") from None

        package.__getattr__ = load  # type: ignore[method-assign]
        sys.modules["mediapipe"] = package
    bindings = "mediapipe.python._framework_bindings"
    resource_util = importlib.import_module(f"{bindings}.resource_util")
    text_format = importlib.import_module("google.protobuf.text_format")
    calculator = importlib.import_module("mediapipe.framework.calculator_pb2")
    # The graphs' outputs are protos: their Python classes must be loaded before a packet can be read.
    importlib.import_module("mediapipe.framework.formats.detection_pb2")
    importlib.import_module("mediapipe.framework.formats.landmark_pb2")
    rect = importlib.import_module("mediapipe.framework.formats.rect_pb2")
    creator = importlib.import_module("mediapipe.python.packet_creator")
    getter = importlib.import_module("mediapipe.python.packet_getter")
    bytes_getter = importlib.import_module(f"{bindings}._packet_getter")
    root = Path(next(iter(sys.modules["mediapipe"].__path__))).parent
    resource_util.set_resource_dir(str(root))
    return types.SimpleNamespace(
        CalculatorGraph=importlib.import_module(f"{bindings}.calculator_graph").CalculatorGraph,
        SRGB=importlib.import_module(f"{bindings}.image_frame").ImageFormat.SRGB,
        NormalizedRect=rect.NormalizedRect,
        parse=lambda text: text_format.Parse(text, calculator.CalculatorGraphConfig()),
        create_bool=creator.create_bool,
        create_proto=creator.create_proto,
        create_image_frame=creator.create_image_frame,
        get_proto=getter.get_proto,
        get_serialized=bytes_getter._get_serialized_proto,
        get_proto_list=getter.get_proto_list,
    )
