"""`evaluate react`: listeners on a split of REACT or MARS, with the metrics of their challenges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.listeners import listen_to
from reactdiff_ros.evaluation.metrics.events import interpolated
from reactdiff_ros.evaluation.metrics.react import target_lists
from reactdiff_ros.evaluation.results import Info
from reactdiff_ros.evaluation.runs import parts as kept
from reactdiff_ros.evaluation.runs import run as runs
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, RunContext
from reactdiff_ros.evaluation.runs.scoring import MEASURES, perceived_curves, score
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.recording import DatasetError, Recording
from reactdiff_ros.recordings.extraction import voice_columns
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
    what = f"this is neither REACT's layout ({split}.csv) nor MARS's ({split}/facial-attributes)"
    raise ReactdiffError(what, where=str(folder), todo="docs/react2024.md says where each file goes")


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
        return self._attributes(n, 0)

    def listener_attributes(self, n: int) -> FloatArray:
        """(T, 25) labels of the one who listened. Raises DatasetError."""
        return self._attributes(n, 1)

    def _attributes(self, n: int, role: int) -> FloatArray:
        found = self._files(n)
        assert found.attributes is not None
        return public.load_attributes(found.attributes[role])[: LONGEST if self.kind == "react" else None]

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

    def _files(self, n: int) -> public.Files:
        found: public.Files = self.entries[n].files(self.folder, self.split)
        return found


def reference_of(chosen: PublicSet) -> PublicSet:
    """The split that means and nearest neighbours are taken from: train where it is there, else the set itself."""
    try:
        found = PublicSet(kind_of(chosen.folder, "train"), chosen.folder, "train", chosen.names)
        return found if len(found) and found.kind == chosen.kind else chosen
    except (DatasetError, ReactdiffError):
        return chosen


@dataclass(frozen=True, kw_only=True)
class Plan(runs.RunPlan):
    """What a run does."""

    baselines: ClassVar[tuple[str, ...]] = (rows_of.RULES,)
    folder: str
    split: str
    names: tuple[str, ...] | None = None
    """FaceVerse's expression names."""
    voice: bool = True
    """Hear the speaker; without it the voice is unobserved."""
    compat: str = "react2024"
    own_targets: bool = False
    """Only the recorded reaction is appropriate: no neighbour matrix is read."""

    def chosen(self) -> PublicSet:
        """The split. Raises ReactdiffError where the folder has no layout that is known."""
        folder = Path(self.folder)
        return PublicSet(kind_of(folder, self.split), folder, self.split, self.names)

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
            matrix = public.neighbours(chosen.folder, chosen.split)
        except DatasetError as error:
            todo = (
                "REACT's baseline code makes it (docs/react2024.md), or take --own-targets: only the recorded reaction "
                "counts then, which no published figure can be compared with"
            )
            raise ReactdiffError(error.what, where=error.where, todo=todo) from error
        empty = np.flatnonzero(~matrix.any(1))
        if len(empty):
            what = f"the neighbour matrix names no reaction for {len(empty)} speakers"
            raise ReactdiffError(what, where=f"row {empty[0]}", todo="is it that of this split?")
        return [np.flatnonzero(row).tolist() for row in matrix]


def reference_part(plan: Plan, chosen: PublicSet) -> Part:
    """Mean reactions of the reference split, and the nearest of its speakers for each of the set's."""
    reference = reference_of(chosen)
    files = [reference.target_file(n) for n in range(len(reference))]
    if reference.split != chosen.split:
        files += [chosen.target_file(n) for n in range(len(chosen))]
    used = Plan(listeners=(), folder=plan.folder, split=plan.split, streams=plan.streams)
    return Part("reference", make_reference, {"plan": used}, tuple(files))


