"""`bench response`: paired trials of inserted smiles, backchannel cues and placebos, under three settings.

Simulated listeners go through the trials of cues as well: what of nodding to a cue can be seen by this measure at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from reactdiff_ros.evaluation.bounds import NATURAL_EXCESS, NEGATIVE_SHARE, PLACEBO_RATE, POSITIVE_RATE
from reactdiff_ros.evaluation.listeners import Listens, ModelListens, SimulatorListens, style_conditions
from reactdiff_ros.evaluation.metrics.events import (
    Ints,
    Paired,
    Values,
    first_difference,
    nod_responses,
    response_curve,
    shares,
    smile_responses,
)
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.model.tokens import SpeakerBatch, featurize
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import PLACEBOS, Insertion, InsertionKind, Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

AT: Final = 125
"""The event's frame: after 5 s of listening."""
FRAMES: Final = AT + 45
"""A trial ends 1.8 s after the event began."""
SIZES: Final = (0.3, 0.5, 0.7, 0.9)
SIZE: Final = 0.7
"""Of the smile that the settings are compared with."""
SETTINGS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "natural": ("natural", {}),
    "responsive_positive": ("responsive", {"attitude": 1.0}),
    "negative": ("responsive", {"attitude": -1.0}),
}
"""Named style of each setting and what of it is changed."""
NOD_SETTINGS: Final = ("natural", "responsive_positive")
REFERENCES: Final = ("simulator", "policy")
"""Simulated listeners who know the speaker, and who are told what perception delivers."""
_POOL: Final = 400
_MOST_POOLS: Final = 20


@dataclass(slots=True)
class Report:
    """Figures by name for `--json`, and what plots need."""

    figures: dict[str, Any]
    curves: dict[str, tuple[Values, Values]] = field(default_factory=dict)


@dataclass(slots=True)
class Trials:
    """Worlds in which an event of some kind takes effect, in view and in hearing: rows of pools of worlds."""

    kind: str
    rows: list[tuple[int, Ints]]
    """(seed of the pool, rows)."""

    @property
    def count(self) -> int:
        """How many trials."""
        return sum(len(rows) for _, rows in self.rows)


def find_trials(seed: int, kind: InsertionKind, wanted: int, bank: VoiceBank | None = None) -> Trials:
    """`wanted` trials (fewer, if events of that kind are very rare) of worlds that no training has seen."""
    found: list[tuple[int, Ints]] = []
    missing = wanted
    around = slice(AT - 25, AT + 38)
    for number in range(_MOST_POOLS):
        pool = purpose_seed("respond", seed, number)
        speakers = _pool(pool, Insertion(kind, AT, SIZE))
        batch = observe(pool, speakers, bank)
        sensed = batch.mesh[:, around].mean(1) > 0.9
        if kind == "cue":
            sensed &= batch.microphone[:, around].all(1)
        rows = np.flatnonzero(speakers.took & sensed)[:missing]
        found.append((pool, rows))
        missing -= len(rows)
        if not missing:
            break
    return Trials(kind, [(pool, rows) for pool, rows in found if len(rows)])


def _pool(pool: int, insertion: Insertion | None) -> Speakers:
    return make_speakers(pool, _POOL, FRAMES, insertion=insertion)


@dataclass(slots=True)
class Runner:
    """Runs a listener once for every distinct (trials, setting, event)."""

    system: Listens
    bank: VoiceBank | None
    progress: Callable[[], None] = lambda: None
    _absent: dict[tuple[str, str], FloatArray] = field(default_factory=dict)
    _seen: dict[tuple[int, str, Insertion | None], tuple[SpeakerBatch, Stimulus]] = field(default_factory=dict)

    def other(self, system: Listens) -> Runner:
        """For another listener on what was already simulated."""
        return Runner(system, self.bank, self.progress, _seen=self._seen)

    def paired(self, trials: Trials, setting: str, insertion: Insertion) -> Paired:
        """Streams with and without the event, sharing speaker, perception's errors and the listener's noise."""
        key = (trials.kind, setting)
        if key not in self._absent:
            self._absent[key] = self._streams(trials, setting, None)
        present = self._streams(trials, setting, insertion)
        return Paired(present, self._absent[key], np.full(len(present), AT))

    def _streams(self, trials: Trials, setting: str, insertion: Insertion | None) -> FloatArray:
        style, settings = SETTINGS[setting]
        parts = []
        for pool, rows in trials.rows:
            batch, truth = self._observed(pool, trials.kind, rows, insertion)
            conditions = style_conditions(style, len(rows), **settings)
            parts.append(self.system.run(batch, conditions, pool + 1 + np.arange(len(rows)), truth))
        self.progress()
        return np.concatenate(parts)

    def _observed(self, pool: int, kind: str, rows: Ints, insertion: Insertion | None) -> tuple[SpeakerBatch, Stimulus]:
        key = (pool, kind, insertion)
        if key not in self._seen:
            speakers = _pool(pool, insertion)
            batch = observe(pool, speakers, self.bank)
            truth = stimulus_of(speakers, batch.camera, batch.microphone)
            self._seen[key] = batch.take(rows), truth.take(rows)
        return self._seen[key]


