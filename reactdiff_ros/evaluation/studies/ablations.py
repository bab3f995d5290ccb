"""`evaluate ablations`: what each part of the training is worth, over training seeds; and how to sample.

All models listen to the same held-out speakers with the same noise. A difference to the full models that is below the
deviation between training seeds is called none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics import spectra
from reactdiff_ros.evaluation.metrics.events import KINDS
from reactdiff_ros.evaluation.metrics.realism import frechet_distance
from reactdiff_ros.evaluation.studies.behaviour import expected_listener
from reactdiff_ros.evaluation.studies.listeners import ModelListens
from reactdiff_ros.evaluation.studies.provenance import provenance
from reactdiff_ros.evaluation.studies.reliance import derangement, expected_correlation, smile_coupling
from reactdiff_ros.evaluation.studies.warm_start import WarmStart
from reactdiff_ros.model.plan.sampler import ordinary
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

FULL: Final = "full"
FIGURES: Final = (
    "smile coupling", "face with expectation", "smile reliance", "face reliance", "variance of smile",
    "variance of head", "variance of brows", "nods a minute", "smiles a minute", "frechet",
)  # fmt: skip
"""One number a model each; variances are over the reference's."""
SWEEP_STEPS: Final = (1, 2, 4, 8)
SWEEP_NOISE: Final = ("tape", "warm start")


class Trial:
    """The speakers that every model listens to, and what a listener is expected to do with them."""

    def __init__(self, seed: int, items: int, seconds: float, bank: VoiceBank | None) -> None:
        self.dyads: Dyads = simulate(
            purpose_seed("evaluate", seed, 13), items, round(seconds * 25), bank, prior="natural"
        )
        self.items, self.expected = items, expected_listener(self.dyads, seed)
        self.fresh = simulate(
            purpose_seed("evaluate", seed, 14), items, round(seconds * 25), bank, prior="natural"
        ).listener

    def figures(self, own: FloatArray, other: FloatArray) -> dict[str, float]:
        """FIGURES of a model that showed `own` (N, T, 58), and `other` to other people's speakers."""
        speaker, reference = self.dyads.truth.smile, self.dyads.listener
        coupling, face = smile_coupling(speaker, own), expected_correlation(self.expected, own)
        variance = spectra.variance_ratios(own, reference)
        return {
            "smile coupling": float(coupling.mean()),
            "face with expectation": float(face.mean()),
            "smile reliance": float((coupling - smile_coupling(speaker, other)).mean()),
            "face reliance": float((face - expected_correlation(self.expected, other)).mean()),
            "variance of smile": variance["smile"],
            "variance of head": variance["head"],
            "variance of brows": variance["brows"],
            "nods a minute": float(KINDS["nods"](own).per_minute().mean()),
            "smiles a minute": float(KINDS["smiles"](own).per_minute().mean()),
            "frechet": frechet_distance(own, reference, self.fresh)["distance"],
        }

    def run(self, model: ModelListens, noise: str = "tape") -> dict[str, float]:
        """The figures of one model."""
        tokens = speaker_tokens(model.networks, self.dyads.speaker)
        conditions, seeds = ordinary(self.items, self.dyads.controls), np.arange(self.items) + 31
        shuffled = tokens[derangement(self.items)]
        if noise == "tape":
            own, other = (model.of_tokens(t, conditions, seeds) for t in (tokens, shuffled))
        else:
            warm = WarmStart(model.networks, model.how)
            own, other = (warm.run(t, conditions, seeds) for t in (tokens, shuffled))
        return self.figures(own, other)


def grouped(models: Sequence[ModelListens]) -> dict[str, list[ModelListens]]:
    """Models by what their manifests say was left out of the training; FULL for nothing.

    Raises:
        ReactdiffError: none is full, or one was trained without several things at once.
    """
    groups: dict[str, list[ModelListens]] = {}
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
    models: Sequence[ModelListens],
    *,
    seed: int = 0,
    items: int = 200,
    seconds: float = 30.0,
    bank: VoiceBank | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Every figure of every group of models, and its difference to the full models."""
    groups = grouped(models)
    trial = Trial(seed, items, seconds, bank)
    values: dict[str, list[dict[str, float]]] = {}
    done = 0
    for name, members in groups.items():
        for model in members:
            values.setdefault(name, []).append(trial.run(model))
            done += 1
            told(done / len(models))
    table = {
        name: {
            "models": [str(m.weights.folder.name) for m in groups[name]],
            "training_seeds": [provenance(m.weights).seed for m in groups[name]],
            **{figure: _summary([v[figure] for v in values[name]]) for figure in FIGURES},
        }
        for name in groups
    }
    differences = {
        name: {figure: difference([v[figure] for v in values[name]], [v[figure] for v in values[FULL]])
               for figure in FIGURES}
        for name in groups if name != FULL
    }  # fmt: skip
    return {
        "groups": table, "without": differences, "items": items, "seconds": seconds, "seed": seed,
        "training": [dict(run) for run in provenance(groups[FULL][0].weights).runs],
    }  # fmt: skip


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
    models: Sequence[ModelListens],
    *,
    seed: int = 0,
    items: int = 200,
    seconds: float = 30.0,
    bank: VoiceBank | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """FIGURES at each number of solver steps, with the noise tape and with a warm start, over the models' seeds."""
    trial = Trial(seed, items, seconds, bank)
    cells: dict[str, Any] = {}
    total, done = len(SWEEP_STEPS) * len(SWEEP_NOISE) * len(models), 0
    for noise in SWEEP_NOISE:
        for steps in SWEEP_STEPS:
            values = []
            for model in models:
                values.append(trial.run(model.sampled(replace(model.how, steps=steps)), noise))
                done += 1
                told(done / total)
            cells[f"{steps} steps, {noise}"] = {f: _summary([v[f] for v in values]) for f in FIGURES}
    return {"sweep": cells, "items": items, "seconds": seconds, "seed": seed, "training_seeds": _seeds(models)}


def _seeds(models: Sequence[ModelListens]) -> list[int]:
    return [provenance(m.weights).seed for m in models]
