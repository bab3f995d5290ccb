"""`evaluate recordings`: a lab's own bags and videos, a recording at a time.

Two rounds of parts. *listen*: the recording is perceived once and listened to by every listener through the whole live
session. *score*: every row's figures, which need another recording for the shuffled control.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.runs import keep as kept
from reactdiff_ros.evaluation.runs.heard import perceive, shown
from reactdiff_ros.evaluation.runs.lab import Source
from reactdiff_ros.evaluation.runs.listening import Spec
from reactdiff_ros.evaluation.runs.measures import BEHAVIOUR, MOTION, measured
from reactdiff_ros.evaluation.runs.react import Rows, number, reference_arrays
from reactdiff_ros.evaluation.runs.scoring import MEASURES, score
from reactdiff_ros.evaluation.runs.work import Made, Part
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

BASELINES: Final = ("rules", "mime", "random")
"""Policies that wear the live face beside the listener under test."""
LATENCIES: Final = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
FIGURES: Final = tuple(dict.fromkeys((*MEASURES, *BEHAVIOUR, *MOTION, *LATENCIES, "frame_ms")))
LEAST_SEEN: Final = 0.3
"""Share of its frames in which a recorded listener must be seen to be a ground truth."""
_HERE: Final = "reactdiff_ros.evaluation.runs.recordings"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What a run does; plain data."""

    listeners: tuple[str, ...]
    weights: str = ""
    streams: int = 3
    """K: times that each listener listens to each recording, with other noise."""
    seed: int = 0

    def specs(self) -> list[Spec]:
        """The listeners that run: those under test, then the baselines."""
        return [Spec(text, self.weights) for text in dict.fromkeys((*self.listeners, *BASELINES))]


def listen_part(plan: LabPlan, source: Source, n: int) -> Part:
    """Every listener on one recording."""
    files = [source.speaker, *([source.listener] if source.listener else [])]
    arguments = {
        "speaker": str(source.speaker), "listener": None if source.listener is None else str(source.listener),
        "n": n, "listeners": [s.text for s in plan.specs()], "weights": plan.weights, "streams": plan.streams,
        "seed": plan.seed,
    }  # fmt: skip
    made_of = (*(str(f) for f in files), *(f for s in plan.specs() for f in s.files))
    return Part(f"listen-{source.id}", f"{_HERE}:make_streams", arguments, tuple(dict.fromkeys(made_of)))


def make_streams(
    speaker: str, listener: str | None, n: int, listeners: Sequence[str], weights: str, streams: int, seed: int
) -> Made:
    """See `listen_part`. A listener that fails is a note; the others' streams are kept."""
    known = perceive(Path(speaker), None if listener is None else Path(listener))
    batch, notes = known.speaker, list(known.notes)
    seen = (batch.confidence[0] > 0) & batch.mesh[0][:, None]
    face = np.where(seen, batch.coefficients[0], np.nan).astype(np.float32)
    arrays: dict[str, NDArray[Any]] = {
        "speaker": face,
        "speech": np.where(batch.microphone[0], batch.speech_probability[0], np.nan).astype(np.float32),
        "speaker_attributes": attributes_of(np.nan_to_num(face)),
    }
    facts: dict[str, Any] = {
        "frames": known.count, "seconds": known.count / REACTION_RATE_HZ, "listeners": {},
        "start_ns": known.first * 40_000_000,
        "perception_ms": 1e3 * known.perception_s / known.count, "face": float(batch.mesh.mean()),
        "voice": float(batch.microphone.mean()),
    }  # fmt: skip
    if known.truth is not None:
        _keep_truth(known.truth, arrays, notes)
    for spec in (Spec(text, weights) for text in listeners):
        try:
            all_ = [shown(known, spec, number(seed, n, k)) for k in range(streams)]
        except ReactdiffError as error:
            notes.append(f"{spec.name} did not listen: {error}")
            continue
        faces = np.stack([one.face for one in all_])
        arrays[f"attributes/{spec.name}"] = attributes_of(faces)
        arrays[f"faces/{spec.name}"] = faces
        arrays[f"compute/{spec.name}"] = np.concatenate([one.plan_s for one in all_])
        arrays[f"lag/{spec.name}"] = np.concatenate([one.lag_s for one in all_])
        total = sum(float(one.plan_s.sum()) for one in all_)
        facts["listeners"][spec.name] = {"frame_ms": 1e3 * total / (known.count * streams)}
    if not facts["listeners"]:
        raise ReactdiffError("; ".join(notes) or "nobody listened", where=speaker)
    if "truth_attributes" in arrays:
        truth = arrays["truth_attributes"]
        facts["mime"] = simple.mime_scores(arrays["speaker_attributes"], [truth], REACTION_RATE_HZ)
    return Made(facts, arrays, tuple(notes))


def _keep_truth(truth: FloatArray, arrays: dict[str, NDArray[Any]], notes: list[str]) -> None:
    share = float(np.isfinite(truth).any(1).mean())
    if share < LEAST_SEEN:
        notes.append(f"the recorded listener was seen in {share:.0%} of the time only and is no ground truth")
        return
    arrays["truth"] = truth
    arrays["truth_attributes"] = attributes_of(np.nan_to_num(_held(truth)))


