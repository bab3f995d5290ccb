"""Opens the backend that a user asks for, or the best that works, says which and why, and serves by it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from reactdiff_ros.model.backends.weights import Weights
from reactdiff_ros.model.diffusion.conditions import condition_count
from reactdiff_ros.model.diffusion.solvers import angles
from reactdiff_ros.model.diffusion.tokens import heard_ages
from reactdiff_ros.types import FloatArray

from .base import Backend, BackendError, NotReadyError, Precision, Stretch
from .onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda
from .tensorrt_backend import (
    EngineCache,
    MissingEngineError,
    TensorRT,
    Variant,
    engines_folder,
    tensorrt_version,
    variants,
)

Result = TypeVar("Result")
Call = Callable[[Backend], object]
PROBES: Final = 5
"""Timed calls of each, when the CPU and CUDA are compared."""
KEPT: Final = 16
"""Kinds of work that are remembered, to be tried on a backend before it takes over."""


class Serving:
    """Calls the best backend that works; on an error the CPU does the same work at once, and from then on.

    A switch changes neither noise nor past, so that the face goes on without a jump. A backend has done all kinds of
    work that were asked for so far before it takes over, so that no plan waits for its preparations. Calls may come
    from several threads; the switch is one assignment.

    Args:
        cpu: never fails for want of a GPU.
        why: in words, why `cpu` is in use.
    """

    def __init__(self, cpu: Backend, why: str) -> None:
        self._cpu, self._now = cpu, cpu
        self._seen: dict[Hashable, Call] = {}
        self.why = why
        """Why the backend in use is in use."""
        self.wanted: set[Variant] = set()
        """Engines that were missed."""
        self.missed: Callable[[Variant], None] = lambda variant: None
        """Called once with each of them."""

    @property
    def name(self) -> str:
        """Of the backend in use."""
        return self._now.name

    @property
    def cpu(self) -> Backend:
        """The backend that is always there."""
        return self._cpu

    def switch(self, backend: Backend, why: str) -> None:
        """Serve by this backend from now on, after it has done each kind of work once.

        Raises:
            BackendError: it failed at that; the backend in use stays.
        """
        if backend is not self._cpu:
            for call in list(self._seen.values()):
                with suppress(NotReadyError):
                    call(backend)
        self._now, self.why = backend, why

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        shapes = tuple(array.shape for array in inputs.values())
        return self._either((graph, shapes), lambda backend: backend.run(graph, inputs))

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`."""
        kind = (job.schedule, job.noise.shape, job.guided)
        return self._either(kind, lambda backend: backend.stretch(job))

    def _either(self, kind: Hashable, call: Callable[[Backend], Result]) -> Result:
        now = self._now
        if now is self._cpu:
            if kind not in self._seen and len(self._seen) < KEPT:
                self._seen[kind] = call
            return call(now)
        try:
            return call(now)
        except MissingEngineError as missing:
            if missing.variant not in self.wanted:
                self.wanted.add(missing.variant)
                self.missed(missing.variant)
        except NotReadyError:
            pass
        except BackendError as error:
            if self._now is now:
                self.switch(self._cpu, f"{now.name} failed while running, the CPU goes on: {error}")
        return call(self._cpu)


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
    """Of one batch: for this many it is measured whether CUDA is faster than the CPU."""


@dataclass(slots=True)
class Opened:
    """A served backend, and the GPU's that it may come to be served by."""

    serving: Serving
    tensorrt: TensorRT | None = None
    cuda: OnnxRuntimeCuda | None = None

    def state(self) -> str:
        """One sentence: what is in use and why, and what is being built."""
        building = self.building()
        return f"{self.serving.name}: {self.serving.why}" + (f"; {building}" if building else "")

    def building(self) -> str:
        """What is being built, and since when; "" when nothing is."""
        return "" if self.tensorrt is None else self.tensorrt.state()

    def live(self) -> None:
        """From now on no call waits while the GPU is prepared for work of a new shape: the CPU does it meanwhile."""
        if self.cuda is not None:
            self.cuda.patient = False

    def close(self) -> None:
        """End builds."""
        if self.tensorrt is not None:
            self.tensorrt.stop()


