"""A recording through the very session of the live graph, on the recording's own time, as fast as it can.

Decoding and perceiving run in this process, or ahead of the listener in a second one; faces are the same to the bit.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, Grid, to_ns
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.messages import fill_candidates
from reactdiff_ros.model.listener import Listener, ShowsCandidates
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.grid import onto_grid
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.read import BagSource, open_source
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter, Storage
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.senses import (
    Event,
    RecordedPerception,
    Recording,
    Sensed,
    Steady,
    Timed,
    as_recorded,
    events_of,
    merged,
    push,
    sense,
)
from reactdiff_ros.resources import package_version
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, ListenerState, Reaction, SpeakerFrame

GRID: Final = Grid()
AFTER_NS: Final = 100_000_000
"""A replay goes on for this long after the last event: until it has acted."""
_BATCH: Final = 16
_DECODED: Final = 24
"""Pictures and sounds that are decoded in advance."""


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
    """Seconds that the listener took: observing and planning."""


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
    """Notes of the recording's reader."""
    jump_s: float = 0.0
    """Not 0: the recording's time jumped by so much, and the replay ended there."""
    broken: str = ""
    """Not empty: why the recording could not be read to its end."""
    state: ListenerState | None = None
    """The listener's own words at the end."""

    def notes(self) -> list[str]:
        """One sentence for everything that a user should know."""
        notes = list(self.oddities)
        if self.broken:
            notes.append(f"the recording could be read for {self.done_s:.1f} s only: {self.broken}")
        if self.jump_s:
            notes.append(
                f"the recording's time jumps by {self.jump_s:.1f} s after {self.done_s:.1f} s: "
                "what comes after that is left out, cut it there into two"
            )
        counts = (
            # A bag's reader reports each fault itself.
            (0 if self.oddities else self.damaged, "pieces of the recording could not be decoded and were left out"),
            (self.strays, "pictures or sounds had stamps that cannot be and were left out"),
            (self.rejected, "malformed pictures or sounds were dropped"),
        )
        return notes + [f"{count} {what}" for count, what in counts if count]


@dataclass(frozen=True)
class Replayed:
    """A replay on the 25 Hz grid: T slots of 40 ms, from the first face to the last."""

    faces: list[ExpressionFrame]
    """(T,) the listener's face at the beginning of each slot."""
    face_seen: NDArray[np.bool_]
    """(T,) perception found the speaker's face, as the listener's grid holds it."""
    perception_s: NDArray[np.float64]
    """(T,) seconds of computing in each slot."""
    listener_s: NDArray[np.float64]
    """(T,) the same of the listener."""
    complete: bool
    """False: it was stopped, or the recording broke off."""
    tally: Tally


def steps(
    recording: Recording | Path,
    settings: ReplaySettings | None = None,
    *,
    listener: Listener | None = None,
    tally: Tally | None = None,
    ahead: bool = False,
    timer: Callable[[], float] = time.perf_counter,
) -> Generator[Step, None, None]:
    """Replay, one step for each event of the recording.

    Args:
        recording: a media file or bag by its path, or a readable one.
        settings: who listens and how.
        listener: takes the place of `settings.policy`; it is reset with the seed first.
        tally: filled while it goes on.
        ahead: decode and perceive in a second process (of a path only). The result is the same to the bit.
        timer: seconds of a monotonic clock; has no influence on any face.

    Raises:
        MediaError: the recording cannot be opened, or nothing of it can be decoded.
        ReactdiffError: the listener cannot be created.
    """
    settings, tally = settings or ReplaySettings(), tally or Tally()
    opened = open_recording(recording, settings) if isinstance(recording, Path) else recording
    settings = as_recorded(settings, opened)
    if ahead and isinstance(recording, Path):
        sensed = sensed_ahead(recording, settings, tally)
    else:
        sensed = sensed_here(opened, settings, tally, timer)
    listener = listener or make_listener(settings.policy, seed=settings.seed, config=settings.listener)
    return _listened(sensed, settings, listener, tally, timer)


