"""The rounds of `evaluate react` put together: parts, tables, result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.extraction import voice_columns
from reactdiff_ros.evaluation.listeners import Spec, listen_to
from reactdiff_ros.evaluation.metrics.events import interpolated
from reactdiff_ros.evaluation.metrics.react import target_lists
from reactdiff_ros.evaluation.results import Info, Item
from reactdiff_ros.evaluation.runs import parts as kept
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, describe
from reactdiff_ros.evaluation.runs.scoring import (
    MEASURES,
    Online,
    RunContext,
    RunOutcome,
    concluded,
    done_parts,
    reference_file,
    score,
)
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.recording import DatasetError, Files, Recording
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Kind = Literal["react", "mars"]
RATES_HZ: Final[dict[str, float]] = {"react": public.REACT_RATE_HZ, "mars": public.MARS_RATE_HZ}
LONGEST: Final = 750
"""REACT's clips have 751 frames, of which the challenge scores 750."""


def kind_of(folder: Path, split: str) -> Kind:
    """Which layout a folder has.

    Raises:
        ReactdiffError: neither.
    """
    if (folder / f"{split}.csv").is_file():
        return "react"
    if (folder / split / "facial-attributes").is_dir():
        return "mars"
    raise ReactdiffError(
        f"this is neither REACT's layout ({split}.csv) nor MARS's ({split}/facial-attributes)", where=str(folder),
        todo="docs/react2024.md says where each file goes",
    )  # fmt: skip


@dataclass(frozen=True)
class PublicSet:
    """One split. Everything is read when it is asked for; nothing is kept but the list."""

    kind: Kind
    folder: Path
    split: str
    names: tuple[str, ...] | None = None
    """FaceVerse's expression names; None: only the head is observed."""

    @cached_property
    def entries(self) -> Sequence[Any]:
        """The split's list, both roles: `public.ClipPair` or `public.Item`."""
        if self.kind == "react":
            return public.pairs(self.folder, self.split)
        return public.items(self.folder, self.split)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def rate_hz(self) -> float:
        """Frames a second of its attributes."""
        return RATES_HZ[self.kind]

    def id(self, n: int) -> str:
        """Name of a recording: the speaker's clip."""
        entry = self.entries[n]
        if isinstance(entry, public.ClipPair):
            return entry.speaker
        return f"{entry.role}/{entry.session}/{entry.file}"

    def group(self, n: int) -> str:
        """The two people, as far as the set names them."""
        return str(self.entries[n].pair)

    @cached_property
    def appropriate(self) -> NDArray[np.bool_]:
        """REACT: (N, N) which listeners are appropriate for which speaker.

        Raises:
            DatasetError: the neighbour matrix is missing or malformed.
        """
        return public.neighbours(self.folder, self.split)

    def target_lists(self) -> list[list[int]]:
        """MARS: the own listener's reaction and nine more of the session, drawn with the challenge's seed."""
        out: list[list[int]] = [[] for _ in self.entries]
        for role in public.ROLES:
            rows = [n for n, item in enumerate(self.entries) if item.role == role]
            found = target_lists([self.entries[n].session for n in rows], [self.entries[n].file for n in rows])
            for n, chosen in zip(rows, found, strict=True):
                out[n] = list(dict.fromkeys(rows[i] for i in chosen))
        return out

    def speaker_attributes(self, n: int) -> FloatArray:
        """(T, 25) labels of the speaker, at `rate_hz`. Raises DatasetError."""
        return self._attributes(n, speaking=True)

    def listener_attributes(self, n: int) -> FloatArray:
        """(T, 25) labels of the one who listened. Raises DatasetError."""
        return self._attributes(n, speaking=False)

    def _attributes(self, n: int, *, speaking: bool) -> FloatArray:
        found = self._files(n)
        assert found.attributes is not None
        assert found.attributes_of is not None
        values = found.attributes_of(found.attributes[0 if speaking else 1])
        return values[:LONGEST] if self.kind == "react" else values

    def recording(self, n: int, voice_of: Any) -> Recording:
        """The speaker as perception would tell of them, and the listener, at 25 Hz. Raises DatasetError."""
        return public.recording_of(self.folder, self.entries[n], self.split, names=self.names, voice_of=voice_of)

    def files(self, n: int) -> tuple[str, ...]:
        """The files that recording `n` is made of, whether they are there or not."""
        found = self._files(n)
        return tuple(str(path) for path in (*found.faces, *(found.attributes or ()), found.sound))

    def target_file(self, n: int) -> str:
        """The file of `listener_attributes`."""
        return str((self._files(n).attributes or ("", ""))[1])

    def _files(self, n: int) -> Files:
        found: Files = self.entries[n].files(self.folder, self.split)
        return found


