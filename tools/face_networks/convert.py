"""Writes the graph of a TFLite file as ONNX. Only the operators of the face networks are known.

Pictures and features have their channels first, as ONNX Runtime's fast kernels want them. Weights stay float16, as
TFLite stores them, and become float32 when a session is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.face_networks.tflite import Network, Operator, Value

OPSET: Final = 17
"""GridSample is in it, and every ONNX Runtime that the package allows runs it."""
_IR: Final = 8
_RELU: Final = 1
_SAME: Final = 0


class Graph:
    """An ONNX graph that grows node by node; values are named by the graph itself."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        """A constant, float16 as float32. The same value is stored once."""
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._known:
            name = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(value, name))
            self._known[key] = self.add("Cast", name, to=TensorProto.FLOAT) if value.dtype == np.float16 else name
        return self._known[key]

    def floats(self, *values: float) -> str:
        """A constant list of float32."""
        return self.constant(np.array(values, np.float32))

    def scalar(self, value: float) -> str:
        """A constant float32."""
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """A constant list of int64."""
        return self.constant(np.array(values, np.int64))

    def columns(self, value: str, *columns: int) -> str:
        """These columns of a table."""
        return self.add("Gather", value, self.integers(*columns), axis=1)

    def picture(self, side: int) -> str:
        """The input `picture` (1, side, side, 3), uint8."""
        self._inputs.append(helper.make_tensor_value_info("picture", TensorProto.UINT8, (1, side, side, 3)))
        return "picture"

    def output(self, name: str, value: str, *shape: int) -> None:
        """`value` is an output of this name, float32."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self, name: str) -> Any:
        """The checked model."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
        onnx.checker.check_model(model, full_check=True)
        return model


class Conversion:
    """Adds the operators of `network` to `graph`, for which `picture` is the value (1, channels, height, width)."""

    def __init__(self, network: Network, graph: Graph, picture: str) -> None:
        self.network, self.graph = network, graph
        self._values = {network.inputs[0]: picture}
        self._arrays = dict(network.constants)
        self._margins: dict[int, tuple[int, int, int, int]] = {}
        for operator in network.operators:
            _WAYS[operator.kind](self, operator)

    def value(self, number: int) -> str:
        """The name that tensor `number` has in the graph."""
        if number not in self._values:
            self._values[number] = self.graph.constant(self._arrays[number])
        return self._values[number]

    def shape(self, number: int) -> tuple[int, ...]:
        """The shape of tensor `number`, channels last."""
        return self.network.shapes[number]

    def _sides(self, operator: Operator) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(height, width) of the picture before and after."""
        return self.shape(operator.inputs[0])[1:3], self.shape(operator.outputs[0])[1:3]

    def _same(self, operator: Operator) -> None:
        """The output is the input; for constants as well."""
        source, target = operator.inputs[0], operator.outputs[0]
        if source in self._arrays:
            self._arrays[target] = self._arrays[source]
        else:
            self._values[target] = self._values[source]

    def _slice_of_all(self, operator: Operator) -> None:
        if self.shape(operator.inputs[0]) != self.shape(operator.outputs[0]):
            raise ValueError("a slice of a part is not known")
        self._same(operator)

    def _finish(self, operator: Operator, value: str) -> None:
        """Names the output of an operator, after the ReLU that TFLite counts to the operator."""
        activation = operator.options.get("fusedActivationFunction", 0)
        if activation not in (0, _RELU):
            raise ValueError(f"activation {activation} is not known")
        self._values[operator.outputs[0]] = self.graph.add("Relu", value) if activation == _RELU else value

    def _pad(self, operator: Operator) -> None:
        """Zeros around a picture become the next convolution's own; channels of zeros are added by a convolution.

        The convolution costs next to nothing and, unlike Pad, stays in ONNX Runtime's blocked layout of channels.
        """
        source, target = operator.inputs[0], operator.outputs[0]
        before, after = self._arrays[operator.inputs[1]].T.tolist()
        if before[3] == after[3] == 0:
            users = [o for o in self.network.operators if target in o.inputs]
            if any("CONV" not in user.kind or user.options["padding"] == _SAME for user in users):
                raise ValueError("padding is known before convolutions without padding alone")
            self._values[target] = self.value(source)
            self._margins[target] = (before[1], before[2], after[1], after[2])
            return
        if any((*before[:3], *after[:3])):
            raise ValueError("padding of pictures and channels at once is not known")
        channels = self.shape(source)[3]
        kernel = np.eye(before[3] + channels + after[3], channels, -before[3], dtype=np.float16)[:, :, None, None]
        weights = self.graph.constant(kernel)
        self._values[target] = self.graph.add("Conv", self.value(source), weights, kernel_shape=[1, 1])

    def _convolution(self, operator: Operator) -> None:
        source, weights, bias = operator.inputs
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        kernel = self._arrays[weights].transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        if depthwise and operator.options["depthMultiplier"] != 1:
            raise ValueError("several outputs for a channel are not known")
        value = self.graph.add(
            "Conv", self.value(source), self.graph.constant(kernel), self.value(bias),
            group=len(kernel) if depthwise else 1, kernel_shape=kernel.shape[2:],
            strides=[operator.options["strideH"], operator.options["strideW"]],
            pads=self._margins.get(source) or self._around(operator, kernel.shape[2:]),
        )  # fmt: skip
        self._finish(operator, value)

    def _around(self, operator: Operator, kernel: tuple[int, ...]) -> tuple[int, ...]:
        """top, left, bottom, right: the zeros by which TFLite gets an output of the input's size over the stride."""
        if operator.options["padding"] != _SAME:
            return (0, 0, 0, 0)
        sides = self.shape(operator.inputs[0])[1:3]
        strides = operator.options["strideH"], operator.options["strideW"]
        sums = [
            max(0, (math.ceil(side / stride) - 1) * stride + size - side)
            for side, stride, size in zip(sides, strides, kernel, strict=True)
        ]
        return (sums[0] // 2, sums[1] // 2, sums[0] - sums[0] // 2, sums[1] - sums[1] // 2)

    def _max_pool(self, operator: Operator) -> None:
        size = [operator.options["filterHeight"], operator.options["filterWidth"]]
        if any(side % step for side, step in zip(self.shape(operator.inputs[0])[1:3], size, strict=True)):
            raise ValueError("pooling with a rest is not known")
        strides = [operator.options["strideH"], operator.options["strideW"]]
        value = self.graph.add("MaxPool", self.value(operator.inputs[0]), kernel_shape=size, strides=strides)
        self._finish(operator, value)

    def _prelu(self, operator: Operator) -> None:
        """The input x plus (1 - slope) relu(-x), with the factors as convolutions of single pixels, channel by channel.

        ONNX's own PRelu asks ONNX Runtime to leave its blocked layout of channels each time, and takes longer than all
        the convolutions together; like this the mesh takes a third of the time.
        """
        source, slope = operator.inputs
        slopes = self._arrays[slope].reshape(-1, 1, 1, 1)
        value = self.value(source)
        below = self.graph.add("Relu", self._scaled(value, np.full_like(slopes, -1)))
        self._finish(operator, self.graph.add("Add", value, self._scaled(below, 1 - slopes.astype(np.float32))))

    def _scaled(self, value: str, factors: Value) -> str:
        weights = self.graph.constant(factors)
        return self.graph.add("Conv", value, weights, group=len(factors), kernel_shape=[1, 1])

    def _elementwise(self, operator: Operator) -> None:
        left, right = (self.value(number) for number in operator.inputs)
        self._finish(operator, self.graph.add({"ADD": "Add", "MUL": "Mul"}[operator.kind], left, right))

    def _resize(self, operator: Operator) -> None:
        if operator.options["alignCorners"] or not operator.options["halfPixelCenters"]:
            raise ValueError("only resizing by the centres of pixels is known")
        (old_height, old_width), (height, width) = self._sides(operator)
        scales = self.graph.floats(1, 1, height / old_height, width / old_width)
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        self._finish(operator, self.graph.add("Resize", self.value(operator.inputs[0]), "", scales, **how))

    def _depth_to_space(self, operator: Operator) -> None:
        block = operator.options["blockSize"]
        self._finish(operator, self.graph.add("DepthToSpace", self.value(operator.inputs[0]), blocksize=block))

    def _reshape(self, operator: Operator) -> None:
        """To or from a table of points; a single pixel needs no other order of its channels, a picture does."""
        source, target = operator.inputs[0], operator.outputs[0]
        value, shape = self.value(source), self.shape(target)
        if math.prod(self.shape(source)[1:-1]) > 1 and len(self.shape(source)) == 4:
            value = self.graph.add("Transpose", value, perm=[0, 2, 3, 1])
        if len(shape) == 4:
            if shape[1:3] != (1, 1):
                raise ValueError("a table cannot become a picture")
            shape = (shape[0], shape[3], 1, 1)
        self._finish(operator, self.graph.add("Reshape", value, self.graph.integers(*shape)))

    def _landmarks_to_matrix(self, operator: Operator) -> None:
        """The matrix (1, 4, 4) from pixels of the part to pixels of the whole: the part around some landmarks.

        It is turned so that the two given landmarks lie level, and larger than the landmarks' extent by the scales.
        """
        graph, options = self.graph, operator.options
        if options["target_rotation_radians"]:
            raise ValueError("parts that are not level are not known")
        (count, _) = self.shape(operator.inputs[0])[1:]
        points = graph.columns(graph.add("Reshape", self.value(operator.inputs[0]), graph.integers(count, -1)), 0, 1)
        ends = [
            graph.add("Gather", points, graph.integers(options[f"{side}_rotation_idx"])) for side in ("left", "right")
        ]
        across = graph.add("Sub", ends[1], ends[0])
        along = graph.add("Div", across, graph.add("ReduceL2", across, axes=[1]))  # cosine, sine
        turned = graph.add("Mul", graph.columns(along, 1, 0), graph.floats(-1, 1))
        # Rows are the part's own axes, seen from the whole.
        axes = graph.add("Concat", along, turned, axis=0)
        subset = graph.add("Gather", points, graph.integers(*options["subset_idxs"]))
        own = graph.add("MatMul", subset, graph.add("Transpose", axes, perm=[1, 0]))
        low, high = (graph.add(f"Reduce{end}", own, axes=[0]) for end in ("Min", "Max"))
        sides = options["output_width"], options["output_height"]
        scales = graph.floats(options["scale_x"] / sides[0], options["scale_y"] / sides[1])
        size = graph.add("Mul", graph.add("Sub", high, low), scales)
        middle = graph.add("Mul", graph.add("Add", high, low), graph.floats(0.5))
        first = graph.add("Sub", middle, graph.add("Mul", size, graph.floats(sides[0] / 2, sides[1] / 2)))
        linear = graph.add("Mul", axes, graph.add("Transpose", size, perm=[1, 0]))
        rows = graph.add("Concat", linear, graph.add("MatMul", first, axes), axis=0)
        # Rows: what a step in x, a step in y, and the origin give; TFLite has them as columns 0, 1 and 3 of its matrix.
        matrix = graph.add("Transpose", rows, perm=[1, 0])
        nothing = graph.constant(np.zeros((2, 1), np.float32))
        upper = graph.add("Concat", graph.columns(matrix, 0, 1), nothing, graph.columns(matrix, 2), axis=1)
        lower = graph.constant(np.array([[0, 0, 1, 0], [0, 0, 0, 1]], np.float32))
        whole = graph.add("Concat", upper, lower, axis=0)
        self._finish(operator, graph.add("Reshape", whole, graph.integers(1, 4, 4)))

    def _linear_and_shift(self, matrix: str) -> tuple[str, str]:
        """(2, 2) and (1, 2) of a matrix (1, 4, 4), for points as rows."""
        graph = self.graph
        flat = graph.add("Reshape", matrix, graph.integers(4, 4))
        columns = graph.columns(graph.add("Transpose", flat, perm=[1, 0]), 0, 1)
        return (graph.add("Gather", columns, graph.integers(0, 1)), graph.add("Gather", columns, graph.integers(3)))

    def _transform_points(self, operator: Operator) -> None:
        graph = self.graph
        linear, shift = self._linear_and_shift(self.value(operator.inputs[1]))
        moved = graph.add("MatMul", self.value(operator.inputs[0]), linear)
        self._finish(operator, graph.add("Add", moved, shift))

    def _transform_picture(self, operator: Operator) -> None:
        """A part of features, sampled between pixels; what lies outside is 0, without a soft edge."""
        graph = self.graph
        (old_height, old_width), (height, width) = self._sides(operator)
        linear, shift = self._linear_and_shift(self.value(operator.inputs[1]))
        y, x = np.mgrid[:height, :width] + 0.5
        pixels = graph.constant(np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32))
        places = graph.add("Add", graph.add("MatMul", pixels, linear), graph.add("Sub", shift, graph.floats(0.5)))
        last = graph.floats(old_width - 1, old_height - 1)
        scaled = graph.add("Sub", graph.add("Div", places, graph.add("Div", last, graph.floats(2))), graph.floats(1))
        grid = graph.add("Reshape", scaled, graph.integers(1, height, width, 2))
        sampled = graph.add("GridSample", self.value(operator.inputs[0]), grid, align_corners=1, padding_mode="border")
        inside = graph.add("Equal", graph.add("Clip", scaled, graph.scalar(-1), graph.scalar(1)), scaled)
        both = graph.add("ReduceMin", graph.add("Cast", inside, to=TensorProto.FLOAT), axes=[1], keepdims=0)
        seen = graph.add("Reshape", both, graph.integers(1, 1, height, width))
        self._finish(operator, graph.add("Mul", sampled, seen))


_WAYS: Final[dict[str, Callable[[Conversion, Operator], None]]] = {
    "ADD": Conversion._elementwise,
    "CONV_2D": Conversion._convolution,
    "DENSIFY": Conversion._same,
    "DEPTHWISE_CONV_2D": Conversion._convolution,
    "DEPTH_TO_SPACE": Conversion._depth_to_space,
    "DEQUANTIZE": Conversion._same,
    "Landmarks2TransformMatrix 2": Conversion._landmarks_to_matrix,
    "MAX_POOL_2D": Conversion._max_pool,
    "MUL": Conversion._elementwise,
    "PAD": Conversion._pad,
    "PRELU": Conversion._prelu,
    "RESHAPE": Conversion._reshape,
    "RESIZE_BILINEAR": Conversion._resize,
    "STRIDED_SLICE": Conversion._slice_of_all,
    "TransformLandmarks 2": Conversion._transform_points,
    "TransformTensorBilinear 2": Conversion._transform_picture,
}
