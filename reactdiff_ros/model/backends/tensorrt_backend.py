"""The networks in TensorRT, through NVIDIA's Polygraphy: sampler, encoder and decoder as engines.

An engine belongs to one ONNX graph, TensorRT version and precision: all in its file's name. It is built in a process
of its own with low priority (`python -m reactdiff_ros.model.backends.tensorrt_backend ORDER`), so that a build that is
killed or crashes leaves the listener alone, and written whole or not at all. Meanwhile the CPU serves. An engine that
does not load (TensorRT refuses those of another GPU) is built again. Graphs that are called rarely stay on the CPU.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.model.backends.weights import INTERFACES, Weights, find_weights, sha256
from reactdiff_ros.model.diffusion.solvers import angles
from reactdiff_ros.settings import user_folder
from reactdiff_ros.types import FloatArray
from reactdiff_ros.whole_file import whole_file

from .base import Backend, BackendError, NotReadyError, Precision, Stretch

GRAPHS_VERSION: Final = 4
"""Of how graphs are put together and engines are built; another one makes other engines."""
DECODED_BEFORE: Final = 16
"""Frames of the past that are decoded with a plan: the decoder's context and those over which `corrections.calmed`
averages."""
ROWS: Final = 64
"""Listeners or speakers that an engine takes at once; more go one part after another."""
CANDIDATES: Final = 16
"""Candidates that an engine takes at once."""
OPTIMAL_ROWS: Final = 8
"""What engines are tuned for: the candidates of one listener after the first stretch, or a few listeners."""
SUFFIX: Final = ".engine"
_SHARED: Final = {"encoder": ("mask",)}
"""Inputs that all rows share."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A graph that an engine is built from."""

    graph: str
    """"encoder", "vae_decoder" or "sampler"."""
    schedule: tuple[float, ...] = ()
    guided: bool = False

    @property
    def name(self) -> str:
        """For files and logs."""
        if self.graph != "sampler":
            return self.graph
        return f"sampler-{len(self.schedule)}" + ("-guided" if self.guided else "")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names, in their order."""
        return ("drawn",) if self.graph == "sampler" else INTERFACES[self.graph][1]


def variants(steps: Sequence[int]) -> list[Variant]:
    """What a listener needs with these numbers of steps, the sampler first."""
    loops = [Variant("sampler", tuple(angles(n)), guided) for n in dict.fromkeys(steps) for guided in (False, True)]
    return [*loops, Variant("vae_decoder"), Variant("encoder")]


class MissingEngineError(NotReadyError):
    """There is no engine for this work yet; the rest goes on."""

    def __init__(self, variant: Variant) -> None:
        super().__init__("there is no engine for this yet", where=variant.name)
        self.variant = variant


# What Polygraphy does


class Engine(Protocol):
    """An engine at work."""

    def run(self, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """Outputs for at most ROWS rows. Raises BackendError."""
        ...

    def close(self) -> None:
        """Give the GPU's memory back."""
        ...


def tensorrt_version() -> str:
    """The version of TensorRT, once it is sure that it works on a GPU of this machine.

    Raises:
        BackendError: Polygraphy, TensorRT, the CUDA runtime or the GPU is missing, or TensorRT is too old.
    """
    todo = "pip install -r requirements/tensorrt.txt"
    with explained(ImportError, "NVIDIA's Polygraphy is missing", todo=todo, error=BackendError):
        from polygraphy import cuda
        from polygraphy.logger import G_LOGGER
        from polygraphy.mod.trt_importer import lazy_import_trt
    G_LOGGER.module_severity = G_LOGGER.CRITICAL  # what matters comes as an error
    todo = "install TensorRT 10 or 11 (JetPack brings it) and its Python binding"
    with explained(Exception, "TensorRT is missing", todo=todo, error=BackendError):
        version = str(lazy_import_trt().__version__)
    if int(version.split(".")[0]) < 10:
        raise BackendError("TensorRT is too old", where=f"version {version}", todo="use TensorRT 10 or 11 (JetPack 6)")
    with explained(Exception, "there is no NVIDIA GPU that CUDA can use", error=BackendError):
        cuda.DeviceArray(shape=(1,)).free()
    return version


def open_engine(path: Path, variant: Variant) -> Engine:
    """The engine in a file.

    Raises:
        BackendError: it is not for this TensorRT or GPU, or broken.
    """
    return _Runner(path, variant)


