"""How a model listens to simulated speakers that it has not met, next to people of the simulator and baselines.

What the figures mean and what they do not mean: docs/evaluation.md. They show a known distribution recovered from
noisy perception; they are no evidence of human likeness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.coefficients import HEAD_PITCH, ROTATION
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.baselines import BOOTSTRAP, SYSTEMS, Material, Setup, Streams, make_material
from reactdiff_ros.evaluation.bounds import BANDS
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.events import nods
from reactdiff_ros.evaluation.metrics.react import (
    correlation,
    distance,
    diversity,
    speaker_distances,
    speaker_diversity,
    variance,
)
from reactdiff_ros.evaluation.results import Figure, Info, Item, Result, System
from reactdiff_ros.evaluation.runs.scoring import CURVES, STUDY_ROLES, with_curves
from reactdiff_ros.simulator.dyads import simulator_hash
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Array = NDArray[np.floating[Any]]
Times = NDArray[np.floating[Any]]

TOLERANCE_S: Final = 1.0
"""Two nods within this of each other answer the same moment."""
SHIFTS: Final = 5
"""At so many other times the match by chance is measured."""


def pose_concordance(predictions: Array, targets: Array) -> float:
    """FRC on the head's rotations: predictions (K, T, 3) in rad (pitch, yaw, roll), targets (M, T, 3). -K..K."""
    return correlation(predictions, targets)


def nod_times(pitch: Array) -> list[Times]:
    """When each stream (N, T) of head pitch begins to nod, in seconds."""
    found = nods(pitch)
    return [found.start[found.row == row] / REACTION_RATE_HZ for row in range(len(pitch))]


def matched(first: Times, second: Times, tolerance_s: float = TOLERANCE_S) -> int:
    """How many events of two sorted lists pair up one to one within the tolerance: the largest possible number."""
    i = j = count = 0
    while i < len(first) and j < len(second):
        gap = first[i] - second[j]
        if abs(gap) <= tolerance_s:
            i, j, count = i + 1, j + 1, count + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    return count


def nod_match(predictions: list[Times], targets: list[Times]) -> float:
    """Sum over predictions of the mean F1 with the targets' nods. 0..K.

    F1 = 2 matched / (nods of the prediction + nods of the target). It is the mean over targets, not the best one: with
    a handful of nods each, the best of ten is met by chance. A pair without a nod on both sides counts 0, so that a
    still head earns nothing.
    """
    total = 0.0
    for mine in predictions:
        shares = [
            2.0 * matched(mine, theirs) / (len(mine) + len(theirs)) if len(mine) and len(theirs) else 0.0
            for theirs in targets
        ]
        total += float(np.mean(shares))
    return total


def nod_chance(predictions: list[Times], targets: list[Times], length_s: float) -> float:
    """What `nod_match` gives by chance to nods as many and as far apart: the predictions' own, moved in time. 0..K.

    Mean over up to SHIFTS moves around the clip of `length_s`, evenly spaced and beyond the tolerance; a clip of less
    than twice that is moved by its half.
    """
    count = max(1, min(SHIFTS, int(length_s / TOLERANCE_S) - 2))
    steps = length_s * np.arange(1, count + 1) / (count + 1)
    moved = ([np.sort((mine + step) % length_s) for mine in predictions] for step in steps)
    return float(np.mean([nod_match(times, targets) for times in moved]))


Values = NDArray[np.float64]
Progress = Callable[[str, float], None]
"""Is told the system at hand and the share of its work that is done."""
Show = Callable[[str, Material, Streams], None]
"""Is given a system's streams before they are dropped."""
Scored = Callable[[str, "Material", "Scores"], None]
"""Is given a system's figures for every speaker."""

