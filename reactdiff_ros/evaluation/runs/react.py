"""`evaluate react`: any listener on a split of REACT or MARS, beside the baselines, a recording at a time.

Three rounds of parts. *reference*: mean reactions and nearest neighbours of the reference split. *listen*: every
listener's K streams for one speaker. *score*: every row's figures for that speaker. Each part is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.recordings.extraction import voice_columns
from reactdiff_ros.evaluation.runs import keep as kept
from reactdiff_ros.evaluation.runs.listening import Spec, listen
from reactdiff_ros.evaluation.runs.scoring import score
from reactdiff_ros.evaluation.runs.sets import LONGEST, PublicSet, kind_of, reference_of
from reactdiff_ros.evaluation.runs.work import Made, Part, plain
from reactdiff_ros.recordings.datasets.files import DatasetError
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

STREAMS: Final = 10
"""K, as REACT asks."""
_NOISE: Final = 10_000
"""The number of the draw of the random baseline."""
_HERE: Final = "reactdiff_ros.evaluation.runs.react"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does; plain data, so that a part can carry it."""

    folder: str
    split: str
    listeners: tuple[str, ...]
    """As `--listener` takes them; the first is under test."""
    weights: str = ""
    names: tuple[str, ...] | None = None
    """FaceVerse's expression names."""
    voice: bool = True
    """Hear the speaker; without it the voice is unobserved."""
    streams: int = STREAMS
    seed: int = 0
    compat: str = "react2024"
    own_targets: bool = False
    """Only the recorded reaction is appropriate: no neighbour matrix is read."""

    def __post_init__(self) -> None:
        for name in ("listeners", "names"):  # lists, after a way through JSON
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))

    def chosen(self) -> PublicSet:
        """The split. Raises ReactdiffError where the folder has no layout that is known."""
        folder = Path(self.folder)
        return PublicSet(kind_of(folder, self.split), folder, self.split, self.names)

    def specs(self) -> list[Spec]:
        """The listeners that run, the rule-based baseline last where it is not under test itself."""
        texts = [*self.listeners, *([simple.RULES] if simple.RULES not in self.listeners else [])]
        return [Spec(text, self.weights) for text in dict.fromkeys(texts)]

    def targets(self, chosen: PublicSet) -> list[list[int]]:
        """Which listeners are appropriate for each speaker.

        Raises:
            ReactdiffError: the neighbour matrix is missing or wrong, or names none for a speaker.
        """
        if self.own_targets:
            return [[n] for n in range(len(chosen))]
        if chosen.kind == "mars":
            return chosen.target_lists()
        try:
            matrix = chosen.appropriate
        except DatasetError as error:
            raise ReactdiffError(
                error.what, where=str(error).partition("(")[2].partition(")")[0],
                todo="REACT's baseline code makes it (docs/react2024.md), or take --own-targets: only the recorded "
                "reaction counts then, which no published figure can be compared with",
            ) from error  # fmt: skip
        empty = np.flatnonzero(~matrix.any(1))
        if len(empty):
            raise ReactdiffError(
                f"the neighbour matrix names no reaction for {len(empty)} speakers",
                where=f"row {empty[0]}", todo="is it that of this split?",
            )  # fmt: skip
        return [np.flatnonzero(row).tolist() for row in matrix]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of the whole set before its speakers are scored."""

    lag_s: float
    """The mime's best."""
    means: str
    """File of the reference part."""
    streams: Mapping[int, str] = field(default_factory=dict)
    """File of the listen part of each recording."""
    other: Mapping[int, int | None] = field(default_factory=dict)
    """Whose stream is the shuffled control of each recording."""


# --- reference ---------------------------------------------------------------------------------------------------