def bench_response(
    system: Listens,
    *,
    seed: int,
    trials: int,
    bank: VoiceBank | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """The figures of `reactdiff bench response`; see the command's help for what they mean."""
    # Without an event: 3 settings of smiles, and those of cues.
    steps = len(SIZES) + 2 + len(PLACEBOS) + 3 + 2 * len(NOD_SETTINGS) * (1 + len(REFERENCES))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done / steps)

    runner = Runner(system, bank, step)
    smiles, cues = find_trials(seed, "smile", trials, bank), find_trials(seed, "cue", trials, bank)
    report = Report({})
    by_size = {}
    for size in SIZES:
        paired = runner.paired(smiles, "natural", Insertion("smile", AT, size))
        by_size[f"{size:g}"] = shares(*smile_responses(paired))
        if size == SIZE:
            report.curves["natural"] = response_curve(paired)
    report.figures["natural"] = {**by_size[f"{SIZE:g}"], "by_size": by_size}
    for setting in ("responsive_positive", "negative"):
        paired = runner.paired(smiles, setting, Insertion("smile", AT, SIZE))
        report.figures[setting] = shares(*smile_responses(paired))
        report.curves[setting] = response_curve(paired)
    report.figures["placebo"] = _placebos(runner, smiles)
    report.figures["nods"] = _nods(runner, cues)
    report.figures["nods_of_simulated"] = {
        name: _nods(runner.other(SimulatorListens(perceiving=name == "policy")), cues) for name in REFERENCES
    }
    report.figures["excess_rises_with_size"] = rises([by_size[f"{size:g}"]["excess"] for size in SIZES])
    report.figures["wiring"] = wiring(system, smiles, bank)
    report.figures["within_bounds"] = bounds(report.figures)
    return report


def _nods(runner: Runner, cues: Trials) -> dict[str, Any]:
    """Shares of the trials of cues with a nod, by setting."""
    return {
        setting: shares(*nod_responses(runner.paired(cues, setting, Insertion("cue", AT)))) for setting in NOD_SETTINGS
    }


def _placebos(runner: Runner, trials: Trials) -> dict[str, Any]:
    """Rate of new smiles after what is no event, in all and by kind; of dips of the head next to it."""
    smiles, nods = {}, {}
    for kind in PLACEBOS:
        paired = runner.paired(trials, "natural", Insertion(kind, AT))
        smiles[kind] = float(smile_responses(paired)[0].mean())
        nods[kind] = shares(*nod_responses(paired))["excess"]
    return {"rate": float(np.mean(list(smiles.values()))), "by_kind": smiles, "nod_excess_by_kind": nods}


def wiring(system: Listens, trials: Trials, bank: VoiceBank | None) -> dict[str, Any] | None:
    """Frames from the first change in what perception delivers to the first change in what the network is told.

    None for a listener without a network.
    """
    if not isinstance(system, ModelListens):
        return None
    pool, rows = trials.rows[0]
    rows = rows[:20]
    seen, known = [], []
    for insertion in (None, Insertion("smile", AT, SIZE)):
        batch = observe(pool, _pool(pool, insertion), bank).take(rows)
        seen.append(featurize(batch)[0])
        known.append(speaker_tokens(system.networks, batch))
    first_seen, first_known = first_difference(seen[0], seen[1]), first_difference(known[0], known[1])
    changed = first_seen < FRAMES
    late = (first_known - first_seen)[changed]
    return {"trials": int(changed.sum()), "frames_late_most": int(late.max()) if len(late) else None}


def rises(values: list[float]) -> bool:
    """Ends above where it began, and falls by no more than .02 in between."""
    return bool(np.all(np.diff(values) > -0.02) and values[-1] > values[0])


def bounds(figures: dict[str, Any]) -> dict[str, bool]:
    """Which of the bounds hold that reactions are held to."""
    positive = figures["responsive_positive"]["rate"]
    return {
        "natural excess .08 to .30": NATURAL_EXCESS[0] <= figures["natural"]["excess"] <= NATURAL_EXCESS[1],
        "responsive and positive at least .70": positive >= POSITIVE_RATE,
        "negative at most half of positive": figures["negative"]["rate"] <= NEGATIVE_SHARE * positive,
        "placebos at most .05": figures["placebo"]["rate"] <= PLACEBO_RATE,
        "excess rises with size": figures["excess_rises_with_size"],
        "nods answer cues, excess surely above 0": all(r["excess_low"] > 0 for r in figures["nods"].values()),
    }