def make_reference(plan: Plan) -> PartResult:
    """See `reference_part`. Clips that cannot be read are left out, with a sentence each."""
    chosen = plan.chosen()
    reference = reference_of(chosen)
    same = reference.split == chosen.split
    notes: list[str] = []

    def readable() -> Iterator[tuple[int, str, FloatArray, FloatArray]]:
        for n in range(len(reference)):
            try:
                speaker, listener = reference.speaker_attributes(n), reference.listener_attributes(n)
            except DatasetError as error:
                notes.append(f"left out of the reference split: {error}")
                continue
            yield n, reference.group(n), speaker, listener

    def asked() -> Iterator[tuple[str, FloatArray | None]]:
        for n in range(len(chosen)):
            try:
                yield chosen.group(n), chosen.speaker_attributes(n)
            except DatasetError:
                yield chosen.group(n), None  # its listen part says so

    arrays = baselines.reference(
        readable(), asked(), length=lambda lengths: min(LONGEST, float(np.median(lengths))), rate_hz=reference.rate_hz,
        streams=plan.streams, apart=same,
    )  # fmt: skip
    if not arrays:
        raise ReactdiffError("nothing of the reference split can be read", where=str(chosen.folder / reference.split))
    if same:
        notes.append("there is no train split: means and neighbours are of the other people of the evaluated split")
    return PartResult({"split": reference.split}, arrays, tuple(notes))


def listen_part(plan: Plan, chosen: PublicSet, n: int, targets: Sequence[int]) -> Part:
    """Every listener's streams for speaker `n`."""
    files = (*chosen.files(n), *(f for s in plan.specs() for f in s.files))
    used = replace(plan, compat="", own_targets=False)
    return Part(f"listen-{n:05d}", make_streams, {"plan": used, "n": n, "targets": targets}, files)


def make_streams(plan: Plan, n: int, targets: Sequence[int]) -> PartResult:
    """See `listen_part`."""
    chosen = plan.chosen()
    recording = chosen.recording(n, voice_columns if plan.voice else None)
    speaker, truth = chosen.speaker_attributes(n), chosen.listener_attributes(n)
    frames = min(len(speaker), len(truth))
    batch = recording.speaker
    face, speech = perceived_curves(batch, 0)
    arrays: dict[str, NDArray[Any]] = {
        "speaker_attributes": speaker[:frames], "truth_attributes": truth[:frames], "speaker": face, "speech": speech,
        "truth": np.where(recording.observed, recording.listener, np.nan).astype(np.float32),
    }  # fmt: skip
    known, notes = _targets(chosen, targets)
    mime = baselines.mime_scores(speaker[:frames], known, chosen.rate_hz) if known else []
    recorded = PartResult({"frames": frames, "seconds": frames / chosen.rate_hz, "mime": mime}, arrays)
    return runs.listened(
        plan, recorded, notes, chosen.id(n), lambda spec: listen_to(spec, batch, plan.seeds(n)),
        lambda streams: at_rate(attributes_of(streams), chosen.rate_hz, frames), faces=1,
    )  # fmt: skip


def at_rate(attributes: FloatArray, rate_hz: float, frames: int) -> FloatArray:
    """(K, T, 25) at 25 Hz as `frames` frames at `rate_hz`, linearly between frames."""
    if rate_hz == REACTION_RATE_HZ and attributes.shape[1] >= frames:
        return attributes[:, :frames]
    position = np.minimum(np.arange(frames) * REACTION_RATE_HZ / rate_hz, attributes.shape[1] - 1)
    return np.asarray(interpolated(attributes, position, 1, np.float32), dtype=np.float32)


def _targets(chosen: PublicSet, targets: Sequence[int]) -> tuple[list[FloatArray], list[str]]:
    found, notes = [], []
    for m in targets:
        try:
            found.append(chosen.listener_attributes(m))
        except DatasetError as error:
            notes.append(f"an appropriate reaction was left out: {error}")
    return found, notes


