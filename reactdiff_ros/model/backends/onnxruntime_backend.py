"""The networks in ONNX Runtime: on the CPU one thread, no spinning, same bits for same input; on CUDA graphs of work.

A provider library that does not load makes ONNX Runtime fall back to the CPU silently; here it is an error.
"""

from __future__ import annotations

import contextlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import WeightsError, explained, reason_of
from reactdiff_ros.model.backends.weights import GRAPHS, INTERFACES, REMEDY, Weights
from reactdiff_ros.model.diffusion.solvers import fitted_multistep
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.types import FloatArray

from .base import BackendError, NotReadyError, Precision, Stretch

SMALL: Final = 16
"""Up to this many stretches, what a graph does about shapes takes as long as its arithmetic."""
SHAPES: Final = 12
"""Shapes of stretches that have a captured session on the GPU."""
SELDOM: Final = ("encoder_sequence",)
"""Graphs that a live listener never needs: opened at their first use."""
CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"
DEVICE: Final = "cuda"
Graph = Callable[[dict[str, FloatArray]], list[FloatArray]]
"""Inputs by name -> the outputs in their order."""


class OnnxRuntimeCpu:
    """On the CPU.

    Args:
        weights: of all graphs.
        threads: that one call may use.

    Raises:
        WeightsError: a graph cannot be loaded, or its inputs or outputs are not this version's.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        self._options: Callable[[], Any] = partial(session_options, threads)
        self._denoiser = weights.graph("denoiser")
        self._weights = weights
        self._sessions = {graph: self._checked(graph) for graph in GRAPHS if graph not in SELDOM}
        self._fixed: dict[tuple[int, ...], Any] = {}

    @property
    def name(self) -> str:
        """See `base.Backend`."""
        return "onnxruntime-cpu"

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        if graph not in self._sessions:
            self._sessions[graph] = self._checked(graph)
        out: list[FloatArray] = self._sessions[graph].run(None, dict(inputs))
        return out

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`. One call of the denoiser an evaluation."""
        angles = np.array(job.schedule, dtype=np.float32)
        keys, values, modulations = self.run(
            "context", {"speaker": job.speaker, "past": job.past, "conditions": job.conditions, "angles": angles}
        )
        modulation = dict(zip(job.schedule, modulations, strict=True))
        count, stretches = job.mask.shape[:2]
        candidates = job.noise.shape[1]
        context = {"keys": keys, "values": values, "mask": job.mask}
        run = self._denoiser_for(count, stretches, job.noise.shape[2]).run
        strength = job.strength

        def velocity(z: FloatArray, angle: float) -> FloatArray:
            batch = z if strength is None else np.concatenate([z, z], axis=1)
            v: FloatArray = run(None, {**context, "z": batch, "modulations": modulation[angle]})[0]
            if strength is None:
                return v
            seeing, blind = v[:, :candidates], v[:, candidates:]
            return blind + strength * (seeing - blind)

        drawn: FloatArray = fitted_multistep(velocity, job.noise, job.schedule).astype(np.float32)
        return drawn

    def _denoiser_for(self, listeners: int, stretches: int, frames: int) -> Any:
        """The denoiser for such a batch: a small one has a session without free axes, in two thirds of the time."""
        if listeners * stretches > SMALL:
            return self._sessions["denoiser"]
        sizes = (listeners, stretches, frames)
        if sizes not in self._fixed:
            axes = dict(zip(("listeners", "stretches", "frames"), sizes, strict=True))
            self._fixed[sizes] = self._session(self._denoiser, axes)
        return self._fixed[sizes]

    def _checked(self, graph: str) -> Any:
        session = self._session(self._weights.graph(graph))
        _check_interface(session, graph, self._weights)
        return session

    def _session(self, path: Path, axes: Mapping[str, int] | None = None) -> Any:
        options = self._options()
        for axis, size in (axes or {}).items():
            options.add_free_dimension_override_by_name(axis, size)
        return cpu_session(path, options)