class _Runner:
    """Polygraphy's TrtRunner. Calls from several threads wait for each other."""

    def __init__(self, path: Path, variant: Variant) -> None:
        from polygraphy.backend.common import BytesFromPath
        from polygraphy.backend.trt import EngineFromBytes, TrtRunner

        self._outputs, self._lock = variant.outputs, threading.Lock()
        self._runner: Any = TrtRunner(EngineFromBytes(BytesFromPath(str(path))))
        with explained(Exception, "a TensorRT engine cannot be loaded", error=BackendError):
            self._runner.activate()

    def run(self, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `Engine`."""
        feed = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in inputs.items()}
        with self._lock:
            with explained(Exception, "TensorRT failed on the GPU", error=BackendError):
                found = self._runner.infer(feed)
            return [np.array(found[name]) for name in self._outputs]  # the runner writes into its arrays again

    def close(self) -> None:
        """See `Engine`."""
        with self._lock:
            self._runner.deactivate()


def build(weights: Weights, variant: Variant, precision: Precision, output: Path, timing: Path) -> None:
    """Build an engine into `output`. `timing`: file of TensorRT's timing cache.

    The network is strongly typed: what is half precision is half precision in the graph, for TensorRT 11 has no flag
    for it. TF32, whose ten bits of mantissa are not float32, is off, as Polygraphy has it.

    Raises:
        BackendError: TensorRT does not take the graph or cannot build.
        OSError: the engine cannot be written.
    """
    from polygraphy.backend.trt import CreateConfig, EngineBytesFromNetwork, NetworkFromOnnxBytes, Profile

    model = onnx_of(weights, variant, precision)
    profile = Profile()
    for name, shape in _axes(model).items():
        low, usual, high = ranges(shape, variant, weights.shape["horizon"])
        profile.add(name, min=low, opt=usual, max=high)
    with explained(Exception, "TensorRT cannot build an engine", where=variant.name, error=BackendError):
        plan = EngineBytesFromNetwork(
            NetworkFromOnnxBytes(model, strongly_typed=True),
            config=CreateConfig(profiles=[profile], load_timing_cache=str(timing)), save_timing_cache=str(timing),
        )()  # fmt: skip
    with whole_file(output, private=True) as file:
        file.write(bytes(plan))


def onnx_of(weights: Weights, variant: Variant, precision: Precision) -> bytes:
    """The variant's ONNX graph, folded, with free axes. Needs the package `onnx`."""
    import onnx

    from .graphs import folded, in_half_precision, sampler_graph

    model: Any
    if variant.graph == "sampler":
        context, denoiser = (weights.graph(name) for name in _sources(variant))
        model = sampler_graph(context, denoiser, variant.schedule, guided=variant.guided)
    else:
        model = onnx.load(str(weights.graph(variant.graph)))
    model = folded(model)
    if precision == "fp16":
        model = in_half_precision(model)
    raw: bytes = model.SerializeToString()
    return raw


def ranges(shape: Sequence[int | str], variant: Variant, horizon: int) -> tuple[list[int], list[int], list[int]]:
    """Smallest, usual and largest size of each axis of an input; free axes are named."""
    twice = 2 if variant.guided else 1
    sizes = {
        "N": (1, OPTIMAL_ROWS, ROWS), "listeners": (1, OPTIMAL_ROWS, ROWS), "speakers": (1, 1, ROWS),
        "K": (1, 1, CANDIDATES), "M": (twice, twice, twice * CANDIDATES), "H": (1, 4, horizon),
        "frames": (7, DECODED_BEFORE + 12, DECODED_BEFORE + horizon),
    }  # fmt: skip
    columns = [sizes[axis] if isinstance(axis, str) else (axis, axis, axis) for axis in shape]
    low, usual, high = (list(column) for column in zip(*columns, strict=True))
    return low, usual, high


def _axes(model: bytes) -> dict[str, list[int | str]]:
    """Sizes or names of the axes of a graph's inputs."""
    import onnx

    return {
        i.name: [dim.dim_param or dim.dim_value for dim in i.type.tensor_type.shape.dim]
        for i in onnx.load_model_from_string(model).graph.input
    }


def _sources(variant: Variant) -> list[str]:
    """The shipped graphs that a variant is made of."""
    return ["context", "denoiser"] if variant.graph == "sampler" else [variant.graph]


# Engines on disk


def engines_folder() -> Path:
    """Where engines are kept: REACTDIFF_ENGINES, else the user's cache folder."""
    return Path(os.environ.get("REACTDIFF_ENGINES") or user_folder("CACHE") / "engines")


class EngineCache:
    """A private folder of engines. Where it cannot be used, a temporary one serves, for this process alone.

    Args:
        folder: made, and private, if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.problem = ""
        """Why the wanted folder is not used; empty: it is."""
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.problem = _unsafe(folder)
            if not self.problem and not os.access(folder, os.W_OK | os.X_OK):
                self.problem = f"the engine cache cannot be written ({folder})"
        except OSError as error:
            self.problem = f"the engine cache cannot be written ({folder}): {error.strerror or error}"
        if self.problem:
            self.problem += "; engines are built at every start"
            self._temporary = tempfile.TemporaryDirectory(prefix="reactdiff-engines-")
            folder = Path(self._temporary.name)
        self.folder = folder

    def path(self, weights: Weights, variant: Variant, precision: Precision, version: str) -> Path:
        """The file of an engine, also where it is not there. Its name changes with all that the engine depends on."""
        parts = {graph: sha256(weights.graph(graph)) for graph in _sources(variant)}
        made_of = {"version": GRAPHS_VERSION, "parts": parts, "variant": asdict(variant), "rows": ROWS}
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{variant.name}-{precision}-{digest}-trt{version}{SUFFIX}"


def _unsafe(folder: Path) -> str:
    """Why engines, which are code, may not be loaded from a folder; "" if they may."""
    found = folder.stat()
    if found.st_uid != os.getuid():
        return f"the engine cache belongs to another user ({folder})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"the engine cache can be written by others ({folder})"
    return ""


def build_in_process(order: str, started: Callable[[subprocess.Popen[str]], None]) -> tuple[int, str]:
    """Build what an order says in a process of low priority: exit status, and its error."""
    root = str(Path(__file__).resolve().parents[3])  # of the package, also where it is not installed
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "reactdiff_ros.model.backends.tensorrt_backend", order], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    started(process)
    error = process.communicate()[1]
    return process.returncode, error.strip()


def main(order: str) -> int:
    """Do what an order says: exit status, with a sentence on stderr where it is 1."""
    given = json.loads(order)
    variant = Variant(given["graph"], tuple(given["schedule"]), given["guided"])
    output = Path(given["output"])
    try:
        weights = find_weights(given["weights"])
        build(weights, variant, given["precision"], output, output.parent / f"timing-{given['version']}.cache")
    except ImportError as error:
        print(f"a package for building engines is missing ({error.name}): install it with pip", file=sys.stderr)
        return 1
    except (ReactdiffError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


# The backend


class TensorRT:
    """See `base.Backend`. Opens engines, or builds what is missing, one after another in a thread.

    Args:
        weights: of the graphs.
        cpu: for graphs that have no engine.
        precision: of the engines.
        cache: of engines.
        version: of TensorRT.
        timer: seconds of a monotonic clock.
        log: gets a sentence for every step.
        opened: opens an engine.
        built: builds what an order says, see `build_in_process`.
    """

    def __init__(
        self,
        weights: Weights,
        cpu: Backend,
        precision: Precision,
        cache: EngineCache,
        version: str,
        *,
        timer: Callable[[], float],
        log: Callable[[str], None],
        opened: Callable[[Path, Variant], Engine] = open_engine,
        built: Callable[[str, Callable[[subprocess.Popen[str]], None]], tuple[int, str]] = build_in_process,
    ) -> None:
        self._weights, self._cpu, self._precision = weights, cpu, precision
        self._cache, self.version, self._timer, self._log = cache, version, timer, log
        self._opened, self._built = opened, built
        self.built_s: dict[str, float] = {}
        """Seconds of each build of this run."""
        self.cached: list[str] = []
        """Engines that were found."""
        self._engines: dict[Variant, Engine] = {}
        self._building: tuple[str, float] | None = None
        self._count = 0
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._settled = threading.Event()
        self._missing: queue.SimpleQueue[Variant | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """See `base.Backend`."""
        return f"tensorrt-{self._precision}"

    @property
    def folder(self) -> Path:
        """Where engines are kept."""
        return self._cache.folder

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        engine = self._engines.get(Variant(graph))
        if engine is None:
            return self._cpu.run(graph, inputs)
        return _in_parts(engine, inputs, _SHARED.get(graph, ()))

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`. Raises MissingEngineError for steps that no engine was built for."""
        variant = Variant("sampler", job.schedule, job.guided)
        engine = self._engines.get(variant)
        if engine is None:
            raise MissingEngineError(variant)
        if job.noise.shape[1] > CANDIDATES:
            return self._cpu.stretch(job)
        return _in_parts(engine, job.inputs(), ())[0]

    def start(
        self, wanted: Sequence[Variant], ready: Callable[[], None], failed: Callable[[BackendError], None]
    ) -> None:
        """Open or build engines in a thread; then `ready` is called, or `failed` with the reason.

        Engines that turn out to be missing later (`miss`) follow in the same way.
        """
        self._count = len(wanted)

        def work() -> None:
            try:
                for variant in wanted:
                    self._engines[variant] = self._engine(variant)
                ready()
            except BackendError as error:
                if not self._stopped:
                    failed(error)
                return
            finally:
                self._building = None
                self._settled.set()
            for variant in iter(self._missing.get, None):
                try:
                    self._engines[variant] = self._engine(variant)
                except BackendError as error:
                    if not self._stopped:
                        self._log(f"{variant.name} stays on the CPU: {error}")
                finally:
                    self._building = None

        self._thread = threading.Thread(target=work, name="engines", daemon=True)
        self._thread.start()

    def miss(self, variant: Variant) -> None:
        """Open or build one more engine."""
        self._missing.put(variant)

    def stop(self) -> None:
        """End a running build, wait for the thread and give the GPU's memory back."""
        self._stopped = True
        self._missing.put(None)
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        if self._thread is not None:
            self._thread.join()
        while self._engines:
            self._engines.popitem()[1].close()

    def share(self) -> float:
        """How much of the engines is there, 0..1."""
        return min(len(self._engines) / max(self._count, 1), 1.0)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until TensorRT is in use or has failed; at most `timeout_s`."""
        self._settled.wait(timeout_s)

    def running(self) -> bool:
        """Whether TensorRT may still come into use."""
        return not self._settled.is_set()

    def state(self) -> str:
        """What is being built, and since when; "" when nothing is."""
        now = self._building
        if now is None:
            return ""
        number = len(self._engines) + 1
        return (
            f"building engine {number} of {max(self._count, number)} ({now[0]}, {self._precision}, "
            f"TensorRT {self.version}) for {self._timer() - now[1]:.0f} s"
        )

    def _engine(self, variant: Variant) -> Engine:
        path = self._cache.path(self._weights, variant, self._precision, self.version)
        if path.exists():
            try:
                engine = self._opened(path, variant)
            except BackendError as error:
                self._log(f"{error}; it is built again ({path.name})")
                path.unlink(missing_ok=True)
            else:
                self.cached.append(variant.name)
                return engine
        if self._stopped:
            raise BackendError("the build was ended")
        began = self._timer()
        self._building = (variant.name, began)
        self._log(self.state())
        order = {
            "weights": str(self._weights.folder), **asdict(variant), "precision": self._precision,
            "output": str(path), "version": self.version,
        }  # fmt: skip
        code, why = self._built(json.dumps(order), self._began)
        if code != 0:
            killed = f"the build was killed (signal {-code})" if code < 0 else "an engine could not be built"
            raise BackendError(killed, where=variant.name, todo=why.split("\n")[-1][:300])
        self.built_s[variant.name] = round(self._timer() - began, 1)
        self._log(f"built engine {variant.name} in {self._timer() - began:.0f} s")
        return self._opened(path, variant)

    def _began(self, process: subprocess.Popen[str]) -> None:
        self._process = process


def _in_parts(engine: Engine, inputs: Mapping[str, FloatArray], shared: tuple[str, ...]) -> list[FloatArray]:
    """Outputs of an engine for any number of rows."""
    rows = next(len(a) for name, a in inputs.items() if name not in shared)
    parts = []
    for start in range(0, rows, ROWS):
        part = {n: a if n in shared else a[start : start + ROWS] for n, a in inputs.items()}
        parts.append(engine.run(part))
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


if __name__ == "__main__":
    os.nice(10)  # the listener comes first
    sys.exit(main(sys.argv[1]))
