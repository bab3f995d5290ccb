"""Hours of stream through the whole session in one process, as fast as possible.

People come one after another: clips in shuffled order on one time line, with absences. A visit is a clip in a loop, for
half a minute or more; then the camera shows an empty wall and the microphone hears nothing for a while. Every round has
each clip once, in a different order.

The session, its rooms and their settings are those of the live graph. The cost of a picture is processor time of this
process, which other programs disturb less than wall-clock time.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.replay.parameters import ReplaySettings, settings_as_live
from reactdiff_ros.recordings.replay.senses import PerceptionRecorder, Timed, push
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, FloatArray, SpeakerFrame
from tools.soak.figures import LOUD_DBFS, apart_ms, behaviour, counted, footprint, rounded
from tools.soak.journal import LongRun, OpenLeg

GRID: Final = Grid()
PROCESS: Final = "session"
VISIT_S: Final = (30.0, 120.0)
"""A visit is whole passes of the clip until the first time, and ends at the second."""
ABSENT_S: Final = (3.0, 20.0)
PICTURE_NS: Final = NS // 25
SOUND_NS: Final = NS // 50
RATE_HZ: Final = 16000
_WALL: Final = np.full((480, 640, 3), 96, dtype=np.uint8)
_SILENCE: Final = np.zeros((RATE_HZ // 50, 1), dtype=np.int16)


def run_stream(clips: Sequence[MediaClip], arguments: Mapping[str, Any], run: LongRun) -> bool:
    """Resume a run until its journal holds this much stream.

    Args:
        clips: of the people who come.
        arguments: policy and seed, as of the live graph; the seed is that of the order, too.
        run: its time is that of the stream; whether it is stopped is asked for every picture.

    Returns:
        Whether it is complete.

    Raises:
        MediaError: no clip can be read, or the file is no journal.
        ReactdiffError: the journal cannot be written, or the listener cannot be made.
    """
    if not clips:
        raise MediaError("there is no clip", todo="name media files")
    settings, _ = settings_as_live(arguments)
    names = [clip.path.name for clip in clips]
    return run.resume(
        lambda leg: _listen(clips, settings, run, leg), clips=names, policy=settings.policy, seed=settings.seed
    )


def _listen(clips: Sequence[MediaClip], settings: ReplaySettings, run: LongRun, leg: OpenLeg) -> None:
    """Until the leg is complete or stopped."""
    last = max((minute["visit"] for before in leg.before for minute in before.minutes), default=-1)
    people = Visits(clips, settings.seed, last + 1, int((1 + leg.done_s) * NS), run.log, run.every_s / 60.0)
    session = _Session(settings)
    minute = _Minute(people.now.begin_ns)
    for item in people.items():
        # In an absence, when no file is open: what the process holds is compared in the same situation.
        if people.absent and item.offset_ns >= minute.begin_ns + run.every_s * NS:
            leg.add(minute.closed(item.offset_ns, session, people.now.number))
            minute = _Minute(item.offset_ns)
            if leg.complete:
                return
        session.push(item, None if people.absent else people.now, minute)
        if isinstance(item, ClipPicture):
            leg.progress((item.offset_ns - minute.begin_ns) / NS)
            if run.stopped():
                return


@dataclass(frozen=True)
class Visit:
    """One person's visit and the absence after it."""

    number: int
    clip: MediaClip
    begin_ns: int
    absent_ns: int


class Visits:
    """Visits without end. A clip that becomes unreadable on the way is logged and left out.

    Args:
        clips: readable ones.
        seed: of the order and of the absences.
        first: number of the first visit; an earlier run did those before it.
        begin_ns: when it begins.
        log: receives one sentence for every event that a user should know.
        scale: of the lengths of visits and absences, for short runs.
    """

    def __init__(
        self,
        clips: Sequence[MediaClip],
        seed: int,
        first: int,
        begin_ns: int,
        log: Callable[[str], None],
        scale: float = 1.0,
    ) -> None:
        self._clips, self._seed, self._log, self._scale = list(clips), seed, log, scale
        self._broken: set[MediaClip] = set()
        self.now = self._visit(first, begin_ns)
        """The visit that the items come from."""
        self.absent = False
        """Its person has left, and no file is open."""

    def items(self) -> Iterator[ClipItem]:
        """Pictures and sound in the order of their offsets.

        Raises:
            MediaError: none of the clips can be read any more.
        """
        while True:
            end_ns = self.now.begin_ns
            self.absent = False
            spans_ns = (int(self._scale * s * NS) for s in VISIT_S)
            try:
                for item in () if self.now.clip in self._broken else _looped(self.now, *spans_ns):
                    end_ns = max(end_ns, _end_ns(item))
                    yield item
            except MediaError as error:
                self._broken.add(self.now.clip)
                self._log(f"{error}: it is left out")
                if len(self._broken) == len(self._clips):
                    raise
            self.absent = True
            for item in _absence(end_ns, self.now.absent_ns):
                end_ns = max(end_ns, _end_ns(item))
                yield item
            self.now = self._visit(self.now.number + 1, end_ns)

    def _visit(self, number: int, begin_ns: int) -> Visit:
        round_, place = divmod(number, len(self._clips))
        order = np.random.default_rng([self._seed, 83, round_]).permutation(len(self._clips))
        absent_s = np.random.default_rng([self._seed, 84, number]).uniform(*ABSENT_S)
        return Visit(number, self._clips[order[place]], begin_ns, int(self._scale * absent_s * NS))


