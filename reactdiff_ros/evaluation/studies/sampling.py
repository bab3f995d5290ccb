"""`evaluate ablations`: what each part of the training is worth, over training seeds; and how to sample.

All models listen to the same held-out speakers with the same noise. A difference to the full models that is below the
deviation between training seeds is called none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import bounded
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bounds import judge_study
from reactdiff_ros.evaluation.listeners import StreamListener, provenance
from reactdiff_ros.evaluation.metrics import bootstrap, spectra
from reactdiff_ros.evaluation.metrics.coupling import own_couplings
from reactdiff_ros.evaluation.metrics.events import KINDS, brow_raises, frowns, smile_curve
from reactdiff_ros.evaluation.metrics.spectra import Floats, Values
from reactdiff_ros.evaluation.plots import plot_spectra
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.studies import behaviour, conjunctions
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion.sampler import Conditions, drawn_sides, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.plan.planner import blank_draft, draw_plan
from reactdiff_ros.model.streams import free_run, heard, speaker_tokens
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray, OnProgress

CANDIDATES: Final = 10


ANCESTRAL_STEPS: Final = 24
RARE: Final = ("brow_raises", "nods", "blinks", "laughs", "smiles")
LONG_S: Final = 4.0
"""Few raised brows or frowns of simulated listeners last longer."""
HELD_FRAMES: Final = 75
BEFORE_FRAMES: Final = 100


def committed(plans: Values, hop: int, frames: int) -> FloatArray:
    """The streams (N, frames, 58) of what plans (N, P, H, 58) say for the frames until the next plan."""
    joined = plans[:, :, :hop].reshape(len(plans), -1, plans.shape[-1])
    return np.asarray(joined[:, :frames], dtype=np.float32)


def held(speaker: SpeakerBatch, before: int, frames: int) -> SpeakerBatch:
    """Speakers of whom nothing new is learnt: frames 0 .. before - 1, and then the last of them for `frames` frames."""
    index = np.r_[np.arange(before), np.full(frames, before - 1)]
    return speaker.at(index)


def evaluate_streams(
    model: StreamListener, *, seed: int = 0, items: int = 100, seconds: float = 40.0, bank: VoiceBank | None = None,
    progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """All figures of the command for `items` held-out simulated speakers; and a plot of the spectra."""
    frames = round(seconds * 25)
    dyads = simulate(purpose_seed("evaluate", seed, 7), items, frames, bank, prior="natural")
    tokens = speaker_tokens(model.networks, dyads.speaker)
    progress(0.1)
    conditions, how = ordinary(items, dyads.controls), model.how
    shown, plans = _with_plans(model, tokens, conditions, np.arange(items) + 1)
    progress(0.35)
    # From the same noise: of 44 speakers, other noise alone changes variances by a quarter.
    ancestral = model.sampled(steps=ANCESTRAL_STEPS, hop=how.block, blend=False).of_tokens(
        tokens, conditions, np.arange(items) + 1
    )
    progress(0.8)
    streams = {"shown": shown, "raw": bounded(committed(plans, how.hop, frames)), "ancestral": ancestral}
    figures = compare(streams, dyads.listener, seed)
    figures["border_jerk"] = {name: spectra.border_jerk(streams[name], how.hop) for name in ("shown", "raw")}
    figures["plan_difference"] = _plan_difference(model, dyads.speaker, conditions)
    verdicts = judge_study("streams", figures)
    figures |= {
        "within_bounds": {name: v.holds is True for name, v in verdicts.items()},
        "not_judged": {name: list(v.unknown) for name, v in verdicts.items() if v.unknown},
    }
    progress(1.0)
    densities: dict[str, dict[str, Floats]] = {group.name: {} for group in GROUPS}
    for name, stream in {"raw": streams["raw"], "shown": shown, "reference": dyads.listener}.items():
        frequency, density = spectra.power_density(stream)
        for group in GROUPS:
            densities[group.name][name] = density[:, list(group.coefficients)].sum(1)
    draw = partial(plot_spectra, frequency, densities, spectra.BANDS_HZ)
    return Study({**figures, "items": items, "seconds": seconds, "seed": seed}, {"spectra.png": draw})


def compare(streams: dict[str, FloatArray], reference: FloatArray, seed: int) -> dict[str, Any]:
    """Variance, autocorrelation, rates and power of streams "shown", "raw" and "ancestral" and of the reference.

    Intervals are of 95 %, speakers drawn together.
    """
    raw, ancestral = streams["raw"], streams["ancestral"]
    every = {**streams, "reference": reference}
    rates = {name: {kind: KINDS[kind](s).per_minute() for kind in RARE} for name, s in every.items()}
    drawn = bootstrap.draws(seed, len(reference))
    over = (("raw", "ancestral"), ("shown", "ancestral"), ("shown", "reference"), ("ancestral", "reference"))
    pairs = {f"{some}_over_{other}": (every[some], every[other]) for some, other in over}

    def events_over(name: str) -> dict[str, dict[str, float]]:
        return {kind: bootstrap.ratio(drawn, rates["shown"][kind], rates[name][kind]) for kind in RARE}

    return {
        "variance": {name: spectra.variance_ratios(*pair) for name, pair in pairs.items()},
        "variance_intervals": {name: spectra.variance_ratio_intervals(*pair, drawn) for name, pair in pairs.items()},
        "autocorrelation": {
            "raw_to_ancestral": spectra.autocorrelation_differences(raw, ancestral),
            "shown_to_ancestral": spectra.autocorrelation_differences(streams["shown"], ancestral),
            "shown_to_reference": spectra.autocorrelation_differences(streams["shown"], reference),
        },
        "events_per_minute": {
            name: {kind: float(rate.mean()) for kind, rate in by_kind.items()} for name, by_kind in rates.items()
        },
        "long_share": {name: long_shares(stream) for name, stream in every.items()},
        "events_over_ancestral": events_over("ancestral"),
        "events_over_reference": events_over("reference"),
        "bands_over_reference": {
            name: spectra.band_ratios(streams[name], reference) for name in ("raw", "ancestral", "shown")
        },
    }


def long_shares(stream: FloatArray) -> dict[str, float]:
    """Shares of time in raised brows and in frowns that last longer than LONG_S, of streams (N, T, 58)."""
    found = {"brow_raises": brow_raises(stream), "frowns": frowns(stream)}
    return {
        kind: float((e.end - e.start)[e.length_s > LONG_S].sum() / stream[..., 0].size) for kind, e in found.items()
    }


def _with_plans(
    model: StreamListener, tokens: FloatArray, conditions: Conditions, seeds: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    return free_run(
        model.networks, tokens, conditions, speaker_of=np.arange(len(seeds)), seeds=seeds, how=model.how,
        workers=model.workers, plans=True,
    )  # fmt: skip


def _plan_difference(model: StreamListener, speaker: SpeakerBatch, conditions: Conditions) -> dict[str, float]:
    """Consecutive plans while nothing new is learnt of the speaker, over the spread of candidates of one past."""
    networks, how = model.networks, model.how
    s = networks.shape
    before = min(BEFORE_FRAMES, speaker.camera.shape[1]) // how.hop * how.hop
    tokens = speaker_tokens(networks, held(speaker, before, HELD_FRAMES))
    count = len(tokens)
    seeds = np.arange(count) + 7
    shown, plans = _with_plans(model, tokens, conditions, seeds)
    # The first second after the speaker froze still brings news to an encoder that looks back.
    first = (before + 25) // how.hop
    start = first * how.hop
    # The spread: deviation over CANDIDATES plans that share the past `shown`, of frames hop .. end.
    sides = drawn_sides(seeds.tolist())
    past = networks.latents(shown[:, start - s["past"] - VAE_CONTEXT : start] * sides[:, None])
    known, missing, broad = heard(tokens, np.arange(count), np.full(count, start - 1 - how.lead), networks.ages)
    shape = (count, CANDIDATES, s["horizon"], s["latent"])
    noise = np.random.default_rng(43).standard_normal(shape, dtype=np.float32)
    draft = replace(
        blank_draft(networks, how, conditions, noise), speaker=known, missing=missing, broad=broad, past=past,
        sides=sides, lead=how.lead,
    )  # fmt: skip
    drawn = draw_plan(networks, draft).faces[:, :, how.hop :]
    spread = np.asarray(np.sqrt(drawn.astype(np.float64).var(1, ddof=1).mean((0, 1))))
    return spectra.plan_difference(plans[:, first:], how.hop, spread)


FULL: Final = "full"
FIGURES: Final = (
    "smile coupling", "face with expectation", "smile reliance", "face reliance", "variance of smile",
    "variance of head", "variance of brows", "nods a minute", "smiles a minute", "frechet", *conjunctions.FIGURES,
)  # fmt: skip
"""One number a model each; variances are over the reference's."""
SWEEP_STEPS: Final = (1, 2, 4, 8)


