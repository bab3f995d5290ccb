"""`bench reference`: the `paper` preset at its published shapes next to ours, on the same threads, in turn.

A generated second is a second of one listener's reaction, each frame counted once. The paper's: a window of 50 frames
drawn at once by 20 DDIM steps, windows in a row without overlap, as published. Ours, "the window": the same 50 frames
in stretches of the horizon. Ours, "ten samples": ten streams as evaluation draws them, plans of 12 frames of which 4
are kept. Encoders of the speaker and decoders of the face are in both; the networks that make the speaker's features
out of pictures and sound are in neither.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import psutil

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.backends.weights import Weights
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.plan.planner import faces
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

if TYPE_CHECKING:
    from reactdiff_ros.training.paper.config import PaperConfig

Window = Callable[[int, int], dict[str, float]]
"""(steps, samples) -> seconds of the parts "encode", "steps" and "decode" of one window of 50 frames."""
WINDOW: Final = 50
WINDOW_S: Final = WINDOW / REACTION_RATE_HZ
ASKED: Final = {
    "eager_same_steps": 50.0, "best_cpu_same_steps": 15.0, "eager_default_steps": 300.0, "ten_samples_30s": 40.0,
}  # fmt: skip
"""Required ratios: the paper's time over ours."""
PAPER, OURS = "paper", "ours"
RUNTIMES: Final = ("torch eager", "torch.compile", "ONNX Runtime FP32")
EAGER, COMPILED, ONNX = RUNTIMES
BYTES_OF_A_PARAMETER: Final = {False: 6, True: 16}
"""Peak memory: by torch alone, and with the export and ONNX Runtime's copies."""
_SHARES: Final = {EAGER: 0.3, COMPILED: 0.6, ONNX: 0.7}
"""Share of the time after which each round of one sample is over; the rest is for all samples."""


class Case(NamedTuple):
    """One thing that is timed."""

    side: str
    runtime: str
    steps: int
    samples: int = 1
    clip: bool = False
    """The whole clip instead of one window."""


Times = dict[Case, list[dict[str, float]]]
"""Parts in seconds of every repeat, by case."""


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
    """What takes less time is repeated until this much has passed."""
    budget_s: float = 600.0
    """Repeats are left out where another would exceed it."""


def in_turn(
    cases: Mapping[Case, Window],
    timer: Callable[[], float],
    *,
    repeats: int,
    until_s: float,
    times: Times,
    least_s: float = 0.0,
) -> None:
    """Time each case once a round, round after round, after a warm-up of two steps each.

    A round that would end after `until_s` on the timer is left out, except the first. What takes less than `least_s` is
    repeated until that has passed, and counts with its mean: a window of 30 ms alone would be timed with the caches
    that the one of seconds before it has left.
    """
    for case, window in cases.items():
        window(min(case.steps, 2), case.samples)
    longest = 0.0
    for number in range(repeats):
        begin = timer()
        if number and begin + longest > until_s:
            return
        for case, window in cases.items():
            started, found = timer(), [window(case.steps, case.samples)]
            while timer() - started < least_s:
                found.append(window(case.steps, case.samples))
            mean = {name: sum(parts[name] for parts in found) / len(found) for name in found[0]}
            times.setdefault(case, []).append(mean)
        longest = max(longest, timer() - begin)


def our_graph_window(networks: Networks, timer: Callable[[], float]) -> Window:
    """Ours as it ships: the speaker's window in one pass of the encoder, stretches of the horizon at most."""
    rng = np.random.default_rng(0)
    s = networks.shape
    features = rng.standard_normal((1, WINDOW, FEATURE_COUNT)).astype(np.float32)

    def window(steps: int, samples: int) -> dict[str, float]:
        begin = timer()
        reach = int(networks.ages[0]) + 1
        tokens = np.concatenate([np.zeros((reach, s["width"]), np.float32), _tokens(networks, features)])
        encoded = timer()
        past = np.broadcast_to(networks.neutral, (samples, s["past"], s["latent"])).astype(np.float32)
        missing, how = np.zeros((samples, len(networks.ages)), np.float32), Sampling()
        conditions = ordinary(samples).vector(how.lead, s["max_lead"])
        drawn = [past]
        for start in range(0, WINDOW, s["horizon"]):
            heard = np.repeat(tokens[None, start + reach - 1 - networks.ages], samples, axis=0)
            frames = min(s["horizon"], WINDOW - start)
            noise = rng.standard_normal((samples, 1, frames, s["latent"])).astype(np.float32)
            latents = networks.sample(
                heard, missing, past, conditions, noise, steps=steps, guidance=how.guidance, recall=how.recall
            )
            drawn.append(latents[:, 0])
            past = np.concatenate([past, drawn[-1]], axis=1)[:, -s["past"] :]
        sampled = timer()
        whole = np.concatenate(drawn, axis=1)[:, s["past"] - VAE_CONTEXT :]
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
        tokens = np.pad(_tokens(networks, features)[None], ((0, 0), (0, 0), (0, 1)))  # no broad smiles
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


