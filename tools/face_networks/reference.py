"""MediaPipe's own graphs around the two networks: what ours are compared with. Needs mediapipe 0.10.21."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.perception.nets import LANDMARKS, RGB, Region
from reactdiff_ros.types import Array

_DETECTOR: Final = """
input_stream: "image" output_stream: "detections" num_threads: 1
node { calculator: "FaceDetectionFullRangeCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_MESH: Final = """
input_stream: "image" input_stream: "roi" output_stream: "landmarks"
input_side_packet: "with_attention"
executor { type: "ApplicationThreadExecutor" }
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image" input_stream: "ROI:roi" input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


class MediapipeNets:
    """Detector and mesh as MediaPipe runs them on a CPU."""

    def __init__(self) -> None:
        import mediapipe
        from mediapipe.python._framework_bindings import resource_util

        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        self._mp = mediapipe
        self._detector = _Graph(_DETECTOR, "detections", {})
        with_attention = mediapipe.packet_creator.create_bool(True)
        self._mesh = _Graph(_MESH, "landmarks", {"with_attention": with_attention})

    def detect(self, rgb: RGB) -> list[tuple[Array, float]]:
        """Box (x, y, width, height in px) and score of every face, best first."""
        packet = self._detector.run(rgb, {})
        if packet is None:
            return []
        height, width = rgb.shape[:2]
        found: list[tuple[Array, float]] = []
        for item in self._mp.packet_getter.get_proto_list(packet):
            box = item.location_data.relative_bounding_box
            values = np.array([box.xmin * width, box.ymin * height, box.width * width, box.height * height])
            found.append((values, float(item.score[0])))
        return sorted(found, key=lambda face: -face[1])

    def mesh(self, rgb: RGB, region: Region) -> Array | None:
        """Landmarks (478, 3) in px, or None where the net sees no face."""
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect

        height, width = rgb.shape[:2]
        place = {"x_center": region.x / width, "y_center": region.y / height, "rotation": region.angle}
        rect = NormalizedRect(width=region.side / width, height=region.side / height, **place)
        packet = self._mesh.run(rgb, {"roi": self._mp.packet_creator.create_proto(rect)})
        if packet is None:
            return None
        points = self._mp.packet_getter.get_proto(packet).landmark
        array = np.array([(p.x, p.y, p.z) for p in points], dtype=np.float64).reshape(LANDMARKS, 3)
        return array * (width, height, width)


class _Graph:
    """A MediaPipe graph with one output stream."""

    def __init__(self, text: str, output: str, side: dict[str, Any]) -> None:
        import mediapipe
        from google.protobuf import text_format
        from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig

        self._mp, self._time, self._packet = mediapipe, 0, None
        config = text_format.Parse(text, CalculatorGraphConfig())
        self._graph = mediapipe.CalculatorGraph(graph_config=config)
        self._graph.observe_output_stream(output, self._keep, True)
        self._graph.start_run(side)

    def _keep(self, _: str, packet: Any) -> None:
        self._packet = packet

    def run(self, rgb: RGB, inputs: dict[str, Any]) -> Any | None:
        """The output packet for a picture, None when it is empty."""
        self._time += 1
        self._packet = None
        image = self._mp.packet_creator.create_image_frame(image_format=self._mp.ImageFormat.SRGB, data=rgb)
        for stream, packet in {"image": image, **inputs}.items():
            self._graph.add_packet_to_input_stream(stream=stream, packet=packet.at(self._time))
        self._graph.wait_until_idle()
        packet = self._packet
        return None if packet is None or packet.is_empty() else packet
