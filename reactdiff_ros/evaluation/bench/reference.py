"""`bench reference`: the `paper` preset at its published shapes beside ours, on the same threads, in turn.

A generated second is a second of one listener's reaction, each frame counted once. The paper's: a window of 50 frames
drawn at once by 20 DDIM steps, windows side by side without overlap, as published. Ours, "the window": the same 50
frames in stretches of the horizon. Ours, "ten samples": ten streams as evaluation draws them, plans of 12 frames of
which 4 are kept. Encoders of the speaker and decoders of the face are in both; the networks that make the speaker's
features out of pictures and sound are in neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

import numpy as np

from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.model.plan.corrections import prompted
from reactdiff_ros.model.plan.planner import faces
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Window = Callable[[int, int], dict[str, float]]
"""(steps, samples) -> seconds of the parts "encode", "steps" and "decode" of one window of 50 frames."""
WINDOW: Final = 50
WINDOW_S: Final = WINDOW / REACTION_RATE_HZ
ASKED: Final = {
    "eager_same_steps": 50.0, "best_cpu_same_steps": 15.0, "eager_default_steps": 300.0, "ten_samples_30s": 40.0,
}  # fmt: skip
"""How many times as fast ours is to be."""
PAPER, OURS = "paper", "ours"
RUNTIMES: Final = ("torch eager", "torch.compile", "ONNX Runtime FP32")
EAGER, COMPILED, ONNX = RUNTIMES


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is timed: who, in what, with how many steps and samples."""

    side: str
    runtime: str
    steps: int
    samples: int = 1
    clip: bool = False
    """The whole clip, where the others are one window."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    steps: int = 20
    """Of both, for the ratios at the same steps."""
    default_steps: int = Sampling().steps
    samples: int = 10
    clip_s: float = 30.0
    repeats: int = 3
    runtimes: tuple[str, ...] = RUNTIMES
    """In which the paper's runs; the first always does."""
    ratios: tuple[str, ...] = tuple(ASKED)
    """Which are wanted."""
    least_s: float = 1.0
    """What takes less time is done again until so much has passed."""
    budget_s: float = 600.0
    """Repeats are left out where another would pass it."""


class Measured:
    """Parts in seconds of every repeat, by case."""

    def __init__(self) -> None:
        self.parts: dict[Case, list[dict[str, float]]] = {}

    def median_s(self, case: Case) -> float:
        """NaN where the case was not measured."""
        return median(sum(p.values()) for p in self.parts[case]) if case in self.parts else math.nan

    def part_s(self, case: Case, name: str) -> float:
        """One part of it, NaN where it was not measured."""
        return median(p[name] for p in self.parts[case]) if case in self.parts else math.nan


def in_turn(
    cases: Mapping[Case, Window], timer: Callable[[], float], *, repeats: int, until_s: float, found: Measured,
    least_s: float = 0.0,
) -> None:  # fmt: skip
    """Time each case once a round, round after round, after a warm-up of two steps each.

    A round that would end after `until_s` on the timer is left out, but for the first. What takes less than `least_s`
    is done again until that has passed, and counts with its mean: a window of 30 ms alone would be timed with the
    caches that the one of seconds before it has left.
    """
    for case, window in cases.items():
        window(min(case.steps, 2), case.samples)
    longest = 0.0
    for number in range(repeats):
        begin = timer()
        if number and begin + longest > until_s:
            return
        for case, window in cases.items():
            started, times = timer(), [window(case.steps, case.samples)]
            while timer() - started < least_s:
                times.append(window(case.steps, case.samples))
            mean = {name: sum(parts[name] for parts in times) / len(times) for name in times[0]}
            found.parts.setdefault(case, []).append(mean)
        longest = max(longest, timer() - begin)


def our_graph_window(networks: Networks, timer: Callable[[], float]) -> Window:
    """Ours as it ships: the speaker's window in one pass of the encoder, stretches of the horizon at most."""
    rng = np.random.default_rng(0)
    s = networks.shape
    features = rng.standard_normal((1, WINDOW, FEATURE_COUNT)).astype(np.float32)

    def window(steps: int, samples: int) -> dict[str, float]:
        begin = timer()
        tokens = np.concatenate([np.zeros((s["speech"], s["width"]), np.float32), _tokens(networks, features)])
        encoded = timer()
        past = np.broadcast_to(networks.neutral, (samples, s["past"], s["latent"])).astype(np.float32)
        missing, how = np.zeros((samples, s["speech"]), np.float32), Sampling()
        conditions = prompted(ordinary(samples)).vector(how.lead, s["max_lead"])
        made = [past]
        for start in range(0, WINDOW, s["horizon"]):
            heard = np.repeat(tokens[None, start : start + s["speech"]], samples, axis=0)
            frames = min(s["horizon"], WINDOW - start)
            noise = rng.standard_normal((samples, 1, frames, s["latent"])).astype(np.float32)
            latents = networks.sample(
                heard, missing, past, conditions, how.scale * noise, steps=steps, guidance=how.guidance,
                recall=how.recall,
            )  # fmt: skip
            made.append(latents[:, 0])
            past = np.concatenate([past, made[-1]], axis=1)[:, -s["past"] :]
        sampled = timer()
        whole = np.concatenate(made, axis=1)[:, s["past"] - VAE_CONTEXT :]
        faces(networks, whole[:, :VAE_CONTEXT], whole[:, None, VAE_CONTEXT : VAE_CONTEXT + WINDOW])
        return {"encode": encoded - begin, "steps": sampled - encoded, "decode": timer() - sampled}

    return window