FLOOR, CEILING, SUBJECT = "shuffled", "oracle", "model"
SPEAKER_FIGURES: Final = (
    "FRC", "FRD", "FRDiv", "FRVar", "pose", "pose_concordance", "nod_match", "nod_chance", "nod_beyond_chance",
    "pose_beyond_chance", "nods_per_minute",
)  # fmt: skip
SKILLS: Final = (
    "FRC", "FRD", "pose", "pose_concordance", "nod_match", "nod_beyond_chance", "pose_beyond_chance",
)  # fmt: skip
RATIOS: Final = ("FRDiv", "FRVar")
LISTENS: Final = 0.6
"""Share of the work on a system that is making its streams."""
_AU12: Final = ATTRIBUTE_NAMES.index("AU12")
_PITCH: Final = HEAD_PITCH - ROTATION.start


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one system: one value a speaker, (N,) each, and the distances between speakers."""

    values: dict[str, Values]
    """By the names of SPEAKER_FIGURES."""
    distances: Values
    """(N, N) for FRDvs."""


def score(
    streams: Streams, targets: Streams, *, workers: int = 1, told: Callable[[float], None] | None = None
) -> Scores:
    """All figures of K streams (N, K, T, ...) against M targets (N, M, T, ...) a speaker."""
    wanted = [nod_times(pitch) for pitch in targets.pose[..., _PITCH]]

    def one(n: int) -> list[float]:
        own, theirs = streams.attributes[n], targets.attributes[n]
        nods = nod_times(streams.pose[n][..., _PITCH])
        turns, match = pose_concordance(streams.pose[n], targets.pose[n]), nod_match(nods, wanted[n])
        seconds = streams.pose.shape[2] / REACTION_RATE_HZ
        chance = nod_chance(nods, wanted[n], seconds)
        rate = float(np.mean([len(x) for x in nods])) / (seconds / 60.0)
        return [
            correlation(own, theirs), distance(own, theirs), diversity(own), variance(own), turns + match, turns, match,
            chance, match - chance, turns + match - chance, rate,
        ]  # fmt: skip

    rows = []
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for n, row in enumerate(pool.map(one, range(len(streams)))):
            rows.append(row)
            if told is not None:
                told((n + 1) / len(streams))
    columns = np.array(rows, dtype=np.float64).T
    return Scores(dict(zip(SPEAKER_FIGURES, columns, strict=True)), speaker_distances(streams.attributes))


def evaluate(
    *,
    seed: int,
    items: int,
    frames: int,
    systems: Sequence[str],
    means: Setup,
    progress: Progress | None = None,
    resamples: int = bootstrap.RESAMPLES,
    show: Show | None = None,
    scored: Scored | None = None,
) -> dict[str, Any]:
    """Run and score systems on a held-out set; see `report` for the result.

    Args:
        seed: another one, another set and other draws.
        items: speakers.
        frames: of each, at 25 Hz.
        systems: names of SYSTEMS.
        means: with what they run.
        progress: told how far it is.
        resamples: of the bootstrap.
        show: given every system's streams before they are dropped.
        scored: given every system's figures by speaker.

    Raises:
        ReactdiffError: a system is unknown, or the model is asked for without weights.
    """
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown:
        raise ReactdiffError("unknown system", where=", ".join(unknown), todo=f"use some of {', '.join(SYSTEMS)}")
    if SUBJECT in systems and means.weights is None:
        raise ReactdiffError("the model cannot be evaluated without its weights", todo="give a folder of weights")
    material = make_material(seed, items, frames, means.bank)
    scores: dict[str, Scores] = {}
    for name in systems:
        told = partial(_part, progress, name)
        streams = SYSTEMS[name](material, means, partial(told, 0.0, LISTENS))
        if show is not None:
            show(name, material, streams)
        scores[name] = score(streams, material.targets, workers=means.workers, told=partial(told, LISTENS, 1.0))
        if scored is not None:
            scored(name, material, scores[name])
    result = report(scores, bootstrap.draws(material.number(BOOTSTRAP), items, resamples))
    return {**result, "items": items, "frames": frames, "seed": seed, "simulator": simulator_hash()}


def _part(progress: Progress | None, name: str, first: float, last: float, share: float) -> None:
    """Tell a share of a piece of work that reaches from `first` to `last` of the system's."""
    if progress is not None:
        progress(name, first + (last - first) * share)


class Example:
    """Keeps one speaker's smile and pitch, and the first stream of every system for it, to be drawn."""

    def __init__(self) -> None:
        self.speaker: dict[str, FloatArray] = {}
        self.listeners: dict[str, dict[str, FloatArray]] = {}
        self._row = 0

    def keep(self, name: str, material: Material, streams: Streams) -> None:
        """Take what is drawn of a system; the speaker is the one whose smile moves most."""
        if not self.speaker:
            self._row = int(material.stimulus.smile.std(1).argmax())
            known = material.stimulus
            self.speaker = {"smile": known.smile[self._row], "speech": known.speech[self._row]}
        self.listeners[name] = {
            "smile": streams.attributes[self._row, 0, :, _AU12].copy(),
            "pitch": streams.pose[self._row, 0, :, _PITCH].copy(),
        }


