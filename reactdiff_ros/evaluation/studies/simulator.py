"""How a model listens to simulated speakers that it has not met, next to people of the simulator and baselines.

What the figures mean and what they do not mean: docs/evaluation.md. They show a known distribution recovered from
noisy perception; they are no evidence of human likeness.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, ATTRIBUTE_NAMES, attributes_of
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX, REFLEXES, ROTATION, mirrored_order
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.baselines import best_lag, late, mime_scores, squared_distances
from reactdiff_ros.evaluation.bounds import BANDS
from reactdiff_ros.evaluation.estimates import row_of
from reactdiff_ros.evaluation.listeners import StreamListener, no_conditions
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics import react as measures
from reactdiff_ros.evaluation.metrics.events import nods
from reactdiff_ros.evaluation.plots import plot_systems, plot_time_line
from reactdiff_ros.evaluation.results import Info, Item, Result, Study, System
from reactdiff_ros.evaluation.runs.scoring import CURVES, STUDY_ROLES, between_speakers, with_curves
from reactdiff_ros.model.diffusion.conditions import STYLE_COUNT
from reactdiff_ros.model.diffusion.sampler import ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.simulator.behaviour import SLOW
from reactdiff_ros.simulator.dyads import simulate, simulator_hash, styles
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.observation import appearance, observe
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

Values = NDArray[np.float64]
Array = NDArray[np.floating[Any]]

# Numbers of the draws under the purpose "evaluate".
SPEAKERS, DEVICES, TARGETS, ORACLE, MEAN, MODEL, RANDOM_DRAW, RULES_DRAW, BOOTSTRAP, STYLE = range(10)
WORKING: Final = 0.95
"""Share of the time that camera, microphone and the speaker's face must be there."""
_DRAWN_AT_ONCE: Final = 4
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Streams:
    """K streams of a listener for each of N speakers, as far as they are scored."""

    attributes: FloatArray
    """(N, K, T, 25)"""
    pose: FloatArray
    """(N, K, T, 3): pitch, yaw, roll in rad."""
    faces: FloatArray | None = None
    """(N, T, 58) coefficients of the first stream of each, to be looked at; None: a system without a face."""

    def __len__(self) -> int:
        return len(self.attributes)


