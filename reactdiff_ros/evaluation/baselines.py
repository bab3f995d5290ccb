"""Everything that listens to the held-out speakers: the model, the simulator's own people, and baselines."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, attributes_of
from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, EYE_LOOK, INDEX, ROTATION, mirrored_order
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.listeners import policy_streams
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.model.weights import Weights
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.observation import appearance, observe
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import SLOW, Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

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
        self,
        draw: int,
        each: int,
        stimulus: Stimulus | None = None,
        speaker_of: NDArray[np.intp] | None = None,
        noise: int | None = None,
    ) -> FloatArray:
        """Coefficients (N * each, T, 58) of simulated people, the `each` of a speaker after each other.

        Args:
            draw: which people with which noise: the same draw, the same ones.
            each: people a speaker.
            stimulus: what they are told of the speakers; None: the truth.
            speaker_of: (N * each,) whom they listen to; None: their own speaker.
            noise: the draw of their noise; None: of `draw`.
        """
        rows = np.repeat(np.arange(self.items), each) if speaker_of is None else speaker_of
        told = (stimulus or self.stimulus).take(rows)
        return listen(told, self.temperaments(draw, each), self.number(draw if noise is None else noise)).coefficients


def make_material(
    seed: int, items: int, frames: int, bank: VoiceBank | None = None, *, listeners: int = 10
) -> Material:
    """The held-out set of a seed.

    Only worlds in which somebody talks, with camera and microphone at work: elsewhere there is nothing to couple to.

    Args:
        seed: the user's; another one, another set.
        items: N speakers.
        frames: T of 25 Hz.
        bank: voices; None: parametric ones.
        listeners: M appropriate listeners of each speaker.

    Raises:
        ReactdiffError: the simulator does not give that many such worlds.
    """
    speakers, perceived, shown = _conversations(purpose_seed("evaluate", seed, SPEAKERS), items, frames, bank)
    stimulus = stimulus_of(speakers, perceived.camera, perceived.microphone)
    number = purpose_seed("evaluate", seed, TARGETS)
    people = draw_temperaments(number, items * listeners, prior="natural")
    told = stimulus.take(np.repeat(np.arange(items), listeners))
    targets = streams_of(listen(told, people, number).coefficients, items)
    return Material(seed, speakers, perceived, shown, stimulus, targets)


def _conversations(
    seed: int, items: int, frames: int, bank: VoiceBank | None
) -> tuple[Speakers, SpeakerBatch, FloatArray]:
    drawn = _DRAWN_AT_ONCE * items
    for _ in range(_TRIES):
        everybody = make_speakers((seed, SPEAKERS), drawn, frames)
        batch = observe((seed, DEVICES), everybody, bank)
        working = [share.mean(1) >= WORKING for share in (batch.camera, batch.microphone, everybody.present)]
        rows = np.flatnonzero((everybody.kind <= SLOW) & np.logical_and.reduce(working))[:items]
        if len(rows) == items:
            shown, _ = appearance((seed, DEVICES), everybody)  # the same as `observe` has read
            return everybody.take(rows), batch.take(rows), shown[rows]
        drawn *= 2
    raise ReactdiffError("the simulator gives too few conversations", where=f"{items} items of {frames} frames")


MIME_LAGS_S: Final = tuple(np.arange(0.0, 2.01, 0.2).round(1).tolist())
BLOCK_S: Final = 0.4
"""Speakers are compared in blocks of this length."""


def late(attributes: FloatArray, lag_s: float, rate_hz: float) -> FloatArray:
    """(T, 25) shifted by `lag_s`; the first frame is held before."""
    frames = min(round(lag_s * rate_hz), len(attributes) - 1)
    return np.concatenate([np.repeat(attributes[:1], frames, 0), attributes[: len(attributes) - frames]])


def mime_scores(speaker: FloatArray, targets: Sequence[FloatArray], rate_hz: float) -> list[float]:
    """One prediction's FRC at each of MIME_LAGS_S; the best lag is that of the highest mean over a set."""
    out = []
    for lag_s in MIME_LAGS_S:
        own = late(speaker, lag_s, rate_hz)[None]
        out.append(max(correlation(own[:, : len(t)], t[None, : len(speaker)]) for t in targets))
    return out


def best_lag(scores: Sequence[Sequence[float]]) -> float:
    """The lag in seconds of the highest mean of `mime_scores` over the recordings of a set; the smallest of equals."""
    return MIME_LAGS_S[int(np.mean(np.array(scores, dtype=np.float64), axis=0).argmax())] if len(scores) else 0.0


def noise(count: int, frames: int, seed: int) -> FloatArray:
    """REACT's random baseline, (K, T, 25)."""
    return np.random.default_rng(seed).random((count, frames, ATTRIBUTE_COUNT), dtype=np.float32)


