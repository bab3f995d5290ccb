"""Everything that listens to the held-out speakers: the model, the simulator's own people, and baselines."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, attributes_of
from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, EYE_LOOK, INDEX, ROTATION, mirrored_order
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.evaluation.studies.frame_policies import policy_streams
from reactdiff_ros.evaluation.studies.material import (
    MEAN,
    MODEL,
    ORACLE,
    RANDOM,
    RULES,
    STYLE,
    Material,
    Streams,
    copies,
    streams_of,
)
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.model.weights import Weights
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Told = Callable[[float], None]
"""Is told the share of a piece of work that is done."""

STREAMS: Final = 10
"""K: streams of each listener for each speaker, as REACT asks."""
MEAN_OF: Final = 24
MIME_LAGS_S: Final = tuple(np.arange(0.0, 2.01, 0.2).round(1).tolist())
TRAINING_SPEAKERS: Final = 600
"""Dyads among which nearest neighbours are looked up."""
BLOCK: Final = 10
"""Frames that a speaker's features are averaged over for that."""
RANDOM_POSE_RAD: Final = 0.3
_GROUP: Final = 25
"""Speakers at a time, so that memory stays small and progress is seen."""


@dataclass(slots=True)
class Means:
    """With what the systems are run."""

    workers: int = 1
    """Threads or processes."""
    bank: VoiceBank | None = None
    weights: Weights | None = None
    """The model's; None: the system "model" cannot be run."""
    sampling: Sampling = field(default_factory=Sampling)


def live_sampling(*, steps: int | None = None, guidance: float | None = None, hop_s: float | None = None) -> Sampling:
    """The sampling of the live listener's settings, where nothing else is given."""
    live = ListenerConfig()
    hop = round((live.hop_s if hop_s is None else hop_s) * REACTION_RATE_HZ)
    return replace(
        Sampling(),
        steps=live.steps if steps is None else steps,
        guidance=live.guidance if guidance is None else guidance,
        hop=hop,
    )


def model(material: Material, means: Means, told: Told) -> Streams:
    """The model on its exported graphs: K streams a speaker, each from its own past, as the people of the oracle.

    Each is told the controls of one of those people, and the style as it shows while that one listens to somebody
    else, with other noise: what a reference clip of a person would tell.
    """
    assert means.weights is not None
    networks = Networks(means.weights)
    tokens = speaker_tokens(networks, material.perceived)
    controls = material.temperaments(ORACLE, STREAMS).controls
    elsewhere = material.listeners(ORACLE, STREAMS, speaker_of=others(material.items), noise=STYLE)
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


def oracle(material: Material, means: Means, told: Told) -> Streams:
    """Fresh simulated listeners of the same speakers: what can be reached."""
    return streams_of(material.listeners(ORACLE, STREAMS), material.items)


def shuffled(material: Material, means: Means, told: Told) -> Streams:
    """The oracle's listeners when they listen to other speakers: what is scored without listening to this one.

    The same people with the same noise as the oracle's, so that who they are cancels in the difference. The K streams
    of a speaker come from K other speakers, so that no single one decides.
    """
    return streams_of(material.listeners(ORACLE, STREAMS, speaker_of=others(material.items)), material.items)


def others(items: int) -> NDArray[np.intp]:
    """For each of K streams of each speaker another speaker, (items * K,); every speaker is met K times."""
    shift = 1 + (7 * np.arange(STREAMS)) % max(items - 1, 1)
    return np.asarray((np.arange(items)[:, None] + shift) % items).ravel()


def policy(material: Material, means: Means, told: Told) -> Streams:
    """The oracle's listeners, told what perception delivers instead of the truth."""
    return streams_of(material.listeners(ORACLE, STREAMS, perceive(material.perceived)), material.items)


def listener_mean(material: Material, means: Means, told: Told) -> Streams:
    """The mean of many listeners of the same speaker, K times: dull and sure."""
    total = np.zeros((material.items, material.frames, COEFFICIENT_COUNT), dtype=np.float32)
    made = material.listeners(MEAN, MEAN_OF)
    for start in range(0, material.items, _GROUP):
        part = made[start * MEAN_OF : (start + _GROUP) * MEAN_OF]
        total[start : start + _GROUP] = part.reshape(-1, MEAN_OF, *part.shape[1:]).mean(1)
    return copies(streams_of(total, material.items), STREAMS)


def mime(material: Material, means: Means, told: Told) -> Streams:
    """REACT's: the speaker's own face (the truth, as labels are) in the mirror, at the best lag; K times."""
    return _at_best_lag(material, in_mirror(material.shown), told)


def mime_perceived(material: Material, means: Means, told: Told) -> Streams:
    """The same of the face as perceived: what a mirror on a robot could show."""
    return _at_best_lag(material, mirrored(material.perceived), told)


def _at_best_lag(material: Material, face: FloatArray, told: Told) -> Streams:
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


def nearest_neighbour(material: Material, means: Means, told: Told) -> Streams:
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


def random(material: Material, means: Means, told: Told) -> Streams:
    """REACT's random baseline: uniform noise in 0..1 in every attribute of every frame (pose: within 0.3 rad)."""
    rng = np.random.default_rng(material.number(RANDOM))
    shape = (material.items, STREAMS, material.frames)
    pose = rng.random((*shape, 3), dtype=np.float32) * np.float32(2 * RANDOM_POSE_RAD) - np.float32(RANDOM_POSE_RAD)
    return Streams(rng.random((*shape, ATTRIBUTE_COUNT), dtype=np.float32), pose)


def rules(material: Material, means: Means, told: Told) -> Streams:
    """The live listener that follows rules, through its own class, frame by frame."""
    groups = [np.arange(s, min(s + 5, material.items)) for s in range(0, material.items, 5)]
    first = material.number(RULES) >> 16
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


def ground_truth(material: Material, means: Means, told: Told) -> Streams:
    """The targets themselves: the best that the metrics can give."""
    kept = slice(0, STREAMS)
    targets = material.targets
    return Streams(targets.attributes[:, kept], targets.pose[:, kept], targets.faces)


System = Callable[[Material, Means, Told], Streams]
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
