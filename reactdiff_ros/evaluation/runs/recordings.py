"""`evaluate recordings`: listeners on bags, videos and extracted files, through the whole live session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Final, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation import baselines
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.listeners import Heard, Spec, check, foresee, frames_of, look_ahead_s, named_errors
from reactdiff_ros.evaluation.results import Info, Result
from reactdiff_ros.evaluation.runs import parts as kept
from reactdiff_ros.evaluation.runs import run as runs
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, RunContext
from reactdiff_ros.evaluation.runs.scoring import BEHAVIOUR, MEASURES, MOTION, measured, perceived_curves, score
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.speaker.grid import Track, onto_grid
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.storage import entries, is_bag
from reactdiff_ros.recordings.blinding import Key, opened
from reactdiff_ros.recordings.datasets.recordings import SUFFIX as EXTRACTED
from reactdiff_ros.recordings.datasets.recordings import load as load_extracted
from reactdiff_ros.recordings.extraction import CONFIDENT, extract_source, unlike_in_length
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Tally, open_recording, sensed_here
from reactdiff_ros.recordings.replay.senses import RecordedPerception, Sensed, Timed, push
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import REACTION_RATE_HZ, ExpressionFrame, FloatArray, Reaction, SpeakerFrame

MEDIA: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".wav", ".flac", ".ogg", ".mp3", ".m4a")
_ROLE: Final = re.compile(r"(?i)^(?P<who>.*?)[-_. ]?(?P<role>speaker|listener)$")


@dataclass(frozen=True, slots=True)
class Source:
    """One recording."""

    id: str
    """The speaker's file below the folder, without its suffix."""
    speaker: Path
    listener: Path | None = None
    """The one who listened, filmed from the same start; None: no one, or a file of `reactdiff extract` holds both."""

    @property
    def group(self) -> str:
        """Recordings of one subfolder are taken for the same people."""
        return str(Path(self.id).parent) if "/" in self.id else self.id


def sources(folder: Path, pairs: Sequence[tuple[Path, Path]] = ()) -> list[Source]:
    """All recordings of a folder and those below it, by name.

    `NAME_speaker.*` and `NAME_listener.*` are a pair; `pairs` names others, (speaker, listener), relative to the
    folder or not. A file that is the listener of a pair is not a recording itself.

    Raises:
        ReactdiffError: there is no such folder, one of them may not be looked into, nothing in it is a recording, or a
            pair names no file.
    """
    if not folder.is_dir():
        raise ReactdiffError("there is no such folder", where=str(folder), todo="give a folder of bags or videos")
    found = _found(folder)
    couples = {_there(folder, a): _there(folder, b) for a, b in pairs}
    named = ((path, _ROLE.match(path.stem if path.is_file() else path.name)) for path in found)
    by_role = {(path.parent, match["who"], match["role"].lower()): path for path, match in named if match}
    for (parent, who, role), path in by_role.items():
        other = by_role.get((parent, who, "listener"))
        if role == "speaker" and other is not None:
            couples.setdefault(path, other)
    listening = set(couples.values()) - set(couples)
    chosen = [path for path in dict.fromkeys([*found, *couples]) if path not in listening]
    if not chosen:
        todo = f"bags, {', '.join(MEDIA[:4])} and the like, or files of 'reactdiff extract'"
        raise ReactdiffError("the folder holds no recordings", where=str(folder), todo=todo)
    ids = []
    for path in chosen:
        place = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        ids.append(str(place.with_suffix("") if path.is_file() else place))
    return [
        Source(name if ids.count(name) == 1 else f"{name}{path.suffix}", path, couples.get(path))
        for name, path in zip(ids, chosen, strict=True)
    ]


def _found(folder: Path) -> list[Path]:
    out: list[Path] = []
    for path in (path for path in entries(folder) if not path.name.startswith(".")):
        # A folder of single bags and a bag in many files look alike: metadata.yaml, or the same stem, says which.
        single = path.is_dir() and not (path / "metadata.yaml").is_file() and len(list(path.glob("*.mcap"))) > 1
        if (is_bag(path) and not single) or (path.is_file() and path.suffix.lower() in (*MEDIA, EXTRACTED)):
            out.append(path)
        elif path.is_dir():
            out.extend(_found(path))
    return out


