"""`bench model`, row by row: what a plan costs by backend, precision, steps, candidates, listeners and length.

One thing is varied at a time, the rest stays as live. All rows draw whole plans on noise as input, by the path of the
live listener: drafts of all listeners are drawn together, then each chooses and remembers its own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import psutil

from reactdiff_ros.clock import Grid
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.backends.base import Backend, Precision
from reactdiff_ros.model.backends.opening import Wanted, open_backend
from reactdiff_ros.model.batch import draw_together
from reactdiff_ros.model.plan.planner import Planner, live_frames
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import Weights

BACKENDS: Final[tuple[tuple[str, Precision], ...]] = (
    ("onnxruntime", "fp32"), ("torch", "fp32"), ("cuda", "fp32"), ("cuda", "fp16"), ("tensorrt", "fp32"),
    ("tensorrt", "fp16"),
)  # fmt: skip
"""torch: eager, on the GPU where it has one; for comparison, nothing runs on it."""
STEPS: Final = (2, 4, 8, 16, 32)
ENGINE_STEPS: Final = (4, 8, 16)
"""With TensorRT, each needs engines of its own, and building one takes a while."""
CANDIDATES: Final = (1, 2, 4, 8, 16)
LISTENERS: Final = (1, 2, 4, 8, 16)
SEEN: Final = (1, 25, 125, 375, 1500)
"""Frames that the speaker was watched when the next frame's encoding is timed: the window that the model sees."""
WARM_UP: Final = 3
LEAST: Final = 10
"""Timed calls of a row, however long they take."""
BUILD_S: Final = 900.0
"""Longest wait for TensorRT's engines."""
_FRAME_S: Final = Grid().period_ns * 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """What one row is of."""

    sweep: str
    """What is varied in it: "steps", "candidates", "listeners" or "frames"."""
    steps: int
    candidates: int
    listeners: int
    frames: int
    """Of a plan."""


def cases(
    how: Sampling, horizon: int, listeners: Sequence[int] = LISTENERS, steps: Sequence[int] = STEPS
) -> list[Case]:
    """Every row of one backend: around one candidate for one listener with the steps and plans of live."""
    usual = Case("", how.steps, 1, 1, live_frames(how, horizon))
    return [
        *(replace(usual, sweep="steps", steps=n) for n in sorted({*steps, how.steps})),
        *(replace(usual, sweep="candidates", candidates=n) for n in CANDIDATES),
        *(replace(usual, sweep="listeners", listeners=n) for n in listeners),
        *(replace(usual, sweep="frames", frames=n) for n in range(how.block, horizon + 1, how.block)),
    ]


@dataclass(frozen=True, slots=True)
class Clock:
    """How time is taken.

    Args:
        timer: seconds of a monotonic clock.
        sleep: waits so many seconds.
        repeats: timed calls of a row.
        row_s: a row ends after so long, with at least `LEAST` calls.
    """

    timer: Callable[[], float]
    sleep: Callable[[float], None]
    repeats: int = 200
    row_s: float = 3.0

    def timed(self, call: Callable[[int], None]) -> dict[str, float | int]:
        """p50, p99 and smallest of the calls in ms, after a warm-up; `call` is given its number."""
        for i in range(WARM_UP):
            call(i)
        times: list[float] = []
        began = self.timer()
        while len(times) < self.repeats and (len(times) < LEAST or self.timer() - began < self.row_s):
            begin = self.timer()
            call(WARM_UP + len(times))
            times.append(1e3 * (self.timer() - begin))
        low, middle, high = np.percentile(times, (0, 50, 99))
        return {"p50": float(middle), "p99": float(high), "min": float(low), "n": len(times)}