class Trial:
    """The speakers that every model listens to, and what a listener is expected to do with them."""

    def __init__(self, seed: int, items: int, seconds: float, bank: VoiceBank | None) -> None:
        self.dyads, fresh = (
            simulate(purpose_seed("evaluate", seed, draw), items, round(seconds * 25), bank, prior="natural")
            for draw in (13, 14)
        )
        self.seed, self.conjunctions = seed, conjunctions.speakers(seed, items, seconds, bank)
        self.items, self.fresh, self.expected = items, fresh.listener, behaviour.expected_listener(self.dyads, seed)

    def run(self, model: StreamListener) -> dict[str, float]:
        """FIGURES of one model, with what it shows to its own speakers and to other people's."""
        tokens = speaker_tokens(model.networks, self.dyads.speaker)
        conditions, seeds = ordinary(self.items, self.dyads.controls), np.arange(self.items) + 31
        both = (tokens, tokens[behaviour.derangement(self.items)])
        shown = [model.of_tokens(t, conditions, seeds) for t in both]
        reference, own = self.dyads.listener, shown[0]
        coupling, other_coupling = (own_couplings(self.dyads.truth.smile, smile_curve(faces)) for faces in shown)
        face, other_face = (behaviour.expected_correlation(self.expected, faces) for faces in shown)
        variance = spectra.variance_ratios(own, reference)
        return {
            "smile coupling": float(coupling.mean()), "face with expectation": float(face.mean()),
            "smile reliance": float((coupling - other_coupling).mean()),
            "face reliance": float((face - other_face).mean()),
            **{f"variance of {name}": variance[name] for name in ("smile", "head", "brows")},
            **{f"{kind} a minute": float(KINDS[kind](own).per_minute().mean()) for kind in ("nods", "smiles")},
            "frechet": spectra.frechet_distance(own, reference, self.fresh)["distance"],
            **conjunctions.read_out(partial(speaker_tokens, model.networks), self.conjunctions, self.seed),
        }  # fmt: skip


