"""One recording perceived once, and listened to by any number of listeners through the whole live session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.online import Foresees, foresees, look_ahead_s
from reactdiff_ros.evaluation.recordings.extraction import CONFIDENT, extract_clip
from reactdiff_ros.evaluation.runs.listening import Spec, blamed, check
from reactdiff_ros.evaluation.studies.frame_policies import frames_of
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.speaker.grid import Track, onto_grid
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.datasets.recordings import SUFFIX as EXTRACTED
from reactdiff_ros.recordings.datasets.recordings import load as load_extracted
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Tally, open_recording, sensed_here
from reactdiff_ros.recordings.replay.senses import RecordedPerception, Sensed, Timed, push
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, FloatArray, Reaction, SpeakerFrame

GRID = Grid()
PAUSE_NS = NS // 5
"""A recording that tells nothing for so long pauses."""


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
class Shown:
    """What one listener's face did."""

    face: FloatArray
    """(T, 58) at 25 Hz, on the slots of `Perceived`."""
    fast: FloatArray
    """(2T or so, 58) the same at 50 Hz, as it is shown."""
    plan_s: NDArray[np.float64]
    """(P,) time that each plan took."""
    lag_s: NDArray[np.float64]
    """(L,) age of the newest evidence in each shown face that had any, through the plan; without pauses of the
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


def shown(known: Perceived, spec: Spec, seed: int) -> Shown:
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
    return Shown(_on_slots(fast, stamps, known), fast, np.array(plan_s), _ages(faces, known), ahead)


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