def _held(values: FloatArray) -> FloatArray:
    """Frames in which nothing was observed repeat the last that was."""
    seen = np.isfinite(values).any(1)
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values)), 0))
    return np.asarray(values[last])


def score_part(plan: LabPlan, source: Source, n: int, own: str, other: str | None, means: str, lag_s: float) -> Part:
    """Every row's figures on one recording."""
    arguments = {
        "n": n, "own": own, "other": other, "means": means, "lag_s": lag_s, "streams": plan.streams,
        "seed": plan.seed, "subject": plan.specs()[0].name,
    }  # fmt: skip
    files = [own, *([other] if other else []), *([means] if means else [])]
    return Part(f"score-{source.id}", f"{_HERE}:make_scores", arguments, tuple(files))


def make_scores(
    n: int, own: str, other: str | None, means: str, lag_s: float, streams: int, seed: int, subject: str
) -> Made:
    """See `score_part`."""
    mine = kept.load(Path(own))
    theirs = None if other is None else kept.load(Path(other)) if other != own else _half_later(mine)
    speaker = mine.arrays["speaker"]
    facts: dict[str, dict[str, float]] = {}
    for name, told in mine.facts["listeners"].items():
        own_face = measured(speaker, mine.arrays[f"faces/{name}"], lag_s=mine.arrays[f"lag/{name}"])
        facts[name] = {**own_face, "frame_ms": told["frame_ms"]}
    if theirs is not None and f"faces/{subject}" in theirs.arrays:
        faces = np.stack([simple.fitted(face, len(speaker)) for face in theirs.arrays[f"faces/{subject}"]])
        facts[simple.SHUFFLED] = measured(speaker, faces, motion=False)
    if "truth" in mine.arrays:
        real = np.nan_to_num(_held(mine.arrays["truth"]))[None]
        facts[simple.GROUND_TRUTH] = measured(speaker, real, motion=False)
        _add_agreement(facts, n, mine, theirs, means, lag_s, streams, seed, subject)
    return Made({"rows": facts})


def _half_later(mine: Made) -> Made:
    """The same streams shifted by half their length, what is left over at the end going first."""
    streams = {k: a for k, a in mine.arrays.items() if k.startswith(("faces/", "attributes/"))}
    return Made(mine.facts, {k: np.roll(a, a.shape[1] // 2, axis=1) for k, a in streams.items()})


def _add_agreement(
    facts: dict[str, dict[str, float]], n: int, mine: Made, theirs: Made | None, means: str, lag_s: float,
    streams: int, seed: int, subject: str,
) -> None:  # fmt: skip
    """REACT's metrics against the one who really listened."""
    reference = kept.load(Path(means)) if means else Made()
    rows = Rows(REACTION_RATE_HZ, reference, streams, seed, lag_s, subject, _listener_of(reference))
    target = [mine.arrays["truth_attributes"]]
    for name, predictions in rows.of(n, mine, theirs).items():
        scores = score(predictions, target, mine.arrays["speaker_attributes"], REACTION_RATE_HZ, "default")
        facts[name] = {**scores, **facts.get(name, {})}


def _listener_of(reference: Made) -> Any:
    files: Mapping[str, str] = reference.facts.get("files", {})

    def read(m: int) -> FloatArray:
        return np.asarray(kept.load(Path(files[str(m)]), ("truth_attributes",)).arrays["truth_attributes"])

    return read


def reference_part(files: Mapping[int, str], groups: Mapping[int, str], count: int, streams: int) -> Part:
    """Means over the recorded listeners, and the nearest of their speakers for each recording of other people."""
    arguments = {
        "files_of": {str(n): f for n, f in files.items()}, "groups": {str(n): g for n, g in groups.items()},
        "count": count, "streams": streams,
    }  # fmt: skip
    return Part("reference", f"{_HERE}:make_reference", arguments, tuple(files.values()))


def make_reference(files_of: Mapping[str, str], groups: Mapping[str, str], count: int, streams: int) -> Made:
    """See `reference_part`."""
    speakers: list[FloatArray] = []

    def all_of_them() -> Iterator[tuple[str, FloatArray]]:
        for n, path in files_of.items():
            arrays = kept.load(Path(path), ("truth_attributes", "speaker_attributes")).arrays
            speakers.append(arrays["speaker_attributes"])
            yield groups[n], arrays["truth_attributes"]

    means = simple.means_of(all_of_them(), apart=True)
    frames = min(len(s) for s in speakers)
    rows = np.stack([simple.described(s, REACTION_RATE_HZ, frames) for s in speakers])
    index = np.array([int(n) for n in files_of])
    near = np.full((count, streams), -1, dtype=np.int64)
    row = [means.row[groups[str(n)]] if str(n) in groups else -1 for n in range(count)]
    for i, n in enumerate(index.tolist()):
        same = np.array([groups[str(m)] == groups[str(n)] for m in index.tolist()])
        if not same.all():
            near[n] = index[simple.nearest(rows[i][None], rows, same[None], streams)[0]]
    return Made({"files": dict(files_of)}, reference_arrays(means, row, near))
