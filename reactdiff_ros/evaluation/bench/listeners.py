"""How many listeners one machine serves: all of them at 25 frames a second, in one batch, as reaction_node runs them.

Each listens to the same clip's speaker, begun at a time of its own, with a seed of its own. Frames of one slot come
together, as they do under load; perception is not counted, for every robot does its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.model.batch import DEADLINE_S, ListenerBatch, warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.types import SpeakerFrame

SLOT_NS: Final = Grid().period_ns
WARM_UP: Final = 210
"""Slots that are not counted: until the encoder sees its whole window, and speakers who came apart look alike."""
APART: Final = 7
"""Slots between the beginnings of two listeners: not a multiple of the hop, so that plans fall due apart."""
READ_S: Final = 12.0
"""Of the clip; it is repeated."""


def bench_listeners(
    frames: Sequence[SpeakerFrame],
    config: ListenerConfig,
    timer: Callable[[], float],
    *,
    counts: Sequence[int] = (1, 2, 4, 8, 16),
    seconds: float = 20.0,
    networks: Networks | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """For each number of listeners, what every 40 ms of live time cost, in one thread.

    Args:
        frames: of a speaker, one for each slot of 40 ms (`speaker_frames`); they are repeated.
        config: of the listeners.
        timer: seconds of a monotonic clock.
        counts: numbers of listeners.
        seconds: of live time for each number.
        networks: loaded ones, on any backend; None: those of `config`, on the CPU.
        told: share of the work that is done.

    Returns:
        Rows with "load" (seconds of computing a second), "cpu" (the same in seconds of the processor, all threads),
        "slot_ms" (p50 and p99 of what came due within 40 ms) and "late" (share of slots that took more).
    """
    rows = []
    for i, count in enumerate(counts):
        rows.append(_row(frames, count, config, timer, seconds, networks))
        told((i + 1) / len(counts))
    return {
        "candidates": config.candidates, "steps": config.steps, "hardware": hardware(),
        "backend": rows[0].pop("backend"), "rows": [{k: v for k, v in row.items() if k != "backend"} for row in rows],
    }  # fmt: skip


def speaker_frames(clip: Path, timer: Callable[[], float]) -> list[SpeakerFrame]:
    """What perception tells of a clip's first seconds, one frame for each slot of 40 ms.

    Raises:
        MediaError: the clip cannot be read, or nobody is seen or heard in it.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.recordings.replay.parameters import ReplaySettings
    from reactdiff_ros.recordings.replay.replay import steps

    told: list[SpeakerFrame] = []
    for step in steps(MediaClip(clip), ReplaySettings(policy="idle"), timer=timer):
        told += step.speaker
        if step.now_ns > READ_S * NS:
            break
    by_slot = {frame.stamp_ns // SLOT_NS: frame for frame in told}
    if not by_slot:
        raise MediaError("nobody is seen or heard in the clip", where=str(clip))
    return [by_slot[slot] for slot in sorted(by_slot)]


def _row(
    frames: Sequence[SpeakerFrame],
    count: int,
    config: ListenerConfig,
    timer: Callable[[], float],
    seconds: float,
    networks: Networks | None,
) -> dict[str, Any]:
    batch = ListenerBatch()
    first = None
    for i in range(count):
        listener = make_listener("model", seed=i, config=config, like=first, networks=networks)
        batch.join(str(i), listener)
        first = first or listener
    if isinstance(first, DiffusionListener):
        warm(first.networks, Sampling(steps=config.steps, candidates=config.candidates), count)
    slots = WARM_UP + APART * count + round(seconds * NS / SLOT_NS)
    times: list[float] = []
    cpu_s = 0.0
    for slot in range(slots):
        now_ns = (1000 + slot) * SLOT_NS
        begin, cpu = timer(), sum(os.times()[:2])
        _live(batch, frames, slot, now_ns, timer)
        if slot >= slots - round(seconds * NS / SLOT_NS):
            times.append(timer() - begin)
            cpu_s += sum(os.times()[:2]) - cpu
    p50, p99 = 1e3 * np.percentile(times, (50, 99))
    state = batch.members()[0].state()
    return {
        "listeners": count, "load": round(sum(times) / seconds, 3), "cpu": round(cpu_s / seconds, 3),
        "slot_ms": {"p50": round(float(p50), 2), "p99": round(float(p99), 2)},
        "late": round(float(np.mean(np.array(times) > DEADLINE_S)), 4), "plans": batch.plans,
        "backend": state.backend,
    }  # fmt: skip


def _live(
    batch: ListenerBatch, frames: Sequence[SpeakerFrame], slot: int, now_ns: int, timer: Callable[[], float]
) -> None:  # fmt: skip
    """One slot: every listener that has begun takes in a frame, then what is due is drawn."""
    names = [str(i) for i in range(len(batch)) if slot >= APART * i]
    for i, name in enumerate(names):
        frame = frames[(slot + 31 * i) % len(frames)]
        stamps = {
            "stamp_ns": now_ns,
            "picture_stamp_ns": None if frame.picture_stamp_ns is None else now_ns,
            "sound_stamp_ns": None if frame.sound_stamp_ns is None else now_ns,
        }
        batch.observe(name, replace(frame, **stamps))  # type: ignore[arg-type]
    due = batch.due(dict.fromkeys(names, now_ns + SLOT_NS // 2), timer())
    if due is not None:
        batch.finished(due.draw(), 0.0, timer())
