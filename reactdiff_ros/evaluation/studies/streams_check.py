"""`evaluate streams`: are free-running streams what the model's distribution is, and do plans join without a seam?

Ancestral sampling is the same model drawn block after block, each once, from fresh noise in many solver steps, with
nothing at the output: no choice, no blending, no smoothing. The live way must keep its variance, autocorrelation and
rare events. The simulator's listeners of the same speakers are the reference of power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, bounded
from reactdiff_ros.evaluation.metrics import bootstrap, spectra
from reactdiff_ros.evaluation.metrics.events import KINDS
from reactdiff_ros.evaluation.metrics.spectra import Floats, Values
from reactdiff_ros.evaluation.studies.listeners import ModelListens
from reactdiff_ros.model.plan.latents import GROUP_COUNT, GROUPS
from reactdiff_ros.model.plan.planner import blank_draft, draw_plan
from reactdiff_ros.model.plan.sampler import Conditions, Sampling, ordinary
from reactdiff_ros.model.runtime import VAE_CONTEXT
from reactdiff_ros.model.streams import free_run, heard, speaker_tokens
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

ANCESTRAL_STEPS: Final = 24
ANCESTRAL_TEMPERATURES: Final = (1.025,) * GROUP_COUNT
"""As the live sampler's were before each group of latents had its own: the sampler is held to what it was held to."""
RARE: Final = ("brow_raises", "nods", "blinks", "laughs", "smiles")
CANDIDATES: Final = 10
HELD_FRAMES: Final = 75
BEFORE_FRAMES: Final = 100
WITHIN: Final = {
    "variance": (0.9, 1.1), "autocorrelation": (0.0, 0.1), "events": (0.8, 1.2), "jerk": (0.0, 1.1),
    "plans": (0.0, 0.25), "bands": (0.7, 1.4),
}  # fmt: skip
"""Bounds of each kind of figure."""
REFLEXES: Final = tuple(g.name for g in GROUPS if set(g.coefficients) <= {*BLINK, *EYE_LOOK})
"""Groups that reflexes replace at run time: no bound is put on their streams, but on the rate of blinks."""
_MOST_HELD: Final = 32


@dataclass(slots=True)
class StreamReport:
    """Figures for `--json`, and spectra for the plot: group -> system -> power, over `frequency` in Hz."""

    figures: dict[str, Any]
    frequency: Floats = field(default_factory=lambda: np.zeros(0))
    densities: dict[str, dict[str, Floats]] = field(default_factory=dict)


def committed(plans: Values, hop: int, frames: int) -> FloatArray:
    """The streams (N, frames, 58) of what plans (N, P, H, 58) say for the frames until the next plan."""
    joined = plans[:, :, :hop].reshape(len(plans), -1, plans.shape[-1])
    return np.asarray(joined[:, :frames], dtype=np.float32)


def held(speaker: SpeakerBatch, before: int, frames: int) -> SpeakerBatch:
    """Speakers of whom nothing new is learnt: frames 0 .. before - 1, and then the last of them for `frames` frames."""
    index = np.r_[np.arange(before), np.full(frames, before - 1)]
    return SpeakerBatch(**{f.name: getattr(speaker, f.name)[:, index] for f in fields(SpeakerBatch)})


def evaluate_streams(
    model: ModelListens,
    *,
    seed: int = 0,
    items: int = 100,
    seconds: float = 40.0,
    bank: VoiceBank | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> StreamReport:
    """All figures of the command for `items` held-out simulated speakers."""
    frames = round(seconds * 25)
    dyads = simulate(purpose_seed("evaluate", seed, 7), items, frames, bank, prior="natural")
    tokens = speaker_tokens(model.networks, dyads.speaker)
    told(0.1)
    conditions, how = ordinary(items, dyads.controls), model.how
    shown, plans = _run(model, tokens, conditions, np.arange(items) + 1, how)
    told(0.35)
    ways = replace(
        how, steps=ANCESTRAL_STEPS, hop=how.block, smooth=False, candidates=1, temperature=ANCESTRAL_TEMPERATURES
    )
    ancestral = model.sampled(ways).of_tokens(tokens, conditions, np.arange(items) + 100_001)
    told(0.8)
    streams = {"shown": shown, "raw": bounded(committed(plans, how.hop, frames)), "ancestral": ancestral}
    figures = compare(streams, dyads.listener, seed)
    figures["border_jerk"] = {name: spectra.border_jerk(streams[name], how.hop) for name in ("shown", "raw")}
    rows = np.arange(min(items, _MOST_HELD))
    figures["plan_difference"] = _plan_difference(model, dyads.speaker.take(rows), conditions.take(rows))
    judgement = judged(figures)
    figures |= {"within_bounds": within_bounds(judgement), "not_judged": not_judged(judgement)}
    told(1.0)
    report = StreamReport({**figures, "items": items, "seconds": seconds, "seed": seed})
    for name, stream in {"raw": streams["raw"], "shown": shown, "reference": dyads.listener}.items():
        report.frequency, density = spectra.power_density(stream)
        for group in GROUPS:
            report.densities.setdefault(group.name, {})[name] = density[:, list(group.coefficients)].sum(1)
    return report


def compare(streams: dict[str, FloatArray], reference: FloatArray, seed: int) -> dict[str, Any]:
    """Variance, autocorrelation, rates and power of streams "shown", "raw" and "ancestral" and of the reference.

    Intervals are of 95 %, speakers drawn together.
    """
    raw, ancestral = streams["raw"], streams["ancestral"]
    rates = {name: {kind: KINDS[kind](s).per_minute() for kind in RARE} for name, s in streams.items()}
    rates["reference"] = {kind: KINDS[kind](reference).per_minute() for kind in RARE}
    drawn = bootstrap.draws(seed, len(reference))
    pairs = {
        "raw_over_ancestral": (raw, ancestral),
        "shown_over_ancestral": (streams["shown"], ancestral),
        "shown_over_reference": (streams["shown"], reference),
        "ancestral_over_reference": (ancestral, reference),
    }
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
        "events_over_ancestral": {
            kind: bootstrap.ratio(drawn, rates["shown"][kind], rates["ancestral"][kind]) for kind in RARE
        },
        "events_over_reference": {
            kind: bootstrap.ratio(drawn, rates["shown"][kind], rates["reference"][kind]) for kind in RARE
        },
        "bands_over_reference": {
            name: spectra.band_ratios(streams[name], reference) for name in ("raw", "ancestral", "shown")
        },
    }


