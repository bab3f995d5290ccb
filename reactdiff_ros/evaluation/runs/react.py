"""The rounds of `evaluate react` put together: parts, tables, result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from reactdiff_ros.evaluation.metrics.mars import target_lists
from reactdiff_ros.evaluation.results import Info, Item, Result
from reactdiff_ros.evaluation.runs import parts as kept
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, describe, plain
from reactdiff_ros.evaluation.runs.scoring import (
    CURVES,
    MEASURES,
    RunContext,
    RunOutcome,
    Spread,
    done_parts,
    draws_of,
    empty_rows,
    reference_file,
    score,
    systems_of,
    table_of,
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
    names: tuple[str, ...] | None = field(default=None)
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
        """The two people, as far as the set tells."""
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
        texts = [*self.listeners, *([rows_of.RULES] if rows_of.RULES not in self.listeners else [])]
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


def reference_part(plan: Plan, chosen: PublicSet) -> Part:
    """Mean reactions of the reference split, and the nearest of its speakers for each of the set's."""
    reference = reference_of(chosen)
    files = [reference.target_file(n) for n in range(len(reference))]
    if reference.split != chosen.split:
        files += [chosen.target_file(n) for n in range(len(chosen))]
    arguments = {"folder": plan.folder, "split": plan.split, "streams": plan.streams}
    return Part("reference", f"{_HERE}:make_reference", arguments, tuple(files))


def make_reference(folder: str, split: str, streams: int) -> PartResult:
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
            continue  # its listen_to part says so
        own_people = np.array([same and group == chosen.group(n) for group in theirs])
        if own_people.all():
            continue
        near[n] = np.array(index)[simple.nearest(own[None], rows, own_people[None], streams)[0]]
    if same:
        notes.append("there is no train split: means and neighbours are of the other people of the evaluated split")
    row = [means.row.get(chosen.group(n), 0) for n in range(len(chosen))]
    arrays = reference_arrays(means, row, near)
    return PartResult({"split": reference.split, "recordings": len(index)}, arrays, tuple(notes))


def reference_arrays(
    means: simple.MeanReactions, row: Sequence[int], near: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """What `Rows` takes from a reference: mean reactions, which of them is whose, and nearest neighbours."""
    return {"sequence": means.sequences, "frame": means.frames, "row": np.array(row, dtype=np.int64), "near": near}


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
) -> PartResult:  # fmt: skip
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
            heard = listen_to(spec, recording.speaker, seeds)
        except ReactdiffError as error:
            notes.append(f"{spec.name} did not listen_to: {error}")
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
        raise ReactdiffError("; ".join(notes) or "no one listened", where=chosen.id(n))
    return PartResult(facts, arrays, tuple(notes))


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


def score_part(
    plan: Plan, chosen: PublicSet, n: int, targets: Sequence[int], own: str, other: str | None, means: str, lag_s: float
) -> Part:
    """Every row's figures for speaker `n`.

    Args:
        plan: what is run.
        chosen: the split.
        n: number of the speaker.
        targets: numbers of the appropriate reactions.
        own: file of the speaker's listen part.
        other: file of the listen part whose stream is the shuffled control.
        means: file of the reference part.
        lag_s: the mime's best lag.
    """
    arguments = {
        "folder": plan.folder, "split": plan.split, "n": n, "targets": list(targets), "streams": plan.streams,
        "seed": plan.seed, "compat": plan.compat, "subject": plan.specs()[0].name, "lag_s": lag_s, "own": own,
        "other": other, "means": means,
    }  # fmt: skip
    files = (*(chosen.target_file(m) for m in targets), own, means, *([other] if other else []))
    return Part(f"score-{n:05d}", f"{_HERE}:make_scores", arguments, files)


def make_scores(
    folder: str, split: str, n: int, targets: Sequence[int], streams: int, seed: int, compat: str, subject: str,
    lag_s: float, own: str, other: str | None, means: str,
) -> PartResult:  # fmt: skip
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
        facts[rows_of.GROUND_TRUTH]["FRC"] = float(streams)
    return PartResult({"rows": facts}, {}, tuple(notes))


@dataclass(slots=True)
class Rows:
    """The predictions (K, T, 25) of every row of the table for one speaker after another."""

    rate_hz: float
    reference: PartResult
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
        cls, chosen: PublicSet, reference: PartResult, streams: int, seed: int, lag_s: float, subject: str
    ) -> Rows:  # fmt: skip
        """Of a public set."""
        others = PublicSet(chosen.kind, chosen.folder, str(reference.facts["split"]))
        return cls(chosen.rate_hz, reference, streams, seed, lag_s, subject, others.listener_attributes)

    def of(self, n: int, mine: PartResult, other: PartResult | None) -> dict[str, FloatArray]:
        """By name; a row that cannot be made for this speaker is not there."""
        frames = int(mine.facts["frames"])

        def many(one: FloatArray) -> FloatArray:
            return simple.times(simple.fitted(one, frames), self.streams)

        rows = {name: mine.arrays[f"attributes/{name}"] for name in mine.facts["listeners"]}
        rows[rows_of.GROUND_TRUTH] = many(mine.arrays["truth_attributes"])
        rows[rows_of.MIME] = many(simple.late(mine.arrays["speaker_attributes"], self.lag_s, self.rate_hz))
        rows[rows_of.RANDOM] = simple.noise(self.streams, frames, number(self.seed, n, _NOISE))
        if "sequence" in self.reference.arrays:
            row = int(self.reference.arrays["row"][n])
            if row >= 0:
                rows[rows_of.MEAN_SEQUENCE] = many(self.reference.arrays["sequence"][row])
                rows[rows_of.MEAN_FRAME] = many(self.reference.arrays["frame"][row][None])
            near = self.reference.arrays["near"][n]
            if (near >= 0).all():
                rows[rows_of.NEAREST] = np.stack([simple.fitted(self._listener(int(m)), frames) for m in near])
        theirs = None if other is None else other.arrays.get(f"attributes/{self.subject}")
        if theirs is not None:
            rows[rows_of.SHUFFLED] = np.stack([simple.fitted(one, frames) for one in theirs])
        return rows

    def _listener(self, m: int) -> FloatArray:
        if self.known is None:
            return self.listener_of(m)
        if m not in self.known:
            self.known[m] = self.listener_of(m)
        return self.known[m]


