"""Brings TensorRT's engines into use while the CPU serves: from the cache, or built in processes of their own."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.model.weights import Weights

from .base import BackendError, Precision
from .build import order
from .cache import EngineCache, Machine
from .cuda import Cuda
from .engine import Engine
from .serving import Serving
from .tensorrt_backend import TensorRT
from .variants import Variant, onnx_hash

GUESS_S: Final = 60.0
"""Expected time of a build where none was built before."""
Build = Callable[[str], tuple[int, str]]
"""Builds what an order says; exit status and what it printed."""


def build_in_process(
    order: str, started: Callable[[subprocess.Popen[str]], None] = lambda process: None
) -> tuple[int, str]:
    """Build in a process of low priority."""
    root = str(Path(__file__).resolve().parents[3])  # of the package, wherever it was imported from
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "reactdiff_ros.model.backends.build", order], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    started(process)
    told = process.communicate()[1]
    return process.returncode, told.strip()


class Preparing:
    """Engines of some variants, one after another, in a thread; then `serving` switches to them.

    Engines that turn out to be missing later (for another number of steps, say) follow in the same way.

    Args:
        serving: is told when TensorRT takes over, or why it does not.
        weights: of the graphs.
        variants: that are needed before the switch.
        trt: the module `tensorrt`.
        cuda: the GPU.
        cache: of engines.
        precision: of them.
        timer: seconds of a monotonic clock.
        build: builds one; None: `build_in_process`.
        tell: gets a sentence for every step.
    """

    def __init__(
        self,
        serving: Serving,
        weights: Weights,
        variants: Sequence[Variant],
        *,
        trt: Any,
        cuda: Cuda,
        cache: EngineCache,
        precision: Precision,
        timer: Callable[[], float],
        build: Build | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._serving, self._weights, self._variants = serving, weights, list(variants)
        self._trt, self._cuda, self._cache, self._precision = trt, cuda, cache, precision
        self._timer, self._tell = timer, tell
        self._build = build or (lambda told: build_in_process(told, self._began))
        self.machine = Machine(str(trt.__version__), cuda.name, cuda.capability, cuda.driver)
        self.built_s: dict[str, float] = {}
        """Seconds of each build of this run."""
        self.cached: list[str] = []
        """Engines that were found."""
        self._now: tuple[str, float, float] | None = None
        self._done = 0
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._settled = threading.Event()
        self._missing: queue.SimpleQueue[Variant | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread."""
        self._serving.missed = self._missing.put
        self._thread = threading.Thread(target=self.run, name="engines", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End a running build and wait for the thread."""
        self._stopped = True
        self._missing.put(None)
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        if self._thread is not None:
            self._thread.join()

    @property
    def folder(self) -> Path:
        """Where engines are kept."""
        return self._cache.folder

    def share(self) -> float:
        """How much of the engines is there, 0..1; a running build counts by its expected time."""
        now = self._now
        begun = 0.0 if now is None else min((self._timer() - now[1]) / now[2], 0.95)
        return min((self._done + begun) / len(self._variants), 1.0)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until TensorRT is in use, or is not to be; or so long."""
        self._settled.wait(timeout_s)

    def running(self) -> bool:
        """Whether TensorRT may still come into use."""
        return not self._settled.is_set()

    def state(self) -> str:
        """What is being built, since when and how long it is expected to take; "" when nothing is."""
        now = self._now
        if now is None:
            return ""
        name, began, expected = now
        number, count = self._done + 1, max(len(self._variants), self._done + 1)
        return (
            f"building engine {number} of {count} ({name}, {self._precision}) for "
            f"{self.machine.told()}: {self._timer() - began:.0f} s of about {expected:.0f} s"
        )

    def run(self) -> None:
        """All of it, in this thread."""
        try:
            backend = self._first()
        finally:
            self._settled.set()
        if backend is None:
            return
        for variant in iter(self._missing.get, None):
            try:
                backend.engines[variant] = self._engine(variant)
            except BackendError as error:
                if not self._stopped:
                    self._tell(f"{variant.name} stays on the CPU: {error}")
            finally:
                self._now = None
        backend.close()

    def _first(self) -> TensorRT | None:
        """What is needed before the switch, and the switch."""
        try:
            engines = {variant: self._engine(variant) for variant in self._variants}
            backend = TensorRT(engines, self._serving.cpu, self._precision)
            why = f"TensorRT {self.machine.tensorrt} on {self.machine.gpu}"
            self._serving.switch(backend, why)
        except BackendError as error:
            if not self._stopped:
                self._serving.why = f"TensorRT is not in use: {error}"
                self._tell(self._serving.why)
            return None
        finally:
            self._now = None
        self._tell(f"the model runs in {why} now, {self._precision}")
        return backend

    def _engine(self, variant: Variant) -> Engine:
        onnx = onnx_hash(self._weights, variant)
        path = self._cache.path(variant.name, onnx, self.machine, self._precision)
        plan, problem = self._cache.load(path, onnx, self.machine, self._precision)
        if plan is not None:
            try:
                engine = Engine(self._trt, self._cuda, plan)
            except BackendError as error:
                self._cache.discard(path)
                problem = str(error)
            else:
                self.cached.append(variant.name)
                self._done += 1
                return engine
        if problem:
            self._tell(f"{problem}; it is built anew ({path.name})")
        plan = self._built(variant, path, onnx)
        self._done += 1
        return Engine(self._trt, self._cuda, plan)

    def _built(self, variant: Variant, path: Path, onnx: str) -> bytes:
        if self._stopped:
            raise BackendError("the build was given up")
        began = self._timer()
        expected = self._cache.expected_s(variant.name, self.machine) or GUESS_S
        self._now = (variant.name, began, expected)
        self._tell(self.state())
        timing = path.parent / f"timing-{self.machine.tensorrt}.cache"
        code, told = self._build(order(self._weights, variant, self._precision, path, timing))
        if code != 0:
            killed = f"the build was killed (signal {-code})" if code < 0 else "an engine could not be built"
            raise BackendError(killed, where=variant.name, todo=told.split("\n")[-1][:300])
        took = self._timer() - began
        try:
            plan = self._cache.seal(path, onnx, self.machine, self._precision, took)
        except OSError as error:
            raise BackendError("a built engine cannot be kept", where=str(path), todo=str(error)) from error
        self.built_s[variant.name] = round(took, 1)
        self._tell(f"built engine {variant.name} in {took:.0f} s")
        return plan

    def _began(self, process: subprocess.Popen[str]) -> None:
        self._process = process