def our_clip(networks: Networks, timer: Callable[[], float], seconds: float, threads: int) -> Window:
    """Ours on a whole clip, as `evaluate` draws it: streams, each with its own past, plans every 4 frames. Each thread
    draws its share of the streams.
    """
    frames = round(seconds * REACTION_RATE_HZ)
    features = np.random.default_rng(0).standard_normal((1, frames, FEATURE_COUNT)).astype(np.float32)

    def window(steps: int, samples: int) -> dict[str, float]:
        begin = timer()
        tokens = np.pad(_tokens(networks, features)[None], ((0, 0), (0, 0), (0, 1)))  # in no particular mood
        encoded = timer()
        speaker = np.zeros(samples, dtype=np.int64)
        how = replace(Sampling(), steps=steps)
        free_run(
            networks, tokens, ordinary(samples), speaker_of=speaker, seeds=np.arange(samples), how=how,
            workers=threads, chunk=-(-samples // threads),
        )  # fmt: skip
        return {"encode": encoded - begin, "steps": timer() - encoded, "decode": 0.0}

    return window


def _tokens(networks: Networks, features: FloatArray) -> FloatArray:
    """Tokens (T, D) of features (1, T, F)."""
    tokens: FloatArray = networks.encode_sequence(features, np.ones((*features.shape[:2], STREAM_COUNT), np.float32))[0]
    return tokens


def figures(plan: Plan, found: Measured, ten: Mapping[str, Case], clip: Case) -> dict[str, Any]:
    """The ratios and what they are made of.

    Args:
        plan: what was measured.
        found: the times.
        ten: cases of the paper's window with all samples, by runtime.
        clip: ours on the whole clip.
    """
    same = {(side, r): Case(side, r, plan.steps) for side in (PAPER, OURS) for r in RUNTIMES}
    own = {r: Case(OURS, r, plan.default_steps) for r in RUNTIMES}
    windows = plan.clip_s / WINDOW_S
    slow_ten = _least([found.median_s(case) for case in ten.values()])
    eager = found.median_s(same[PAPER, EAGER])
    ratios = {
        "eager_same_steps": eager / found.median_s(same[OURS, EAGER]),
        "best_cpu_same_steps": _least([found.median_s(same[PAPER, r]) for r in RUNTIMES])
        / _least([found.median_s(same[OURS, r]) for r in RUNTIMES]),
        "eager_default_steps": eager / _least([found.median_s(own[r]) for r in RUNTIMES]),
        "ten_samples_30s": windows * slow_ten / found.median_s(clip),
    }  # fmt: skip
    ratios = {name: ratio if name in plan.ratios else math.nan for name, ratio in ratios.items()}
    return {
        "ratios": ratios,
        "asked": ASKED,
        "reached": {name: bool(ratios[name] >= ASKED[name]) for name in plan.ratios},
        "paper": {
            **_side(found, {r: same[PAPER, r] for r in RUNTIMES}),
            "ten_samples": _side(found, ten), "ten_samples_30s_s": windows * slow_ten,
        },
        "ours": {
            **_side(found, {r: same[OURS, r] for r in RUNTIMES}),
            "default_steps": _side(found, own), "ten_samples_30s_s": found.median_s(clip),
        },
        "steps": plan.steps, "default_steps": plan.default_steps, "samples": plan.samples, "clip_s": plan.clip_s,
        "hardware": hardware(),
    }  # fmt: skip


def _side(found: Measured, cases: Mapping[str, Case]) -> dict[str, Any]:
    """Seconds a generated second, and of one window: a step, the encoder, the decoder. Of what was measured."""
    there = {runtime: case for runtime, case in cases.items() if case in found.parts}
    return {
        "seconds_per_generated_second": {r: found.median_s(c) / (WINDOW_S * c.samples) for r, c in there.items()},
        "step_ms": {r: 1e3 * found.part_s(c, "steps") / c.steps for r, c in there.items()},
        "encode_ms": {r: 1e3 * found.part_s(c, "encode") for r, c in there.items()},
        "decode_ms": {r: 1e3 * found.part_s(c, "decode") for r, c in there.items()},
        "repeats_s": {r: [sum(p.values()) for p in found.parts[c]] for r, c in there.items()},
    }


def _least(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return min(known) if known else math.nan