def replay(
    recording: Recording | Path,
    settings: ReplaySettings | None = None,
    *,
    listener: Listener | None = None,
    tally: Tally | None = None,
    ahead: bool = False,
    progress: Callable[[float], bool] = lambda seconds: True,
    each: Callable[[Step], None] = lambda step: None,
    timer: Callable[[], float] = time.perf_counter,
) -> Replayed:
    """Replay a whole recording and return the listener on the 25 Hz grid; arguments as in `steps`.

    `progress` takes the seconds of the recording that are done and returns False to stop there; `each` takes every
    step, with the faces at 50 Hz.

    Raises:
        MediaError: the recording cannot be opened, or nothing of it can be decoded. One that breaks off later gives
            what was read, with `complete` False.
    """
    tally = tally or Tally()
    frames: list[SpeakerFrame] = []
    faces: list[ExpressionFrame] = []
    spent: dict[int, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    stopped = False
    with closing(steps(recording, settings, listener=listener, tally=tally, ahead=ahead, timer=timer)) as running:
        for step in running:
            frames.extend(step.speaker)
            faces.extend(face for face in step.faces if face.stamp_ns % GRID.period_ns == 0)
            spent[GRID.slot(step.now_ns)] += step.perception_s, step.listener_s
            each(step)
            if not progress(tally.done_s):
                stopped = True
                break
    count = len(faces)
    first = GRID.slot(faces[0].stamp_ns) if faces else 0
    seen = np.zeros(count, dtype=bool)
    if frames and faces:
        track = onto_grid(frames)
        begin, end = max(first, track.first), min(first + count, track.end)
        if end > begin:
            seen[begin - first : end - first] = track.batch.mesh[0, begin - track.first : end - track.first]
    seconds = np.array([spent[first + i] for i in range(count)]).reshape(count, 2)
    return Replayed(
        faces=faces,
        face_seen=seen,
        perception_s=seconds[:, 0],
        listener_s=seconds[:, 1],
        complete=not (stopped or tally.broken or tally.jump_s),
        tally=tally,
    )


def _listened(
    sensed: Iterable[Sensed], settings: ReplaySettings, listener: Listener, tally: Tally, timer: Callable[[], float]
) -> Generator[Step, None, None]:
    heard, timed = RecordedPerception(), Timed(listener, timer)
    if isinstance(listener, ShowsCandidates):
        listener.show_candidates(settings.listener.publish_candidates)
    expression = ExpressionEngine(settings.expression, settings.seed)
    session = ListeningSession(heard, cast("Listener", timed), expression, settings.session)
    session.reset(settings.seed)
    first_ns = None
    try:
        for item in sensed:
            now_ns = item.event.offset_ns
            first_ns = now_ns if first_ns is None else first_ns
            heard.results.extend(item.results)
            heard.seconds = timed.seconds = 0.0
            faces = tuple(push(session, item.event))
            tally.done_s = max(tally.done_s, (now_ns - first_ns) / NS)
            tally.rejected, tally.damaged = session.rejected, item.damaged
            frames, plans = tuple(session.speaker_frames), tuple(session.reactions)
            yield Step(now_ns, frames, plans, faces, heard.seconds, timed.seconds)
    finally:
        tally.state = listener.state()


# ---- Decoding and perceiving, here or ahead in a second process


def open_recording(path: Path, settings: ReplaySettings | None = None) -> Recording:
    """A media file or a bag, of which `settings` names the topics.

    Raises:
        MediaError: it cannot be read, or holds neither pictures nor sound.
        ModuleNotFoundError: it is a bag, and `rosbags` is not installed.
    """
    settings = settings or ReplaySettings()
    return open_source(path, settings.picture, settings.sound)


def sensed_here(
    recording: Recording, settings: ReplaySettings, tally: Tally, timer: Callable[[], float], decode_ahead: bool = False
) -> Iterator[Sensed]:
    """What is perceived in a recording, in this process; with `decode_ahead` it is decoded in another thread.

    A recording that breaks off ends there, with the reason in `tally.broken`.

    Raises:
        MediaError: nothing of it can be decoded.
    """
    steady = Steady()
    tally.length_s = recording.duration_s
    items = recording.pictures_and_sound()
    line = merged(in_thread(items, _DECODED) if decode_ahead else items, events_of(recording, settings))
    events = _until_broken(steady.of(line), steady, tally)
    sensed = sense(
        events, SpeakerPerception(settings.perception), settings.session,
        after_ns=AFTER_NS, timer=timer, damaged=lambda: recording.damaged_packets,
    )  # fmt: skip
    try:
        yield from sensed
    finally:
        tally.strays, tally.jump_s = steady.strays, steady.jump_s
        tally.oddities = recording.notes if isinstance(recording, BagSource) else []


def _until_broken(events: Iterator[Event], steady: Steady, tally: Tally) -> Iterator[Event]:
    try:
        yield from events
    except MediaError as error:
        if steady.newest_ns is None:
            raise
        tally.broken = str(error)


_Item = TypeVar("_Item")
_END: Final[Any] = object()


def in_thread(items: Iterator[_Item], depth: int) -> Iterator[_Item]:
    """`items` in their order and with their errors; a thread makes up to `depth` of them in advance.

    The iterator is used and closed in that thread alone, because a database belongs to its thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        waiting: deque[Future[_Item]] = deque(pool.submit(next, items, _END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, items, _END))
                yield item
        finally:
            for future in waiting:
                future.cancel()
            pool.submit(getattr(items, "close", lambda: None)).result()


def sensed_ahead(path: Path, settings: ReplaySettings, tally: Tally) -> Iterator[Sensed]:
    """The same from a second process, which works ahead as far as a pipe holds.

    Raises:
        MediaError: as `open_recording` and `sensed_here`.
        ReactdiffError: the process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_sense, args=(theirs, path, settings), daemon=True)
    # Ctrl-C goes to both, and this process ends the other one. A blocked signal stays blocked in what is started, so
    # that it does not end during its imports; only the start of multiprocessing's own helper unblocks it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    try:
        while (message := ours.recv()) is not None:
            if isinstance(message, Exception):
                raise message
            if isinstance(message, Tally):
                for name in ("length_s", "strays", "jump_s", "broken", "oddities"):
                    setattr(tally, name, getattr(message, name))
            else:
                yield from message
    except EOFError:
        what, todo = "the process that reads the recording", "is there enough memory? Try again with --processes 1"
        raise ReactdiffError(f"{what} ended unexpectedly", where=str(path), todo=todo) from None
    finally:
        ours.close()
        process.terminate()
        process.join()