def streams_of(coefficients: FloatArray, speakers: int) -> Streams:
    """Streams of coefficients (N * K, T, 58), the K of a speaker after each other."""
    shape = (speakers, len(coefficients) // speakers, coefficients.shape[1])
    pose = np.ascontiguousarray(coefficients[..., ROTATION])
    first = coefficients[:: shape[1]]
    return Streams(attributes_of(coefficients).reshape(*shape, -1), pose.reshape(*shape, 3), first.copy())


def copies(one: Streams, count: int) -> Streams:
    """One stream a speaker, (N, 1, T, ...), counted `count` times."""
    attributes, pose = (np.broadcast_to(a, (len(a), count, *a.shape[2:])) for a in (one.attributes, one.pose))
    return Streams(attributes, pose, one.faces)


@dataclass(frozen=True, slots=True)
class Material:
    """N speakers over T frames and M appropriate listeners of each."""

    seed: int
    speakers: Speakers
    perceived: SpeakerBatch
    """What perception delivers of them, (N, T)."""
    shown: FloatArray
    """What their faces truly show, (N, T, 58): as the labels of a data set."""
    stimulus: Stimulus
    """What simulated listeners know of them: the truth."""
    targets: Streams
    """Of M listeners each."""
    bank: VoiceBank | None = None
    """Voices; None: parametric ones."""
    emotions: float = 0.0
    """Share of the speakers who have emotional episodes."""

    @property
    def items(self) -> int:
        """N."""
        return len(self.targets)

    @property
    def frames(self) -> int:
        """T."""
        return self.targets.pose.shape[2]

    def number(self, draw: int) -> int:
        """The simulator's seed of one of the numbered draws."""
        return purpose_seed("evaluate", self.seed, draw)

    def temperaments(self, draw: int, each: int) -> Temperament:
        """`each` people for every speaker, from the natural prior, independent of those of other draws."""
        return draw_temperaments(self.number(draw), self.items * each, prior="natural")

    def listeners(
        self, draw: int, each: int, stimulus: Stimulus | None = None, speaker_of: NDArray[np.intp] | None = None
    ) -> FloatArray:
        """Coefficients (N * each, T, 58) of simulated people, the `each` of a speaker after each other.

        Args:
            draw: which people with which noise: the same draw, the same ones.
            each: people a speaker.
            stimulus: what they know of the speakers; None: the truth.
            speaker_of: (N * each,) whom they listen to; None: their own speaker.
        """
        rows = np.repeat(np.arange(self.items), each) if speaker_of is None else speaker_of
        known = (stimulus or self.stimulus).take(rows)
        return listen(known, self.temperaments(draw, each), self.number(draw)).coefficients


def make_material(
    seed: int, items: int, frames: int, bank: VoiceBank | None = None, *, listeners: int = 10, emotions: float = 0.0
) -> Material:
    """The held-out set of a seed.

    Only worlds in which somebody talks, with camera and microphone at work: elsewhere there is nothing to couple to.

    Args:
        seed: the user's; another one, another set.
        items: N speakers.
        frames: T of 25 Hz.
        bank: voices; None: parametric ones.
        listeners: M appropriate listeners of each speaker.
        emotions: share of the speakers who have emotional episodes.

    Raises:
        ReactdiffError: the simulator does not give that many such worlds.
    """
    number, drawn = purpose_seed("evaluate", seed, SPEAKERS), _DRAWN_AT_ONCE * items
    for _ in range(_TRIES):
        candidates = make_speakers((number, SPEAKERS), drawn, frames, emotions=emotions)
        batch = observe((number, DEVICES), candidates, bank)
        working = [share.mean(1) >= WORKING for share in (batch.camera, batch.microphone, candidates.present)]
        rows = np.flatnonzero((candidates.kind <= SLOW) & np.logical_and.reduce(working))[:items]
        if len(rows) == items:
            break
        drawn *= 2
    else:
        raise ReactdiffError("the simulator gives too few conversations", where=f"{items} items of {frames} frames")
    shown, _ = appearance((number, DEVICES), candidates)  # the same as `observe` has read
    speakers, perceived = candidates.take(rows), batch.take(rows)
    stimulus = stimulus_of(speakers, perceived.camera, perceived.microphone)
    number = purpose_seed("evaluate", seed, TARGETS)
    people = draw_temperaments(number, items * listeners, prior="natural")
    known = stimulus.take(np.repeat(np.arange(items), listeners))
    targets = streams_of(listen(known, people, number).coefficients, items)
    return Material(seed, speakers, perceived, shown[rows], stimulus, targets, bank, emotions)


STREAMS: Final = 10
"""K: streams of each listener for each speaker, as REACT asks."""
MEAN_OF: Final = 24
TRAINING_SPEAKERS: Final = 600
"""Dyads among which nearest neighbours are looked up."""
BLOCK: Final = 10
"""Frames that a speaker's features are averaged over for that."""
RANDOM_POSE_RAD: Final = 0.3
_GROUP: Final = 25
"""Speakers at a time, so that memory stays small and progress is seen."""


def model(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The model on its exported graphs: K streams a speaker, each from its own past, as the people of the oracle.

    Each has the controls of one of those people, and the style as it shows while that one listens to others, with other
    noise: what a reference clip of a person would give.
    """
    tokens = speaker_tokens(listener.networks, material.perceived)
    who = material.temperaments(ORACLE, STREAMS)
    rows = np.arange(len(who)).reshape(-1, STREAMS).T.ravel()  # speaker after speaker, so that the next ones are others
    style = np.empty((2, len(who), STYLE_COUNT), dtype=np.float32)
    style[:, rows] = styles(material.stimulus.take(rows // STREAMS), who.take(rows), material.number(STYLE))
    people = replace(ordinary(len(who), who.controls), style=style[0], style_given=style[1])
    seeds = np.arange(len(who)) + (material.number(MODEL) >> 16)
    out: list[Streams] = []
    for first in range(0, material.items, _GROUP):
        progress(first / material.items)
        last = min(first + _GROUP, material.items)
        rows = np.arange(first * STREAMS, last * STREAMS)
        shown = listener.of_tokens(tokens, people.take(rows), seeds[rows], rows // STREAMS)
        out.append(streams_of(shown, last - first))
    return _joined(out)


def oracle(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """Fresh simulated listeners of the same speakers: what can be reached."""
    return streams_of(material.listeners(ORACLE, STREAMS), material.items)


def shuffled(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The oracle's listeners when they listen to other speakers: what is scored without listening to this one.

    The same people with the same noise as the oracle's, so that who they are cancels in the difference. The K streams
    of a speaker come from K other speakers, so that no single one decides.
    """
    return streams_of(material.listeners(ORACLE, STREAMS, speaker_of=other_speakers(material.items)), material.items)


def other_speakers(items: int) -> NDArray[np.intp]:
    """For each of K streams of each speaker another speaker, (items * K,); every speaker is met K times."""
    shift = 1 + (7 * np.arange(STREAMS)) % max(items - 1, 1)
    return np.asarray((np.arange(items)[:, None] + shift) % items).ravel()


def policy(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The oracle's listeners, who know what perception delivers instead of the truth."""
    return streams_of(material.listeners(ORACLE, STREAMS, perceive(material.perceived)), material.items)


def listener_mean(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The mean of many listeners of the same speaker, K times: dull and sure."""
    total = np.zeros((material.items, material.frames, COEFFICIENT_COUNT), dtype=np.float32)
    shown = material.listeners(MEAN, MEAN_OF)
    for start in range(0, material.items, _GROUP):
        part = shown[start * MEAN_OF : (start + _GROUP) * MEAN_OF]
        total[start : start + _GROUP] = part.reshape(-1, MEAN_OF, *part.shape[1:]).mean(1)
    return copies(streams_of(total, material.items), STREAMS)


def mime(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """REACT's: the speaker's own face (the truth, as labels are) in the mirror, at the best lag; K times."""
    return _at_best_lag(material, in_mirror(material.shown), progress)


def mime_perceived(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The same of the face as perceived, neutral where it was not observed: what a mirror on a robot could show."""
    seen = material.perceived
    face = np.where((seen.confidence > 0) & seen.mesh[..., None], np.nan_to_num(seen.coefficients), 0.0)
    return _at_best_lag(material, in_mirror(face), progress)


def _at_best_lag(material: Material, face: FloatArray, progress: OnProgress) -> Streams:
    """A face (N, T, 58) at the lag whose attributes score best on this very set, K times."""
    scores = list[list[float]]()
    for own, targets in zip(attributes_of(face), material.targets.attributes, strict=True):
        progress(len(scores) / material.items)
        scores.append(mime_scores(own, targets, REACTION_RATE_HZ))
    shown = late(face, best_lag(scores), REACTION_RATE_HZ)
    return copies(streams_of(shown, material.items), STREAMS)


def nearest_neighbour(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The listeners of the K training speakers whose perceived features are nearest over the whole clip."""
    number = purpose_seed("train", material.seed, 0)
    known = simulate(
        number, TRAINING_SPEAKERS, material.frames, material.bank, prior="natural", emotions=material.emotions
    )
    theirs, ours = features(known.speaker), features(material.perceived)
    centre, spread = theirs.mean((0, 1)), theirs.std((0, 1)) + 1e-6
    gap = squared_distances(*(((f - centre) / spread).reshape(len(f), -1) for f in (ours, theirs)))
    nearest = np.argsort(gap, axis=1, kind="stable")[:, :STREAMS]
    return streams_of(known.listener[nearest.ravel()], material.items)


def random(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """REACT's random baseline: uniform noise in 0..1 in every attribute of every frame (pose: within 0.3 rad)."""
    rng = np.random.default_rng(material.number(RANDOM_DRAW))
    shape = (material.items, STREAMS, material.frames)
    pose = rng.random((*shape, 3), dtype=np.float32) * np.float32(2 * RANDOM_POSE_RAD) - np.float32(RANDOM_POSE_RAD)
    return Streams(rng.random((*shape, ATTRIBUTE_COUNT), dtype=np.float32), pose)


def rules(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The live listener that follows rules, through its own class, frame by frame."""
    first = material.number(RULES_DRAW) >> 16
    groups = np.array_split(np.arange(material.items), -(-material.items // 5))
    jobs = [
        (material.perceived.take(np.repeat(g, STREAMS)), first + np.arange(g[0] * STREAMS, (g[-1] + 1) * STREAMS))
        for g in groups
    ]
    out: list[Streams] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(listener.workers, 1), mp_context=spawn) as pool:  # starts no process before it maps
        found = pool.map(_rules, jobs) if listener.workers > 1 else map(_rules, jobs)
        for group, shown in zip(groups, found, strict=True):
            out.append(streams_of(shown, len(group)))
            progress(len(out) / len(jobs))
    return _joined(out)


def _rules(job: tuple[SpeakerBatch, NDArray[np.int64]]) -> FloatArray:
    speakers, seeds = job
    return StreamListener("rules").run(speakers, no_conditions(len(seeds)), seeds)


def ground_truth(material: Material, listener: StreamListener, progress: OnProgress) -> Streams:
    """The targets themselves: the best that the metrics can give."""
    targets = material.targets
    return Streams(targets.attributes[:, :STREAMS], targets.pose[:, :STREAMS], targets.faces)


SYSTEMS: Final[dict[str, Callable[[Material, StreamListener, OnProgress], Streams]]] = {
    f.__name__: f
    for f in (
        model, oracle, shuffled, mime, mime_perceived, nearest_neighbour, rules, policy, listener_mean, random,
        ground_truth,
    )
}  # fmt: skip


def in_mirror(face: FloatArray) -> FloatArray:
    """Coefficients (..., 58) as a mirror shows them. Gaze and lids stay out."""
    signs = np.ones(COEFFICIENT_COUNT, dtype=np.float32)
    signs[[ROTATION.start + 1, ROTATION.start + 2, INDEX["headX"]]] = -1.0
    signs[REFLEXES] = 0.0
    return np.asarray(face[..., mirrored_order()] * signs, dtype=np.float32)


def features(seen: SpeakerBatch) -> FloatArray:
    """What a speaker does, as perceived, (N, T // BLOCK, F): attributes, head, voice activity, loudness, contact."""
    face = attributes_of(np.where(seen.mesh[..., None], np.nan_to_num(seen.coefficients), 0.0))
    head = np.nan_to_num(seen.coefficients[..., ROTATION]) * seen.mesh[..., None]
    rest = (
        np.nan_to_num(seen.speech_probability) * seen.microphone,
        np.nan_to_num(seen.loudness_dbfs, nan=-100.0) * seen.microphone / 30.0,
        np.nan_to_num(seen.gaze[..., 2]) * seen.gaze_observed,
    )
    joined = np.concatenate([face, head, np.stack(rest, -1)], axis=-1)
    frames = joined.shape[1] // BLOCK * BLOCK
    return np.asarray(joined[:, :frames].reshape(len(joined), -1, BLOCK, joined.shape[-1]).mean(2), dtype=np.float32)


def _joined(parts: list[Streams]) -> Streams:
    faces = [p.faces for p in parts if p.faces is not None]
    return Streams(
        np.concatenate([p.attributes for p in parts]), np.concatenate([p.pose for p in parts]), np.concatenate(faces)
    )


TOLERANCE_S: Final = 1.0
"""Two nods within this of each other answer the same moment."""
SHIFTS: Final = 5
"""At so many other times the match by chance is measured."""


def nod_times(pitch: Array) -> list[Array]:
    """When each stream (N, T) of head pitch begins to nod, in seconds."""
    found = nods(pitch)
    return [found.start[found.row == row] / REACTION_RATE_HZ for row in range(len(pitch))]


def matched(first: Array, second: Array) -> int:
    """How many events of two sorted lists pair up one to one within TOLERANCE_S: the largest possible number."""
    i = j = count = 0
    while i < len(first) and j < len(second):
        gap = first[i] - second[j]
        if abs(gap) <= TOLERANCE_S:
            i, j, count = i + 1, j + 1, count + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    return count


def nod_match(predictions: list[Array], targets: list[Array]) -> float:
    """Sum over predictions of the mean F1 with the targets' nods. 0..K.

    F1 = 2 matched / (nods of the prediction + nods of the target). It is the mean over targets, not the best one: with
    a handful of nods each, the best of ten is met by chance. A pair without a nod on both sides counts 0, so that a
    still head earns nothing.
    """
    return sum(
        float(np.mean([2.0 * matched(mine, o) / max(len(mine) + len(o), 1) for o in targets])) for mine in predictions
    )


def nod_chance(predictions: list[Array], targets: list[Array], length_s: float) -> float:
    """What `nod_match` gives by chance to nods as many and as far apart: the predictions' own, moved in time. 0..K.

    Mean over up to SHIFTS moves around the clip of `length_s`, evenly spaced and beyond the tolerance; a clip of less
    than twice that is moved by its half.
    """
    count = max(1, min(SHIFTS, int(length_s / TOLERANCE_S) - 2))
    steps = length_s * np.arange(1, count + 1) / (count + 1)
    moved = ([np.sort((mine + step) % length_s) for mine in predictions] for step in steps)
    return float(np.mean([nod_match(times, targets) for times in moved]))


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


def score(
    streams: Streams, targets: Streams, *, workers: int = 1, progress: OnProgress = lambda share: None
) -> dict[str, Values]:
    """SPEAKER_FIGURES (N,) of K streams (N, K, T, ...) against M targets (N, M, T, ...) a speaker."""
    wanted = [nod_times(pitch) for pitch in targets.pose[..., _PITCH]]

    def one(n: int) -> list[float]:
        own, theirs = streams.attributes[n], targets.attributes[n]
        nods = nod_times(streams.pose[n][..., _PITCH])
        # FRC on the head's rotations, -K..K
        turns, match = measures.correlation(streams.pose[n], targets.pose[n]), nod_match(nods, wanted[n])
        seconds = streams.pose.shape[2] / REACTION_RATE_HZ
        chance = nod_chance(nods, wanted[n], seconds)
        rate = float(np.mean([len(x) for x in nods])) / (seconds / 60.0)
        return [
            measures.correlation(own, theirs), measures.distance(own, theirs), measures.diversity(own),
            measures.variance(own), turns + match, turns, match, chance, match - chance, turns + match - chance, rate,
        ]  # fmt: skip

    rows = []
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for row in pool.map(one, range(len(streams))):
            rows.append(row)
            progress(len(rows) / len(streams))
    return dict(zip(SPEAKER_FIGURES, np.array(rows, dtype=np.float64).T, strict=True))


def evaluate(
    listener: StreamListener, *, seed: int = 0, items: int = 200, seconds: float = 30.0,
    systems: Sequence[str] = tuple(SYSTEMS), bank: VoiceBank | None = None, emotions: float = 0.0,
    progress: OnProgress = lambda share: None, resamples: int = bootstrap.RESAMPLES,
) -> Study:  # fmt: skip
    """Run and score systems on a held-out set.

    Figures are those of `report`, with items, frames, seed and the simulator's hash; the pictures are of all systems,
    and of the speaker whose smile moves most with the first stream of each.

    Args:
        listener: the model; one without weights if it is not among the systems. So many threads or processes are used
            as it has workers.
        seed: another one, another set and other draws.
        items: speakers.
        seconds: of each.
        systems: names of SYSTEMS.
        bank: voices.
        emotions: share of the speakers who have emotional episodes.
        progress: receives the completed fraction.
        resamples: of the bootstrap.
    """
    frames = round(seconds * REACTION_RATE_HZ)
    material = make_material(seed, items, frames, bank, emotions=emotions)
    row = int(material.stimulus.smile.std(1).argmax())
    drawn = {"smile": material.stimulus.smile[row], "speech": material.stimulus.speech[row]}
    speakers = [f"speaker{n:04d}" for n in range(items)]
    shown, out, number = dict[str, dict[str, FloatArray]](), list[System](), material.number(BOOTSTRAP)
    draws = bootstrap.draws(number, items, resamples)
    for i, name in enumerate(systems):

        def share(done: float, first: float, i: int = i) -> None:
            progress((i + first + (LISTENS if not first else 1 - LISTENS) * done) / len(systems))

        streams = SYSTEMS[name](material, listener, lambda done: share(done, 0.0))
        values = score(streams, material.targets, workers=listener.workers, progress=lambda done: share(done, LISTENS))
        smile, pitch = streams.attributes[row, 0, :, _AU12].copy(), streams.pose[row, 0, :, _PITCH].copy()
        shown[name] = {"smile": smile, "pitch": pitch}
        faces = [] if streams.faces is None else list(streams.faces[:CURVES])
        out.append(System(
            name, STUDY_ROLES.get(name, "baseline"), values=values,
            figures={"FRDvs": between_speakers(measures.speaker_distances(streams.attributes), draws)},
            streams=dict(zip(speakers, faces, strict=False)),
        ))  # fmt: skip
    figures = report(out, draws)
    figures.update(items=items, frames=frames, seed=seed, simulator=simulator_hash(), emotions=emotions)
    pictures = {
        "systems.png": partial(plot_systems, figures, systems),
        "time_line.png": partial(plot_time_line, drawn, shown),
    }

    def result(info: Info) -> Result:
        rows = (Item(name, frames / REACTION_RATE_HZ, source="simulator") for name in speakers)
        curves = tuple(with_curves(item, material.perceived, n) for n, item in enumerate(rows))
        subject = SUBJECT if SUBJECT in systems else ""
        data, seeds = "Simulated speakers that no training has met", {"set": seed, "bootstrap": number}
        return Result(replace(info, data=data, seeds=seeds, subject=subject), curves, tuple(out))

    return Study(figures, pictures, result)


def report(systems: Sequence[System], weights: Values) -> dict[str, Any]:
    """The figures of every system with 95 % intervals, their skills, and whether the bands hold.

    Args:
        systems: with SPEAKER_FIGURES as values.
        weights: (B, N) of `bootstrap.draws`: all systems are drawn with the same speakers.

    Returns:
        {system: {figure, figure_low, figure_high}}, "skill": those of the model, and under its name those of every
        other system; "bands": {system: {band: bool, "all": bool}}. Skills need "oracle" and "shuffled".
    """
    result: dict[str, Any] = {system.name: row_of(system, weights) for system in systems}
    scores = {system.name: system.values for system in systems}
    if FLOOR not in scores or CEILING not in scores:
        return {**result, "skill": {}, "bands": {}}
    others = {name: s for name, s in scores.items() if name not in {FLOOR, CEILING}}
    skills = {name: _skills(s, scores[FLOOR], scores[CEILING], weights) for name, s in others.items()}
    mime_frd = result.get("mime", {}).get("FRD")
    bands = {name: bands_of(s, result[name]["FRD"], mime_frd) for name, s in skills.items()}
    return {**result, "skill": {**skills.pop(SUBJECT, {}), **skills}, "bands": bands}


def bands_of(skills: dict[str, float], frd: float, mime_frd: float | None) -> dict[str, bool]:
    """Which bands a system's skills keep; "FRD_below_mime" where the mime was run; "all" together."""
    kept = {name: bool(low <= skills[name] <= high) for name, (low, high) in BANDS.items()}
    kept["FRC_low"] = bool(skills["FRC_low"] > BANDS["FRC_low"][0])
    if mime_frd is not None:
        kept["FRD_below_mime"] = bool(frd < mime_frd)
    return {**kept, "all": all(kept.values())}


def _skills(
    own: Mapping[str, Values], floor: Mapping[str, Values], ceiling: Mapping[str, Values], weights: Values
) -> dict[str, float]:
    def skill(name: str, w: Values) -> Values:
        """0: the floor's; 1: the ceiling's; NaN where these are equal."""
        mine, least, most = (bootstrap.means(w, values[name]) for values in (own, floor, ceiling))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(most == least, np.nan, (mine - least) / (most - least)))

    def ratio(name: str, w: Values) -> Values:
        top, bottom = (bootstrap.means(w, values[name]) for values in (own, ceiling))
        return np.asarray(np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan))

    whole, out = np.ones((1, weights.shape[1])), dict[str, float]()
    for find, names, suffix in ((skill, SKILLS, ""), (ratio, RATIOS, "_ratio")):
        for name in names:
            low, high = bootstrap.interval(find(name, weights))
            out[f"{name}{suffix}"] = float(find(name, whole)[0])
            out |= {f"{name}{suffix}_low": low, f"{name}{suffix}_high": high}
    return out
