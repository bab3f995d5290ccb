"""What the model costs: `bench model` (a frame, a plan, and rows that vary one thing each) and `bench listeners`.

Rows vary the backend, precision, steps, candidates, listeners or length; the rest stays as live. All plans are drawn
from noise as input, by the path of the live listener: drafts of all listeners are drawn together, then each chooses and
remembers its own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation.bench.machine import hardware, output_of
from reactdiff_ros.model.backends.base import Backend, Precision
from reactdiff_ros.model.backends.opening import Wanted, open_backend
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import Weights
from reactdiff_ros.model.batch import DEADLINE_S, ListenerBatch, draw_together, warm
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.planner import Planner, live_frames
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.types import OnProgress, SpeakerFrame

BACKENDS: Final[tuple[tuple[str, Precision], ...]] = (
    ("onnxruntime", "fp32"), ("torch", "fp32"), ("cuda", "fp32"), ("cuda", "fp16"), ("tensorrt", "fp32"),
    ("tensorrt", "fp16"),
)  # fmt: skip
"""torch: eager, on the GPU if torch has one; for comparison only."""
STEPS: Final = (2, 4, 8, 16, 32)
ENGINE_STEPS: Final = (4, 8, 16)
"""TensorRT needs an engine for each, and building one takes a while."""
CANDIDATES: Final = (1, 2, 4, 8, 16)
LISTENERS: Final = (1, 2, 4, 8, 16)
SEEN: Final = (1, 25, 125, 375, 1500)
"""Frames seen before the timed one: the window that the model sees."""
WARM_UP: Final = 3
LEAST: Final = 10
"""Fewest timed calls of a row."""
BUILD_S: Final = 900.0
"""Longest wait for TensorRT's engines."""
SLOT_NS: Final = Grid().period_ns
SETTLING: Final = 210
"""Slots of `bench listeners` that are not measured: until the encoder sees its whole window."""
APART: Final = 7
"""Slots between the starts of two listeners: no multiple of the hop, so that plans are due at different times."""
READ_S: Final = 12.0
"""Of the clip; it is repeated."""


def cases(how: Sampling, horizon: int, listeners: Sequence[int], steps: Sequence[int]) -> list[dict[str, Any]]:
    """Every row of one backend: around one candidate for one listener with the steps and plans of live.

    "sweep" is which of the other entries is varied; "frames" is the length of a plan.
    """
    usual = {"steps": how.steps, "candidates": 1, "listeners": 1, "frames": live_frames(how, horizon)}
    varied = {
        "steps": sorted({*steps, how.steps}), "candidates": CANDIDATES, "listeners": listeners,
        "frames": range(how.block, horizon + 1, how.block),
    }  # fmt: skip
    return [{"sweep": name, **usual, name: value} for name, values in varied.items() for value in values]


@dataclass(frozen=True, slots=True)
class Clock:
    """How time is measured.

    Args:
        timer: seconds of a monotonic clock.
        sleep: waits for this many seconds.
        repeats: timed calls of a row.
        row_s: longest time of a row, after at least `LEAST` calls.
    """

    timer: Callable[[], float]
    sleep: Callable[[float], None]
    repeats: int = 200
    row_s: float = 3.0

    def timed(self, call: Callable[[int], None]) -> dict[str, float | int]:
        """p50, p99 and smallest time of a call in ms, after a warm-up; `call` receives its number."""
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