def reference_part(plan: Plan, chosen: PublicSet) -> Part:
    """Mean reactions of the reference split, and the nearest of its speakers for each of the set's."""
    reference = reference_of(chosen)
    files = [reference.target_file(n) for n in range(len(reference))]
    if reference.split != chosen.split:
        files += [chosen.target_file(n) for n in range(len(chosen))]
    arguments = {"folder": plan.folder, "split": plan.split, "streams": plan.streams}
    return Part("reference", f"{_HERE}:make_reference", arguments, tuple(files))


def make_reference(folder: str, split: str, streams: int) -> Made:
    """See `reference_part`. Clips that cannot be read are left out, with a sentence each."""
    root = Path(folder)
    chosen = PublicSet(kind_of(root, split), root, split)
    reference = reference_of(chosen)
    same = reference.split == chosen.split
    notes: list[str] = []
    known: list[FloatArray] = []
    index: list[int] = []

    def readable() -> Iterator[tuple[str, FloatArray]]:
        for n in range(len(reference)):
            try:
                speaker, listener = reference.speaker_attributes(n), reference.listener_attributes(n)
            except DatasetError as error:
                notes.append(f"left out of the reference split: {error}")
                continue
            known.append(speaker)
            index.append(n)
            yield reference.group(n), listener

    means = simple.means_of(readable(), apart=same)
    if not known:
        raise ReactdiffError("nothing of the reference split can be read", where=str(root / reference.split))
    frames = min(LONGEST, int(np.median([len(s) for s in known])))
    rows = np.stack([simple.described(s, reference.rate_hz, frames) for s in known])
    theirs = [reference.group(n) for n in index]
    near = np.full((len(chosen), streams), -1, dtype=np.int64)
    for n in range(len(chosen)):
        try:
            own = simple.described(chosen.speaker_attributes(n), chosen.rate_hz, frames)
        except DatasetError:
            continue  # its listen part says so
        own_people = np.array([same and group == chosen.group(n) for group in theirs])
        if own_people.all():
            continue
        near[n] = np.array(index)[simple.nearest(own[None], rows, own_people[None], streams)[0]]
    if same:
        notes.append("there is no train split: means and neighbours are of the other people of the evaluated split")
    row = [means.row.get(chosen.group(n), 0) for n in range(len(chosen))]
    arrays = reference_arrays(means, row, near)
    return Made({"split": reference.split, "recordings": len(index)}, arrays, tuple(notes))


