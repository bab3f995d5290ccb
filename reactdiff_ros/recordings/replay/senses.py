"""What a recording holds over time, and the first half of a replay: its pictures and sound become speaker frames.

The first half runs the session as live, but with no listener, and records what perception returned at each call. The
second half (`replay`) is given these results instead of pixels, in the same order by construction. So the two halves
may run in two processes, and not one bit differs from a session in one piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import MessageError, ReactdiffError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.messages import (
    control_value,
    gesture_value,
    head_pose_value,
    mouth_value,
    speech_state_value,
    turn_signals_value,
)
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.bags.interfaces import BOOL, CONTROL, GESTURE, MOUTH, POSE, SPEECH_STATE, TURN_SIGNALS
from reactdiff_ros.recordings.bags.read import CLOCK_OFF_NS, BagMessage, BagSource
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.session import ListeningSession, Perception, SessionConfig
from reactdiff_ros.types import (
    ExpressionFrame,
    HeadPose,
    ListenerControl,
    People,
    Picture,
    Reaction,
    Sound,
    SpeakerFrame,
)

# ---- What a recording holds

LONGEST_GAP_NS: Final = 600 * NS
STEP_BACK_NS: Final = NS // 2
STRAYS: Final = 25
"""This many events in a row that fit each other but not what came before are another time line; fewer are errors."""


@dataclass(frozen=True, slots=True)
class BagEvent:
    """Something of a recording that is neither picture nor sound, at `offset_ns` on its time line.

    `kind`: the type of its message, one of those in `_HANDLERS`; "": nothing but the time. `value`: what it says.
    """

    offset_ns: int
    kind: str = ""
    value: Any = None


Event: TypeAlias = ClipItem | BagEvent
Item = TypeVar("Item", ClipItem, ClipItem | BagEvent)


class Steady:
    """Events without those whose stamps cannot be: a stamp is at most 0.5 s before the newest, 600 s after it.

    Single wrong ones are left out and counted in `strays`. Where the time line itself jumps (a clock was set, bags were
    joined) the events end: `jump_s` is then how far it jumped.
    """

    def __init__(self) -> None:
        self.strays = 0
        self.jump_s = 0.0
        self.newest_ns: int | None = None

    def of(self, events: Iterable[Item]) -> Iterator[Item]:
        """The events that fit, in the order given."""
        strange = began_ns = 0
        odd_ns: int | None = None
        for event in events:
            stamp = event.offset_ns
            if _fits(stamp, self.newest_ns):
                strange = 0
                self.newest_ns = max(stamp, self.newest_ns or stamp)
                yield event
                continue
            self.strays += 1
            if strange and _fits(stamp, odd_ns):
                strange += 1
            else:
                strange, began_ns = 1, stamp
            odd_ns = stamp
            if strange >= STRAYS and self.newest_ns is not None:
                self.strays -= strange
                self.jump_s = (began_ns - self.newest_ns) / NS
                return


def _fits(stamp_ns: int, newest_ns: int | None) -> bool:
    return newest_ns is None or -STEP_BACK_NS <= stamp_ns - newest_ns <= LONGEST_GAP_NS


Recording: TypeAlias = MediaClip | BagSource
"""A readable recording."""


# ---- What a bag holds besides pictures and sound: the robot's own speech and head, changes of style, gestures

_HEAD: Final = "actuator/head_pose"
_OF_SPEECH: Final = (MOUTH, SPEECH_STATE, TURN_SIGNALS)
_ON_HEAD: Final = "expression_node.camera_on_head"


def head_topics(recording: Recording, settings: ReplaySettings) -> list[str]:
    """The topics of a bag with the pose of the head that the camera of `settings` sits on.

    None where it says that its pictures did not turn with the head: those of a clip, which was played to a robot.
    """
    if not settings.expression.camera_on_head or not isinstance(recording, BagSource):
        return []
    study = recording.study
    if study is not None and study.parameters.get(_ON_HEAD) is False:
        return []
    return [name for name in recording.topics_of(POSE) if name.endswith(f"/{_HEAD}") or name == _HEAD]


def as_recorded(settings: ReplaySettings, recording: Recording) -> ReplaySettings:
    """`settings` with a camera on the head only where the recording has that head's pose; else it is fixed."""
    if not settings.expression.camera_on_head or head_topics(recording, settings):
        return settings
    return replace(settings, expression=replace(settings.expression, camera_on_head=False))


