"""The networks in TensorRT: sampler, encoder and decoder as engines; what is called rarely stays on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .base import Backend, NotReadyError, Precision, Stretch
from .engine import Engine
from .variants import CANDIDATES, Variant

_SHARED: Final = {"encoder": ("mask",)}
"""Inputs that all rows share."""


class MissingEngineError(NotReadyError):
    """There is no engine for this work yet; the rest goes on."""

    def __init__(self, variant: Variant) -> None:
        super().__init__("there is no engine for this yet", where=variant.name)
        self.variant = variant


class TensorRT:
    """See `base.Backend`.

    Args:
        engines: by variant; more may be added while running.
        cpu: for graphs that have no engine.
        precision: of the engines.
    """

    def __init__(self, engines: dict[Variant, Engine], cpu: Backend, precision: Precision) -> None:
        self.engines, self._cpu, self._precision = engines, cpu, precision

    @property
    def name(self) -> str:
        """See `base.Backend`."""
        return f"tensorrt-{self._precision}"

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        engine = self.engines.get(Variant(graph))
        if engine is None:
            return self._cpu.run(graph, inputs)
        return in_parts(engine, inputs, _SHARED.get(graph, ()))

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`. Raises MissingEngineError for steps that no engine was built for."""
        variant = Variant("sampler", job.schedule, job.guided)
        engine = self.engines.get(variant)
        if engine is None:
            raise MissingEngineError(variant)
        if job.noise.shape[1] > CANDIDATES:
            return self._cpu.stretch(job)
        return in_parts(engine, job.inputs(), ())[0]

    def close(self) -> None:
        """Give the GPU's memory back."""
        for engine in self.engines.values():
            engine.close()


def in_parts(engine: Engine, inputs: Mapping[str, FloatArray], shared: tuple[str, ...]) -> list[FloatArray]:
    """Outputs of an engine for any number of rows."""
    rows = next(len(a) for name, a in inputs.items() if name not in shared)
    parts = []
    for start in range(0, rows, engine.most):
        part = {n: a if n in shared else a[start : start + engine.most] for n, a in inputs.items()}
        parts.append(engine.run(part))
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
