"""A recording through the very session of the live graph, on the recording's own time, as fast as it can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.grid import onto_grid
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.replay.ahead import open_recording, sensed_ahead, sensed_here
from reactdiff_ros.recordings.replay.events import as_recorded
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.senses import Noted, Recording, Sensed, push
from reactdiff_ros.recordings.replay.timing import Timed
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, FloatArray, ListenerState, Reaction, SpeakerFrame

GRID: Final = Grid()


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one event of the recording."""

    now_ns: int
    """The event's time."""
    speaker: tuple[SpeakerFrame, ...]
    reactions: tuple[Reaction, ...]
    faces: tuple[ExpressionFrame, ...]
    perception_s: float
    """Seconds that perception took."""
    listener_s: float
    """Seconds that the listener took: what it was told and what it planned."""


@dataclass
class Tally:
    """How a replay went, filled while it goes on."""

    done_s: float = 0.0
    """Of the recording's time."""
    length_s: float = 0.0
    """Of the recording, by its own record; 0 = unknown."""
    rejected: int = 0
    """Malformed inputs that perception or the listener dropped."""
    strays: int = 0
    """Events whose stamps cannot be."""
    damaged: int = 0
    """Pieces of the recording that could not be decoded."""
    oddities: list[str] = field(default_factory=list)
    """What the recording's reader tells about it."""
    jump_s: float = 0.0
    """Not 0: the recording's time jumped by so much, and the replay ended there."""
    broken: str = ""
    """Not empty: why the recording could not be read to its end."""
    state: ListenerState | None = None
    """The listener's own words at the end."""

    def notes(self) -> list[str]:
        """One sentence for everything that a user should know."""
        told = list(self.oddities)
        if self.broken:
            told.append(f"the recording could be read for {self.done_s:.1f} s only: {self.broken}")
        if self.jump_s:
            told.append(
                f"the recording's time jumps by {self.jump_s:.1f} s after {self.done_s:.1f} s: "
                "what comes after that is left out, cut it there into two"
            )
        counts = (
            # A bag's reader tells each fault by itself.
            (0 if self.oddities else self.damaged, "pieces of the recording could not be decoded and were left out"),
            (self.strays, "pictures or sounds had stamps that cannot be and were left out"),
            (self.rejected, "malformed pictures or sounds were dropped"),
        )
        return told + [f"{count} {what}" for count, what in counts if count]


@dataclass(frozen=True)
class Replayed:
    """A replay on the 25 Hz grid: T slots of 40 ms, from the first face to the last."""

    times_ns: NDArray[np.int64]
    """(T,) the beginning of each slot, on the recording's clock."""
    speaker: SpeakerBatch
    """(1, T): what perception told in each slot, as the listener's grid holds it."""
    speaker_stamps_ns: NDArray[np.int64]
    """(T,) of the newest evidence in it, -1 = nothing was observed."""
    coefficients: FloatArray
    """(T, 58) the listener's face at the beginning of each slot."""
    listening: NDArray[np.bool_]
    """(T,) False: the face was idle or neutral, there was nobody to listen to."""
    perception_s: NDArray[np.float64]
    """(T,) seconds of computing in each slot."""
    listener_s: NDArray[np.float64]
    """(T,) the same of the listener."""
    complete: bool
    """False: it was stopped, or the recording broke off."""
    tally: Tally = field(compare=False)


def steps(
    recording: Recording | Path,
    settings: ReplaySettings | None = None,
    *,
    listener: Listener | None = None,
    tally: Tally | None = None,
    ahead: bool = False,
    candidates: bool = False,
    timer: Callable[[], float] = time.perf_counter,
) -> Iterator[Step]:
    """Replay, one step for each event of the recording.

    Args:
        recording: a media file or bag by its path, or a readable one.
        settings: who listens and how.
        listener: takes the place of `settings.policy`; it is reset with the seed first.
        tally: filled while it goes on.
        ahead: decode and perceive in a second process (of a path only). The result is the same to the bit.
        candidates: plans carry all their candidates, as with the parameter publish_candidates.
        timer: seconds of a monotonic clock; has no influence on any face.

    Raises:
        MediaError: the recording cannot be opened, or nothing of it can be decoded.
        ReactdiffError: the listener cannot be made.
    """
    settings, tally = settings or ReplaySettings(), tally or Tally()
    opened = open_recording(recording, settings) if isinstance(recording, Path) else recording
    settings = as_recorded(settings, opened)
    if ahead and isinstance(recording, Path):
        sensed = sensed_ahead(recording, settings, tally)
    else:
        sensed = sensed_here(opened, settings, tally, timer)
    listener = listener or make_listener(settings.policy, seed=settings.seed, config=settings.listener)
    return _listened(sensed, settings, Timed(listener, timer), tally, candidates)