def _run(
    model: ModelListens, tokens: FloatArray, conditions: Conditions, seeds: NDArray[np.int64], how: Sampling
) -> tuple[FloatArray, FloatArray]:
    return free_run(
        model.networks, tokens, conditions, speaker_of=np.arange(len(seeds)), seeds=seeds, how=how,
        workers=model.workers, plans=True,
    )  # fmt: skip


def _plan_difference(model: ModelListens, speaker: SpeakerBatch, conditions: Conditions) -> dict[str, float]:
    """Consecutive plans while nothing new is learnt of the speaker, over the spread of candidates of one past."""
    how = replace(model.how, candidates=1)
    before = min(BEFORE_FRAMES, speaker.camera.shape[1]) // how.hop * how.hop
    tokens = speaker_tokens(model.networks, held(speaker, before, HELD_FRAMES))
    seeds = np.arange(len(tokens)) + 7
    shown, plans = _run(model, tokens, conditions, seeds, how)
    # The first second after the speaker froze still brings news to an encoder that looks back.
    first = (before + 25) // how.hop
    spread = _spread(model, tokens, shown, conditions, first * how.hop, how)
    return spectra.plan_difference(plans[:, first:], how.hop, spread)


def _spread(
    model: ModelListens, tokens: FloatArray, shown: FloatArray, conditions: Conditions, start: int, how: Sampling
) -> Floats:
    """(58,) deviation over CANDIDATES plans from frame `start` on that share the past `shown`, frames hop .. end."""
    networks = model.networks
    s = networks.shape
    past = networks.latents(shown[:, start - s["past"] - VAE_CONTEXT : start])
    rows = np.arange(len(tokens))
    speaker, missing, mood = heard(tokens, rows, np.full(len(tokens), start - 1 - how.lead), s["speech"])
    noise = np.random.default_rng(43).standard_normal(
        (len(tokens), CANDIDATES, s["horizon"], s["latent"]), dtype=np.float32
    )
    draft = replace(
        blank_draft(networks, how, conditions, noise), speaker=speaker, missing=missing, mood=mood, past=past,
        lead=how.lead,
    )  # fmt: skip
    drawn = draw_plan(networks, draft).faces[:, :, how.hop :]
    return np.asarray(np.sqrt(drawn.astype(np.float64).var(1, ddof=1).mean((0, 1))))


def judged(figures: dict[str, Any]) -> dict[str, dict[str, bool | None]]:
    """For each bound, which of its rows hold; None: no figure, as of an event that nobody shows. No row of REFLEXES."""

    def rows(kind: str, values: dict[str, float]) -> dict[str, bool | None]:
        low, high = WITHIN[kind]
        return {n: low <= v <= high if np.isfinite(v) else None for n, v in values.items() if n not in REFLEXES}

    bands = figures["bands_over_reference"]["raw"]
    events = {kind: r["ratio"] for kind, r in figures["events_over_ancestral"].items()}
    return {
        "variance within .1 of ancestral": rows("variance", figures["variance"]["raw_over_ancestral"]),
        "autocorrelation within .1 of ancestral": rows(
            "autocorrelation", figures["autocorrelation"]["raw_to_ancestral"]
        ),
        "rare events within .2 of ancestral": rows("events", events),
        "jerk at borders at most 1.1": rows("jerk", figures["border_jerk"]["shown"]),
        "plans differ by at most .25 of the spread": rows("plans", figures["plan_difference"]),
        "power .7 to 1.4 of the reference": {
            f"{group}, {band}": kept for band, values in bands.items() for group, kept in rows("bands", values).items()
        },
    }


def within_bounds(judgement: dict[str, dict[str, bool | None]]) -> dict[str, bool]:
    """Whether every row that can be judged lies within its bound; a bound on nothing does not hold."""
    known = {name: [kept for kept in rows.values() if kept is not None] for name, rows in judgement.items()}
    return {name: bool(kept) and all(kept) for name, kept in known.items()}


def not_judged(judgement: dict[str, dict[str, bool | None]]) -> dict[str, list[str]]:
    """The rows of each bound that cannot be judged, where there are any."""
    unknown = {name: [n for n, kept in rows.items() if kept is None] for name, rows in judgement.items()}
    return {name: rows for name, rows in unknown.items() if rows}
