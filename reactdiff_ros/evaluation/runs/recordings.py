"""Recordings of a blind study under the conditions that its key tells: for results and their reports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.extraction import CONFIDENT, extract_clip
from reactdiff_ros.evaluation.listeners import Foresees, Spec, blamed, check, foresees, frames_of, look_ahead_s
from reactdiff_ros.evaluation.results import Info, Item, Result
from reactdiff_ros.evaluation.runs import parts as kept
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, describe
from reactdiff_ros.evaluation.runs.react import Rows, number, reference_arrays
from reactdiff_ros.evaluation.runs.scoring import (
    BEHAVIOUR,
    CURVES,
    MEASURES,
    MOTION,
    Row,
    RunContext,
    RunOutcome,
    Spread,
    Values,
    counted,
    done_parts,
    empty_rows,
    group_draws,
    measured,
    reference_file,
    score,
    systems_of,
    table_of,
)
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.speaker.grid import Track, onto_grid
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.storage import entries, is_bag
from reactdiff_ros.recordings.blinding import Key, opened
from reactdiff_ros.recordings.datasets.recordings import SUFFIX as EXTRACTED
from reactdiff_ros.recordings.datasets.recordings import load as load_extracted
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
    folder or not. A file that is the listener of a pair is no recording of its own.

    Raises:
        ReactdiffError: there is no such folder, one of them may not be looked into, nothing in it is a recording, or a
            pair names no file.
    """
    if not folder.is_dir():
        raise ReactdiffError("there is no such folder", where=str(folder), todo="give a folder of bags or videos")
    found = _found(folder)
    couples = {_there(folder, a): _there(folder, b) for a, b in pairs}
    by_role = {(_who(path, folder), role): path for path in found if (role := _role(path))}
    for (who, role), path in by_role.items():
        other = by_role.get((who, "listener"))
        if role == "speaker" and other is not None:
            couples.setdefault(path, other)
    listening = set(couples.values()) - set(couples)
    chosen = [path for path in dict.fromkeys([*found, *couples]) if path not in listening]
    if not chosen:
        raise ReactdiffError(
            "the folder holds no recordings", where=str(folder),
            todo=f"bags, {', '.join(MEDIA[:4])} and the like, or files of 'reactdiff extract'",
        )  # fmt: skip
    named = [(_id(path, folder), path) for path in chosen]
    ids = [name for name, _ in named]
    return [
        Source(name if ids.count(name) == 1 else f"{name}{path.suffix}", path, couples.get(path))
        for name, path in named
    ]


def _found(folder: Path) -> list[Path]:
    out: list[Path] = []
    for path in entries(folder):
        if path.name.startswith("."):
            continue
        if is_bag(path) or (path.is_file() and path.suffix.lower() in (*MEDIA, EXTRACTED)):
            # A folder of single bags and a bag in many files look alike: metadata.yaml, or the same stem, says which.
            if path.is_dir() and not (path / "metadata.yaml").is_file() and len(list(path.glob("*.mcap"))) > 1:
                out.extend(_found(path))
            else:
                out.append(path)
        elif path.is_dir():
            out.extend(_found(path))
    return out


def _there(folder: Path, path: Path) -> Path:
    for candidate in (path, folder / path):
        if candidate.exists():
            place = candidate.resolve()
            root = folder.resolve()
            return folder / place.relative_to(root) if place.is_relative_to(root) else place
    raise ReactdiffError("a pair names a file that is not there", where=str(path))


def _role(path: Path) -> str:
    match = _ROLE.match(path.stem if path.is_file() else path.name)
    return match["role"].lower() if match else ""


def _who(path: Path, folder: Path) -> str:
    match = _ROLE.match(path.stem if path.is_file() else path.name)
    return f"{path.parent.relative_to(folder)}/{match['who'] if match else path.name}"


def _id(path: Path, folder: Path) -> str:
    place = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return str(place.with_suffix("") if path.is_file() else place)


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
    """Every event of the recording with what perception told; empty for a file of `reactdiff extract`."""
    frames: tuple[SpeakerFrame, ...] = ()
    truth: FloatArray | None = None
    """(T, 58) the recorded listener, NaN where unobserved."""
    perception_s: float = 0.0
    """Time that perception took."""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """T."""
        return int(self.speaker.camera.shape[1])