def replay(
    recording: Recording | Path,
    settings: ReplaySettings | None = None,
    *,
    listener: Listener | None = None,
    tally: Tally | None = None,
    ahead: bool = False,
    told: Callable[[float], bool] = lambda seconds: True,
    each: Callable[[Step], None] = lambda step: None,
    timer: Callable[[], float] = time.perf_counter,
) -> Replayed:
    """Replay a whole recording and return speaker and listener on the 25 Hz grid.

    Args:
        recording: a media file or bag by its path, or a readable one.
        settings: who listens and how.
        listener: takes the place of `settings.policy`.
        tally: filled while it goes on.
        ahead: see `steps`.
        told: is given the seconds of the recording that are done; returns False to stop there.
        each: is given every step, for whoever keeps the 50 Hz faces or writes a bag.
        timer: seconds of a monotonic clock.

    Raises:
        MediaError: the recording cannot be opened, or nothing of it can be decoded. One that breaks off later gives
            what was read, with `complete` False.
    """
    tally, kept = tally or Tally(), _Kept()
    stopped = False
    running = steps(recording, settings, listener=listener, tally=tally, ahead=ahead, timer=timer)
    for step in running:
        kept.take(step)
        each(step)
        if not told(tally.done_s):
            stopped = True
            break
    running.close()  # type: ignore[attr-defined]
    return kept.replayed(tally, complete=not (stopped or tally.broken or tally.jump_s))


def _listened(
    sensed: Iterable[Sensed], settings: ReplaySettings, listener: Timed, tally: Tally, candidates: bool
) -> Iterator[Step]:
    noted = Noted()
    listener.show_candidates(candidates or settings.listener.publish_candidates)
    expression = ExpressionEngine(settings.expression, settings.seed)
    session = ListeningSession(noted, listener, expression, settings.session)
    session.reset(settings.seed)
    first_ns = None
    try:
        for item in sensed:
            now_ns = item.event.offset_ns
            first_ns = now_ns if first_ns is None else first_ns
            noted.notes.extend(item.notes)
            noted.seconds = listener.seconds = 0.0
            faces = tuple(push(session, item.event))
            tally.done_s = max(tally.done_s, (now_ns - first_ns) / NS)
            tally.rejected, tally.damaged = session.rejected, item.damaged
            heard, plans = tuple(session.speaker_frames), tuple(session.reactions)
            yield Step(now_ns, heard, plans, faces, noted.seconds, listener.seconds)
    finally:
        tally.state = listener.state()


class _Kept:
    """Steps put onto the grid."""

    def __init__(self) -> None:
        self._frames: list[SpeakerFrame] = []
        self._faces: list[ExpressionFrame] = []
        self._seconds: dict[int, list[float]] = {}

    def take(self, step: Step) -> None:
        self._frames.extend(step.speaker)
        self._faces.extend(face for face in step.faces if face.stamp_ns % GRID.period_ns == 0)
        spent = self._seconds.setdefault(GRID.slot(step.now_ns), [0.0, 0.0])
        spent[0] += step.perception_s
        spent[1] += step.listener_s

    def replayed(self, tally: Tally, complete: bool) -> Replayed:
        count = len(self._faces)
        times = np.array([face.stamp_ns for face in self._faces], dtype=np.int64)
        first = GRID.slot(int(times[0])) if count else 0
        batch, stamps = _aligned(self._frames, first, count)
        spent = np.array([self._seconds.get(first + i, (0.0, 0.0)) for i in range(count)]).reshape(count, 2)
        return Replayed(
            times_ns=times,
            speaker=batch,
            speaker_stamps_ns=stamps,
            coefficients=np.array([f.coefficients for f in self._faces], np.float32).reshape(count, COEFFICIENT_COUNT),
            listening=np.array([face.mode == "listening" for face in self._faces], dtype=bool),
            perception_s=spent[:, 0],
            listener_s=spent[:, 1],
            complete=complete,
            tally=tally,
        )


def _aligned(frames: list[SpeakerFrame], first: int, count: int) -> tuple[SpeakerBatch, NDArray[np.int64]]:
    """The speaker in the slots `first` to `first + count`; unobserved where there is none."""
    nobody = blank(count)
    columns: dict[str, Any] = {f.name: getattr(nobody, f.name)[None].copy() for f in fields(SpeakerBatch)}
    stamps = np.full(count, -1, dtype=np.int64)
    if frames and count:
        track = onto_grid(frames)
        begin, end = max(first, track.first), min(first + count, track.end)
        if end > begin:
            into, of = slice(begin - first, end - first), slice(begin - track.first, end - track.first)
            stamps[into] = track.stamps_ns[of]
            for name, column in columns.items():
                column[:, into] = getattr(track.batch, name)[:, of]
    return SpeakerBatch(**columns), stamps
