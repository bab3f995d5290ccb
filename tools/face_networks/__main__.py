"""Makes `resource/models/face/*.onnx` out of the files in mediapipe's wheel: `python -m tools.face_networks [FOLDER]`.

FOLDER: where the two files are written, resource/models/face by default. Needs onnx and mediapipe's files
(requirements/face-networks.txt); mediapipe itself is not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from onnx import TensorProto

from reactdiff_ros.errors import MissingExtraError, WeightsError
from reactdiff_ros.resources import resource_path
from reactdiff_ros.whole_file import whole_file
from tools.face_networks.convert import Conversion, Graph
from tools.face_networks.tflite import Network, read

SIDE: Final = 192
"""Side of the square picture that both take, px."""
MESH_POINTS: Final = 468
IRIS_POINTS: Final = 5
_CONTOUR: Final = 16
"""How many points of an eye, the first ones, are the edges of its lids."""


def _pixels(graph: Graph, low: float, high: float) -> str:
    """The picture with its channels first and its values from `low` to `high`."""
    values = graph.add("Cast", graph.add("Transpose", graph.picture(SIDE), perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    return graph.add("Add", graph.add("Mul", values, graph.scalar((high - low) / 255)), graph.scalar(low))


def detector(network: Network) -> Any:
    """`picture` (1, 192, 192, 3) uint8 RGB; `boxes` (2304, 16) and `scores` (2304,), before the sigmoid, one a cell."""
    graph = Graph()
    conversion = Conversion(network, graph, _pixels(graph, -1, 1))
    boxes, scores = map(conversion.value, network.outputs)
    cells, values = conversion.shape(network.outputs[0])[1:]
    graph.output("boxes", graph.add("Reshape", boxes, graph.integers(cells, values)), cells, values)
    graph.output("scores", graph.add("Reshape", scores, graph.integers(cells)), cells)
    return graph.model("face_detector")


def mesh(network: Network) -> Any:
    """`picture` (1, 192, 192, 3) uint8 RGB; `landmarks` (478, 3) in its pixels, `presence` (1,) before the sigmoid.

    The parts (lips, eyes, irises) replace x and y of the mesh's points that they were cut out by; an iris has the mean
    depth of its lids' edges.
    """
    graph = Graph()
    conversion = Conversion(network, graph, _pixels(graph, 0, 1))
    whole, lips, left, right, left_iris, right_iris, presence = network.outputs
    parts = [o.options["subset_idxs"] for o in network.operators if o.kind == "Landmarks2TransformMatrix 2"]

    def table(number: int, columns: int) -> str:
        return graph.add("Reshape", conversion.value(number), graph.integers(-1, columns))

    points = table(whole, 3)
    replaced = [list(range(MESH_POINTS)), *parts]
    replaced += [list(range(MESH_POINTS + i * IRIS_POINTS, MESH_POINTS + (i + 1) * IRIS_POINTS)) for i in range(2)]
    source = {to: row for row, to in enumerate(index for indices in replaced for index in indices)}  # the last one wins
    tables = [graph.columns(points, 0, 1), *(table(n, 2) for n in (lips, left, right, left_iris, right_iris))]
    flat = graph.add(
        "Gather", graph.add("Concat", *tables, axis=0), graph.integers(*(source[i] for i in sorted(source)))
    )
    depth = graph.columns(points, 2)
    contours = [graph.add("Gather", depth, graph.integers(*part[:_CONTOUR])) for part in parts[1:]]
    means = [graph.add("ReduceMean", contour, axes=[0]) for contour in contours]
    depths = graph.add("Concat", depth, *(mean for mean in means for _ in range(IRIS_POINTS)), axis=0)
    graph.output("landmarks", graph.add("Concat", flat, depths, axis=1), len(source), 3)
    graph.output("presence", graph.add("Reshape", conversion.value(presence), graph.integers(1)), 1)
    return graph.model("face_mesh")


@dataclass(frozen=True)
class Source:
    """A network: its file in mediapipe's package, the sum of that, and what makes a model of it."""

    file: str
    sha256: str
    model: Callable[[Network], Any]


SOURCES: Final = {
    "detector.onnx": Source(
        "modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        detector,
    ),
    "mesh.onnx": Source(
        "modules/face_landmark/face_landmark_with_attention.tflite",
        "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
        mesh,
    ),
}


def converted(name: str) -> bytes:
    """The content of the ONNX file of this name.

    Raises:
        MissingExtraError: mediapipe is not installed.
        WeightsError: its file is another one.
    """
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("mediapipe", "pip install --no-deps -r requirements/face-networks.txt")
    source = SOURCES[name]
    mediapipe = Path(spec.submodule_search_locations[0])
    path = mediapipe / source.file
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise WeightsError("this is not the network that was converted before", where=str(path))
    return bytes(source.model(read(data, mediapipe)).SerializeToString(deterministic=True))


def main(arguments: list[str]) -> None:
    """Writes both files and prints their sizes and sums."""
    folder = Path(arguments[0]) if arguments else resource_path("models/face")
    for name in SOURCES:
        content = converted(name)
        with whole_file(folder / name) as file:
            file.write(content)
        print(f"{folder / name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1:])
