"""`evaluate behaviour`: lags of reciprocal smiles, reliance on the speaker, and realism of two-second windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.evaluation.metrics.lags import Lags, onset_lags
from reactdiff_ros.evaluation.metrics.realism import frechet_distance, two_sample_auc
from reactdiff_ros.evaluation.studies.attention import evaluate_attention
from reactdiff_ros.evaluation.studies.listeners import Listens, ModelListens, SimulatorListens, style_conditions
from reactdiff_ros.evaluation.studies.reliance import (
    derangement,
    expected_correlation,
    paired_less_shuffled,
    smile_coupling,
)
from reactdiff_ros.model.plan.sampler import Conditions, ordinary
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

EXPECTED_OF: Final = 12
SETTINGS: Final = ("natural", "responsive")
_SEEN: Final = 0.6


@dataclass(slots=True)
class BehaviourReport:
    """Figures for `--json`, and lags for the histogram."""

    figures: dict[str, Any]
    lags: dict[str, Lags] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    listener: Listens
    seed: int
    items: int
    frames: int
    bank: VoiceBank | None
    done: Callable[[], None]

    def dyads(self, *, precursors: bool) -> Dyads:
        return simulate(
            purpose_seed("evaluate", self.seed, 8), self.items, self.frames, self.bank, prior="natural",
            precursors=precursors,
        )  # fmt: skip

    def streams(self, dyads: Dyads, conditions: Conditions, *, shuffled: bool = False) -> FloatArray:
        """What the listener shows; `shuffled`: to another one's speaker, all else being equal."""
        speaker, truth = dyads.speaker, dyads.stimulus
        if shuffled:
            other = derangement(self.items)
            speaker, truth = speaker.take(other), truth.take(other)
        seeds = purpose_seed("evaluate", self.seed, 9) % (1 << 40) + np.arange(self.items)
        made = self.listener.run(speaker, conditions, seeds, truth)
        self.done()
        return made

    def simulated(self, dyads: Dyads, conditions: Conditions) -> FloatArray:
        """What fresh simulated listeners show, who know the speakers; they are told the same."""
        seeds = purpose_seed("evaluate", self.seed, 10) % (1 << 40) + np.arange(self.items)
        return SimulatorListens(perceiving=False).run(dyads.speaker, conditions, seeds, dyads.stimulus)


def evaluate_behaviour(
    listener: Listens,
    *,
    seed: int = 0,
    items: int = 100,
    seconds: float = 60.0,
    bank: VoiceBank | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> BehaviourReport:
    """All figures of the command, on simulated speakers that no training has seen."""
    runs = 0

    def done() -> None:
        nonlocal runs
        runs += 1
        told(min(runs / 5, 1.0))

    work = _Work(listener, seed, items, round(seconds * 25), bank, done)
    with_, without = work.dyads(precursors=True), work.dyads(precursors=False)
    natural = ordinary(items, with_.controls)
    own = work.streams(with_, natural)
    figures: dict[str, Any] = {
        "reliance": _reliance(with_, own, work.streams(with_, natural, shuffled=True), seed),
        "realism": _realism(with_, own, seed),
    }
    report = BehaviourReport(figures)
    figures["lags"], figures["lags_of_simulated_listeners"] = {}, {}
    for setting in SETTINGS:
        conditions = natural if setting == "natural" else style_conditions("responsive", items)
        tables: dict[str, Any] = {}
        simulated: dict[str, Any] = {}
        for name, dyads in (("with_precursors", with_), ("without_precursors", without)):
            known = own if setting == "natural" and dyads is with_ else work.streams(dyads, conditions)
            lags = report.lags[f"{setting}, {name.replace('_', ' ')}"] = _lags(dyads, known, seed)
            tables[name] = lags.table()
            simulated[name] = _lags(dyads, work.simulated(dyads, conditions), seed).table()
        figures["lags"][setting], figures["lags_of_simulated_listeners"][setting] = tables, simulated
    if isinstance(listener, ModelListens):
        figures["attention"] = evaluate_attention(listener.weights, seed=seed, bank=bank)
    figures.update(items=items, seconds=seconds, seed=seed)
    return report


def _lags(dyads: Dyads, streams: FloatArray, seed: int) -> Lags:
    seen = dyads.speaker.mesh.mean(1) > _SEEN
    return onset_lags(dyads.truth.smile[seen], smile_curve(streams[seen]), np.random.default_rng([seed, 71]))


def _reliance(dyads: Dyads, own: FloatArray, other: FloatArray, seed: int) -> dict[str, Any]:
    """With the own speaker less with another one's: coupling of smiles, and all coefficients with what is expected."""
    speaker, expected = dyads.truth.smile, expected_listener(dyads, seed)
    return {
        "smile": paired_less_shuffled(smile_coupling(speaker, own), smile_coupling(speaker, other), seed),
        "face": paired_less_shuffled(expected_correlation(expected, own), expected_correlation(expected, other), seed),
    }


def expected_listener(dyads: Dyads, seed: int) -> FloatArray:
    """(N, T, 58) mean of EXPECTED_OF simulated listeners of each speaker, who differ in traits and noise."""
    count = len(dyads.controls)
    total = np.zeros_like(dyads.listener)
    for k in range(EXPECTED_OF):
        drawn = purpose_seed("evaluate", seed, 100 + k)
        who = draw_temperaments(drawn, count, controls=dyads.controls)
        total += listen(dyads.stimulus, who, drawn).coefficients
    return total / EXPECTED_OF


def _realism(dyads: Dyads, own: FloatArray, seed: int) -> dict[str, Any]:
    """Beside fresh simulated listeners of the same speakers: they are the floor, and the classifier's level."""
    drawn = purpose_seed("evaluate", seed, 99)
    who = Temperament(dyads.controls, draw_temperaments(drawn, len(dyads.controls)).traits)
    fresh = listen(dyads.stimulus, who, drawn).coefficients
    return {
        "frechet": frechet_distance(own, dyads.listener, fresh),
        "classifier": two_sample_auc(own, dyads.listener, seed),
        "classifier_floor": two_sample_auc(fresh, dyads.listener, seed),
    }