def bench_model(
    weights: Weights, how: Sampling, timer: Callable[[], float], *, candidates: Sequence[int] = (1, 10),
    threads: int = 1, repeats: int = 200, progress: OnProgress = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """Times in ms (p50, p99, smallest) of one new frame and of one plan, with `repeats` calls each.

    Args:
        weights: the networks.
        how: steps, guidance, block and hop; a plan is as long as live.
        timer: seconds of a monotonic clock.
        candidates: numbers K of candidates.
        threads: of ONNX Runtime.
        repeats: timed calls of each.
        progress: receives the share done, 0..1.
    """
    networks, clock = Networks(weights, threads), Clock(timer, lambda seconds: None, repeats, math.inf)
    frames = live_frames(how, networks.shape["horizon"])
    plans: dict[str, dict[str, float | int]] = {}
    figures: dict[str, Any] = {
        "weights": networks.name, "parameters": weights.parameters, "threads": threads, "steps": how.steps,
        "guidance": how.guidance, "block": how.block, "hardware": hardware(),
        "encoder_frame_ms": clock.timed(encoding(networks, 1)), "plan_ms": plans,
    }  # fmt: skip
    for i, count in enumerate(candidates):
        progress((i + 1) / (len(candidates) + 1))
        plans[str(count)] = clock.timed(planning(networks, replace(how, candidates=count), 1, frames))
    progress(1.0)
    return figures


def bench_rows(
    weights: Weights, how: Sampling, clock: Clock, *, backends: Sequence[tuple[str, Precision]] = BACKENDS,
    listeners: Sequence[int] = LISTENERS, threads: int = 1, progress: OnProgress = lambda share: None,
    log: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure every case of every backend.

    Args:
        weights: the networks.
        how: steps, guidance, block and hop as live.
        clock: how time is measured.
        backends: with their precisions, named as in `model.backends.opening.Wanted`.
        listeners: numbers of them.
        threads: of the CPU.
        progress: receives the share done, 0..1.
        log: receives what happens, in sentences.

    Returns:
        {"rows": one for every case of every backend that works, "seen": the encoder's, "absent": why the others do
        not}.
    """
    rows: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    for i, (name, precision) in enumerate(backends):
        steps = ENGINE_STEPS if name == "tensorrt" else STEPS
        try:
            backend, close = opened_backend(weights, name, precision, sorted({*steps, how.steps}), clock, threads, log)
        except (ReactdiffError, ImportError) as error:
            absent[f"{name} {precision}"] = str(error)
            continue
        try:
            networks, started_with = Networks(weights, threads, backend), backend.name
            all_cases = cases(how, networks.shape["horizon"], listeners, steps)
            for j, case in enumerate(all_cases):
                rows.append({"backend": name, "precision": precision, **_row(networks, how, case, clock)})
                progress((i + (j + 1) / len(all_cases)) / len(backends))
            seen += [{"backend": name, "precision": precision, **r} for r in watching(networks, clock)]
            if networks.backend != started_with:
                absent[f"{name} {precision}"] = f"it failed while running: the last rows are of {networks.backend}"
        finally:
            close()
    progress(1.0)
    return {"rows": rows, "seen": seen, "absent": absent}


def opened_backend(
    weights: Weights, name: str, precision: Precision, steps: Sequence[int], clock: Clock, threads: int,
    log: Callable[[str], None],
) -> tuple[Backend, Callable[[], None]]:  # fmt: skip
    """The backend, ready to serve, and the function that closes it.

    Raises:
        ReactdiffError: it does not work here.
        ImportError: torch is not installed.
    """
    if name == "torch":
        from reactdiff_ros.training.torch_backend import torch_backend

        return torch_backend(weights, threads), lambda: None
    heard = log if name == "tensorrt" else lambda sentence: None  # of the others the rows report what does not work
    opened = open_backend(weights, Wanted(name, precision, steps), clock.timer, threads=threads, log=heard)
    limit = clock.timer() + BUILD_S
    while opened.tensorrt is not None and opened.tensorrt.running() and clock.timer() < limit:
        clock.sleep(0.2)
    if not opened.serving.name.startswith(_NAMES[name]):
        opened.close()
        raise ReactdiffError(f"{name} does not work here", todo=opened.serving.why)
    return opened.serving, opened.close


_NAMES: Final = {"onnxruntime": "onnxruntime-cpu", "cuda": "onnxruntime-cuda", "tensorrt": "tensorrt"}


def _row(networks: Networks, how: Sampling, case: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Times of a plan of all listeners and of one new frame of each, and what follows from them."""
    how = replace(how, steps=case["steps"], candidates=case["candidates"])
    plan = clock.timed(planning(networks, how, case["listeners"], case["frames"]))
    frame = clock.timed(encoding(networks, case["listeners"]))
    hop_s = how.hop * SLOT_NS / NS
    return {
        **case, "plan_ms": plan, "encoder_frame_ms": frame, "plans_per_s": 1e3 * case["listeners"] / plan["p50"],
        "times_real_time": 1e3 * hop_s / (plan["p50"] + how.hop * frame["p50"]),
        "rss_mb": round(psutil.Process().memory_info().rss / 1e6, 1), "gpu_mb": _gpu_mb(),
    }  # fmt: skip


def planning(networks: Networks, how: Sampling, listeners: int, frames: int) -> Callable[[int], None]:
    """A call that plans `frames` frames for this many listeners, all their candidates."""
    s = networks.shape
    planners = [Planner(networks, [seed], how) for seed in range(listeners)]
    speaker = np.random.default_rng(0).standard_normal((1, len(networks.ages), s["width"])).astype(np.float32)
    missing, conditions = np.zeros((1, len(networks.ages)), dtype=np.float32), ordinary(1)

    def call(i: int) -> None:
        drafts = [
            p.draft(i * how.hop, speaker, missing, conditions, lead=1, frames=frames, all_candidates=True)
            for p in planners
        ]
        for planner, draft, drawn in zip(planners, drafts, draw_together(networks, drafts), strict=True):
            planner.finish(draft, drawn)

    return call


def encoding(networks: Networks, listeners: int) -> Callable[[int], None]:
    """A call that encodes one new frame of this many speakers."""
    cache = networks.new_cache(listeners)
    features = np.random.default_rng(0).standard_normal((64, listeners, FEATURE_COUNT)).astype(np.float32)
    observed = np.ones((listeners, STREAM_COUNT), dtype=np.float32)

    def call(i: int) -> None:
        cache.push(networks.encode(features[i % 64], observed, cache.past())[1])

    return call


def watching(networks: Networks, clock: Clock) -> Iterator[dict[str, Any]]:
    """The time of one new frame after this many were seen: what cached keys and values are for."""
    call, done = encoding(networks, 1), 0
    few = replace(clock, repeats=min(clock.repeats, 50))
    for frames in SEEN:
        for i in range(done, frames):
            call(i)
        found = few.timed(call)
        done = frames + WARM_UP + int(found["n"])
        yield {"frames_seen": frames, "encoder_frame_ms": found}


def _gpu_mb() -> float | None:
    """Memory in use on the first GPU, by all programs, 10^6 bytes; None without one."""
    used = output_of(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"])
    try:
        return round(float(used.split()[0]) * 1.048576, 1)
    except (ValueError, IndexError):
        return None


def bench_listeners(
    frames: Sequence[SpeakerFrame], config: ListenerConfig, timer: Callable[[], float], *,
    counts: Sequence[int] = LISTENERS, seconds: float = 20.0, networks: Networks | None = None,
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """How many listeners one machine serves: all at 25 frames a second, in one batch and thread, as reaction_node does.

    Each listens to the same speaker, started at a different time, with a different seed. Frames of one slot come
    together, as under load. Perception is not measured: it is done for each robot.

    Args:
        frames: of a speaker, one for each slot of 40 ms (`speaker_frames`); they are repeated.
        config: of the listeners.
        timer: seconds of a monotonic clock.
        counts: numbers of listeners.
        seconds: of live time for each number.
        networks: loaded ones, on any backend; None: those of `config`, on the CPU.
        progress: receives the share done, 0..1.

    Returns:
        Rows with "load" (seconds of computing per second), "cpu" (the same in processor time of all threads), "slot_ms"
        (p50 and p99 of the work of one slot) and "late" (share of slots that took more than 40 ms).
    """
    rows = []
    for i, count in enumerate(counts):
        rows.append(_listeners_row(frames, count, config, timer, seconds, networks))
        progress((i + 1) / len(counts))
    backend, *_ = [row.pop("backend") for row in rows]
    about = {"candidates": config.candidates, "steps": config.steps, "hardware": hardware(), "backend": backend}
    return about | {"rows": rows}


def speaker_frames(clip: Path, timer: Callable[[], float]) -> list[SpeakerFrame]:
    """What perception reads of a clip's first seconds, one frame for each slot of 40 ms.

    Raises:
        MediaError: the clip cannot be read, or shows and sounds no speaker.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.recordings.replay.parameters import ReplaySettings
    from reactdiff_ros.recordings.replay.replay import steps

    by_slot: dict[int, SpeakerFrame] = {}
    for step in steps(MediaClip(clip), ReplaySettings(policy="idle"), timer=timer):
        by_slot |= {frame.stamp_ns // SLOT_NS: frame for frame in step.speaker}
        if step.now_ns > READ_S * NS:
            break
    if not by_slot:
        raise MediaError("no speaker is seen or heard in the clip", where=str(clip))
    return [by_slot[slot] for slot in sorted(by_slot)]


def _listeners_row(
    frames: Sequence[SpeakerFrame], count: int, config: ListenerConfig, timer: Callable[[], float], seconds: float,
    networks: Networks | None,
) -> dict[str, Any]:  # fmt: skip
    batch, first = ListenerBatch(), None
    for i in range(count):
        listener = make_listener("model", seed=i, config=config, like=first, networks=networks)
        batch.join(str(i), listener)
        first = first or listener
    if isinstance(first, DiffusionListener):
        warm(first.networks, Sampling(steps=config.steps, candidates=config.candidates), count)
    measured = round(seconds * NS / SLOT_NS)
    slots = SETTLING + APART * count + measured
    times: list[float] = []
    cpu_s = 0.0
    for slot in range(slots):
        begin, cpu = timer(), sum(os.times()[:2])
        _live(batch, frames, slot, timer)
        if slot >= slots - measured:
            times.append(timer() - begin)
            cpu_s += sum(os.times()[:2]) - cpu
    p50, p99 = 1e3 * np.percentile(times, (50, 99))
    return {
        "listeners": count, "load": round(sum(times) / seconds, 3), "cpu": round(cpu_s / seconds, 3),
        "slot_ms": {"p50": round(float(p50), 2), "p99": round(float(p99), 2)},
        "late": round(float(np.mean(np.array(times) > DEADLINE_S)), 4), "plans": batch.plans,
        "backend": batch.members()[0].state().backend,
    }  # fmt: skip


def _live(batch: ListenerBatch, frames: Sequence[SpeakerFrame], slot: int, timer: Callable[[], float]) -> None:
    """One slot: every listener that has started observes a frame, then the plans that are due are drawn."""
    now_ns = (1000 + slot) * SLOT_NS
    names = [str(i) for i in range(len(batch)) if slot >= APART * i]
    for i, name in enumerate(names):
        frame = frames[(slot + 31 * i) % len(frames)]
        picture_ns = None if frame.picture_stamp_ns is None else now_ns
        sound_ns = None if frame.sound_stamp_ns is None else now_ns
        now = replace(frame, stamp_ns=now_ns, picture_stamp_ns=picture_ns, sound_stamp_ns=sound_ns)
        batch.observe(name, now)
    due = batch.due(dict.fromkeys(names, now_ns + SLOT_NS // 2), timer())
    if due is not None:
        batch.finished(due.draw(), 0.0, timer())