def make_scores(
    plan: Plan, n: int, targets: Sequence[int], own: str, other: str | None, means: str, lag_s: float
) -> PartResult:
    """Every row's figures for speaker `n`.

    Args:
        plan: of the run.
        n: number of the speaker.
        targets: numbers of the appropriate reactions.
        own: file of the speaker's listen part.
        other: file of the listen part whose stream is the shuffled control.
        means: file of the reference part.
        lag_s: the mime's best lag.
    """
    chosen = plan.chosen()
    known, notes = _targets(chosen, targets)
    if not known:
        raise ReactdiffError("not one appropriate reaction can be read", where=chosen.id(n))
    mine, theirs, reference = kept.load(Path(own)), other and kept.load(Path(other)), kept.load(Path(means))
    rows = runs.predictions(
        plan, n, mine, theirs or None, reference, rate_hz=chosen.rate_hz, lag_s=lag_s,
        listener_of=replace(chosen, split=str(reference.facts["split"])).listener_attributes,
    )  # fmt: skip
    speaker = mine.arrays["speaker_attributes"]
    facts = {name: score(shown, known, speaker, chosen.rate_hz, plan.compat) for name, shown in rows.items()}
    if plan.compat == "mars":  # The challenge forces it: a channel that never moves would count 0 otherwise.
        facts[rows_of.GROUND_TRUTH]["FRC"] = float(plan.streams)
    for name, times in mine.facts["listeners"].items():
        facts[name] |= times
    return PartResult({"rows": facts}, {}, tuple(notes))


def run_react(plan: Plan, context: RunContext, info: Info, cuts: int) -> runs.RunOutcome:
    """Evaluate a split.

    Args:
        plan: what is run on what.
        context: where parts are stored, and with how many processes they are done.
        info: the head of the result, whose data, failures and settings are filled in here.
        cuts: moments at which the declared look-ahead of each listener is verified; 0: it is not.

    Raises:
        ReactdiffError: a listener cannot be made, the set has no layout that is known, its neighbour matrix is missing,
            or nothing worked.
    """
    online = runs.verified(plan, context, cuts)
    chosen, keep = plan.chosen(), context.keep
    run = runs.Run(plan, context, [chosen.id(n) for n in range(len(chosen))])
    targets = plan.targets(chosen)
    means = run.reference(reference_part(plan, chosen))
    heard = run.round(runs.LISTENING, {n: listen_part(plan, chosen, n, targets[n]) for n in range(len(chosen))})
    mime = [keep.load(part, ()).facts["mime"] for part in heard.values()]
    lag_s = baselines.best_lag([scores for scores in mime if scores])
    files = {n: str(keep.path(part)) for n, part in heard.items()}
    there = list(heard)
    others = baselines.other_people([chosen.group(n) for n in there])
    other = {n: None if i is None else files[there[i]] for n, i in zip(there, others, strict=True)}
    scoring = {}
    for n in there:
        used = {"own": files[n], "other": other[n], "means": means}
        read = (*(chosen.target_file(t) for t in targets[n]), *(file for file in used.values() if file))
        arguments = {"plan": plan, "n": n, "targets": targets[n], **used, "lag_s": lag_s}
        scoring[n] = Part(f"score-{n:05d}", make_scores, arguments, read)
    scored = run.round("scoring", scoring)
    reference = kept.load(Path(means))
    listener_of = cache(replace(chosen, split=str(reference.facts["split"])).listener_attributes)

    def item(n: int) -> dict[str, Any]:
        return {"id": chosen.id(n), "group": chosen.group(n), "source": f"{chosen.kind}/{chosen.split}"}

    def shown(n: int, mine: PartResult) -> dict[str, FloatArray]:
        control = other[n]
        return runs.predictions(
            plan, n, mine, None if control is None else kept.load(Path(control)), reference, rate_hz=chosen.rate_hz,
            lag_s=lag_s, listener_of=listener_of,
        )  # fmt: skip

    settings = {
        **info.settings, "split": chosen.split, "voice": plan.voice, "own_targets": plan.own_targets,
        "expression_names": plan.names is not None,
        "attributes": "projection of the listener's coefficients; the labels' own networks are not run",
    }  # fmt: skip
    data = f"{chosen.kind.upper()}, {chosen.split} split, {len(chosen)} directions"
    run.notes += reference.notes
    ran = run.conclude(
        replace(info, data=data, compat=plan.compat, settings=settings), heard, scored, online,
        measures=(*MEASURES, "frame_ms"), always=MEASURES, item_of=item, predictions_of=shown, lag_s=lag_s,
    )  # fmt: skip
    if rows_of.SHUFFLED not in ran.table:
        ran.notes += ("there is no shuffled-speaker control: the set holds one pair of people only",)
    return ran
