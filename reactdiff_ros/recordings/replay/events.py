"""What a bag tells beside pictures and sound: the robot's own speech and head, changes of style, gestures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import control_value, gesture_value, head_pose_value
from reactdiff_ros.recordings.bags.interfaces import BOOL, CONTROL, GESTURE, POSE
from reactdiff_ros.recordings.bags.read import BagMessage, BagSource
from reactdiff_ros.recordings.bags.timeline import CLOCK_OFF_NS
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.senses import Event, Recording
from reactdiff_ros.recordings.replay.timeline import Told
from reactdiff_ros.types import HeadPose

_SPEAKING: Final = "robot_speaking"
_HEAD: Final = "actuator/head_pose"
_ON_HEAD: Final = "expression_node.camera_on_head"


def head_topics(recording: Recording, settings: ReplaySettings) -> list[str]:
    """Where a bag tells how the head moved that the camera of `settings` sits on.

    None where it says that its pictures did not turn with the head: those of a clip, which was played to a robot.
    """
    if not settings.expression.camera_on_head or not isinstance(recording, BagSource):
        return []
    study = recording.study
    if study is not None and study.parameters.get(_ON_HEAD) is False:
        return []
    return [name for name in recording.topics_of(POSE) if name.endswith(f"/{_HEAD}") or name == _HEAD]


def as_recorded(settings: ReplaySettings, recording: Recording) -> ReplaySettings:
    """`settings` with a camera on the head only where the recording tells how that moved; else it stands still."""
    if not settings.expression.camera_on_head or head_topics(recording, settings):
        return settings
    return replace(settings, expression=replace(settings.expression, camera_on_head=False))


def told_in(recording: Recording, settings: ReplaySettings) -> list[Told]:
    """What of it `settings` want, in the order of time; nothing for a media file.

    These messages act when they are received; a bag whose stamps are of another clock than its recorder's has them
    moved onto that of its pictures and sound.
    """
    if not isinstance(recording, BagSource):
        return []
    topics = set()
    if settings.own_voice:
        topics |= {name for name in recording.topics_of(BOOL) if name.rpartition("/")[2] == _SPEAKING}
    if settings.operator:
        topics |= {*recording.topics_of(CONTROL), *recording.topics_of(GESTURE)}
    topics |= {*head_topics(recording, settings)}
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
        if message.kind == BOOL:
            return Told(at_ns, speaking=bool(message.message.data))
        if message.kind == CONTROL:
            return Told(at_ns, control=control_value(message.message))
        if message.kind == POSE:
            head = head_pose_value(message.message)
            # The stamp, where it is of the pictures' clock.
            same = abs(head.stamp_ns - at_ns) <= CLOCK_OFF_NS
            return Told(at_ns, head=HeadPose(head.stamp_ns if same else at_ns, head.pose))
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