def open_backend(
    weights: Weights,
    wanted: Wanted,
    timer: Callable[[], float],
    *,
    threads: int = 1,
    log: Callable[[str], None] = lambda sentence: None,
) -> Opened:
    """The CPU at once, and what was asked for as soon as it works. Never fails for want of a GPU.

    Args:
        weights: of the graphs.
        wanted: by the user.
        timer: seconds of a monotonic clock.
        threads: of the CPU.
        log: gets a sentence for every change.

    Raises:
        WeightsError: the weights do not load.
    """
    cpu = OnnxRuntimeCpu(weights, threads)
    if wanted.backend == "onnxruntime":
        return Opened(Serving(cpu, "asked for"))
    reasons = []
    if wanted.backend in ("auto", "tensorrt"):
        try:
            return _tensorrt(weights, wanted, Serving(cpu, ""), timer, log)
        except BackendError as error:
            reasons.append(str(error))
    if wanted.backend in ("auto", "cuda"):
        try:
            return _cuda(weights, wanted, cpu, timer)
        except (BackendError, ImportError) as error:
            reasons.append(str(error))
    opened = Opened(Serving(cpu, "; ".join(reasons)))
    if wanted.backend != "auto":
        log(f"backend {wanted.backend} cannot be used, the model runs on the CPU: {opened.serving.why}")
    return opened


def _tensorrt(
    weights: Weights, wanted: Wanted, serving: Serving, timer: Callable[[], float], log: Callable[[str], None]
) -> Opened:
    version = tensorrt_version()
    cache = EngineCache(wanted.cache or engines_folder())
    if cache.problem:
        log(cache.problem)
    backend = TensorRT(weights, serving.cpu, wanted.precision, cache, version, timer=timer, log=log)
    prepare(backend, serving, wanted.steps, log)
    return Opened(serving, backend)


def prepare(backend: TensorRT, serving: Serving, steps: Sequence[int], log: Callable[[str], None]) -> None:
    """Bring TensorRT into use as soon as its engines are there; the CPU serves meanwhile, or if that fails."""

    def ready() -> None:
        serving.switch(backend, f"TensorRT {backend.version}")
        log(f"the model runs on {backend.name} now")

    def failed(error: BackendError) -> None:
        serving.why = f"TensorRT is not in use: {error}"
        log(serving.why)

    serving.why = f"until the engines of TensorRT {backend.version} are ready"
    serving.missed = backend.miss
    backend.start(variants(steps), ready, failed)


def _cuda(weights: Weights, wanted: Wanted, cpu: OnnxRuntimeCpu, timer: Callable[[], float]) -> Opened:
    """ONNX Runtime on CUDA, if it works; in "auto" only where it is faster than the CPU."""
    gpu = OnnxRuntimeCuda(weights, wanted.precision)
    job = probe(weights.shape, wanted.steps[0], wanted.listeners)
    times = {backend.name: _median_ms(backend, job, timer) for backend in (cpu, gpu)}
    what = f"one stretch of {wanted.listeners} listeners" if wanted.listeners > 1 else "one stretch"
    measured = f"{what}: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in times.items())
    serving = Serving(cpu, f"faster than CUDA here ({measured})")
    if wanted.backend == "cuda" or times[gpu.name] < times[cpu.name]:
        serving.switch(gpu, measured)
        return Opened(serving, cuda=gpu)
    return Opened(serving)


def probe(shape: dict[str, int], steps: int, listeners: int = 1, candidates: int = 1) -> Stretch:
    """A stretch of noise of 4 frames, for a try and for its time."""
    noise = np.random.Generator(np.random.Philox(0))

    def normal(*size: int) -> Any:
        return noise.standard_normal(size).astype(np.float32)

    heard, own = len(heard_ages(shape)), shape.get("memory", 0) + shape["past"]
    return Stretch(
        normal(listeners, heard, shape["width"]), normal(listeners, own, shape["latent"]),
        np.zeros((listeners, condition_count(shape["max_lead"])), dtype=np.float32),
        np.zeros((listeners, candidates, 1 + heard + own), dtype=np.float32),
        normal(listeners, candidates, 4, shape["latent"]), tuple(angles(steps)),
    )  # fmt: skip


def _median_ms(backend: Backend, job: Stretch, timer: Callable[[], float]) -> float:
    backend.stretch(job)
    times = []
    for _ in range(PROBES):
        began = timer()
        backend.stretch(job)
        times.append(1e3 * (timer() - began))
    return float(np.median(times))