@dataclass(frozen=True, slots=True)
class ShownFace:
    """What one listener's face did."""

    face: FloatArray
    """(T, 58) at 25 Hz, on the slots of `Perceived`."""
    fast: FloatArray
    """(2T or so, 58) the same at 50 Hz, as it is listen_live."""
    plan_s: NDArray[np.float64]
    """(P,) time that each plan took."""
    lag_s: NDArray[np.float64]
    """(L,) age of the newest evidence in each listen_live face that had any, through the plan; without pauses of the
    recording, in which there is nothing newer to show."""
    look_ahead_s: float


def perceive(speaker: Path, listener: Path | None) -> Perceived:
    """Read a recording: a media file, a bag, or a file of `reactdiff extract`; and the listener's view, if any.

    Raises:
        ReactdiffError: it cannot be read, or nothing is perceived in it.
    """
    if speaker.suffix == EXTRACTED:
        return _extracted(speaker)
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
            other, _ = extract_clip(listener, SpeakerPerception())
            truth = _listened(track, other, speaker)
        except MediaError as error:
            notes.append(f"the recorded listener is left out: {error}")
    taken = sum(result.seconds for item in sensed for result in item.results)
    return Perceived(track.first, track.batch, sensed, frames, truth, taken, tuple(notes))


def _extracted(path: Path) -> Perceived:
    known = load_extracted(path)
    truth = None
    if known.listener is not None and known.observed is not None:
        truth = np.where(known.observed, known.listener, np.nan).astype(np.float32)
    return Perceived(1, known.speaker, (), tuple(frames_of(known.speaker, 0)), truth)


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


def listen_live(known: Perceived, spec: Spec, seed: int) -> ShownFace:
    """The face of one listener through the whole session: expression, gaze and blinks included.

    Raises:
        ReactdiffError: the listener cannot be made, or what it planned is no plan.
    """
    listener = spec.make(seed)
    ahead = look_ahead_s(listener)
    timed = Timed(listener, perf_counter)
    faces: list[ExpressionFrame] = []
    plan_s: list[float] = []
    with blamed(spec):
        for heard, plans in _run(known, listener, timed, seed):
            faces.extend(heard)
            if plans:
                for plan in plans:
                    check(plan, spec.text)
                plan_s.append(timed.seconds)
            timed.seconds = 0.0
    if not faces:
        raise MediaError("the recording is too short to listen to", where=spec.text)
    fast = np.stack([face.coefficients for face in faces])
    stamps = np.array([face.stamp_ns for face in faces], dtype=np.int64)
    return ShownFace(_on_slots(fast, stamps, known), fast, np.array(plan_s), _ages(faces, known), ahead)


def _run(
    known: Perceived, listener: Listener, timed: Timed, seed: int
) -> Iterator[tuple[list[ExpressionFrame], Sequence[Reaction]]]:
    noted = RecordedPerception()
    session = ListeningSession(noted, timed, ExpressionEngine(seed=seed), ReplaySettings().session)
    session.reset(seed)
    if foresees(listener):
        cast(Foresees, listener).foresee(known.frames)
    timed.seconds = 0.0
    if known.sensed:
        for item in known.sensed:
            noted.results.extend(item.results)
            faces = push(session, item.event)
            yield faces, session.reactions
        return
    for frame in known.frames:
        session.observe(frame, frame.stamp_ns)
        faces = session.advance(frame.stamp_ns)
        yield faces, session.reactions


def _on_slots(fast: FloatArray, stamps: NDArray[np.int64], known: Perceived) -> FloatArray:
    """The newest face at the beginning of each slot; the first one before there is any."""
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


BASELINES: Final = ("rules", "mime", "random")
"""Policies that wear the live face next to the listener under test."""
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
) -> PartResult:
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
            all_ = [listen_live(known, spec, number(seed, n, k)) for k in range(streams)]
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
        raise ReactdiffError("; ".join(notes) or "no one listened", where=speaker)
    if "truth_attributes" in arrays:
        truth = arrays["truth_attributes"]
        facts["mime"] = simple.mime_scores(arrays["speaker_attributes"], [truth], REACTION_RATE_HZ)
    return PartResult(facts, arrays, tuple(notes))


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
) -> PartResult:
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
        facts[rows_of.SHUFFLED] = measured(speaker, faces, motion=False)
    if "truth" in mine.arrays:
        real = np.nan_to_num(_held(mine.arrays["truth"]))[None]
        facts[rows_of.GROUND_TRUTH] = measured(speaker, real, motion=False)
        _add_agreement(facts, n, mine, theirs, means, lag_s, streams, seed, subject)
    return PartResult({"rows": facts})


