"""What a bag tells beside pictures and sound: the robot's own speech, changes of style, gestures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from reactdiff_ros.bags.interfaces import CONTROL
from reactdiff_ros.bags.read import BagMessage, BagSource
from reactdiff_ros.bags.timeline import CLOCK_OFF_NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import control_value, gesture_value
from reactdiff_ros.replay.parameters import ReplaySettings
from reactdiff_ros.replay.senses import Event, Recording
from reactdiff_ros.replay.timeline import Told

_BOOL: Final = "std_msgs/msg/Bool"
_GESTURE: Final = "reactdiff_ros/msg/Gesture"
_SPEAKING: Final = "robot_speaking"


def told_in(recording: Recording, settings: ReplaySettings) -> list[Told]:
    """What of it `settings` want, in the order of time; nothing for a media file.

    These messages act when they are received; a bag whose stamps are of another clock than its recorder's has them
    moved onto that of its pictures and sound.
    """
    if not isinstance(recording, BagSource):
        return []
    topics = set()
    if settings.own_voice:
        topics |= {name for name in recording.topics_of(_BOOL) if name.rpartition("/")[2] == _SPEAKING}
    if settings.operator:
        topics |= {*recording.topics_of(CONTROL), *recording.topics_of(_GESTURE)}
    if not topics:
        return []
    delay_ns = min(line.delay_ns for line in recording.survey.lines.values() if len(line.stamps))
    delay_ns = delay_ns if abs(delay_ns) > CLOCK_OFF_NS else 0
    told = []
    for message in recording.messages(topics):
        event = _told(message, message.received_ns - delay_ns)
        if event is not None:
            told.append(event)
    return sorted(told, key=lambda event: event.offset_ns)


def _told(message: BagMessage, at_ns: int) -> Told | None:
    try:
        if message.kind == _BOOL:
            return Told(at_ns, speaking=bool(message.message.data))
        if message.kind == CONTROL:
            return Told(at_ns, control=control_value(message.message))
        return Told(at_ns, gesture=gesture_value(message.message))
    except MessageError:
        return None


def merged(items: Iterable[Event], told: list[Told]) -> Iterator[Event]:
    """`items` in their order, and before each what was told until its time.

    What was told before the first item acts with it; what comes after the last one is left out.
    """
    at, first_ns = 0, None
    for item in items:
        first_ns = item.offset_ns if first_ns is None else first_ns
        while at < len(told) and told[at].offset_ns <= item.offset_ns:
            yield replace(told[at], offset_ns=max(told[at].offset_ns, first_ns))
            at += 1
        yield item
