"""The two face networks as ONNX: what goes in, what comes out."""

from __future__ import annotations

from typing import Any, Final

from onnx import TensorProto

from tools.face_networks.convert import Conversion, Graph
from tools.face_networks.tflite import Network

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