def _half_later(mine: PartResult) -> PartResult:
    """The same streams shifted by half their length, what is left over at the end going first."""
    streams = {k: a for k, a in mine.arrays.items() if k.startswith(("faces/", "attributes/"))}
    return PartResult(mine.facts, {k: np.roll(a, a.shape[1] // 2, axis=1) for k, a in streams.items()})


def _add_agreement(
    facts: dict[str, dict[str, float]], n: int, mine: PartResult, theirs: PartResult | None, means: str, lag_s: float,
    streams: int, seed: int, subject: str,
) -> None:  # fmt: skip
    """REACT's metrics against the one who really listened."""
    reference = kept.load(Path(means)) if means else PartResult()
    rows = Rows(REACTION_RATE_HZ, reference, streams, seed, lag_s, subject, _listener_of(reference))
    target = [mine.arrays["truth_attributes"]]
    for name, predictions in rows.of(n, mine, theirs).items():
        scores = score(predictions, target, mine.arrays["speaker_attributes"], REACTION_RATE_HZ, "default")
        facts[name] = {**scores, **facts.get(name, {})}


def _listener_of(reference: PartResult) -> Any:
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


def make_reference(files_of: Mapping[str, str], groups: Mapping[str, str], count: int, streams: int) -> PartResult:
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
    return PartResult({"files": dict(files_of)}, reference_arrays(means, row, near))


LEAST_TRUTHS = 2
"""Means and nearest neighbours need other people's reactions."""
ONE_PERSON = "The listener under test while it listened to another recording; all of them are of one group of people."
ONE_RECORDING = "The listener under test half a recording later, because there is no second recording."
LEAST_MINUTES = 10.0
"""Rates of less than this are told with a warning."""


def run_recordings(
    plan: LabPlan, found: Sequence[Source], context: RunContext, info: Info,
    online: Mapping[str, tuple[float, bool | None]] | None = None,
) -> RunOutcome:  # fmt: skip
    """Evaluate a lab's recordings.

    Args:
        plan: who listens.
        found: the recordings.
        context: where parts are stored, and with how many processes they are done.
        info: the head of the result, whose data, failures and settings are filled in here.
        online: (declared look-ahead in s, verified) of listeners, by name.

    Raises:
        ReactdiffError: not one recording could be evaluated.
    """
    keep, failed = context.keep, dict[str, str]()
    listening = {n: listen_part(plan, source, n) for n, source in enumerate(found)}
    heard, before = done_parts(context, "listening", listening, lambda n: found[n].id, failed)
    facts = {n: keep.load(part, ()).facts for n, part in heard.items()}
    files = {n: str(keep.path(part)) for n, part in heard.items()}
    truths = [n for n in heard if "mime" in facts[n]]
    notes, means = [], ""
    if len(truths) >= LEAST_TRUTHS:
        groups = {n: found[n].group for n in truths}
        part = reference_part({n: files[n] for n in truths}, groups, len(found), plan.streams)
        means = reference_file(context, part)
    elif truths:
        notes.append("one recorded listener alone: no mean sequence, mean frame and nearest neighbour")
    else:
        notes.append("no recorded listener: behaviour and motion are measured, agreement is not")
    lag_s = simple.best_lag([facts[n]["mime"] for n in truths])
    there, control = list(heard), ""
    pairs = simple.other_people([found[n].group for n in there])
    if all(other is None for other in pairs):
        control = ONE_PERSON if len(there) > 1 else ONE_RECORDING
        pairs = simple.other_people([str(n) for n in there])
    stood_in = {n: files[n if i is None else there[i]] for n, i in zip(there, pairs, strict=True)}
    scoring = {
        n: score_part(plan, found[n], n, files[n], stood_in[n], means if n in truths else "", lag_s) for n in there
    }
    scores, _ = done_parts(context, "scoring", scoring, lambda n: found[n].id, failed)
    asked = [spec.name for spec in plan.specs() if spec.text in plan.listeners]
    for n in scores:
        deaf = [name for name in asked if name not in facts[n]["listeners"]]
        if deaf:  # its note says why
            failed[found[n].id] = f"{', '.join(deaf)} did not listen"
    draws = group_draws([found[n].group or found[n].id for n in scores], plan.seed)
    rows = _rows(context, heard, scores, draws)
    for name, row in rows.items():
        row.look_ahead_s, row.causal = (online or {}).get(name, (None, None))
    if rows_of.MIME in rows:
        rows[rows_of.MIME].note = f"{rows_of.NOTES[rows_of.MIME]} Here {lag_s:g} s."
    if control and rows_of.SHUFFLED in rows:
        rows[rows_of.SHUFFLED].note = control
        notes.append(f"the control is a weak one: {control[0].lower()}{control[1:-1]}")
    items = _items(context, heard, list(scores), found, notes)
    minutes = sum(item.seconds for item in items) / 60
    if minutes < LEAST_MINUTES:
        notes.append(f"{minutes:.1f} minutes in all: rates of less than {LEAST_MINUTES:g} minutes are uncertain")
    systems = systems_of(rows, asked)
    settings = {**info.settings, "streams": plan.streams, "mime_lag_s": lag_s, **describe(context.resources)}
    head = replace(
        info, data=f"{counted(len(found), 'recording')}, {len(truths)} with a recorded listener", people=True,
        subject=plan.specs()[0].name, seeds={**info.seeds, "run": plan.seed}, settings=settings,
        failed=tuple(f"{name}: {sentence}" for name, sentence in failed.items()),
    )  # fmt: skip
    table = table_of(systems, items, plan.seed)
    return RunOutcome(Result(head, tuple(items), systems), table, failed, tuple(dict.fromkeys(notes)), before)


def _rows(context: RunContext, parts: Mapping[int, Part], scores: Mapping[int, Part], draws: Values) -> dict[str, Row]:
    rows = empty_rows([context.keep.load(part).facts["rows"] for part in scores.values()], FIGURES)
    for row in rows.values():
        row.values = {name: values for name, values in row.values.items() if np.isfinite(values).any()}
    spreads = {name: Spread() for name in rows}
    shortest = min(int(context.keep.load(parts[n], ()).facts["frames"]) for n in scores)
    for position, n in enumerate(scores):
        mine = context.keep.load(parts[n])
        for name in mine.facts["listeners"]:
            spreads[name].add(position, mine.arrays[f"attributes/{name}"], shortest)
            rows[name].compute_s.append(mine.arrays[f"compute/{name}"])
            rows[name].lag_s.append(mine.arrays[f"lag/{name}"])
            if position < CURVES:
                rows[name].streams[_item_id(parts[n])] = mine.arrays[f"faces/{name}"][0]
    for name, spread in spreads.items():
        if np.isfinite(spread.value()):
            rows[name].figures["FRDvs"] = spread.figure(draws)
    return rows


def _item_id(part: Part) -> str:
    return part.name.removeprefix("listen-")


def _items(
    context: RunContext, parts: Mapping[int, Part], numbers: Sequence[int], found: Sequence[Source], notes: list[str]
) -> list[Item]:
    items = []
    for position, n in enumerate(numbers):
        mine: PartResult = context.keep.load(parts[n], ("speaker", "speech", "truth"))
        curves = mine.arrays if position < CURVES else {}
        notes += [f"{found[n].id}: {sentence}" for sentence in mine.notes]
        items.append(
            Item(
                id=found[n].id, seconds=float(mine.facts["seconds"]), group=found[n].group,
                source=Path(found[n].speaker).name, start_ns=int(mine.facts["start_ns"]),
                speaker=curves.get("speaker"), speech=curves.get("speech"), truth=curves.get("truth"),
                notes=mine.notes,
            )
        )  # fmt: skip
    return items


def unblinded(result: Result, found: Sequence[Source], key: Key) -> tuple[Result, dict[str, str]]:
    """The result with each bag's condition as a note of its item, and the conditions by the item's id.

    A bag whose seal the key does not open gets the sentence why, and no condition.
    """
    bags = {source.id: source.speaker for source in found if is_bag(source.speaker)}
    conditions: dict[str, str] = {}
    items = []
    for item in result.items:
        if item.id in bags:
            told = opened(bags[item.id], key)
            if isinstance(told, str):
                note = f"its condition is not known: {told}"
            else:
                conditions[item.id] = told.condition
                note = f"recorded under the condition {told.condition} (session {told.session})"
            item = replace(item, notes=(note, *item.notes))
        items.append(item)
    settings = {**result.info.settings, "study": key.study, "conditions": dict(conditions)}
    return replace(result, info=replace(result.info, settings=settings), items=tuple(items)), conditions