def run_react(
    plan: Plan, context: RunContext, info: Info, online: Mapping[str, tuple[float, bool | None]] | None = None
) -> RunOutcome:
    """Evaluate a split.

    Args:
        plan: what is run on what.
        context: where parts are stored, and with how many processes they are done.
        info: the head of the result, whose data, failures and settings are filled in here.
        online: (declared look-ahead in s, verified) of listeners, by name.

    Raises:
        ReactdiffError: the set has no layout that is known, its neighbour matrix is missing, or nothing worked.
    """
    chosen, keep = plan.chosen(), context.keep
    targets = plan.targets(chosen)
    means = reference_file(context, reference_part(plan, chosen))
    reference = kept.load(Path(means))
    failed: dict[str, str] = {}
    listening = {n: listen_part(plan, chosen, n, targets[n]) for n in range(len(chosen))}
    heard, before = done_parts(context, "listening", listening, chosen.id, failed)
    files = {n: str(keep.path(part)) for n, part in heard.items()}
    mime = [keep.load(part, ()).facts["mime"] for part in heard.values()]
    lag_s = simple.best_lag([scores for scores in mime if scores])
    there = list(heard)
    others = [None if i is None else there[i] for i in simple.other_people([chosen.group(n) for n in there])]
    other = dict(zip(there, others, strict=True))
    stood_in = {n: None if m is None else files[m] for n, m in other.items()}
    scoring = {n: score_part(plan, chosen, n, targets[n], files[n], stood_in[n], means, lag_s) for n in heard}
    scored, _ = done_parts(context, "scoring", scoring, chosen.id, failed)

    found = {n: keep.load(part) for n, part in scored.items()}
    rows = empty_rows([made.facts["rows"] for made in found.values()], MEASURES)
    spreads = {name: Spread() for name in rows}
    shortest = min(int(keep.load(heard[n], ()).facts["frames"]) for n in scored)
    predictions_of = Rows.of_set(chosen, reference, plan.streams, plan.seed, lag_s, plan.specs()[0].name)
    predictions_of.known = {}
    items: list[Item] = []
    notes = list(reference.notes)
    frame_ms = {name: np.full(len(found), np.nan) for name in rows}
    for position, (n, scores) in enumerate(found.items()):
        context.told("putting together", position / len(found))
        mine, m = keep.load(heard[n]), other[n]
        for name, predictions in predictions_of.of(n, mine, None if m is None else keep.load(heard[m])).items():
            spreads[name].add(position, predictions, shortest)
        own_notes = tuple(dict.fromkeys((*mine.notes, *scores.notes)))
        notes += [f"{chosen.id(n)}: {sentence}" for sentence in own_notes]
        items.append(_item(chosen, n, mine, own_notes, curves=position < CURVES))
        for name, facts in mine.facts["listeners"].items():
            frame_ms[name][position] = facts["frame_ms"]
            rows[name].compute_s.append(mine.arrays[f"compute/{name}"])
            if position < CURVES:
                rows[name].streams[chosen.id(n)] = mine.arrays[f"stream/{name}"]
    draws = draws_of(items, plan.seed)
    for name, row in rows.items():
        row.figures["FRDvs"] = spreads[name].figure(draws)
        if np.isfinite(frame_ms[name]).any():
            row.values["frame_ms"] = frame_ms[name]
        row.look_ahead_s, row.causal = (online or {}).get(name, (None, None))
    if rows_of.MIME in rows:
        rows[rows_of.MIME].note = f"{rows_of.NOTES[rows_of.MIME]} Here {lag_s:g} s."
    if rows_of.SHUFFLED not in rows:
        notes.append("there is no shuffled-speaker control: the set holds one pair of people only")
    systems = systems_of(rows, [spec.name for spec in plan.specs() if spec.text in plan.listeners])
    settings = {
        **info.settings, "split": chosen.split, "streams": plan.streams, "mime_lag_s": lag_s, "voice": plan.voice,
        "own_targets": plan.own_targets, "expression_names": plan.names is not None, **describe(context.resources),
        "attributes": "projection of the listener's coefficients; the labels' own networks are not run",
    }  # fmt: skip
    head = replace(
        info, data=f"{chosen.kind.upper()}, {chosen.split} split, {len(chosen)} directions", people=True,
        subject=plan.specs()[0].name, compat=plan.compat, seeds={**info.seeds, "run": plan.seed},
        failed=tuple(f"{name}: {sentence}" for name, sentence in failed.items()), settings=settings,
    )  # fmt: skip
    table = table_of(systems, items, plan.seed)
    return RunOutcome(Result(head, tuple(items), systems), table, failed, tuple(dict.fromkeys(notes)), before)


def _item(chosen: PublicSet, n: int, mine: PartResult, notes: tuple[str, ...], *, curves: bool) -> Item:
    a = mine.arrays
    return Item(
        id=chosen.id(n), seconds=float(mine.facts["seconds"]), group=chosen.group(n),
        source=f"{chosen.kind}/{chosen.split}", speaker=a["speaker"] if curves else None,
        speech=a["speech"].astype(np.float32) if curves else None, truth=a["truth"] if curves else None, notes=notes,
    )  # fmt: skip