def _there(folder: Path, path: Path) -> Path:
    for candidate in (path, folder / path):
        if candidate.exists():
            place, root = candidate.resolve(), folder.resolve()
            return folder / place.relative_to(root) if place.is_relative_to(root) else place
    raise ReactdiffError("a pair names a file that is not there", where=str(path))


GRID = Grid()
PAUSE_NS = NS // 5
"""A recording that without messages for this long pauses."""


@dataclass(frozen=True, slots=True)
class Perceived:
    """A speaker on the 25 Hz grid, and what a session needs to listen to them again."""

    first: int
    """Slot of frame 0 on the recording's own clock."""
    speaker: SpeakerBatch
    """(1, T)."""
    sensed: tuple[Sensed, ...] = ()
    """Every event of the recording with what perception delivered; empty for a file of `reactdiff extract`."""
    frames: tuple[SpeakerFrame, ...] = ()
    truth: FloatArray | None = None
    """(T, 58) the recorded listener, NaN where unobserved."""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """T."""
        return int(self.speaker.camera.shape[1])


def perceive(speaker: Path, listener: Path | None) -> Perceived:
    """Read a recording: a media file, a bag, or a file of `reactdiff extract`; and the listener's view, if any.

    Raises:
        ReactdiffError: it cannot be read, or nothing is perceived in it.
    """
    if speaker.suffix == EXTRACTED:
        known, truth = load_extracted(speaker), None
        if known.listener is not None and known.observed is not None:
            truth = np.where(known.observed, known.listener, np.nan).astype(np.float32)
        return Perceived(1, known.speaker, (), tuple(frames_of(known.speaker, 0)), truth)
    tally = Tally()
    settings = ReplaySettings()
    sensed = tuple(sensed_here(open_recording(speaker, settings), settings, tally, perf_counter))
    frames = tuple(f for item in sensed for result in item.results for f in result.frames)
    if not frames:
        raise MediaError("nothing was perceived in the recording", where=str(speaker))
    track = onto_grid(frames)
    notes, truth = tally.notes(), None
    if listener is not None:
        try:
            other = extract_source(open_recording(listener), SpeakerPerception())
            truth = _listened(track, other, speaker)
            notes += filter(None, [unlike_in_length(track, other)])
        except MediaError as error:
            notes.append(f"the recorded listener is left out: {error}")
    return Perceived(track.first, track.batch, sensed, frames, truth, tuple(notes))


def _listened(track: Track, other: Track, speaker: Path) -> FloatArray:
    """The other's face (T, 58) on the speaker's slots, NaN where it was not measured. Both begin at time 0."""
    seen = (other.batch.confidence[0] >= CONFIDENT) & other.batch.mesh[0][:, None]
    values = np.where(seen, other.batch.coefficients[0], np.nan).astype(np.float32)
    out = np.full((len(track.stamps_ns), COEFFICIENT_COUNT), np.nan, dtype=np.float32)
    begin, end = max(track.first, other.first), min(track.end, other.end)
    if end <= begin:
        raise MediaError("the two views of a conversation share no time", where=str(speaker))
    out[begin - track.first : end - track.first] = values[begin - other.first : end - other.first]
    return out


def listen_live(known: Perceived, spec: Spec, seeds: Sequence[int]) -> Heard:
    """The faces of one listener through the whole session, one for each seed: expression, gaze and blinks included.

    Its lags are the age of the newest evidence in each face at 50 Hz that had any, through the plan; without pauses of
    the recording, in which there is nothing newer to show.

    Raises:
        ReactdiffError: the listener cannot be made, or what it planned is no plan.
    """
    shown: list[FloatArray] = []
    plan_s: list[float] = []
    lag_s: list[NDArray[np.float64]] = []
    for seed in seeds:
        listener = spec.make(seed)
        look_ahead_s(listener)  # raises where it declares no time
        timed = Timed(listener, perf_counter)
        faces: list[ExpressionFrame] = []
        with named_errors(spec):
            for some, plans in _run(known, listener, timed, seed):
                faces.extend(some)
                for plan in plans:
                    check(plan, spec.text)
                if plans:
                    plan_s.append(timed.seconds)
                timed.seconds = 0.0
        if not faces:
            raise MediaError("the recording is too short to listen to", where=spec.text)
        shown.append(_on_slots(faces, known))
        lag_s.append(_ages(faces, known))
    frame_ms = 1e3 * sum(plan_s) / (known.count * len(seeds))
    return Heard(np.stack(shown), np.array(plan_s), frame_ms, np.concatenate(lag_s))