def reference_of(chosen: PublicSet) -> PublicSet:
    """The split that means and nearest neighbours are taken from: train where it is there, else the set itself."""
    try:
        found = PublicSet(kind_of(chosen.folder, "train"), chosen.folder, "train", chosen.names)
        return found if len(found) and found.kind == chosen.kind else chosen
    except (DatasetError, ReactdiffError):
        return chosen


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

    def chosen(self) -> PublicSet:
        """The split. Raises ReactdiffError where the folder has no layout that is known."""
        folder = Path(self.folder)
        return PublicSet(kind_of(folder, self.split), folder, self.split, self.names)

    def specs(self) -> list[Spec]:
        """The listeners that run, the rule-based baseline last where it is not under test itself."""
        return [Spec(text, self.weights) for text in dict.fromkeys((*self.listeners, rows_of.RULES))]

    def part(self, name: str, make: str, files: Iterable[str], without: Sequence[str] = (), **more: Any) -> Part:
        """A part of the run that depends on all fields but `without`, and on `more`."""
        settings = {name: value for name, value in asdict(self).items() if name not in without}
        return Part(name, f"{_HERE}:{make}", {**settings, **more}, tuple(dict.fromkeys(files)))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Plan:
        """The plan of a part's arguments."""
        given: dict[str, Any] = {"listeners": (), **settings}
        given |= {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
        return cls(**given)

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


def reference_part(plan: Plan, chosen: PublicSet) -> Part:
    """Mean reactions of the reference split, and the nearest of its speakers for each of the set's."""
    reference = reference_of(chosen)
    files = [reference.target_file(n) for n in range(len(reference))]
    if reference.split != chosen.split:
        files += [chosen.target_file(n) for n in range(len(chosen))]
    unused = ("listeners", "weights", "names", "voice", "seed", "compat", "own_targets")
    return plan.part("reference", "make_reference", files, unused)


def make_reference(**settings: Any) -> PartResult:
    """See `reference_part`. Clips that cannot be read are left out, with a sentence each."""
    plan = Plan.of(settings)
    chosen = plan.chosen()
    reference = reference_of(chosen)
    same = reference.split == chosen.split
    notes: list[str] = []
    known: dict[int, FloatArray] = {}

    def readable() -> Iterator[tuple[str, FloatArray]]:
        for n in range(len(reference)):
            try:
                speaker, listener = reference.speaker_attributes(n), reference.listener_attributes(n)
            except DatasetError as error:
                notes.append(f"left out of the reference split: {error}")
                continue
            known[n] = speaker
            yield reference.group(n), listener

    arrays, means_row = simple.mean_reactions(readable(), apart=same)
    if not known:
        raise ReactdiffError("nothing of the reference split can be read", where=str(chosen.folder / reference.split))
    frames = min(LONGEST, int(np.median([len(s) for s in known.values()])))
    rows = np.stack([simple.block_means(s, reference.rate_hz, frames) for s in known.values()])
    index, groups = np.array(list(known)), [reference.group(n) for n in known]
    near = np.full((len(chosen), plan.streams), -1, dtype=np.int64)
    for n in range(len(chosen)):
        try:
            own = simple.block_means(chosen.speaker_attributes(n), chosen.rate_hz, frames)
        except DatasetError:
            continue  # its listen part says so
        own_people = np.array([same and group == chosen.group(n) for group in groups])
        if not own_people.all():
            near[n] = index[simple.nearest(own, rows, own_people, plan.streams)]
    if same:
        notes.append("there is no train split: means and neighbours are of the other people of the evaluated split")
    arrays |= {"near": near, "row": np.array([means_row.get(chosen.group(n), 0) for n in range(len(chosen))])}
    return PartResult({"split": reference.split, "recordings": len(index)}, arrays, tuple(notes))


def listen_part(plan: Plan, chosen: PublicSet, n: int, targets: Sequence[int]) -> Part:
    """Every listener's streams for speaker `n`."""
    files = (*chosen.files(n), *(f for s in plan.specs() for f in s.files))
    unused = ("compat", "own_targets")
    return plan.part(f"listen-{n:05d}", "make_streams", files, unused, n=n, targets=list(targets))


def make_streams(n: int, targets: Sequence[int], **settings: Any) -> PartResult:
    """See `listen_part`. A listener that fails is a note; the others' streams are kept."""
    plan = Plan.of(settings)
    chosen = plan.chosen()
    recording = chosen.recording(n, voice_columns if plan.voice else None)
    speaker, truth = chosen.speaker_attributes(n), chosen.listener_attributes(n)
    frames = min(len(speaker), len(truth))
    arrays: dict[str, NDArray[Any]] = {
        "speaker_attributes": speaker[:frames],
        "truth_attributes": truth[:frames],
        "speaker": _shown(recording.speaker.coefficients[0], recording.speaker.confidence[0] > 0),
        "truth": _shown(recording.listener, recording.observed),
        "speech": np.where(recording.speaker.microphone[0], recording.speaker.speech_probability[0], np.nan),
    }
    known, notes = _targets(chosen, targets)
    facts: dict[str, Any] = {
        "frames": frames, "seconds": frames / chosen.rate_hz, "listeners": {},
        "mime": simple.mime_scores(speaker[:frames], known, chosen.rate_hz) if known else [],
    }  # fmt: skip
    seeds = [number(plan.seed, n, k) for k in range(plan.streams)]
    for spec in plan.specs():
        try:
            heard = listen_to(spec, recording.speaker, seeds)
        except ReactdiffError as error:
            notes.append(f"{spec.name} did not listen: {error}")
            continue
        arrays[f"attributes/{spec.name}"] = at_rate(attributes_of(heard.streams), chosen.rate_hz, frames)
        arrays[f"stream/{spec.name}"] = heard.streams[0]
        arrays[f"compute/{spec.name}"] = heard.compute_s
        facts["listeners"][spec.name] = {"frame_ms": heard.frame_ms}
    if not facts["listeners"]:
        raise ReactdiffError("; ".join(notes) or "no one listened", where=chosen.id(n))
    return PartResult(facts, arrays, tuple(notes))


def number(seed: int, n: int, k: int) -> int:
    """The seed of each stream of each recording, the same whatever else is in the run."""
    return int(np.random.SeedSequence([seed, n, k]).generate_state(1)[0] >> 1)


def at_rate(attributes: FloatArray, rate_hz: float, frames: int) -> FloatArray:
    """(K, T, 25) at 25 Hz as `frames` frames at `rate_hz`, linearly between frames."""
    if rate_hz == REACTION_RATE_HZ and attributes.shape[1] >= frames:
        return attributes[:, :frames]
    position = np.minimum(np.arange(frames) * REACTION_RATE_HZ / rate_hz, attributes.shape[1] - 1)
    return np.asarray(interpolated(attributes, position, 1, np.float32), dtype=np.float32)


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


def make_scores(
    n: int, targets: Sequence[int], own: str, other: str | None, means: str, lag_s: float, **settings: Any
) -> PartResult:
    """Every row's figures for speaker `n`.

    Args:
        n: number of the speaker.
        targets: numbers of the appropriate reactions.
        own: file of the speaker's listen part.
        other: file of the listen part whose stream is the shuffled control.
        means: file of the reference part.
        lag_s: the mime's best lag.
        settings: of `Plan`.
    """
    plan = Plan.of(settings)
    chosen = plan.chosen()
    known, notes = _targets(chosen, targets)
    if not known:
        raise ReactdiffError("not one appropriate reaction can be read", where=chosen.id(n))
    mine = kept.load(Path(own))
    speaker = mine.arrays["speaker_attributes"]
    rows = Rows.of_set(chosen, kept.load(Path(means)), plan, lag_s)
    facts = {
        name: score(predictions, known, speaker, chosen.rate_hz, plan.compat)
        for name, predictions in rows.of(n, mine, None if other is None else kept.load(Path(other))).items()
    }
    if plan.compat == "mars":  # The challenge forces it: a channel that never moves would count 0 otherwise.
        facts[rows_of.GROUND_TRUTH]["FRC"] = float(plan.streams)
    for name, times in mine.facts["listeners"].items():
        facts[name]["frame_ms"] = times["frame_ms"]
    return PartResult({"rows": facts}, {}, tuple(notes))


@dataclass(slots=True)
class Rows:
    """The predictions (K, T, 25) of every row of the table for one speaker after another."""

    rate_hz: float
    reference: PartResult
    """With the arrays "sequence", "frame", "row" and "near", or none."""
    streams: int
    seed: int
    lag_s: float
    """The mime's."""
    subject: str
    listener_of: Callable[[int], FloatArray]
    """(T, 25) of a listener by its number in "near"."""

    @classmethod
    def of_set(cls, chosen: PublicSet, reference: PartResult, plan: Plan, lag_s: float) -> Rows:
        """Of a public set."""
        others = PublicSet(chosen.kind, chosen.folder, str(reference.facts["split"]))
        subject = plan.specs()[0].name
        return cls(chosen.rate_hz, reference, plan.streams, plan.seed, lag_s, subject, others.listener_attributes)

    def of(self, n: int, mine: PartResult, other: PartResult | None) -> dict[str, FloatArray]:
        """By name; a row that cannot be made for this speaker is not there."""
        frames = int(mine.facts["frames"])

        def many(one: FloatArray) -> FloatArray:
            one = simple.fitted(one, frames)
            return np.asarray(np.broadcast_to(one, (self.streams, *one.shape)))

        rows = {name: mine.arrays[f"attributes/{name}"] for name in mine.facts["listeners"]}
        rows[rows_of.GROUND_TRUTH] = many(mine.arrays["truth_attributes"])
        rows[rows_of.MIME] = many(simple.late_by(mine.arrays["speaker_attributes"], self.lag_s, self.rate_hz))
        rows[rows_of.RANDOM] = simple.noise(self.streams, frames, number(self.seed, n, _NOISE))
        if "sequence" in self.reference.arrays:
            row = int(self.reference.arrays["row"][n])
            if row >= 0:
                rows[rows_of.MEAN_SEQUENCE] = many(self.reference.arrays["sequence"][row])
                rows[rows_of.MEAN_FRAME] = many(self.reference.arrays["frame"][row][None])
            near = self.reference.arrays["near"][n]
            if (near >= 0).all():
                rows[rows_of.NEAREST] = np.stack([simple.fitted(self.listener_of(int(m)), frames) for m in near])
        theirs = None if other is None else other.arrays.get(f"attributes/{self.subject}")
        if theirs is not None:
            rows[rows_of.SHUFFLED] = np.stack([simple.fitted(one, frames) for one in theirs])
        return rows


def run_react(plan: Plan, context: RunContext, info: Info, online: Online | None = None) -> RunOutcome:
    """Evaluate a split.

    Args:
        plan: what is run on what.
        context: where parts are stored, and with how many processes they are done.
        info: the head of the result, whose data, failures and settings are filled in here.
        online: what listeners declare.

    Raises:
        ReactdiffError: the set has no layout that is known, its neighbour matrix is missing, or nothing worked.
    """
    chosen, keep, failed = plan.chosen(), context.keep, dict[str, str]()
    targets = plan.targets(chosen)
    means = reference_file(context, reference_part(plan, chosen))
    listening = {n: listen_part(plan, chosen, n, targets[n]) for n in range(len(chosen))}
    heard, before = done_parts(context, "listening", listening, chosen.id, failed)
    files = {n: str(keep.path(part)) for n, part in heard.items()}
    mime = [keep.load(part, ()).facts["mime"] for part in heard.values()]
    lag_s = simple.best_lag([scores for scores in mime if scores])
    there = list(heard)
    others = [None if i is None else there[i] for i in simple.other_people([chosen.group(n) for n in there])]
    other = dict(zip(there, others, strict=True))
    scoring = {}
    for n, own in files.items():
        m = other[n]
        control = None if m is None else files[m]
        read = (*(chosen.target_file(t) for t in targets[n]), own, means, *([control] if control else []))
        scoring[n] = plan.part(
            f"score-{n:05d}", "make_scores", read, n=n, targets=targets[n], own=own, other=control, means=means,
            lag_s=lag_s,
        )  # fmt: skip
    scored, _ = done_parts(context, "scoring", scoring, chosen.id, failed)

    reference = kept.load(Path(means))
    rows = Rows.of_set(chosen, reference, plan, lag_s)
    rows.listener_of = cache(rows.listener_of)

    def item(n: int, mine: PartResult, notes: tuple[str, ...], curves: bool) -> Item:
        a = mine.arrays
        return Item(
            id=chosen.id(n), seconds=float(mine.facts["seconds"]), group=chosen.group(n),
            source=f"{chosen.kind}/{chosen.split}", speaker=a["speaker"] if curves else None,
            speech=a["speech"].astype(np.float32) if curves else None, truth=a["truth"] if curves else None,
            notes=notes,
        )  # fmt: skip

    def predictions(n: int, mine: PartResult) -> dict[str, FloatArray]:
        m = other[n]
        return rows.of(n, mine, None if m is None else keep.load(heard[m]))

    settings = {
        **info.settings, "split": chosen.split, "streams": plan.streams, "mime_lag_s": lag_s, "voice": plan.voice,
        "own_targets": plan.own_targets, "expression_names": plan.names is not None, **describe(context.resources),
        "attributes": "projection of the listener's coefficients; the labels' own networks are not run",
    }  # fmt: skip
    head = replace(
        info, data=f"{chosen.kind.upper()}, {chosen.split} split, {len(chosen)} directions", compat=plan.compat,
        subject=plan.specs()[0].name, settings=settings,
    )  # fmt: skip
    ran = concluded(
        context, head, heard, scored, measures=(*MEASURES, "frame_ms"), always=MEASURES,
        listeners=[spec.name for spec in plan.specs() if spec.text in plan.listeners],
        item_of=item, predictions_of=predictions, stream_of=lambda mine, name: mine.arrays[f"stream/{name}"],
        row_notes={rows_of.MIME: f"{rows_of.NOTES[rows_of.MIME]} Here {lag_s:g} s."}, notes=reference.notes,
        online=online or {}, seed=plan.seed, failed=failed, kept=before,
    )  # fmt: skip
    if rows_of.SHUFFLED not in ran.table:
        ran.notes += ("there is no shuffled-speaker control: the set holds one pair of people only",)
    return ran