def bench_matrix(
    weights: Weights,
    how: Sampling,
    clock: Clock,
    *,
    backends: Sequence[tuple[str, Precision]] = BACKENDS,
    listeners: Sequence[int] = LISTENERS,
    threads: int = 1,
    told: Callable[[float], None] = lambda share: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """{"rows": one for every case of every backend that works here, "seen": the encoder's, "absent": why others not}.

    Args:
        weights: the networks.
        how: steps, guidance, block and hop as live.
        clock: how time is taken.
        backends: with their precisions, as `model.backends.opening.Wanted` names them.
        listeners: numbers of them.
        threads: of the CPU.
        told: share of the work that is done.
        say: is told what happens.
    """
    rows: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    for i, (name, precision) in enumerate(backends):
        steps = ENGINE_STEPS if name == "tensorrt" else STEPS
        try:
            backend, close = opened_backend(weights, name, precision, sorted({*steps, how.steps}), clock, threads, say)
        except (ReactdiffError, ImportError) as error:
            absent[f"{name} {precision}"] = str(error)
            continue
        try:
            networks, started_with = Networks(weights, threads, backend), backend.name
            every = cases(how, networks.shape["horizon"], listeners, steps)
            for j, case in enumerate(every):
                rows.append({"backend": name, "precision": precision, **row(networks, how, case, clock)})
                told((i + (j + 1) / len(every)) / len(backends))
            seen += [{"backend": name, "precision": precision, **r} for r in watching(networks, clock)]
            if networks.backend != started_with:
                absent[f"{name} {precision}"] = f"it failed while running: the last rows are of {networks.backend}"
        finally:
            close()
    told(1.0)
    return {"rows": rows, "seen": seen, "absent": absent}


def opened_backend(
    weights: Weights, name: str, precision: Precision, steps: Sequence[int], clock: Clock, threads: int,
    say: Callable[[str], None],
) -> tuple[Backend, Callable[[], None]]:  # fmt: skip
    """The backend with all that it needs ready, and what ends it.

    Raises:
        ReactdiffError: it does not work here.
        ImportError: torch is not installed.
    """
    if name == "torch":
        from reactdiff_ros.training.timing import torch_backend

        return torch_backend(weights, threads), _nothing
    heard = say if name == "tensorrt" else _silence
    opened = open_backend(weights, Wanted(name, precision, steps), clock.timer, threads=threads, log=heard)
    limit = clock.timer() + BUILD_S
    while opened.tensorrt is not None and opened.tensorrt.running() and clock.timer() < limit:
        clock.sleep(0.2)
    if not opened.serving.name.startswith(_NAMES[name]):
        opened.close()
        raise ReactdiffError(f"{name} does not work here", todo=opened.serving.why)
    return opened.serving, opened.close


def _silence(sentence: str) -> None:
    """What does not work is told with the rows."""


def _nothing() -> None:
    """Nothing is to be ended."""


_NAMES: Final = {"onnxruntime": "onnxruntime-cpu", "cuda": "onnxruntime-cuda", "tensorrt": "tensorrt"}


def row(networks: Networks, how: Sampling, case: Case, clock: Clock) -> dict[str, Any]:
    """One row: times of a plan of all listeners and of one new frame of each, and what follows from them."""
    how = replace(how, steps=case.steps, candidates=case.candidates)
    plan = clock.timed(planning(networks, how, case.listeners, case.frames))
    frame = clock.timed(encoding(networks, case.listeners))
    hop_s = how.hop * _FRAME_S
    return {
        "sweep": case.sweep, "steps": case.steps, "candidates": case.candidates, "listeners": case.listeners,
        "frames": case.frames, "plan_ms": plan, "encoder_frame_ms": frame,
        "plans_per_s": 1e3 * case.listeners / plan["p50"],
        "times_real_time": 1e3 * hop_s / (plan["p50"] + how.hop * frame["p50"]),
        "rss_mb": round(psutil.Process().memory_info().rss / 1e6, 1), "gpu_mb": gpu_mb(),
    }  # fmt: skip


def planning(networks: Networks, how: Sampling, listeners: int, frames: int) -> Callable[[int], None]:
    """A call that plans for so many listeners, all their candidates."""
    s = networks.shape
    planners = [Planner(networks, [seed], how) for seed in range(listeners)]
    speaker = np.random.default_rng(0).standard_normal((1, s["speech"], s["width"])).astype(np.float32)
    missing, conditions = np.zeros((1, s["speech"]), dtype=np.float32), ordinary(1)

    def call(i: int) -> None:
        drafts = [
            p.draft(i * how.hop, speaker, missing, conditions, lead=1, frames=frames, all_candidates=True)
            for p in planners
        ]
        for planner, draft, drawn in zip(planners, drafts, draw_together(networks, drafts), strict=True):
            planner.finish(draft, drawn)

    return call


def encoding(networks: Networks, listeners: int) -> Callable[[int], None]:
    """A call that encodes one new frame of so many speakers."""
    cache = networks.new_cache(listeners)
    features = np.random.default_rng(0).standard_normal((64, listeners, FEATURE_COUNT)).astype(np.float32)
    observed = np.ones((listeners, STREAM_COUNT), dtype=np.float32)

    def call(i: int) -> None:
        cache.push(networks.encode(features[i % 64], observed, cache.past())[1])

    return call


def watching(networks: Networks, clock: Clock) -> Iterator[dict[str, Any]]:
    """The time of one new frame after so many were seen: what cached keys and values are for."""
    call, done = encoding(networks, 1), 0
    few = replace(clock, repeats=min(clock.repeats, 50))
    for frames in SEEN:
        for i in range(done, frames):
            call(i)
        found = few.timed(call)
        done = frames + WARM_UP + int(found["n"])
        yield {"frames_seen": frames, "encoder_frame_ms": found}


def gpu_mb() -> float | None:
    """Memory in use on the first GPU, by everybody, 10^6 bytes; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return round(float(run.stdout.split()[0]) * 1.048576, 1)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
