"""Hours of stream through the whole session in one process, as fast as it goes.

The session, its rooms and their settings are those of the live graph. What a picture costs is processor time of this
process, which other programs of the machine disturb less than they do the clock on the wall.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.capture.media import ClipItem, ClipPicture, MediaClip
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.soak.long_run import LongRun, OpenLeg
from reactdiff_ros.evaluation.soak.measures import LOUD_DBFS, apart_ms, behaviour, counted, footprint, rounded
from reactdiff_ros.evaluation.soak.visits import Visit, Visits
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.senses import PerceptionRecorder, Timed, push
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, FloatArray, SpeakerFrame

GRID: Final = Grid()
PROCESS: Final = "session"


def run_stream(clips: Sequence[MediaClip], settings: ReplaySettings, run: LongRun) -> bool:
    """Go on with a run until its journal holds so much stream.

    Args:
        clips: of the people who come.
        settings: of the live graph; the seed is that of the order, too.
        run: its time is that of the stream; whether it is stopped is asked for every picture.

    Returns:
        Whether it is complete.

    Raises:
        MediaError: no clip can be read, or the file is no journal.
        ReactdiffError: the journal cannot be written, or the listener cannot be made.
    """
    if not clips:
        raise MediaError("there is no clip", todo="name media files")
    return run.go_on(lambda leg: _listen(clips, settings, run, leg))


def _listen(clips: Sequence[MediaClip], settings: ReplaySettings, run: LongRun, leg: OpenLeg) -> None:
    """Until the leg is complete or stopped."""
    last = max((minute["visit"] for before in leg.before for minute in before.minutes), default=-1)
    people = Visits(clips, settings.seed, last + 1, int((1 + leg.done_s) * NS), run.say, run.every_s / 60.0)
    ear = _Ear(settings)
    minute = _Minute(people.now.begin_ns)
    for item in people.items():
        # In an absence, when no file is open: what the process holds is compared in the same situation.
        if people.absent and item.offset_ns >= minute.begin_ns + run.every_s * NS:
            leg.add(minute.closed(item.offset_ns, ear, people.now.number))
            minute = _Minute(item.offset_ns)
            if leg.complete:
                return
        ear.take(item, None if people.absent else people.now, minute)
        if isinstance(item, ClipPicture):
            leg.tell((item.offset_ns - minute.begin_ns) / NS)
            if run.stopped():
                return


class _Ear:
    """The session, and what is noted while it runs."""

    def __init__(self, settings: ReplaySettings) -> None:
        timer = time.process_time
        self._noting = PerceptionRecorder(SpeakerPerception(settings.perception), timer)
        listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener)
        self._listener = Timed(listener, timer)
        self._session = ListeningSession(
            self._noting, self._listener, ExpressionEngine(settings.expression, settings.seed), settings.session
        )
        self._session.reset(settings.seed)
        self.met = _Met()

    def take(self, item: ClipItem, visit: Visit | None, minute: _Minute) -> None:
        """One picture or chunk of sound; of which visit, None: of an absence."""
        self._listener.seconds = 0.0
        faces = push(self._session, item)
        spent_s = sum(note.seconds for note in self._noting.take()) + self._listener.seconds
        minute.note(spent_s, self._session.speaker_frames, faces)
        if visit is not None:
            self.met.look(visit, self._session.speaker_frames)

    def counts(self) -> dict[str, int]:
        """What was dropped since the start of the leg."""
        return {"rejected": self._session.rejected, "dropped": self._session.dropped}


class _Met:
    """When the person of each visit was first seen and first heard, in seconds of the visit."""

    def __init__(self) -> None:
        self._visits: dict[int, Visit] = {}
        self._seen: dict[int, float] = {}
        self._heard: dict[int, float] = {}

    def look(self, visit: Visit, frames: Sequence[SpeakerFrame]) -> None:
        """What perception told within a visit."""
        number, begin_ns = visit.number, visit.begin_ns
        self._visits[number] = visit
        for frame in frames:
            seen_ns, heard_ns, voice = frame.picture_stamp_ns, frame.sound_stamp_ns, frame.voice
            if frame.face_present and seen_ns is not None and seen_ns >= begin_ns:
                self._seen.setdefault(number, (seen_ns - begin_ns) / NS)
            if voice is not None and voice.loudness_dbfs > LOUD_DBFS and heard_ns is not None and heard_ns > begin_ns:
                self._heard.setdefault(number, (heard_ns - begin_ns) / NS)

    def taken(self) -> list[list[Any]]:
        """[clip, seen, heard] of the visits so far, which are then forgotten."""
        told = [
            [visit.clip.path.name, rounded(self._seen.get(number)), rounded(self._heard.get(number))]
            for number, visit in sorted(self._visits.items())
        ]
        self._visits.clear()
        self._seen.clear()
        self._heard.clear()
        return told


class _Minute:
    """What is noted until it is written down."""

    def __init__(self, begin_ns: int) -> None:
        self.begin_ns = begin_ns
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._cost: defaultdict[int, float] = defaultdict(float)
        self._pictures: list[int] = []
        self._sounds: list[int] = []
        self._faces: list[FloatArray] = []

    def note(self, spent_s: float, frames: Sequence[SpeakerFrame], faces: Sequence[ExpressionFrame]) -> None:
        """What came of one item."""
        for frame in frames:
            if frame.picture_stamp_ns is not None and frame.sound_stamp_ns is not None:
                self._pictures.append(frame.picture_stamp_ns)
                self._sounds.append(frame.sound_stamp_ns)
        if faces:
            self._cost[GRID.slot(faces[-1].stamp_ns)] += spent_s
            self._faces += [face.coefficients for face in faces if face.stamp_ns % GRID.period_ns == 0]

    def closed(self, end_ns: int, ear: _Ear, visit: int) -> dict[str, Any]:
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
            "met": ear.met.taken(),
            "behaviour": behaviour(faces),
            "counts": ear.counts(),
        }


def open_clips(paths: Sequence[Path]) -> list[MediaClip]:
    """The clips, all of which must be readable. Raises MediaError for the first one that is not."""
    clips = [MediaClip(path) for path in paths]
    without = [str(clip.path) for clip in clips if not clip.has_picture]
    if without:
        raise MediaError("a long run needs pictures", where=without[0], todo="leave it out")
    return clips