def bench_reference(
    weights: Weights,
    plan: Plan,
    timer: Callable[[], float],
    *,
    config: PaperConfig | None = None,
    threads: int,
    progress: OnProgress = lambda share: None,
    log: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Measure all of it; see `ratios_and_parts` for the result.

    Args:
        weights: ours.
        plan: what is measured.
        timer: seconds of a monotonic clock.
        config: of the `paper` preset; None: the published one.
        threads: of both.
        progress: receives the completed fraction.
        log: receives what happens, in sentences.

    Raises:
        ModuleNotFoundError: torch is not installed.
        ReactdiffError: there is too little memory.
        WeightsError: our networks cannot be loaded.
    """
    import torch

    from reactdiff_ros.training.paper.config import PaperConfig
    from reactdiff_ros.training.paper.networks import count_parameters, export_parts
    from reactdiff_ros.training.torch_backend import model_of
    from tools.speed import windows as timing

    config = config or PaperConfig()
    counts, times = count_parameters(config), Times()
    notes = [
        "the paper's networks hold random weights, as none are published: times do not depend on values",
        "ours in ONNX Runtime runs on one thread, as it ships; of the clip's samples each thread draws its share",
    ]
    _require_memory(counts["total"], exports=ONNX in plan.runtimes)
    load = os.getloadavg()[0]
    torch.set_num_threads(threads)
    begin = timer()
    networks = Networks(weights)  # as it ships, on one thread: for one small window two are slower
    paper = timing.paper_model(config)
    ours = model_of(weights)

    def spent() -> float:
        return (timer() - begin) / plan.budget_s

    def round_of(name: str, cases: dict[Case, Window], share: float) -> None:
        log(f"{name}: {', '.join(f'{c.side}, {c.steps} steps, {c.samples} samples' for c in cases)}")
        until = begin + share * plan.budget_s
        in_turn(cases, timer, repeats=plan.repeats, until_s=until, times=times, least_s=plan.least_s)
        progress(min(spent(), 0.99))

    def both(runtime: str, paper_window: Window, our_window: Window, *, default: bool) -> dict[Case, Window]:
        """Both sides in one runtime; ours also with its default steps."""
        cases = {Case(PAPER, runtime, plan.steps): paper_window, Case(OURS, runtime, plan.steps): our_window}
        return {**cases, Case(OURS, runtime, plan.default_steps): our_window} if default else cases

    windows = {EAGER: timing.paper_window(paper, timer)}
    wants_default = "eager_default_steps" in plan.ratios
    cases = both(EAGER, windows[EAGER], timing.our_window(ours, timer), default=wants_default)
    if wants_default:
        cases[Case(OURS, ONNX, plan.default_steps)] = our_graph_window(networks, timer)
    round_of(EAGER, cases, _SHARES[EAGER])
    if COMPILED in plan.runtimes:
        windows[COMPILED] = timing.paper_window(paper, timer, compiled=True)
        cases = both(COMPILED, windows[COMPILED], timing.our_window(ours, timer, compiled=True), default=True)
        try:
            if spent() > _SHARES[EAGER] + 0.05:
                notes.append(f"{COMPILED} was left out: the time was spent")
            else:
                round_of(COMPILED, cases, _SHARES[COMPILED])
        except Exception as error:  # whatever its code generator and compiler raise
            for case in cases:
                times.pop(case, None)
            notes.append(f"{COMPILED} does not work here: {str(error).splitlines()[0][:200]}")
    ten: dict[str, Case] = {}
    clip = Case(OURS, ONNX, plan.default_steps, plan.samples, clip=True)
    with tempfile.TemporaryDirectory(prefix="reactdiff-") as folder:
        if ONNX in plan.runtimes:
            log("exporting the paper's networks")
            with explained(OSError, "the networks of the paper preset cannot be written", where=folder):
                graphs = export_parts(paper, Path(folder))
            opened = {name: open_graph(path, threads) for name, path in graphs.items()}
            windows[ONNX] = timing.graph_window(opened, config, timer)
            own = our_graph_window(networks, timer)
            round_of(ONNX, both(ONNX, windows[ONNX], own, default=False), _SHARES[ONNX])
        if "ten_samples_30s" in plan.ratios:  # all samples: the paper's window in its fastest runtime, our whole clip
            known = {r: _seconds(times, Case(PAPER, r, plan.steps)) for r in windows}
            fastest = min((r for r in known if math.isfinite(known[r])), key=lambda r: known[r])
            ten[fastest] = Case(PAPER, fastest, plan.steps, plan.samples)
            own = our_clip(Networks(weights, threads), timer, plan.clip_s, threads)
            round_of(f"{plan.samples} samples, {fastest}", {ten[fastest]: windows[fastest], clip: own}, 1.0)
    progress(1.0)
    result = ratios_and_parts(plan, times, ten, clip)
    result["paper"] |= {"parameters": counts, "shapes": asdict(config)}
    result["ours"] |= {"parameters": weights.parameters, "weights": networks.name}
    return {
        **result, "threads": threads, "torch": str(torch.__version__), "onnxruntime": version("onnxruntime"),
        "load_before": round(load, 2), "seconds": round(timer() - begin, 1), "notes": notes,
    }  # fmt: skip


def _require_memory(parameters: int, *, exports: bool) -> None:
    needed, free = BYTES_OF_A_PARAMETER[exports] * parameters, psutil.virtual_memory().available
    if free < needed:
        raise ReactdiffError(
            f"{free / 1e9:.1f} GB of memory are free, and the published shapes need {needed / 1e9:.0f} GB",
            where="bench reference", todo="close other programs, or use another machine",
        )  # fmt: skip


def ratios_and_parts(plan: Plan, times: Times, ten: Mapping[str, Case], clip: Case) -> dict[str, Any]:
    """The ratios and the times that they are made of.

    Args:
        plan: what was measured.
        times: of every case.
        ten: cases of the paper's window with all samples, by runtime.
        clip: ours on the whole clip.
    """
    paper = {r: Case(PAPER, r, plan.steps) for r in RUNTIMES}
    ours = {r: Case(OURS, r, plan.steps) for r in RUNTIMES}
    default = {r: Case(OURS, r, plan.default_steps) for r in RUNTIMES}
    windows = plan.clip_s / WINDOW_S
    eager, clip_s = _seconds(times, paper[EAGER]), _seconds(times, clip)
    ten_s = windows * _fastest(times, ten.values())
    ratios = {
        "eager_same_steps": eager / _seconds(times, ours[EAGER]),
        "best_cpu_same_steps": _fastest(times, paper.values()) / _fastest(times, ours.values()),
        "eager_default_steps": eager / _fastest(times, default.values()),
        "ten_samples_30s": ten_s / clip_s,
    }
    ratios = {name: ratio if name in plan.ratios else math.nan for name, ratio in ratios.items()}
    return {
        "ratios": ratios,
        "asked": ASKED,
        "reached": {name: bool(ratios[name] >= ASKED[name]) for name in plan.ratios},
        "paper": {**_side(times, paper), "ten_samples": _side(times, ten), "ten_samples_30s_s": ten_s},
        "ours": {**_side(times, ours), "default_steps": _side(times, default), "ten_samples_30s_s": clip_s},
        "steps": plan.steps, "default_steps": plan.default_steps, "samples": plan.samples, "clip_s": plan.clip_s,
        "hardware": hardware(),
    }  # fmt: skip


def _seconds(times: Times, case: Case) -> float:
    """Median of a case; NaN if it was not measured."""
    return median(sum(parts.values()) for parts in times[case]) if case in times else math.nan


def _fastest(times: Times, cases: Iterable[Case]) -> float:
    return min((_seconds(times, case) for case in cases if case in times), default=math.nan)


def _side(times: Times, cases: Mapping[str, Case]) -> dict[str, Any]:
    """Of what was measured: seconds per generated second, and of one window: a step, the encoder, the decoder."""
    known = {runtime: case for runtime, case in cases.items() if case in times}

    def part_ms(name: str) -> dict[str, float]:
        return {r: 1e3 * median(parts[name] for parts in times[c]) for r, c in known.items()}

    return {
        "seconds_per_generated_second": {r: _seconds(times, c) / (WINDOW_S * c.samples) for r, c in known.items()},
        "step_ms": {r: ms / known[r].steps for r, ms in part_ms("steps").items()},
        "encode_ms": part_ms("encode"),
        "decode_ms": part_ms("decode"),
        "repeats_s": {r: [sum(parts.values()) for parts in times[c]] for r, c in known.items()},
    }