def _run(
    known: Perceived, listener: Listener, timed: Timed, seed: int
) -> Iterator[tuple[list[ExpressionFrame], Sequence[Reaction]]]:
    recorded = RecordedPerception()
    session = ListeningSession(recorded, cast("Listener", timed), ExpressionEngine(seed=seed), ReplaySettings().session)
    session.reset(seed)
    foresee(listener, lambda: known.frames)
    timed.seconds = 0.0
    for item in known.sensed:
        recorded.results.extend(item.results)
        faces = push(session, item.event)
        yield faces, session.reactions
    for frame in () if known.sensed else known.frames:
        session.observe(frame, frame.stamp_ns)
        faces = session.advance(frame.stamp_ns)
        yield faces, session.reactions


def _on_slots(faces: Sequence[ExpressionFrame], known: Perceived) -> FloatArray:
    """(T, 58) the newest face at the beginning of each slot; the first one before there is any."""
    fast = np.stack([face.coefficients for face in faces])
    stamps = np.array([face.stamp_ns for face in faces], dtype=np.int64)
    begins = (known.first + np.arange(known.count)) * GRID.period_ns
    at = np.clip(np.searchsorted(stamps, begins, side="right") - 1, 0, len(stamps) - 1)
    return np.asarray(fast[at], dtype=np.float32)


def _ages(faces: Sequence[ExpressionFrame], heard: Perceived) -> NDArray[np.float64]:
    stamps = np.sort(np.array([frame.stamp_ns for frame in heard.frames], dtype=np.int64))
    ages = []
    for face in faces:
        newest = int(np.searchsorted(stamps, face.stamp_ns, side="right")) - 1
        if newest < 0 or face.stamp_ns - stamps[newest] > PAUSE_NS:
            continue
        known = [s for s in (face.reaction_picture_stamp_ns, face.reaction_sound_stamp_ns) if s is not None]
        if known and face.mode == "listening":
            ages.append((face.stamp_ns - max(known)) / NS)
    return np.array(ages, dtype=np.float64)


LATENCIES: Final = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
FIGURES: Final = tuple(dict.fromkeys((*MEASURES, *BEHAVIOUR, *MOTION, *LATENCIES, "frame_ms")))
LEAST_SEEN: Final = 0.3
"""Share of its frames in which a recorded listener must be seen to be a ground truth."""
LEAST_TRUTHS: Final = 2
"""Means and nearest neighbours need other people's reactions."""
ONE_PERSON = "The listener under test while it listened to another recording; all of them are of one group of people."
ONE_RECORDING = "The listener under test half a recording later, because there is no second recording."
LEAST_MINUTES: Final = 10.0
"""Rates of less than this are reported with a warning."""


@dataclass(frozen=True, kw_only=True)
class LabPlan(runs.RunPlan):
    """What a run does."""

    baselines: ClassVar[tuple[str, ...]] = ("rules", "mime", "random")


def listen_part(plan: LabPlan, source: Source, n: int) -> Part:
    """Every listener on one recording."""
    views = {"speaker": str(source.speaker), "listener": None if source.listener is None else str(source.listener)}
    files = (*(f for f in views.values() if f), *(f for s in plan.specs() for f in s.files))
    return Part(f"listen-{source.id}", make_streams, {"plan": plan, "n": n, **views}, files)


def make_streams(plan: LabPlan, n: int, speaker: str, listener: str | None) -> PartResult:
    """See `listen_part`."""
    known = perceive(Path(speaker), None if listener is None else Path(listener))
    face, speech = perceived_curves(known.speaker, 0)
    arrays: dict[str, NDArray[Any]] = {
        "speaker": face, "speech": speech, "speaker_attributes": attributes_of(np.nan_to_num(face)),
    }  # fmt: skip
    notes = list(known.notes)
    facts: dict[str, Any] = {"frames": known.count, "seconds": known.count / REACTION_RATE_HZ}
    facts["start_ns"] = known.first * GRID.period_ns
    if known.truth is not None:
        share = float(np.isfinite(known.truth).any(1).mean())
        if share < LEAST_SEEN:
            notes.append(f"the recorded listener was seen in {share:.0%} of the time only and is not ground truth")
        else:
            truth = attributes_of(np.nan_to_num(_held(known.truth)))
            arrays |= {"truth": known.truth, "truth_attributes": truth}
            facts["mime"] = baselines.mime_scores(arrays["speaker_attributes"], [truth], REACTION_RATE_HZ)
    recorded = PartResult(facts, arrays)
    return runs.listened(
        plan, recorded, notes, speaker, lambda spec: listen_live(known, spec, plan.seeds(n)), attributes_of
    )


