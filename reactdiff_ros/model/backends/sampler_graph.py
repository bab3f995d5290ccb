"""The sampler's whole loop as one ONNX graph: context, every evaluation of the denoiser, guidance and solver.

Unrolled, because the number of steps is known: one call a stretch instead of one a step, nothing crosses to the host
in between, and what depends on the noise level alone is folded into constants when an engine is built.

Inputs: speaker (N, speech, D), past (N, past, L), conditions (N, conditions), mask (N, M, C), noise (N, K, H, L) and,
guided (M = 2 K), strength (N, 1, 1, 1). Output: drawn (N, K, H, L). As in `base.Stretch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.model.plan.solvers import multistep_weights

NAME: Final = "sampler"
DENOISER: Final = "denoiser/"
SOLVER: Final = "solver/"
ANGLES: Final = "angles"
"""The context network's input that is a constant here."""
"""What names of the loop's own nodes begin with; in half precision they stay in float32."""


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
    for told in given:
        told.type.tensor_type.shape.dim[0].dim_param = "N"
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
        """Take what modulates each evaluation apart."""
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
    """Of both graphs; those of the denoiser under names of their own, for the exporter numbers some."""
    renamed = [type(tensor).FromString(tensor.SerializeToString()) for tensor in step.graph.initializer]
    for tensor in renamed:
        tensor.name = DENOISER + tensor.name
    return [*context.graph.initializer, *renamed]