def times(one: FloatArray, count: int) -> FloatArray:
    """One prediction (T, 25) counted `count` times, (K, T, 25)."""
    return np.asarray(np.broadcast_to(one, (count, *one.shape)))


def fitted(sequence: FloatArray, frames: int) -> FloatArray:
    """A sequence (T', D) made `frames` long: cut, or its last frame held."""
    if len(sequence) >= frames:
        return sequence[:frames]
    return np.concatenate([sequence, np.repeat(sequence[-1:], frames - len(sequence), 0)])


@dataclass(slots=True)
class Mean:
    """Mean sequence and mean frame of listeners of any length, taken in one at a time."""

    total: NDArray[np.float64]
    count: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Mean:
        """Of no one."""
        return cls(np.zeros((0, ATTRIBUTE_COUNT)), np.zeros(0, dtype=np.int64))

    def add(self, attributes: FloatArray) -> None:
        """Take in one listener (T, 25)."""
        longer = len(attributes) - len(self.count)
        if longer > 0:
            self.total = np.pad(self.total, ((0, longer), (0, 0)))
            self.count = np.pad(self.count, (0, longer))
        self.total[: len(attributes)] += attributes
        self.count[: len(attributes)] += 1

    def without(self, others: Mean) -> Mean:
        """Of all but `others`, who were taken in as well; as long as anybody is left."""
        total, count = self.total.copy(), self.count.copy()
        total[: len(others.count)] -= others.total
        count[: len(others.count)] -= others.count
        left = int((count > 0).sum())
        return Mean(total[:left], count[:left])

    def sequence(self) -> FloatArray:
        """(T, 25) mean of those who were still there at each frame."""
        return np.asarray(self.total / np.maximum(self.count, 1)[:, None], dtype=np.float32)

    def frame(self) -> FloatArray:
        """(25,)."""
        return np.asarray(self.total.sum(0) / max(int(self.count.sum()), 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class MeanReactions:
    """Mean reactions, each of other people than those whom it is compared with."""

    sequences: FloatArray
    """(G, T, 25)."""
    frames: FloatArray
    """(G, 25)."""
    row: dict[str, int]
    """Which of them is for a group of people; a group that is not there takes the first."""


def means_of(listeners: Iterable[tuple[str, FloatArray]], *, apart: bool) -> MeanReactions:
    """Of listeners (group, (T, 25)); `apart`: for each group the mean of the others, for a set compared with itself.

    A group that is all there is has no others: its row is -1.
    """
    whole = Mean.empty()
    by_group: dict[str, Mean] = {}
    for group, attributes in listeners:
        whole.add(attributes)
        if apart:
            by_group.setdefault(group, Mean.empty()).add(attributes)
    found = {group: whole.without(own) for group, own in by_group.items()} if apart else {"": whole}
    left = {group: mean for group, mean in found.items() if len(mean.count)}
    length = max((len(mean.count) for mean in left.values()), default=0)
    sequences = [fitted(mean.sequence(), length) for mean in left.values()]
    row = {group: list(left).index(group) if group in left else -1 for group in found}
    return MeanReactions(
        np.array(sequences, dtype=np.float32).reshape(len(left), length, ATTRIBUTE_COUNT),
        np.array([mean.frame() for mean in left.values()], dtype=np.float32).reshape(len(left), ATTRIBUTE_COUNT),
        row,
    )


def described(speaker: FloatArray, rate_hz: float, frames: int) -> NDArray[np.float32]:
    """A speaker's attributes (T, 25) over the first `frames`, in means over blocks of 0.4 s, as one row."""
    block = max(round(BLOCK_S * rate_hz), 1)
    used = fitted(speaker, frames)[: max(frames // block, 1) * block]
    if len(used) < block:
        return np.asarray(used.mean(0), dtype=np.float32)
    return np.asarray(used.reshape(-1, block, ATTRIBUTE_COUNT).mean(1).ravel(), dtype=np.float32)


def nearest(
    rows: NDArray[np.float32], known: NDArray[np.float32], forbidden: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """For each row (N, F) the `count` nearest of `known` (M, F) by columns of unit spread, (N, count).

    `forbidden` (N, M) is never taken (the same people); where fewer are left, the nearest are repeated.
    """
    centre, spread = known.mean(0), known.std(0) + 1e-6
    a, b = (rows - centre) / spread, (known - centre) / spread
    gap = np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1)
    order = np.argsort(np.where(forbidden, np.inf, gap), axis=1, kind="stable")
    allowed = np.maximum((~forbidden).sum(1), 1)
    return np.stack([np.resize(order[n, : allowed[n]], count) for n in range(len(rows))])


def other_people(groups: Sequence[str]) -> list[int | None]:
    """For each recording another one, of other people (`groups`), whose stream stands in as the shuffled control.

    Half a set further on, so that neighbours in a list (clips of one conversation) are not met; None where there is
    no one else.
    """
    count = len(groups)
    out: list[int | None] = []
    for n in range(count):
        steps = [*range(max(count // 2, 1), count), *range(1, max(count // 2, 1))]
        out.append(next(((n + s) % count for s in steps if groups[(n + s) % count] != groups[n]), None))
    return out


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


@dataclass(slots=True)
class Setup:
    """With what the systems are run."""

    workers: int = 1
    """Threads or processes."""
    bank: VoiceBank | None = None
    weights: Weights | None = None
    """The model's; None: the system "model" cannot be run."""
    sampling: Sampling = field(default_factory=Sampling)


def model(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The model on its exported graphs: K streams a speaker, each from its own past, as the people of the oracle.

    Each is told the controls of one of those people, and the style as it shows while that one listens to somebody
    else, with other noise: what a reference clip of a person would tell.
    """
    assert means.weights is not None
    networks = Networks(means.weights)
    tokens = speaker_tokens(networks, material.perceived)
    controls = material.temperaments(ORACLE, STREAMS).controls
    elsewhere = material.listeners(ORACLE, STREAMS, speaker_of=other_speakers(material.items), noise=STYLE)
    people = replace(ordinary(len(controls), controls), **_style(elsewhere))
    seeds = np.arange(len(controls)) + (material.number(MODEL) >> 16)
    out: list[Streams] = []
    for first in range(0, material.items, _GROUP):
        told(first / material.items)
        speakers = np.arange(first, min(first + _GROUP, material.items))
        rows = np.arange(speakers[0] * STREAMS, (speakers[-1] + 1) * STREAMS)
        made = free_run(
            networks, tokens, people.take(rows), speaker_of=rows // STREAMS, seeds=seeds[rows],
            how=means.sampling, workers=means.workers,
        )  # fmt: skip
        out.append(streams_of(made, len(speakers)))
    return _joined(out)


def _style(coefficients: FloatArray) -> dict[str, FloatArray]:
    values, given = style_of(coefficients)
    return {"style": values.astype(np.float32), "style_given": given.astype(np.float32)}


def oracle(material: Material, means: Setup, told: OnProgress) -> Streams:
    """Fresh simulated listeners of the same speakers: what can be reached."""
    return streams_of(material.listeners(ORACLE, STREAMS), material.items)


def shuffled(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The oracle's listeners when they listen to other speakers: what is scored without listening to this one.

    The same people with the same noise as the oracle's, so that who they are cancels in the difference. The K streams
    of a speaker come from K other speakers, so that no single one decides.
    """
    return streams_of(material.listeners(ORACLE, STREAMS, speaker_of=other_speakers(material.items)), material.items)


def other_speakers(items: int) -> NDArray[np.intp]:
    """For each of K streams of each speaker another speaker, (items * K,); every speaker is met K times."""
    shift = 1 + (7 * np.arange(STREAMS)) % max(items - 1, 1)
    return np.asarray((np.arange(items)[:, None] + shift) % items).ravel()


def policy(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The oracle's listeners, told what perception delivers instead of the truth."""
    return streams_of(material.listeners(ORACLE, STREAMS, perceive(material.perceived)), material.items)


def listener_mean(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The mean of many listeners of the same speaker, K times: dull and sure."""
    total = np.zeros((material.items, material.frames, COEFFICIENT_COUNT), dtype=np.float32)
    made = material.listeners(MEAN, MEAN_OF)
    for start in range(0, material.items, _GROUP):
        part = made[start * MEAN_OF : (start + _GROUP) * MEAN_OF]
        total[start : start + _GROUP] = part.reshape(-1, MEAN_OF, *part.shape[1:]).mean(1)
    return copies(streams_of(total, material.items), STREAMS)


def mime(material: Material, means: Setup, told: OnProgress) -> Streams:
    """REACT's: the speaker's own face (the truth, as labels are) in the mirror, at the best lag; K times."""
    return _at_best_lag(material, in_mirror(material.shown), told)


def mime_perceived(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The same of the face as perceived: what a mirror on a robot could show."""
    return _at_best_lag(material, mirrored(material.perceived), told)


def _at_best_lag(material: Material, face: FloatArray, told: OnProgress) -> Streams:
    """A face (N, T, 58) at the lag whose attributes score best on this very set, K times."""
    targets = material.targets.attributes
    best, best_score = None, -np.inf
    for i, lag_s in enumerate(MIME_LAGS_S):
        told(i / len(MIME_LAGS_S))
        streams = streams_of(_late(face, round(lag_s * REACTION_RATE_HZ)), material.items)
        score = np.mean([correlation(own, t) for own, t in zip(streams.attributes, targets, strict=True)])
        if score > best_score:
            best, best_score = streams, float(score)
    assert best is not None
    return copies(best, STREAMS)


def nearest_neighbour(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The listeners of the K training speakers whose perceived features are nearest over the whole clip."""
    known = simulate(
        purpose_seed("train", material.seed, 0), TRAINING_SPEAKERS, material.frames, means.bank, prior="natural"
    )
    theirs, ours = features(known.speaker), features(material.perceived)
    centre, spread = theirs.mean((0, 1)), theirs.std((0, 1)) + 1e-6
    flat = [((f - centre) / spread).reshape(len(f), -1) for f in (ours, theirs)]
    gap = np.square(flat[0]).sum(1)[:, None] - 2 * flat[0] @ flat[1].T + np.square(flat[1]).sum(1)
    nearest = np.argsort(gap, axis=1, kind="stable")[:, :STREAMS]
    return streams_of(known.listener[nearest.ravel()], material.items)


def random(material: Material, means: Setup, told: OnProgress) -> Streams:
    """REACT's random baseline: uniform noise in 0..1 in every attribute of every frame (pose: within 0.3 rad)."""
    rng = np.random.default_rng(material.number(RANDOM_DRAW))
    shape = (material.items, STREAMS, material.frames)
    pose = rng.random((*shape, 3), dtype=np.float32) * np.float32(2 * RANDOM_POSE_RAD) - np.float32(RANDOM_POSE_RAD)
    return Streams(rng.random((*shape, ATTRIBUTE_COUNT), dtype=np.float32), pose)


def rules(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The live listener that follows rules, through its own class, frame by frame."""
    groups = [np.arange(s, min(s + 5, material.items)) for s in range(0, material.items, 5)]
    first = material.number(RULES_DRAW) >> 16
    jobs = [
        (material.perceived.take(np.repeat(g, STREAMS)), first + np.arange(g[0] * STREAMS, (g[-1] + 1) * STREAMS))
        for g in groups
    ]
    out: list[Streams] = []
    if means.workers <= 1:
        for i, job in enumerate(jobs):
            told(i / len(jobs))
            out.append(streams_of(_rules(job), len(groups[i])))
        return _joined(out)
    with ProcessPoolExecutor(means.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for i, made in enumerate(pool.map(_rules, jobs)):
            told((i + 1) / len(jobs))
            out.append(streams_of(made, len(groups[i])))
    return _joined(out)


def ground_truth(material: Material, means: Setup, told: OnProgress) -> Streams:
    """The targets themselves: the best that the metrics can give."""
    kept = slice(0, STREAMS)
    targets = material.targets
    return Streams(targets.attributes[:, kept], targets.pose[:, kept], targets.faces)


System = Callable[[Material, Setup, OnProgress], Streams]
SYSTEMS: Final[dict[str, System]] = {
    "model": model,
    "oracle": oracle,
    "shuffled": shuffled,
    "mime": mime,
    "mime_perceived": mime_perceived,
    "nearest_neighbour": nearest_neighbour,
    "rules": rules,
    "policy": policy,
    "listener_mean": listener_mean,
    "random": random,
    "ground_truth": ground_truth,
}


def in_mirror(face: FloatArray) -> FloatArray:
    """Coefficients (..., 58) as a mirror shows them. Gaze and lids stay out."""
    signs = np.ones(COEFFICIENT_COUNT, dtype=np.float32)
    signs[[ROTATION.start + 1, ROTATION.start + 2, INDEX["headX"]]] = -1.0
    signs[[*EYE_LOOK, *BLINK]] = 0.0
    return np.asarray(face[..., mirrored_order()] * signs, dtype=np.float32)


def mirrored(seen: SpeakerBatch) -> FloatArray:
    """A speaker's face as perceived, in the mirror, (N, T, 58); neutral where it was not observed."""
    return in_mirror(np.where((seen.confidence > 0) & seen.mesh[..., None], np.nan_to_num(seen.coefficients), 0.0))


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


def _late(values: FloatArray, frames: int) -> FloatArray:
    return np.concatenate([np.repeat(values[:, :1], frames, 1), values[:, : values.shape[1] - frames]], axis=1)


def _rules(job: tuple[SpeakerBatch, NDArray[np.int64]]) -> FloatArray:
    return policy_streams("rules", *job)


def _joined(parts: list[Streams]) -> Streams:
    faces = [p.faces for p in parts if p.faces is not None]
    return Streams(
        np.concatenate([p.attributes for p in parts]),
        np.concatenate([p.pose for p in parts]),
        np.concatenate(faces) if len(faces) == len(parts) else None,
    )