def _looped(visit: Visit, shortest_ns: int, longest_ns: int) -> Iterator[ClipItem]:
    pass_ns = visit.begin_ns
    while pass_ns < visit.begin_ns + shortest_ns:
        end_ns = pass_ns
        for item in visit.clip.pictures_and_sound():
            moved = item._replace(offset_ns=pass_ns + item.offset_ns)
            if moved.offset_ns > visit.begin_ns + longest_ns:
                return
            end_ns = max(end_ns, _end_ns(moved))
            yield moved
        pass_ns = end_ns


def _absence(begin_ns: int, length_ns: int) -> Iterator[ClipItem]:
    for i in range(length_ns // SOUND_NS):
        at_ns = begin_ns + i * SOUND_NS
        if i % (PICTURE_NS // SOUND_NS) == 0:
            yield ClipPicture(at_ns, _WALL)
        yield ClipSound(at_ns, RATE_HZ, _SILENCE)


def _end_ns(item: ClipItem) -> int:
    return item.end_ns if isinstance(item, ClipSound) else item.offset_ns + PICTURE_NS


class _Session:
    """The session, and when the person of each visit was first seen and first heard."""

    def __init__(self, settings: ReplaySettings) -> None:
        timer = time.process_time
        self._recorder = PerceptionRecorder(SpeakerPerception(settings.perception), timer)
        listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener)
        self._listener = Timed(listener, timer)
        self._session = ListeningSession(
            self._recorder, cast("Listener", self._listener),
            ExpressionEngine(settings.expression, settings.seed), settings.session,
        )  # fmt: skip
        self._session.reset(settings.seed)
        self._met: dict[int, list[Any]] = {}
        """By visit: [clip, first seen, first heard], the times in seconds of the visit."""

    def push(self, item: ClipItem, visit: Visit | None, minute: _Minute) -> None:
        """One picture or chunk of sound; of which visit, None: of an absence."""
        self._listener.seconds = 0.0
        faces = push(self._session, item)
        spent_s = sum(note.seconds for note in self._recorder.take()) + self._listener.seconds
        minute.record(spent_s, self._session.speaker_frames, faces)
        if visit is not None:
            self._look(visit, self._session.speaker_frames)

    def _look(self, visit: Visit, frames: Sequence[SpeakerFrame]) -> None:
        met = self._met.setdefault(visit.number, [visit.clip.path.name, None, None])
        for frame in frames:
            seen_ns, heard_ns, voice = frame.picture_stamp_ns, frame.sound_stamp_ns, frame.voice
            if met[1] is None and frame.face_present and seen_ns is not None and seen_ns >= visit.begin_ns:
                met[1] = rounded((seen_ns - visit.begin_ns) / NS)
            loud = voice is not None and voice.loudness_dbfs > LOUD_DBFS
            if met[2] is None and loud and heard_ns is not None and heard_ns > visit.begin_ns:
                met[2] = rounded((heard_ns - visit.begin_ns) / NS)

    def met(self) -> list[list[Any]]:
        """[clip, seen, heard] of the visits since the last call."""
        found, self._met = [self._met[number] for number in sorted(self._met)], {}
        return found

    def counts(self) -> dict[str, int]:
        """What was dropped since the start of the leg."""
        return {"rejected": self._session.rejected, "dropped": self._session.dropped}


class _Minute:
    """What is recorded until it is written."""

    def __init__(self, begin_ns: int) -> None:
        self.begin_ns = begin_ns
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._cost: defaultdict[int, float] = defaultdict(float)
        self._pictures: list[int] = []
        self._sounds: list[int] = []
        self._faces: list[FloatArray] = []

    def record(self, spent_s: float, frames: Sequence[SpeakerFrame], faces: Sequence[ExpressionFrame]) -> None:
        """The results of one item."""
        for frame in frames:
            if frame.picture_stamp_ns is not None and frame.sound_stamp_ns is not None:
                self._pictures.append(frame.picture_stamp_ns)
                self._sounds.append(frame.sound_stamp_ns)
        if faces:
            self._cost[GRID.slot(faces[-1].stamp_ns)] += spent_s
            self._faces += [face.coefficients for face in faces if face.stamp_ns % GRID.period_ns == 0]

    def closed(self, end_ns: int, session: _Session, visit: int) -> dict[str, Any]:
        """The journal's line."""
        faces = np.array(self._faces, dtype=np.float32).reshape(-1, COEFFICIENT_COUNT)
        return {
            "at_s": round(end_ns / NS, 3),
            "seconds": round((end_ns - self.begin_ns) / NS, 6),
            "wall_s": round(time.perf_counter() - self._wall_s, 3),
            "cpu_s": round(time.process_time() - self._cpu_s, 3),
            "load": round(os.getloadavg()[0], 2),
            "visit": visit,
            "processes": {PROCESS: footprint([os.getpid()])},
            "times": {"cost": counted(1e3 * s for s in self._cost.values() if s > 0)},
            "apart_ms": apart_ms(self._pictures, self._sounds),
            "met": session.met(),
            "behaviour": behaviour(faces),
            "counts": session.counts(),
        }


def open_clips(paths: Sequence[Path]) -> list[MediaClip]:
    """The clips, all of which must be readable. Raises MediaError for the first one that is not."""
    clips = [MediaClip(path) for path in paths]
    without = [str(clip.path) for clip in clips if not clip.has_picture]
    if without:
        raise MediaError("a long run needs pictures", where=without[0], todo="leave it out")
    return clips
