"""Graphs as engines are built from: folded, and in half precision if so wanted. Needs the package `onnx`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .sampler_graph import SOLVER


def folded(model: Any, sizes: Mapping[str, int] | None = None) -> Any:
    """`model` (`onnx.ModelProto`) with what is constant computed; standard operators only.

    Args:
        model: a graph with free axes.
        sizes: of axes that shall be free no longer, by name; nothing about shapes is left to run time then.
    """
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    for axis, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(axis, size)
    with tempfile.TemporaryDirectory(prefix="reactdiff-graph-") as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        out = onnx.load(str(path))
    used = {node.domain for node in out.graph.node}
    for entry in [entry for entry in out.opset_import if entry.domain not in used]:
        out.opset_import.remove(entry)
    return out


def in_half_precision(model: Any) -> Any:
    """A folded `model` with its weights and arithmetic in float16, inputs and outputs in float32.

    The solver's sums stay in float32: they go over all steps, and velocities in them differ by little. So do phases,
    which go up to 52 rad.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    exact = [node.name for node in model.graph.node if node.name.startswith(SOLVER)] + _phases(model)
    return _cast_once(convert_float_to_float16(model, keep_io_types=True, node_block_list=exact))


def _phases(model: Any) -> list[str]:
    """Names of the nodes whose sine or cosine is taken, and of these."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found = [node for node in model.graph.node if node.op_type in ("Sin", "Cos")]
    names = []
    while found:
        node = found.pop()
        names.append(node.name)
        found += [makers[name] for name in node.input if name in makers and makers[name].name not in names]
    return names


def _cast_once(model: Any) -> Any:
    """The converter casts a tensor anew for each node that stays in float32, under the same name: one is enough."""
    seen: set[str] = set()
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in seen:
            model.graph.node.remove(node)
        seen.update(node.output)
    return model
