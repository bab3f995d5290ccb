"""ONNX graphs for the GPU: the sampler's whole loop in one graph, folded, in half precision if so wanted.

The loop is unrolled, because the number of steps is known: one call a stretch instead of one a step, nothing crosses to
the host in between, and what depends on the noise level alone is folded into constants. Needs the package `onnx`.

Inputs of the loop: speaker (N, S, D), past (N, memory + past, L), conditions (N, conditions), mask (N, M, C), noise
(N, K, H, L) and, guided (M = 2 K), strength (N, 1, 1, 1). Output: drawn (N, K, H, L). As in `base.Stretch`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.model.diffusion.solvers import multistep_weights

NAME: Final = "sampler"
DENOISER: Final = "denoiser/"
SOLVER: Final = "solver/"
"""Prefix of the names of the loop's own nodes; in half precision they stay in float32."""
ANGLES: Final = "angles"
"""The context network's input that is a constant here."""


def sampler_graph(context: Path, denoiser: Path, schedule: Sequence[float], *, guided: bool) -> Any:
    """An `onnx.ModelProto` of the loop.

    Args:
        context: ONNX file of the context network.
        denoiser: of the denoiser.
        schedule: noise angles, falling.
        guided: every listener is drawn with and without the speaker.
    """
    import onnx

    before, step = onnx.load(str(context)), onnx.load(str(denoiser))
    loop = _Loop(onnx, step, guided)
    loop.modulate(schedule)
    nodes = list(before.graph.node)
    z: str = "noise"
    last: str | None = None
    for i, (newer, older) in enumerate(multistep_weights(tuple(schedule))):
        now = loop.velocity(z, i)
        terms = [(z, 1.0), (now, newer)] + ([(last, older)] if last is not None else [])
        z, last = loop.weighted(terms, f"z{i + 1}"), now
    final = schedule[-1]
    now = loop.velocity(z, len(schedule) - 1)
    loop.weighted([(z, math.cos(final)), (now, -math.sin(final))], "drawn")
    names = ["N", "K", "H"]
    noise = _like(onnx, step, "z", "noise", names)
    given = [i for i in before.graph.input if i.name != ANGLES]
    inputs = [*given, _like(onnx, step, "mask", "mask", ["N", "M"]), noise]
    if guided:
        inputs.append(onnx.helper.make_tensor_value_info("strength", onnx.TensorProto.FLOAT, ["N", 1, 1, 1]))
    for info in given:
        info.type.tensor_type.shape.dim[0].dim_param = "N"
    graph = onnx.helper.make_graph(
        [*nodes, *loop.nodes], NAME, inputs, [_like(onnx, step, "z", "drawn", names)],
        initializer=_initializers(before, step) + loop.constants,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=list(step.opset_import), ir_version=step.ir_version)
    onnx.checker.check_model(model)
    return model


class _Loop:
    """Nodes and constants of the unrolled steps."""

    def __init__(self, onnx: Any, step: Any, guided: bool) -> None:
        self._onnx, self._step, self._guided = onnx, step, guided
        self._shared = {n: n for n in ("keys", "values", "mask")}
        self._shared |= {t.name: DENOISER + t.name for t in step.graph.initializer}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def modulate(self, schedule: Sequence[float]) -> None:
        """Split what modulates each evaluation."""
        self._constant(ANGLES, np.array(schedule, dtype=np.float32))
        for i in range(len(schedule)):
            at, out = self._constant(f"step{i}/number", np.array(i, dtype=np.int64)), f"step{i}/modulations"
            self.nodes.append(self._onnx.helper.make_node("Gather", ["modulations", at], [out], name=f"step{i}/gather"))

    def velocity(self, z: str, number: int) -> str:
        """Name of the velocity (N, K, H, L) at z, guided if so wanted."""
        tag = f"step{number}/"
        batch = self._node("Concat", [z, z], f"{tag}both", axis=1) if self._guided else z
        self._copy(tag, {"z": batch, "modulations": f"{tag}modulations"})
        out = f"{tag}velocity"
        if not self._guided:
            return out
        seeing, blind = f"{SOLVER}{tag}seeing", f"{SOLVER}{tag}blind"
        halves = self._onnx.helper.make_node("Split", [out], [seeing, blind], name=seeing, axis=1, num_outputs=2)
        self.nodes.append(halves)
        more = self._node("Sub", [seeing, blind], f"{tag}difference")
        more = self._node("Mul", [more, "strength"], f"{tag}stronger")
        return self._node("Add", [blind, more], f"{tag}guided")

    def weighted(self, terms: list[tuple[str, float]], name: str) -> str:
        """Name of the weighted sum of arrays."""
        parts = []
        for i, (array, weight) in enumerate(terms):
            if weight == 1.0:
                parts.append(array)
                continue
            factor = self._constant(f"{SOLVER}{name}/weight{i}", np.array(weight, dtype=np.float32))
            parts.append(self._node("Mul", [array, factor], f"{name}/part{i}"))
        total = parts[0]
        for i, part in enumerate(parts[1:], 1):
            last = i == len(parts) - 1
            total = self._node("Add", [total, part], name if last else f"{name}/sum{i}", plain=last)
        return total

    def _copy(self, tag: str, given: dict[str, str]) -> None:
        for node in self._step.graph.node:
            copy = self._onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = tag + (node.name or node.output[0])
            copy.input[:] = [given.get(n) or self._shared.get(n) or (n and tag + n) for n in node.input]
            copy.output[:] = [tag + n for n in node.output]
            self.nodes.append(copy)

    def _node(self, kind: str, inputs: list[str], name: str, *, plain: bool = False, **attributes: Any) -> str:
        out = name if plain else SOLVER + name
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [out], name=SOLVER + name, **attributes))
        return out

    def _constant(self, name: str, value: Any) -> str:
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name


def _like(onnx: Any, model: Any, name: str, new: str, axes: list[str]) -> Any:
    """The value info of an input of `model` under another name and with these first axes."""
    info = onnx.ValueInfoProto()
    info.CopyFrom(next(i for i in model.graph.input if i.name == name))
    info.name = new
    for dim, axis in zip(info.type.tensor_type.shape.dim, axes, strict=False):
        dim.dim_param = axis
    return info


def _initializers(context: Any, step: Any) -> list[Any]:
    """Of both graphs; those of the denoiser under other names, for the exporter numbers some."""
    renamed = [type(tensor).FromString(tensor.SerializeToString()) for tensor in step.graph.initializer]
    for tensor in renamed:
        tensor.name = DENOISER + tensor.name
    return [*context.graph.initializer, *renamed]


def folded(model: Any, sizes: Mapping[str, int] | None = None) -> Any:
    """`model` (`onnx.ModelProto`) with what is constant computed; standard operators only.

    Args:
        model: a graph with free axes.
        sizes: of axes that are not to be free any more, by name; nothing about shapes is left to run time then.
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
    """The converter casts a tensor again for each node that stays in float32, under the same name: one is enough."""
    seen: set[str] = set()
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in seen:
            model.graph.node.remove(node)
        seen.update(node.output)
    return model