def _sense(pipe: Connection, path: Path, settings: ReplaySettings) -> None:
    """The second process: sends a Tally with the length, lists of Sensed, a Tally at the end, and None."""
    tally, batch = Tally(), []
    try:
        try:
            recording = open_recording(path, settings)
            tally.length_s = recording.duration_s
            pipe.send(tally)
            for item in sensed_here(recording, settings, tally, time.perf_counter, decode_ahead=True):
                batch.append(item)
                if len(batch) >= _BATCH:
                    pipe.send(batch)
                    batch = []
        except ReactdiffError as error:
            pipe.send(error)
            return
        for message in (batch, tally, None):
            pipe.send(message)
    except BrokenPipeError:
        pass  # the replay was stopped


# ---- A replay as a bag: speaker frames, faces and plans on the recording's stamps, with what made them

_CANDIDATES: Final = "/listener/reaction/candidates"


class ReplayBag(BagWriter):
    """The bag of a replay that goes on. The same replay gives the same bytes.

    If the replay breaks, what is written stays in `partial`, as a bag that says that it is not complete.

    Args:
        path: folder to create.
        recording: what is replayed.
        settings: who listens and how.
        parameters: in force, by node and name, for the record.
        storage: mcap or sqlite3.
        plans: write the listener's plans as well.

    Raises:
        MediaError: there is something at `path`, or it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        recording: Recording,
        settings: ReplaySettings,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        storage: Storage = "mcap",
        plans: bool = False,
    ) -> None:
        self._plans = plans
        self._latency_ns = to_ns(settings.session.picture_latency_s)
        self._replayed = _study(recording, settings, parameters or {})
        super().__init__(path, storage=storage, study=self._replayed, keep_partial=True)

    def write(self, step: Step) -> None:
        """Write what came of one event, in the order in which the graph would publish it.

        Raises:
            MediaError: the disk is full.
        """
        calls: list[tuple[int, int, Any]] = [(face.stamp_ns, 2, face) for face in step.faces]
        calls += [(min(step.now_ns, frame.stamp_ns + self._latency_ns), 0, frame) for frame in step.speaker]
        if self._plans:
            calls += [(min(step.now_ns, plan.start_ns), 1, plan) for plan in step.reactions]
        for log_ns, kind, value in sorted(calls, key=lambda call: call[:2]):
            if kind == 0:
                self.speaker(value, log_ns=log_ns)
            elif kind == 2:
                self.expression(value)
            else:
                self.reaction(replace(value, compute_s=0.0), log_ns=log_ns)
                if value.candidates is not None:
                    self.filled(_CANDIDATES, interfaces.CANDIDATES, log_ns, fill_candidates, value)

    def describe(self, tally: Tally, complete: bool) -> None:
        """Record how the replay went, before the bag is closed; `complete`: neither stopped nor broken off."""
        backend = tally.state.backend if tally.state else ""
        about = {"complete": complete, "done_s": round(tally.done_s, 3), "notes": tally.notes(), "backend": backend}
        parameters = {**self._replayed.parameters, **{f"replay.{name}": value for name, value in about.items()}}
        self.study = replace(self._replayed, parameters=parameters, weights=backend.partition("@")[2])


def _study(recording: Recording, settings: ReplaySettings, parameters: Mapping[str, Mapping[str, Any]]) -> Study:
    """The recording's own study, if it has one, with this replay's parameters."""
    known = recording.study if isinstance(recording, BagSource) else None
    values = {f"{node}.{name}": value for node, own in parameters.items() for name, value in own.items()}
    values |= {
        "replay.of": recording.path.name,
        "replay.version": package_version(),
        "replay.policy": settings.policy,
        "replay.own_voice": settings.own_voice,
        "replay.operator": settings.operator,
    }
    study = known or Study(session_id=recording.path.stem)
    return replace(study, parameters=values, seed=settings.seed, weights="")