def _held(values: FloatArray) -> FloatArray:
    """Frames in which nothing was observed repeat the last that was."""
    seen = np.isfinite(values).any(1)
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values)), 0))
    return np.asarray(values[last])


def make_scores(plan: LabPlan, n: int, own: str, other: str, means: str, lag_s: float) -> PartResult:
    """Every row's figures on one recording; agreement only where the real listener was recorded.

    Args:
        plan: of the run.
        n: number of the recording.
        own: file of its listen part.
        other: file of the listen part whose stream is the shuffled control; `own`: its own half a recording later.
        means: file of the reference part; "" for none.
        lag_s: the mime's best lag.
    """
    mine = kept.load(Path(own))
    if other == own:  # the same streams shifted by half their length, what is left over at the end going first
        streams = {k: a for k, a in mine.arrays.items() if k.startswith(("faces/", "attributes/"))}
        theirs = PartResult(mine.facts, {k: np.roll(a, a.shape[1] // 2, axis=1) for k, a in streams.items()})
    else:
        theirs = kept.load(Path(other))
    speaker = mine.arrays["speaker"]
    facts: dict[str, dict[str, float]] = {}
    for name, times in mine.facts["listeners"].items():
        facts[name] = measured(speaker, mine.arrays[f"faces/{name}"], lag_s=mine.arrays[f"lag/{name}"]) | times
    if f"faces/{plan.subject}" in theirs.arrays:
        faces = np.stack([baselines.fitted(face, len(speaker)) for face in theirs.arrays[f"faces/{plan.subject}"]])
        facts[rows_of.SHUFFLED] = measured(speaker, faces, motion=False)
    if "truth" not in mine.arrays:
        return PartResult({"rows": facts})
    real = np.nan_to_num(_held(mine.arrays["truth"]))[None]
    facts[rows_of.GROUND_TRUTH] = measured(speaker, real, motion=False)
    reference = kept.load(Path(means)) if means else PartResult()
    rows = runs.predictions(
        plan, n, mine, theirs, reference, rate_hz=REACTION_RATE_HZ, lag_s=lag_s,
        listener_of=lambda m: _attributes(reference.facts["files"][m], "truth"),
    )  # fmt: skip
    target = [mine.arrays["truth_attributes"]]
    for name, shown in rows.items():
        scores = score(shown, target, mine.arrays["speaker_attributes"], REACTION_RATE_HZ, "default")
        facts[name] = {**scores, **facts.get(name, {})}
    return PartResult({"rows": facts})


def _attributes(file: str, whose: str) -> FloatArray:
    """Attributes (T, 25) of "speaker" or "truth" in a listen part."""
    name = f"{whose}_attributes"
    return kept.load(Path(file), (name,)).arrays[name]


def make_reference(files: Sequence[str], groups: Sequence[str], streams: int) -> PartResult:
    """Means over the recorded listeners, and the nearest of their speakers for each recording of other people.

    Args:
        files: listen parts by the recording's number; "" for a recording without a recorded listener.
        groups: the people in them.
        streams: K.
    """
    there = [n for n, file in enumerate(files) if file]
    known = ((n, groups[n], _attributes(files[n], "speaker"), _attributes(files[n], "truth")) for n in there)
    asked = ((g, _attributes(file, "speaker") if file else None) for g, file in zip(groups, files, strict=True))
    arrays = baselines.reference(known, asked, length=min, rate_hz=REACTION_RATE_HZ, streams=streams, apart=True)
    return PartResult({"files": files}, arrays)


def run_recordings(
    plan: LabPlan, found: Sequence[Source], context: RunContext, info: Info, cuts: int
) -> runs.RunOutcome:
    """Evaluate a lab's recordings.

    Args:
        plan: who listens.
        found: the recordings.
        context: where parts are stored, and with how many processes they are done.
        info: the head of the result, whose data, failures and settings are filled in here.
        cuts: moments at which the declared look-ahead of each listener is verified; 0: it is not.

    Raises:
        ReactdiffError: a listener cannot be made, or not one recording could be evaluated.
    """
    online = runs.verified(plan, context, cuts)
    keep, run = context.keep, runs.Run(plan, context, [source.id for source in found])
    heard = run.round(runs.LISTENING, {n: listen_part(plan, source, n) for n, source in enumerate(found)})
    facts = {n: keep.load(part, ()).facts for n, part in heard.items()}
    files = {n: str(keep.path(part)) for n, part in heard.items()}
    truths = [n for n in heard if "mime" in facts[n]]
    with_truth, means = [files[n] if n in truths else "" for n in range(len(found))], ""
    if len(truths) >= LEAST_TRUTHS:
        arguments = {"files": with_truth, "groups": [source.group for source in found], "streams": plan.streams}
        means = run.reference(Part("reference", make_reference, arguments, tuple(files[n] for n in truths)))
    elif truths:
        run.notes.append("one recorded listener alone: no mean sequence, mean frame and nearest neighbour")
    else:
        run.notes.append("no recorded listener: behaviour and motion are measured, agreement is not")
    lag_s = baselines.best_lag([facts[n]["mime"] for n in truths])
    there, control = list(heard), ""
    pairs = baselines.other_people([found[n].group for n in there])
    if all(other is None for other in pairs):
        control = ONE_PERSON if len(there) > 1 else ONE_RECORDING
        pairs = baselines.other_people([str(n) for n in there])
    scoring = {}
    for n, i in zip(there, pairs, strict=True):
        other, reference = files[n if i is None else there[i]], means if n in truths else ""
        arguments = {"plan": plan, "n": n, "own": files[n], "other": other, "means": reference, "lag_s": lag_s}
        read = tuple(f for f in (files[n], other, reference) if f)
        scoring[n] = Part(f"score-{found[n].id}", make_scores, arguments, read)
    scores = run.round("scoring", scoring)
    listeners = [spec.name for spec in plan.specs() if spec.text in plan.listeners]
    for n in scores:
        deaf = [name for name in listeners if name not in facts[n]["listeners"]]
        if deaf:  # its note says why
            run.failed[found[n].id] = f"{', '.join(deaf)} did not listen"
    if control:
        run.notes.append(f"the control is a weak one: {control[0].lower()}{control[1:-1]}")

    def item(n: int) -> dict[str, Any]:
        return {"id": found[n].id, "group": found[n].group, "source": found[n].speaker.name}

    data = f"{runs.counted(len(found), 'recording')}, {len(truths)} with a recorded listener"
    ran = run.conclude(
        replace(info, data=data), heard, scores, online, measures=FIGURES, item_of=item, lag_s=lag_s,
        predictions_of=lambda n, mine: {name: mine.arrays[f"attributes/{name}"] for name in mine.facts["listeners"]},
        control=control,
    )  # fmt: skip
    if ran.result.minutes < LEAST_MINUTES:
        limit = f"rates of less than {LEAST_MINUTES:g} minutes are uncertain"
        ran.notes += (f"{ran.result.minutes:.1f} minutes in all: {limit}",)
    return ran


def unblinded(result: Result, found: Sequence[Source], key: Key) -> tuple[Result, dict[str, str]]:
    """The result with each bag's condition as a note of its item, and the conditions by the item's id.

    A bag whose seal the key does not open gets the sentence why, and no condition.
    """
    bags = {source.id: source.speaker for source in found if is_bag(source.speaker)}
    conditions: dict[str, str] = {}
    items = []
    for item in result.items:
        if item.id in bags:
            seal = opened(bags[item.id], key)
            if isinstance(seal, str):
                note = f"its condition is not known: {seal}"
            else:
                conditions[item.id] = seal.condition
                note = f"recorded under the condition {seal.condition} (session {seal.session})"
            item = replace(item, notes=(note, *item.notes))
        items.append(item)
    settings = {**result.info.settings, "study": key.study, "conditions": dict(conditions)}
    return replace(result, info=replace(result.info, settings=settings), items=tuple(items)), conditions