def grouped(models: Sequence[StreamListener]) -> dict[str, list[StreamListener]]:
    """Models by what their manifests say was left out of the training; FULL for nothing.

    Raises:
        ReactdiffError: none is full, or one was trained without several things at once.
    """
    groups: dict[str, list[StreamListener]] = {}
    for model in models:
        left_out = provenance(model.weights).ablate
        if len(left_out) > 1:
            raise ReactdiffError(
                f"a model was trained without {' and '.join(left_out)} at once", where=str(model.weights.folder),
                todo="ablate one thing at a time",
            )  # fmt: skip
        groups.setdefault(left_out[0] if left_out else FULL, []).append(model)
    if FULL not in groups:
        raise ReactdiffError("there is no full model to compare with", todo="add models trained without --ablate")
    return dict(sorted(groups.items(), key=lambda entry: entry[0] != FULL))


def evaluate_ablations(
    models: Sequence[StreamListener], *, seed: int = 0, items: int = 200, seconds: float = 30.0,
    bank: VoiceBank | None = None, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Every figure of every group of models, and its difference to the full models."""
    groups, trial = grouped(models), Trial(seed, items, seconds, bank)
    values: dict[str, list[dict[str, float]]] = {name: [] for name in groups}
    for i, (name, model) in enumerate((name, model) for name, members in groups.items() for model in members):
        values[name].append(trial.run(model))
        progress((i + 1) / len(models))

    def column(name: str, figure: str) -> list[float]:
        return [row[figure] for row in values[name]]

    return Study({
        "groups": {
            name: {
                "models": [str(m.weights.folder.name) for m in members], "training_seeds": _seeds(members),
                **{figure: _summary(column(name, figure)) for figure in FIGURES},
            }
            for name, members in groups.items()
        },
        "without": {
            name: {figure: difference(column(name, figure), column(FULL, figure)) for figure in FIGURES}
            for name in groups if name != FULL
        },
        "items": items, "seconds": seconds, "seed": seed,
        "training": [dict(run) for run in provenance(groups[FULL][0].weights).runs],
    })  # fmt: skip


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def difference(without: Sequence[float], full: Sequence[float]) -> dict[str, Any]:
    """Mean of `without` less that of `full`, the deviation between training seeds (pooled), and a verdict."""
    gap = float(np.mean(without) - np.mean(full))
    spread = [np.var(v, ddof=1) for v in (without, full) if len(v) > 1]
    if not spread:
        return {"difference": gap, "between_seeds": None, "verdict": "unknown: one training seed"}
    deviation = float(np.sqrt(np.mean(spread)))
    verdict = "none" if abs(gap) < deviation else ("lower" if gap < 0 else "higher")
    return {"difference": gap, "between_seeds": deviation, "verdict": verdict}


def sweep(
    models: Sequence[StreamListener], *, seed: int = 0, items: int = 200, seconds: float = 30.0,
    bank: VoiceBank | None = None, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """FIGURES at each number of solver steps, over the models' seeds."""
    trial, cells = Trial(seed, items, seconds, bank), dict[str, Any]()
    for i, steps in enumerate(SWEEP_STEPS):
        values = []
        for model in models:
            values.append(trial.run(model.sampled(steps=steps)))
            progress((i + len(values) / len(models)) / len(SWEEP_STEPS))
        cells[f"{steps} steps"] = {f: _summary([v[f] for v in values]) for f in FIGURES}
    return Study({
        "sweep": cells, "items": items, "seconds": seconds, "seed": seed, "training_seeds": _seeds(models),
    })  # fmt: skip


def _seeds(models: Sequence[StreamListener]) -> list[int]:
    return [provenance(m.weights).seed for m in models]