def events_of(recording: Recording, settings: ReplaySettings) -> list[BagEvent]:
    """What of it `settings` want, in the order of time; nothing for a media file.

    These messages act when they are received; a bag whose stamps are of another clock than its recorder's has them
    moved onto that of its pictures and sound.
    """
    if not isinstance(recording, BagSource):
        return []
    topics = set()
    if settings.own_voice:
        topics |= {*recording.speaking_topics}
        topics |= {name for kind in _OF_SPEECH for name in recording.topics_of(kind)}
    if settings.operator:
        topics |= {*recording.topics_of(CONTROL), *recording.topics_of(GESTURE)}
    topics |= {*head_topics(recording, settings)}
    if not topics:
        return []
    off_ns = recording.clock_off_ns
    found = (_event(message, message.received_ns - off_ns) for message in recording.messages(topics))
    return sorted((event for event in found if event is not None), key=lambda event: event.offset_ns)


def _event(message: BagMessage, at_ns: int) -> BagEvent | None:
    try:
        value = _HANDLERS[message.kind][0](message.message)
    except MessageError:
        return None
    if isinstance(value, HeadPose) and abs(value.stamp_ns - at_ns) > CLOCK_OFF_NS:  # not of the pictures' clock
        value = replace(value, stamp_ns=at_ns)
    return BagEvent(at_ns, message.kind, value)


def _control(session: ListeningSession, change: ListenerControl, _: int) -> None:
    session.listener.control(change)
    session.expression.control(change)


_HANDLERS: Final[dict[str, tuple[Callable[[Any], Any], Callable[[ListeningSession, Any, int], object]]]] = {
    BOOL: (lambda message: bool(message.data), ListeningSession.robot_speaking),
    MOUTH: (mouth_value, lambda session, mouth, at_ns: session.expression.on_mouth(mouth, at_ns)),
    SPEECH_STATE: (speech_state_value, lambda session, state, at_ns: session.expression.on_speech(state, at_ns)),
    TURN_SIGNALS: (turn_signals_value, lambda session, turn, at_ns: session.expression.on_turn(turn, at_ns)),
    CONTROL: (control_value, _control),
    POSE: (head_pose_value, lambda session, pose, at_ns: session.expression.on_head_pose(pose, at_ns, own=False)),
    GESTURE: (gesture_value, lambda session, made, at_ns: session.expression.on_gesture(made[0], at_ns, made[1])),
}
"""Type of a message -> what reads its value, and what passes the value on to the session at a time."""


def merged(items: Iterable[Event], events: list[BagEvent]) -> Iterator[Event]:
    """`items` in their order, and before each the bag's events until its time.

    Events before the first item act with it; those after the last one are left out.
    """
    at, first_ns = 0, None
    for item in items:
        first_ns = item.offset_ns if first_ns is None else first_ns
        while at < len(events) and events[at].offset_ns <= item.offset_ns:
            yield replace(events[at], offset_ns=max(events[at].offset_ns, first_ns))
            at += 1
        yield item


# ---- Perception, recorded and played back

