"""What is written into bags without ROS, rclpy reads, and the other way round."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from rclpy.serialization import deserialize_message, serialize_message

from reactdiff_ros import messages
from reactdiff_ros import msg as ros
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.types import (
    Affect,
    ExpressionFrame,
    Gaze,
    ListenerControl,
    Reaction,
    Sound,
    SpeakerFrame,
    Voice,
)

NUMBERS = np.random.default_rng(5)


def numbers(*shape):
    return NUMBERS.uniform(0, 1, shape).astype(np.float32)


VOICE = Voice(0.75, True, numbers(26), 180.5, -21.25, float("nan"), 0.5)
AFFECT = Affect("happy", numbers(7), 0.5, -0.25)
SPEAKER = SpeakerFrame(
    9, 8, None, 3, True, True, numbers(58), numbers(58), 0.5, Gaze(0.1, -0.1, 0.5), numbers(3), AFFECT, VOICE, "camera"
)
PLAN = Reaction(5, 25.0, numbers(16, 58), 4, True, 2**40, "model", "cpu", 0.01, None, 6)
CANDIDATES = Reaction(5, 25.0, numbers(4, 58), 4, True, 1, "model", "cpu", 0.0, 1, 6, 1, numbers(3, 4, 58))
FACE = ExpressionFrame(5, numbers(58), "idle", ("gaze", "blink"), 1, 2, None, 4)
SOUND = Sound(7, 44100, np.ones((3, 2), np.int16))
VALUES = {
    "AudioChunk": (messages.fill_audio, (SOUND, "mic")),
    "SpeakerFrame": (messages.fill_speaker, (SPEAKER,)),
    "Reaction": (messages.fill_reaction, (PLAN,)),
    "ReactionCandidates": (messages.fill_candidates, (CANDIDATES,)),
    "ExpressionFrame": (messages.fill_expression, (FACE,)),
    "ListenerControl": (messages.fill_control, (ListenerControl(attitude=0.5), 3)),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_message_written_without_ros_is_the_one_that_ros_writes(name):
    fill, arguments = VALUES[name]
    kind = getattr(ros, name)
    ours = fill(interfaces.empty(f"reactdiff_ros/msg/{name}"), *arguments)
    theirs = serialize_message(fill(kind(), *arguments))
    assert repr(deserialize_message(interfaces.serialize(ours), kind)) == repr(deserialize_message(theirs, kind))


@pytest.mark.parametrize("name", VALUES)
def test_a_message_that_ros_wrote_is_read_without_it(name):
    fill, arguments = VALUES[name]
    theirs = fill(getattr(ros, name)(), *arguments)
    ours = interfaces.deserializer(f"reactdiff_ros/msg/{name}")(serialize_message(theirs))
    assert repr(deserialize_message(interfaces.serialize(ours), getattr(ros, name))) == repr(
        deserialize_message(serialize_message(theirs), getattr(ros, name))
    )


@pytest.mark.parametrize("name", interfaces.own_names())
def test_an_empty_message_is_ros_empty_message(name):
    made = deserialize_message(interfaces.serialize(interfaces.empty(name)), getattr(ros, name.rpartition("/")[2]))
    fields = {field.name for field in dataclasses.fields(interfaces.empty(name))}
    assert set(made.get_fields_and_field_types()) == {f for f in fields if not f.isupper() and not f.startswith("_")}
