"""The first half of a replay: a recording's pictures and sound become speaker frames.

It runs the session as live, but with nobody who listens, and notes what perception told at each call. The second half
is given the notes instead of pixels, in the same order by construction. So the two halves may run in two processes,
and not one bit differs from a session in one piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MessageError, ReactdiffError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.replay.timeline import Told
from reactdiff_ros.session import KnowsOwnVoice, ListeningSession, Perception, SessionConfig
from reactdiff_ros.types import ExpressionFrame, Picture, Sound, SpeakerFrame

Event: TypeAlias = ClipItem | Told
_FLAT = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)
_NOTHING = np.zeros((1, 1, 3), dtype=np.uint8)


class Recording(Protocol):
    """A readable recording: `capture.media.MediaClip`, a bag, or one of a test."""

    path: Path

    @property
    def duration_s(self) -> float:
        """Length by its own record, seconds; 0 = unknown."""
        ...

    @property
    def damaged_packets(self) -> int:
        """Pieces that could not be decoded and were left out so far."""
        ...

    @property
    def has_picture(self) -> bool:
        """True with pictures."""
        ...

    @property
    def has_sound(self) -> bool:
        """True with sound."""
        ...

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Pictures and sound in the order in which they were recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """What perception told when it was given one picture or one chunk of sound."""

    frames: tuple[SpeakerFrame, ...]
    error: str
    """Not empty: it was malformed."""
    seconds: float
    """That it took."""


@dataclass(frozen=True, slots=True)
class Sensed:
    """One event of a recording without its pixels and samples, and what was noted until its time."""

    event: Event
    notes: tuple[Note, ...]
    damaged: int
    """Pieces of the recording that were left out so far."""


class Noting:
    """A perception that notes what it tells."""

    def __init__(self, perception: Perception, timer: Callable[[], float]) -> None:
        self._perception, self._timer = perception, timer
        self.notes: list[Note] = []

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """See `SpeakerPerception.observe_picture`."""
        return self._noted(lambda: [self._perception.observe_picture(picture)])[0]

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """See `SpeakerPerception.observe_sound`."""
        return self._noted(lambda: self._perception.observe_sound(sound))

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """See `SpeakerPerception.robot_speaking`."""
        if isinstance(self._perception, KnowsOwnVoice):
            self._perception.robot_speaking(speaking, now_ns)

    def reset(self) -> None:
        """Forget everybody."""
        self._perception.reset()

    def taken(self) -> tuple[Note, ...]:
        """The notes since the last call."""
        taken, self.notes = tuple(self.notes), []
        return taken

    def _noted(self, call: Callable[[], list[SpeakerFrame]]) -> list[SpeakerFrame]:
        begin = self._timer()
        try:
            frames = call()
        except MessageError as error:
            self.notes.append(Note((), str(error), self._timer() - begin))
            raise
        self.notes.append(Note(tuple(frames), "", self._timer() - begin))
        return frames


class Noted:
    """A perception that tells once more what was noted, in the same order."""

    def __init__(self) -> None:
        self.notes: deque[Note] = deque()
        self.seconds = 0.0
        """That perception took since somebody set this to 0."""

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """The frame that was noted."""
        return self._next()[0]

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """The frames that were noted."""
        return list(self._next())

    def reset(self) -> None:
        """Nothing to forget."""

    def _next(self) -> tuple[SpeakerFrame, ...]:
        note = self.notes.popleft()
        self.seconds += note.seconds
        if note.error:
            raise MessageError(note.error)
        return note.frames


class _NoFace(ExpressionEngine):
    """Ticks without a face: the half that perceives shows none."""

    def tick(self, now_ns: int) -> ExpressionFrame:
        """Nothing moves."""
        return ExpressionFrame(now_ns, _FLAT, "neutral", (), None, None, None, None)


def push(session: ListeningSession, event: Event) -> list[ExpressionFrame]:
    """Give one event to a session, run it until the event's time and return its faces."""
    if isinstance(event, ClipPicture):
        session.push_picture(Picture(event.offset_ns, event.bgr))
    elif isinstance(event, ClipSound):
        session.push_sound(Sound(event.offset_ns, event.rate_hz, event.samples))
    faces = session.advance(event.offset_ns)
    if isinstance(event, Told):
        try:
            _tell(session, event)
        except ReactdiffError:
            session.rejected += 1
    return faces


def _tell(session: ListeningSession, event: Told) -> None:
    if event.speaking is not None:
        session.robot_speaking(event.speaking, event.offset_ns)
    if event.control is not None:
        session.listener.control(event.control)
        session.expression.control(event.control)
    if event.head is not None:
        session.expression.on_head_pose(event.head, event.offset_ns, own=False)
    if event.gesture is not None:
        session.expression.on_gesture(event.gesture[0], event.offset_ns, event.gesture[1])


def sense(
    events: Iterable[Event],
    perception: Perception,
    config: SessionConfig,
    *,
    after_ns: int,
    timer: Callable[[], float],
    damaged: Callable[[], int] = lambda: 0,
) -> Iterator[Sensed]:
    """Run a session without a listener over `events`; the last one of what is given is the end, `after_ns` later.

    Args:
        events: on a steady time line.
        perception: reset first.
        config: of the session.
        after_ns: how long it runs on after the last event.
        timer: seconds of a monotonic clock.
        damaged: tells how many pieces of the recording were left out so far.
    """
    noting = Noting(perception, timer)
    session = ListeningSession(noting, make_listener("idle", seed=0), _NoFace(seed=0), config)
    session.reset()
    newest = None
    for event in events:
        push(session, event)
        newest = event.offset_ns if newest is None else max(newest, event.offset_ns)
        yield Sensed(_light(event), noting.taken(), damaged())
    if newest is not None:
        end = Told(newest + after_ns)
        session.advance(end.offset_ns)
        yield Sensed(end, noting.taken(), damaged())


def _light(event: Event) -> Event:
    """The event without what only perception needs."""
    if isinstance(event, ClipPicture):
        return event._replace(bgr=_NOTHING)
    if isinstance(event, ClipSound):
        return event._replace(samples=np.broadcast_to(np.int16(0), (len(event.samples), 1)))
    return event
