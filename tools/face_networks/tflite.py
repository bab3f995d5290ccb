"""Reads a TFLite file: operators, tensors and constant values of its one graph. Only what the face networks use.

The schema's classes, which flatbuffers generated, come with mediapipe; they are loaded from their file, because
importing mediapipe would load its libraries.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

Value = NDArray[Any]

_SCHEMA: Final = "tasks/metadata/schema_py_generated.py"
_TYPES: Final = {0: "<f4", 1: "<f2", 2: "<i4"}
_CUSTOM: Final = "CUSTOM"


@dataclass(frozen=True)
class Operator:
    """One step of the graph: inputs and outputs are numbers of tensors, -1 = none given."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    """By the schema's names, strideW or fusedActivationFunction; of an operator of MediaPipe's own, by its names."""


@dataclass(frozen=True)
class Network:
    """A graph in the order in which it is computed. Tensors have their channels last."""

    operators: tuple[Operator, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, Value]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@cache
def _schema(mediapipe: Path) -> Any:
    spec = importlib.util.spec_from_file_location("tflite_schema", mediapipe / _SCHEMA)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(data: bytes, mediapipe: Path) -> Network:
    """The graph in the content of a .tflite file. Sparse weights come dense, weights in float16 stay so.

    Args:
        data: the content.
        mediapipe: mediapipe's folder, for the schema.

    Raises:
        ValueError: a type or a layout of weights that the face networks do not have.
    """
    schema = _schema(mediapipe)
    model = schema.ModelT.InitFromPackedBuf(data)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    (graph,) = model.subgraphs
    values = ((number, _constant(tensor, model.buffers)) for number, tensor in enumerate(graph.tensors))
    return Network(
        operators=tuple(_operator(entry, model.operatorCodes[entry.opcodeIndex], names) for entry in graph.operators),
        shapes=tuple(_numbers(tensor.shape) for tensor in graph.tensors),
        constants={number: value for number, value in values if value is not None},
        inputs=_numbers(graph.inputs),
        outputs=_numbers(graph.outputs),
    )


def _numbers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(value) for value in values)


def _operator(entry: Any, code: Any, names: dict[int, str]) -> Operator:
    kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
    if kind == _CUSTOM:
        kind, options = f"{code.customCode.decode()} {code.version}", {}
        if entry.customOptions is not None:
            options = flexbuffers.Loads(bytes(entry.customOptions))
    else:
        options = {} if entry.builtinOptions is None else vars(entry.builtinOptions)
    return Operator(kind, _numbers(entry.inputs), _numbers(entry.outputs), options)


def _constant(tensor: Any, buffers: list[Any]) -> Value | None:
    data = buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    if tensor.type not in _TYPES:
        raise ValueError(f"tensor type {tensor.type} is not known")
    values = np.asarray(data, np.uint8).view(_TYPES[tensor.type])
    shape = _numbers(tensor.shape)
    return values.reshape(shape) if tensor.sparsity is None else _dense(values, shape, tensor.sparsity)


def _dense(values: Value, shape: tuple[int, ...], sparsity: Any) -> Value:
    """The dense array of values whose places are given dimension by dimension: all of a row, or those listed."""
    if _numbers(sparsity.traversalOrder) != tuple(range(len(shape))) or len(sparsity.dimMetadata) != len(shape):
        raise ValueError("sparse weights in blocks or in another order are not known")
    places: list[tuple[int, ...]] = [()]
    for dimension in sparsity.dimMetadata:
        rows: list[Any] = [range(dimension.denseSize)] * len(places)
        if dimension.format:
            ends, indices = _numbers(dimension.arraySegments.values), _numbers(dimension.arrayIndices.values)
            rows = [indices[start:end] for start, end in pairwise(ends)]
        places = [(*place, index) for place, row in zip(places, rows, strict=True) for index in row]
    array = np.zeros(shape, values.dtype)
    array[tuple(np.array(places).T)] = values
    return array