def reference_arrays(means: simple.Means, row: Sequence[int], near: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What `Rows` takes from a reference: mean reactions, which of them is whose, and nearest neighbours."""
    return {"sequence": means.sequences, "frame": means.frames, "row": np.array(row, dtype=np.int64), "near": near}


# --- listen ------------------------------------------------------------------------------------------------------


def listen_part(plan: Plan, chosen: PublicSet, n: int, targets: Sequence[int]) -> Part:
    """Every listener's streams for speaker `n`."""
    arguments = {
        "folder": plan.folder, "split": plan.split, "n": n, "targets": list(targets), "streams": plan.streams,
        "seed": plan.seed, "listeners": [s.text for s in plan.specs()], "weights": plan.weights,
        "names": None if plan.names is None else list(plan.names), "voice": plan.voice,
    }  # fmt: skip
    files = (*chosen.files(n), *(f for s in plan.specs() for f in s.files))
    return Part(f"listen-{n:05d}", f"{_HERE}:make_streams", arguments, tuple(dict.fromkeys(files)))


def make_streams(
    folder: str, split: str, n: int, targets: Sequence[int], streams: int, seed: int, listeners: Sequence[str],
    weights: str, names: Sequence[str] | None, voice: bool,
) -> Made:  # fmt: skip
    """See `listen_part`. A listener that fails is a note; the others' streams are kept."""
    root = Path(folder)
    chosen = PublicSet(kind_of(root, split), root, split, None if names is None else tuple(names))
    recording = chosen.recording(n, voice_columns if voice else None)
    speaker, truth = chosen.speaker_attributes(n), chosen.listener_attributes(n)
    frames = min(len(speaker), len(truth))
    arrays: dict[str, NDArray[Any]] = {
        "speaker_attributes": speaker[:frames],
        "truth_attributes": truth[:frames],
        "speaker": _shown(recording.speaker.coefficients[0], recording.speaker.confidence[0] > 0),
        "truth": _shown(recording.listener, recording.observed),
        "speech": np.where(recording.speaker.microphone[0], recording.speaker.speech_probability[0], np.nan),
    }
    facts: dict[str, Any] = {"frames": frames, "seconds": frames / chosen.rate_hz, "listeners": {}}
    known, notes = _targets(chosen, targets)
    facts["mime"] = simple.mime_scores(speaker[:frames], known, chosen.rate_hz) if known else []
    seeds = [number(seed, n, k) for k in range(streams)]
    for spec in (Spec(text, weights) for text in listeners):
        try:
            heard = listen(spec, recording.speaker, seeds)
        except ReactdiffError as error:
            notes.append(f"{spec.name} did not listen: {error}")
            continue
        attributes = at_rate(attributes_of(heard.streams), chosen.rate_hz, frames)
        arrays[f"attributes/{spec.name}"] = attributes
        arrays[f"stream/{spec.name}"] = heard.streams[0]
        arrays[f"compute/{spec.name}"] = heard.compute_s
        facts["listeners"][spec.name] = {
            "frame_ms": heard.frame_ms,
            "look_ahead_s": plain(np.array([heard.look_ahead_s]))[0],
        }
    if not facts["listeners"]:
        raise ReactdiffError("; ".join(notes) or "nobody listened", where=chosen.id(n))
    return Made(facts, arrays, tuple(notes))


def number(seed: int, n: int, k: int) -> int:
    """A number of its own for each stream of each recording, the same whatever else is in the run."""
    return int(np.random.SeedSequence([seed, n, k]).generate_state(1)[0] >> 1)


def at_rate(attributes: FloatArray, rate_hz: float, frames: int) -> FloatArray:
    """(K, T, 25) at 25 Hz as `frames` frames at `rate_hz`, linearly between frames."""
    if rate_hz == REACTION_RATE_HZ and attributes.shape[1] >= frames:
        return attributes[:, :frames]
    position = np.minimum(np.arange(frames) * REACTION_RATE_HZ / rate_hz, attributes.shape[1] - 1)
    low = position.astype(int)
    high = np.minimum(low + 1, attributes.shape[1] - 1)
    share = (position - low)[:, None].astype(np.float32)
    return np.asarray(attributes[:, low] * (1 - share) + attributes[:, high] * share, dtype=np.float32)


def _shown(values: FloatArray, observed: NDArray[np.bool_]) -> FloatArray:
    return np.where(observed, values, np.nan).astype(np.float32)


def _targets(chosen: PublicSet, targets: Sequence[int]) -> tuple[list[FloatArray], list[str]]:
    found, notes = [], []
    for m in targets:
        try:
            found.append(chosen.listener_attributes(m))
        except DatasetError as error:
            notes.append(f"an appropriate reaction was left out: {error}")
    return found, notes


# --- score -------------------------------------------------------------------------------------------------------


def score_part(plan: Plan, chosen: PublicSet, n: int, targets: Sequence[int], numbers: Numbers) -> Part:
    """Every row's figures for speaker `n`."""
    other = numbers.other.get(n)
    arguments = {
        "folder": plan.folder, "split": plan.split, "n": n, "targets": list(targets), "streams": plan.streams,
        "seed": plan.seed, "compat": plan.compat, "subject": plan.specs()[0].name, "lag_s": numbers.lag_s,
        "own": numbers.streams[n], "other": None if other is None else numbers.streams[other], "means": numbers.means,
    }  # fmt: skip
    files = (*(chosen.target_file(m) for m in targets), numbers.streams[n], numbers.means)
    if other is not None:
        files = (*files, numbers.streams[other])
    return Part(f"score-{n:05d}", f"{_HERE}:make_scores", arguments, files)


def make_scores(
    folder: str, split: str, n: int, targets: Sequence[int], streams: int, seed: int, compat: str, subject: str,
    lag_s: float, own: str, other: str | None, means: str,
) -> Made:  # fmt: skip
    """See `score_part`."""
    root = Path(folder)
    chosen = PublicSet(kind_of(root, split), root, split)
    known, notes = _targets(chosen, targets)
    if not known:
        raise ReactdiffError("not one appropriate reaction can be read", where=chosen.id(n))
    mine = kept.load(Path(own))
    speaker = mine.arrays["speaker_attributes"]
    rows = Rows.of_set(chosen, kept.load(Path(means)), streams, seed, lag_s, subject)
    facts = {
        name: score(predictions, known, speaker, chosen.rate_hz, compat)
        for name, predictions in rows.of(n, mine, None if other is None else kept.load(Path(other))).items()
    }
    if compat == "mars":  # The challenge forces it: a channel that never moves would count 0 otherwise.
        facts[simple.GROUND_TRUTH]["FRC"] = float(streams)
    return Made({"rows": facts}, {}, tuple(notes))


@dataclass(slots=True)
class Rows:
    """The predictions (K, T, 25) of every row of the table for one speaker after another."""

    rate_hz: float
    reference: Made
    """With the arrays of `reference_arrays`, or none."""
    streams: int
    seed: int
    lag_s: float
    """The mime's."""
    subject: str
    listener_of: Callable[[int], FloatArray]
    """(T, 25) of a listener by its number in "near"."""
    known: dict[int, FloatArray] | None = None
    """Listeners that were read; None: none is remembered."""

    @classmethod
    def of_set(
        cls, chosen: PublicSet, reference: Made, streams: int, seed: int, lag_s: float, subject: str
    ) -> Rows:  # fmt: skip
        """Of a public set."""
        others = PublicSet(chosen.kind, chosen.folder, str(reference.facts["split"]))
        return cls(chosen.rate_hz, reference, streams, seed, lag_s, subject, others.listener_attributes)

    def of(self, n: int, mine: Made, other: Made | None) -> dict[str, FloatArray]:
        """By name; a row that cannot be made for this speaker is not there."""
        frames = int(mine.facts["frames"])

        def many(one: FloatArray) -> FloatArray:
            return simple.times(simple.fitted(one, frames), self.streams)

        rows = {name: mine.arrays[f"attributes/{name}"] for name in mine.facts["listeners"]}
        rows[simple.GROUND_TRUTH] = many(mine.arrays["truth_attributes"])
        rows[simple.MIME] = many(simple.late(mine.arrays["speaker_attributes"], self.lag_s, self.rate_hz))
        rows[simple.RANDOM] = simple.noise(self.streams, frames, number(self.seed, n, _NOISE))
        if "sequence" in self.reference.arrays:
            row = int(self.reference.arrays["row"][n])
            if row >= 0:
                rows[simple.MEAN_SEQUENCE] = many(self.reference.arrays["sequence"][row])
                rows[simple.MEAN_FRAME] = many(self.reference.arrays["frame"][row][None])
            near = self.reference.arrays["near"][n]
            if (near >= 0).all():
                rows[simple.NEAREST] = np.stack([simple.fitted(self._listener(int(m)), frames) for m in near])
        theirs = None if other is None else other.arrays.get(f"attributes/{self.subject}")
        if theirs is not None:
            rows[simple.SHUFFLED] = np.stack([simple.fitted(one, frames) for one in theirs])
        return rows

    def _listener(self, m: int) -> FloatArray:
        if self.known is None:
            return self.listener_of(m)
        if m not in self.known:
            self.known[m] = self.listener_of(m)
        return self.known[m]
