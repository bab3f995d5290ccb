"""Opens the backend that a user asks for, or the best that really works, and says which and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.model.conditions import condition_count
from reactdiff_ros.model.plan.solvers import angles
from reactdiff_ros.model.weights import Weights

from .base import Backend, BackendError, Precision, Stretch
from .cache import EngineCache, user_folder
from .cuda import Cuda
from .engine import tensorrt_module
from .onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda
from .preparing import Build, Preparing
from .serving import Serving
from .variants import variants

PROBES: Final = 5
"""Timed calls of each, when the CPU and CUDA are compared."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for."""

    backend: str = "auto"
    """auto, onnxruntime (CPU), cuda (ONNX Runtime's) or tensorrt."""
    precision: Precision = "fp32"
    """Of the GPU; the CPU always computes in float32."""
    steps: Sequence[int] = (8,)
    """Of the solver."""
    cache: Path | None = None
    """Folder of engines; None: the user's."""
    listeners: int = 1
    """Of one batch: for so many it is tried out whether CUDA is faster than the CPU."""


@dataclass(slots=True)
class Opened:
    """A served backend and, with TensorRT, what brings it into use."""

    serving: Serving
    preparing: Preparing | None = None
    cuda: OnnxRuntimeCuda | None = None

    def state(self) -> str:
        """One sentence: what is in use and why, and what is being built."""
        building = self.preparing.state() if self.preparing is not None else ""
        return f"{self.serving.name}: {self.serving.why}" + (f"; {building}" if building else "")

    def live(self) -> None:
        """From now on no call waits while the GPU is prepared for work of a new shape: the CPU does it meanwhile."""
        if self.cuda is not None:
            self.cuda.patient = False

    def close(self) -> None:
        """End builds."""
        if self.preparing is not None:
            self.preparing.stop()


def open_backend(
    weights: Weights,
    wanted: Wanted,
    timer: Callable[[], float],
    *,
    threads: int = 1,
    tell: Callable[[str], None] = lambda sentence: None,
    trt: Any = None,
    runtime: Any = None,
    build: Build | None = None,
) -> Opened:
    """The CPU at once, and what was asked for as soon as it works. Never fails for want of a GPU.

    Args:
        weights: of the graphs.
        wanted: by the user.
        timer: seconds of a monotonic clock.
        threads: of the CPU.
        tell: gets a sentence for every change.
        trt: the module `tensorrt`; None: imported.
        runtime: CUDA's runtime; None: imported.
        build: builds an engine; None: in a process of its own.

    Raises:
        WeightsError: the weights do not load.
    """
    cpu = OnnxRuntimeCpu(weights, threads)
    if wanted.backend == "onnxruntime":
        return Opened(Serving(cpu, "asked for"))
    reasons = []
    if wanted.backend in ("auto", "tensorrt"):
        try:
            return _tensorrt(weights, wanted, Serving(cpu, ""), timer, tell, (trt, runtime, build))
        except BackendError as error:
            reasons.append(str(error))
    if wanted.backend in ("auto", "cuda"):
        try:
            return _cuda(weights, wanted, cpu, timer)
        except (BackendError, ImportError) as error:
            reasons.append(str(error))
    opened = Opened(Serving(cpu, "; ".join(reasons)))
    if wanted.backend != "auto":
        tell(f"backend {wanted.backend} cannot be used, the model runs on the CPU: {opened.serving.why}")
    return opened


def _tensorrt(
    weights: Weights,
    wanted: Wanted,
    serving: Serving,
    timer: Callable[[], float],
    tell: Callable[[str], None],
    means: tuple[Any, Any, Build | None],
) -> Opened:
    trt, runtime, build = means
    module = trt or tensorrt_module()
    cuda = Cuda(runtime)
    cache = EngineCache(wanted.cache or user_folder())
    if cache.problem:
        tell(cache.problem)
    preparing = Preparing(
        serving, weights, variants(wanted.steps), trt=module, cuda=cuda, cache=cache, precision=wanted.precision,
        timer=timer, build=build, tell=tell,
    )  # fmt: skip
    serving.why = f"until TensorRT's engines are ready ({preparing.machine.told()})"
    preparing.start()
    return Opened(serving, preparing)


def _cuda(weights: Weights, wanted: Wanted, cpu: OnnxRuntimeCpu, timer: Callable[[], float]) -> Opened:
    """ONNX Runtime on CUDA, if it works; in "auto" only where it is faster than the CPU."""
    gpu = OnnxRuntimeCuda(weights, wanted.precision)
    job = probe(weights.shape, wanted.steps[0], wanted.listeners)
    taken = {backend.name: _median_ms(backend, job, timer) for backend in (cpu, gpu)}
    told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in taken.items())
    told = f"one stretch of {wanted.listeners} listeners: {told}" if wanted.listeners > 1 else f"one stretch: {told}"
    serving = Serving(cpu, f"faster than CUDA here ({told})")
    if wanted.backend == "cuda" or taken[gpu.name] < taken[cpu.name]:
        serving.switch(gpu, told)
        return Opened(serving, cuda=gpu)
    return Opened(serving)


def probe(shape: dict[str, int], steps: int, listeners: int = 1, candidates: int = 1, frames: int = 4) -> Stretch:
    """A stretch of noise, for a try and for its time."""
    noise = np.random.Generator(np.random.Philox(0))

    def normal(*size: int) -> Any:
        return noise.standard_normal(size).astype(np.float32)

    tokens = 1 + shape["speech"] + shape["past"]
    return Stretch(
        normal(listeners, shape["speech"], shape["width"]), normal(listeners, shape["past"], shape["latent"]),
        np.zeros((listeners, condition_count(shape["max_lead"])), dtype=np.float32),
        np.zeros((listeners, candidates, tokens), dtype=np.float32),
        normal(listeners, candidates, frames, shape["latent"]), tuple(angles(steps)),
    )  # fmt: skip


def _median_ms(backend: Backend, job: Stretch, timer: Callable[[], float]) -> float:
    backend.stretch(job)
    times = []
    for _ in range(PROBES):
        began = timer()
        backend.stretch(job)
        times.append(1e3 * (timer() - began))
    return float(np.median(times))