_FLAT = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)
_NOTHING = np.zeros((1, 1, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Perceived:
    """What perception returned for one picture or one chunk of sound."""

    frames: tuple[SpeakerFrame, ...]
    error: str
    """Not empty: it was malformed."""
    seconds: float
    """Computing time."""
    people: People | None = None
    """Who was in view."""


@dataclass(frozen=True, slots=True)
class Sensed:
    """One event of a recording without its pixels and samples, and the results of perception until its time."""

    event: Event
    results: tuple[Perceived, ...]
    damaged: int
    """Pieces of the recording that were left out so far."""


class PerceptionRecorder:
    """A perception that records what it returns."""

    def __init__(self, perception: Perception, timer: Callable[[], float]) -> None:
        self._perception, self._timer = perception, timer
        self.results: list[Perceived] = []

    @property
    def people(self) -> People | None:
        """Who was in view in the last picture."""
        return self._perception.people

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """See `SpeakerPerception.observe_picture`."""
        return self._recorded(lambda: [self._perception.observe_picture(picture)])[0]

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """See `SpeakerPerception.observe_sound`."""
        return self._recorded(lambda: self._perception.observe_sound(sound))

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """See `SpeakerPerception.robot_speaking`."""
        self._perception.robot_speaking(speaking, now_ns)

    def reset(self) -> None:
        """Forget all people."""
        self._perception.reset()

    def take(self) -> tuple[Perceived, ...]:
        """The results since the last call."""
        results, self.results = tuple(self.results), []
        return results

    def _recorded(self, call: Callable[[], list[SpeakerFrame]]) -> list[SpeakerFrame]:
        begin = self._timer()
        try:
            frames = call()
        except MessageError as error:
            self.results.append(Perceived((), str(error), self._timer() - begin, self.people))
            raise
        self.results.append(Perceived(tuple(frames), "", self._timer() - begin, self.people))
        return frames


class RecordedPerception:
    """A perception that returns what was recorded, in the same order."""

    def __init__(self) -> None:
        self.results: deque[Perceived] = deque()
        self.seconds = 0.0
        """Time that perception took since this was set to 0."""
        self.people: People | None = None
        """Who was in view in the last picture."""

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """The recorded frame."""
        return self._next()[0]

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """The recorded frames."""
        return list(self._next())

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """Nothing to do: the recorded frames are made with it."""

    def reset(self) -> None:
        """Nothing to forget."""

    def _next(self) -> tuple[SpeakerFrame, ...]:
        result = self.results.popleft()
        self.seconds += result.seconds
        self.people = result.people
        if result.error:
            raise MessageError(result.error)
        return result.frames


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
        session.push_sound(Sound(event.offset_ns, event.rate_hz, event.samples, event.clean))
    faces = session.advance(event.offset_ns)
    if isinstance(event, BagEvent) and event.kind:
        try:
            _HANDLERS[event.kind][1](session, event.value, event.offset_ns)
        except ReactdiffError:
            session.rejected += 1
    return faces


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
        damaged: returns how many pieces of the recording were left out so far.
    """
    recorder = PerceptionRecorder(perception, timer)
    session = ListeningSession(recorder, make_listener("idle", seed=0), _NoFace(seed=0), config)
    session.reset()
    newest = None
    for event in events:
        push(session, event)
        newest = event.offset_ns if newest is None else max(newest, event.offset_ns)
        yield Sensed(_light(event), recorder.take(), damaged())
    if newest is not None:
        end = BagEvent(newest + after_ns)
        session.advance(end.offset_ns)
        yield Sensed(end, recorder.take(), damaged())


def _light(event: Event) -> Event:
    """The event without what only perception needs."""
    if isinstance(event, ClipPicture):
        return event._replace(bgr=_NOTHING)
    if isinstance(event, ClipSound):
        return event._replace(samples=np.broadcast_to(np.int16(0), (len(event.samples), 1)))
    return event


class Timed:
    """A listener whose computing time is measured; all else is the listener's own.

    Args:
        listener: whose.
        timer: seconds of a monotonic clock.
    """

    def __init__(self, listener: Any, timer: Callable[[], float]) -> None:
        self._listener, self._timer = listener, timer
        self.seconds = 0.0
        """Since this was set to 0."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def observe(self, frame: SpeakerFrame) -> None:
        """See `Listener.observe`."""
        begin = self._timer()
        try:
            self._listener.observe(frame)
        finally:
            self.seconds += self._timer() - begin

    def plan(self, now_ns: int) -> Reaction | None:
        """See `Listener.plan`."""
        begin = self._timer()
        try:
            plan: Reaction | None = self._listener.plan(now_ns)
            return plan
        finally:
            self.seconds += self._timer() - begin