def report(scores: dict[str, Scores], weights: Values) -> dict[str, Any]:
    """The figures of every system with 95 % intervals, their skills, and whether the bands hold.

    Args:
        scores: by system.
        weights: (B, N) of `bootstrap.draws`: all systems are drawn with the same speakers.

    Returns:
        {system: {figure, figure_low, figure_high}}, "skill": those of the model, and under its name those of every
        other system; "bands": {system: {band: bool, "all": bool}}. Skills need "oracle" and "shuffled".
    """
    result: dict[str, Any] = {name: _figures(s, weights) for name, s in scores.items()}
    if FLOOR not in scores or CEILING not in scores:
        return {**result, "skill": {}, "bands": {}}
    skills = {
        name: _skills(s, scores[FLOOR], scores[CEILING], weights)
        for name, s in scores.items()
        if name not in {FLOOR, CEILING}
    }
    mime = result.get("mime", {}).get("FRD")
    bands = {name: bands_of(s, result[name]["FRD"], mime) for name, s in skills.items()}
    return {**result, "skill": {**skills.pop(SUBJECT, {}), **skills}, "bands": bands}


def bands_of(skills: dict[str, float], frd: float, mime_frd: float | None) -> dict[str, bool]:
    """Which bands a system's skills keep; "FRD_below_mime" where the mime was run; "all" together."""
    kept = {name: bool(low <= skills[name] <= high) for name, (low, high) in BANDS.items()}
    kept["FRC_low"] = bool(skills["FRC_low"] > BANDS["FRC_low"][0])
    if mime_frd is not None:
        kept["FRD_below_mime"] = bool(frd < mime_frd)
    return {**kept, "all": all(kept.values())}


def _figures(scores: Scores, weights: Values) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, values in scores.values.items():
        out |= bootstrap.with_interval(name, float(values.mean()), bootstrap.means(weights, values))
    resampled = bootstrap.resample(weights, lambda w: speaker_diversity(scores.distances, w))
    return out | bootstrap.with_interval("FRDvs", speaker_diversity(scores.distances), resampled)


def _skills(own: Scores, floor: Scores, ceiling: Scores, weights: Values) -> dict[str, float]:
    out: dict[str, float] = {}
    whole = np.ones((1, weights.shape[1]))

    def skill(name: str, w: Values) -> Values:
        return bootstrap.skill(*(bootstrap.means(w, s.values[name]) for s in (own, floor, ceiling)))

    def ratio(name: str, w: Values) -> Values:
        top, bottom = (bootstrap.means(w, s.values[name]) for s in (own, ceiling))
        return np.asarray(np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan))

    for name in SKILLS:
        out |= bootstrap.with_interval(name, float(skill(name, whole)[0]), skill(name, weights))
    for name in RATIOS:
        out |= bootstrap.with_interval(f"{name}_ratio", float(ratio(name, whole)[0]), ratio(name, weights))
    return out


@dataclass(slots=True)
class SimulatorFile:
    """Collects what `studies.simulator.evaluate` scores."""

    systems: list[System] = field(default_factory=list)
    material: Material | None = None
    shown: dict[str, dict[str, FloatArray]] = field(default_factory=dict)

    def keep(self, name: str, material: Material, streams: Streams) -> None:
        """One system's streams for the first speakers, before they are dropped."""
        if streams.faces is not None:
            self.shown[name] = {_speaker(n): face for n, face in enumerate(streams.faces[:CURVES])}

    def take(self, name: str, material: Material, scores: Scores) -> None:
        """One system's figures."""
        self.material = material
        figures = {"FRDvs": Figure(speaker_diversity(scores.distances))}
        self.systems.append(
            System(
                name,
                STUDY_ROLES.get(name, "baseline"),
                values=scores.values,
                figures=figures,
                streams=self.shown.pop(name, {}),
            )
        )

    def result(self, info: Info) -> Result:
        """What the file holds."""
        assert self.material is not None
        known = self.material
        seconds = known.frames / REACTION_RATE_HZ
        items = tuple(
            with_curves(Item(_speaker(n), seconds, source="simulator"), known.perceived, n) for n in range(known.items)
        )
        subject = next((s.name for s in self.systems if s.role == "listener"), "")
        head = replace(info, data="Simulated speakers that no training has met", seeds={"set": known.seed})
        return Result(replace(head, subject=subject), items, tuple(self.systems))


def _speaker(n: int) -> str:
    return f"speaker{n:04d}"