class OnnxRuntimeCuda:
    """On an NVIDIA GPU: the sampler's whole loop as one graph that is captured once for each shape and replayed.

    Args:
        weights: of all graphs.
        precision: of the sampler; encoder and autoencoder stay in float32.
        capture: replay CUDA graphs. Without, every kernel is launched again (for comparison).

    Raises:
        BackendError: ONNX Runtime has no CUDA here, or would silently run on the CPU.
    """

    def __init__(self, weights: Weights, precision: Precision = "fp32", *, capture: bool = True) -> None:
        import onnxruntime as ort

        if CUDA not in ort.get_available_providers():
            raise BackendError(
                "this ONNX Runtime has no CUDA", where=f"onnxruntime {ort.__version__}", todo="install onnxruntime-gpu"
            )
        if hasattr(ort, "preload_dlls"):
            # It prints what it does not find; the session shows whether it worked.
            with contextlib.suppress(Exception), contextlib.redirect_stdout(sys.stderr):
                ort.preload_dlls()
        self._weights, self._precision = weights, precision
        self.captures = capture
        """Whether work is captured; False as well where ONNX Runtime cannot."""
        self.patient = True
        """Whether a call waits while a new shape is prepared (seconds); False: it raises NotReadyError meanwhile."""
        self._preparing: set[tuple[Any, ...]] = set()
        self._sessions: dict[str, Any] = {}
        self._loops: dict[tuple[tuple[float, ...], bool], Any] = {}
        self._captured: OrderedDict[tuple[Any, ...], _Captured] = OrderedDict()
        self._lock = Lock()  # captured work has one set of buffers
        for graph in GRAPHS:
            if graph not in SELDOM:
                self._open(graph)

    @property
    def name(self) -> str:
        """See `base.Backend`."""
        return f"onnxruntime-cuda-{self._precision}"

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        if graph not in self._sessions:
            self._open(graph)
        with failing("ONNX Runtime failed on the GPU"):
            out: list[FloatArray] = self._sessions[graph].run(None, dict(inputs))
        return out

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`."""
        with failing("ONNX Runtime failed on the GPU"):
            captured = self._captured_for(job)
            with self._lock:
                return captured.run(job.inputs())

    def _open(self, graph: str) -> None:
        self._sessions[graph] = self._session(self._weights.graph(graph).read_bytes(), f"{graph}.onnx")

    def _captured_for(self, job: Stretch) -> _Captured:
        key = (job.schedule, job.guided, *axes_of(job).values())
        with self._lock:
            found = self._captured.get(key)
            if found is not None:
                self._captured.move_to_end(key)
                return found
        if self.patient:
            return self._prepare(key, job)
        if not self._preparing:  # one at a time: it costs a core for a second
            self._preparing.add(key)
            Thread(target=self._prepare_aside, args=(key, job), name="cuda graph", daemon=True).start()
        raise NotReadyError("this batch is being prepared for the GPU", where=str(job.noise.shape))

    def _prepare_aside(self, key: tuple[Any, ...], job: Stretch) -> None:
        try:
            self._prepare(key, job)
        except Exception:  # the work stays on the CPU, and is tried again
            pass
        finally:
            self._preparing.discard(key)

    def _prepare(self, key: tuple[Any, ...], job: Stretch) -> _Captured:
        session = self._loop_session(self._loop(job.schedule, job.guided, axes_of(job)).SerializeToString())
        captured = _Captured(session, job)
        with self._lock:
            captured.run(job.inputs())
            while len(self._captured) >= SHAPES:
                self._captured.popitem(last=False)
            self._captured[key] = captured
        return captured

    def _loop_session(self, model: bytes) -> Any:
        if self.captures:
            try:
                return self._session(model, "sampler", capture=True)
            except BackendError:  # a node that has to run on the CPU cannot be captured
                self.captures = False
        return self._session(model, "sampler")

    def _loop(self, schedule: tuple[float, ...], guided: bool, sizes: dict[str, int]) -> Any:
        from .graphs import folded, in_half_precision, sampler_graph

        key = (schedule, guided)
        if key not in self._loops:
            context, denoiser = self._weights.graph("context"), self._weights.graph("denoiser")
            self._loops[key] = sampler_graph(context, denoiser, schedule, guided=guided)
        model = folded(self._loops[key], sizes)
        return in_half_precision(model) if self._precision == "fp16" else model

    def _session(self, model: bytes, where: str, *, capture: bool = False) -> Any:
        import onnxruntime as ort

        options = session_options(1)
        how = {
            "use_tf32": "0",  # ten bits of mantissa are not float32
            "enable_cuda_graph": str(int(capture)),
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
        }
        with failing("ONNX Runtime cannot use the GPU", where=where):
            session = ort.InferenceSession(model, options, providers=[(CUDA, how), CPU])
        if session.get_providers()[0] != CUDA:
            raise BackendError(
                "ONNX Runtime fell back to the CPU: its CUDA library did not load", where=where,
                todo="install the CUDA and cuDNN that this onnxruntime-gpu was built for",
            )  # fmt: skip
        return session


class _Captured:
    """A session for one shape with its buffers on the GPU, allocated once."""

    def __init__(self, session: Any, job: Stretch) -> None:
        import onnxruntime as ort

        self._session = session
        make = ort.OrtValue.ortvalue_from_numpy
        self._inputs = {name: make(np.ascontiguousarray(a), DEVICE, 0) for name, a in job.inputs().items()}
        self._output = make(np.zeros_like(job.noise), DEVICE, 0)
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output("drawn", self._output)

    def run(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """The drawn stretch."""
        for name, array in inputs.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(array))
        self._session.run_with_iobinding(self._binding)
        out: FloatArray = self._output.numpy()
        return out


def _check_interface(session: Any, graph: str, weights: Weights) -> None:
    """Raise WeightsError where a graph does not take or give what this version's does."""
    given = {put.name: put.shape for put in (*session.get_inputs(), *session.get_outputs())}
    wide = {
        "features": FEATURE_COUNT, "observed": STREAM_COUNT, "listener": COEFFICIENT_COUNT,
        "speaker": weights.shape.get("width"), "modulations": weights.shape.get("width"),
        **dict.fromkeys(("latents", "past", "z", "velocity"), weights.shape.get("latent")),
    }  # fmt: skip
    names = tuple(tuple(put.name for put in puts) for puts in (session.get_inputs(), session.get_outputs()))
    sizes = {name: shape[-1] for name, shape in given.items() if shape and isinstance(shape[-1], int)}
    if names != INTERFACES[graph] or any(size != wide.get(name, size) for name, size in sizes.items()):
        raise WeightsError(
            "a network of the model's weights is another one, or another version's", where=str(weights.graph(graph)),
            todo=REMEDY,
        )  # fmt: skip


def axes_of(job: Stretch) -> dict[str, int]:
    """Sizes of the sampler graph's free axes."""
    count, candidates, frames = job.noise.shape[:3]
    return {"N": count, "K": candidates, "M": job.mask.shape[1], "H": frames}


@contextlib.contextmanager
def failing(what: str, *, where: str = "") -> Iterator[None]:
    """Errors of a library in the block become a BackendError; those of too little memory say so."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        text = reason_of(error)
        memory = "memory" in text.lower() and ("alloc" in text.lower() or "out of" in text.lower())
        raise BackendError("the GPU has not enough memory" if memory else what, where=where, todo=text) from error


def session_options(threads: int) -> Any:
    """Of sessions that leave the other cores alone."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def open_graph(path: Path, threads: int) -> Graph:
    """Any ONNX file on the CPU, on `threads` threads that do not spin.

    Raises:
        WeightsError: ONNX Runtime cannot load it.
    """
    return partial(cpu_session(path, session_options(threads)).run, None)


def cpu_session(path: Path, options: Any) -> Any:
    """A session on the CPU. Raises WeightsError where ONNX Runtime cannot load the file."""
    import onnxruntime as ort

    with explained(Exception, "ONNX Runtime cannot load a network", where=path, error=WeightsError):
        return ort.InferenceSession(str(path), options, providers=[CPU])
