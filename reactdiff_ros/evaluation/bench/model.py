"""How long the model takes: one new frame through the encoder, and one plan of K candidates with all its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.model.plan.planner import Planner, live_frames
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import Weights


def bench_model(
    weights: Weights,
    how: Sampling,
    timer: Callable[[], float],
    *,
    candidates: Sequence[int] = (1, 10),
    threads: int = 1,
    repeats: int = 200,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Times in ms (p50, p99, smallest) of `repeats` calls after a warm-up, on noise as input.

    Args:
        weights: the networks.
        how: steps, guidance, block and hop; a plan is as long as live.
        timer: seconds of a monotonic clock.
        candidates: numbers K of candidates.
        threads: that ONNX Runtime may use.
        repeats: timed calls of each.
        told: share of the work that is done.
    """
    networks = Networks(weights, threads)
    plans: dict[str, dict[str, float]] = {}
    figures: dict[str, Any] = {
        "weights": networks.name, "parameters": weights.parameters, "threads": threads, "steps": how.steps,
        "guidance": how.guidance, "block": how.block, "hardware": hardware(),
        "encoder_frame_ms": _timed(_encoder(networks), timer, repeats), "plan_ms": plans,
    }  # fmt: skip
    for i, count in enumerate(candidates):
        told((i + 1) / (len(candidates) + 1))
        plans[str(count)] = _timed(_planning(networks, replace(how, candidates=count)), timer, repeats)
    told(1.0)
    return figures


def _timed(call: Callable[[int], None], timer: Callable[[], float], repeats: int) -> dict[str, float]:
    times = []
    for i in range(repeats + 10):
        begin = timer()
        call(i)
        if i >= 10:
            times.append(1e3 * (timer() - begin))
    low, middle, high = np.percentile(times, [0, 50, 99])
    return {"p50": float(middle), "p99": float(high), "min": float(low)}


def _encoder(networks: Networks) -> Callable[[int], None]:
    cache = networks.new_cache()
    features = np.random.default_rng(0).standard_normal((64, 1, FEATURE_COUNT)).astype(np.float32)
    observed = np.ones((1, STREAM_COUNT), dtype=np.float32)

    def call(i: int) -> None:
        cache.push(networks.encode(features[i % 64], observed, cache.past())[1])

    return call


def _planning(networks: Networks, how: Sampling) -> Callable[[int], None]:
    s = networks.shape
    planner, frames = Planner(networks, [0], how), live_frames(how, s["horizon"])
    speaker = np.random.default_rng(0).standard_normal((1, s["speech"], s["width"])).astype(np.float32)
    missing = np.zeros((1, s["speech"]), dtype=np.float32)
    conditions = ordinary(1)

    def call(i: int) -> None:
        planner.plan(i * how.hop, speaker, missing, conditions, lead=1, frames=frames, all_candidates=True)

    return call
