"""Reads a TFLite file: operators, tensors and constant values of its one graph. Only what the face networks use."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

Value = NDArray[Any]

_TYPES: Final = {0: "<f4", 1: "<f2", 2: "<i4"}
_INDEX_TYPES: Final = {1: "<i4", 2: "<u2", 3: "<u1"}
_CUSTOM: Final = 32
_OPERATORS: Final = {
    0: "ADD",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE",
    17: "MAX_POOL_2D",
    18: "MUL",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    34: "PAD",
    45: "STRIDED_SLICE",
    54: "PRELU",
    124: "DENSIFY",
}
_OPTIONS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "ADD": (("activation", "b"),),
    "CONV_2D": (("padding", "b"), ("stride_x", "i"), ("stride_y", "i"), ("activation", "b")),
    "DEPTHWISE_CONV_2D": (
        ("padding", "b"),
        ("stride_x", "i"),
        ("stride_y", "i"),
        ("multiplier", "i"),
        ("activation", "b"),
    ),
    "DEPTH_TO_SPACE": (("block", "i"),),
    "MAX_POOL_2D": (
        ("padding", "b"),
        ("stride_x", "i"),
        ("stride_y", "i"),
        ("width", "i"),
        ("height", "i"),
        ("activation", "b"),
    ),
    "MUL": (("activation", "b"),),
    "RESIZE_BILINEAR": (("", "i"), ("", "i"), ("align_corners", "?"), ("half_pixel", "?")),
}
"""The fields of an operator's options in the order of TFLite's schema, and how each is stored."""


@dataclass(frozen=True)
class Operator:
    """One step of the graph: inputs and outputs are numbers of tensors, -1 = none given."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A graph in the order in which it is computed. Tensors have their channels last."""

    operators: tuple[Operator, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, Value]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class _Table:
    """A table of a flatbuffer: numbered fields, each of which may be absent."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - self._number("i", at)

    def _number(self, kind: str, at: int) -> Any:
        return struct.unpack_from(f"<{kind}", self._data, at)[0]

    def _place(self, index: int) -> int | None:
        entry = 4 + 2 * index
        offset = self._number("H", self._fields + entry) if entry < self._number("H", self._fields) else 0
        return self._at + offset if offset else None

    def number(self, index: int, kind: str = "i") -> Any:
        place = self._place(index)
        return 0 if place is None else self._number(kind, place)

    def table(self, index: int) -> _Table | None:
        place = self._place(index)
        return None if place is None else _Table(self._data, place + self._number("I", place))

    def array(self, index: int, kind: str) -> Value:
        place = self._place(index)
        if place is None:
            return np.zeros(0, kind)
        start = place + self._number("I", place)
        return np.frombuffer(self._data, kind, self._number("I", start), start + 4)

    def text(self, index: int) -> str:
        return self.array(index, "u1").tobytes().decode()

    def tables(self, index: int) -> list[_Table]:
        place = self._place(index)
        if place is None:
            return []
        start = place + self._number("I", place)
        entries = (start + 4 + 4 * i for i in range(self._number("I", start)))
        return [_Table(self._data, at + self._number("I", at)) for at in entries]


def read(data: bytes) -> Network:
    """The graph in the content of a .tflite file. Sparse weights come dense, weights in float16 stay so.

    Raises:
        ValueError: it is no TFLite file, or has an operator or a type that the face networks do not have.
    """
    if data[4:8] != b"TFL3":
        raise ValueError("this is no TFLite file")
    model = _Table(data, struct.unpack_from("<I", data)[0])
    (graph,) = model.tables(2)
    kinds = [_kind(code) for code in model.tables(1)]
    buffers = model.tables(4)
    tensors = graph.tables(0)
    constants = {
        number: value for number, tensor in enumerate(tensors) if (value := _constant(tensor, buffers)) is not None
    }
    return Network(
        operators=tuple(_operator(entry, kinds) for entry in graph.tables(3)),
        shapes=tuple(tuple(tensor.array(0, "<i4").tolist()) for tensor in tensors),
        constants=constants,
        inputs=tuple(graph.array(1, "<i4").tolist()),
        outputs=tuple(graph.array(2, "<i4").tolist()),
    )


def _kind(code: _Table) -> str:
    number = max(code.number(0, "b"), code.number(3))
    if number == _CUSTOM:
        return f"{code.text(1)} {max(1, code.number(2))}"
    if number not in _OPERATORS:
        raise ValueError(f"operator {number} is not known")
    return _OPERATORS[number]


def _operator(entry: _Table, kinds: list[str]) -> Operator:
    kind = kinds[entry.number(0, "I")]
    options: dict[str, Any] = {}
    table, custom = entry.table(4), entry.array(5, "u1")
    if table is not None:
        options = {name: table.number(i, code) for i, (name, code) in enumerate(_OPTIONS.get(kind, ())) if name}
    elif len(custom):
        options = flexbuffers.Loads(custom.tobytes())
    inputs, outputs = (tuple(entry.array(index, "<i4").tolist()) for index in (1, 2))
    return Operator(kind, inputs, outputs, options)


def _constant(tensor: _Table, buffers: list[_Table]) -> Value | None:
    data = buffers[tensor.number(2, "I")].array(0, "u1")
    if not len(data):
        return None
    number = tensor.number(1, "b")
    if number not in _TYPES:
        raise ValueError(f"tensor type {number} is not known")
    values = data.view(_TYPES[number])
    shape = tuple(tensor.array(0, "<i4").tolist())
    sparsity = tensor.table(6)
    return values.reshape(shape) if sparsity is None else _dense(values, shape, sparsity)


def _dense(values: Value, shape: tuple[int, ...], sparsity: _Table) -> Value:
    """The dense array of values whose places are given dimension by dimension: all of a row, or those listed."""
    dimensions = sparsity.tables(2)
    if sparsity.array(0, "<i4").tolist() != list(range(len(shape))) or len(dimensions) != len(shape):
        raise ValueError("sparse weights in blocks or in another order are not known")
    places: list[tuple[int, ...]] = [()]
    for dimension in dimensions:
        rows: list[Any] = [range(dimension.number(1))] * len(places)
        if dimension.number(0, "b"):
            ends, indices = _integers(dimension, 2), _integers(dimension, 4)
            rows = [indices[start:end] for start, end in pairwise(ends)]
        places = [(*place, index) for place, row in zip(places, rows, strict=True) for index in row]
    array = np.zeros(shape, values.dtype)
    array[tuple(np.array(places).T)] = values
    return array


def _integers(dimension: _Table, index: int) -> list[int]:
    """A list whose kind of integer is given by the field before it."""
    table = dimension.table(index + 1)
    return [] if table is None else list(table.array(0, _INDEX_TYPES[dimension.number(index, "b")]).tolist())
