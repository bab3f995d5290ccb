"""turn_node in a process of its own, heard over DDS: signals at 20 Hz, events of a conversation, and bad input."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from std_msgs.msg import Bool

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill, fill_audio, fill_speaker, turn_event_value, turn_signals_value
from reactdiff_ros.types import Sound, SpeechState

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "turns"))
from conversations import frame, voice

pytestmark = [pytest.mark.ros, pytest.mark.real_time]
SIGNALS, EVENT = "turn/signals", "turn/event"


def play(graph, began_s, seconds, user=(), robot=(), flag=None):
    """This much of a conversation, 25 frames a second, from now on."""
    due = time.monotonic()
    for t in began_s + np.arange(round(seconds * 25)) / 25:
        now_ns = graph.node.get_clock().now().nanoseconds
        seen = frame(t, voice(user, t), face=True)
        seen = replace(seen, stamp_ns=now_ns, picture_stamp_ns=now_ns, sound_stamp_ns=now_ns)
        graph.publish("speaker/frame", fill_speaker(msg.SpeakerFrame(), seen))
        publish_sound(graph, now_ns)
        speaks = any(begin <= t < end for begin, end in robot)
        state = SpeechState(now_ns, "speaking", "u") if speaks else SpeechState(now_ns, "idle")
        graph.publish("speech/state", fill(msg.SpeechState(), state))
        if flag is not None:
            graph.publish("robot_speaking", Bool(data=flag))
        due = max(due + 0.04, time.monotonic())
        graph.spin(due - time.monotonic())


def publish_sound(graph, stamp_ns, *clean):
    sound = Sound(stamp_ns, 16000, np.full((640, 1), 100, np.int16), *clean)
    graph.publish("audio", fill_audio(msg.AudioChunk(), sound, "microphone"))


def test_a_conversation_becomes_signals_at_20_hz_and_events_and_bad_input_is_dropped(graph):
    graph.start("turn_node")
    graph.wait_active("turn_node")
    graph.listen(SIGNALS, EVENT)
    signals = graph.received[SIGNALS]
    for topic in ("speaker/frame", "audio", "speech/state", "robot_speaking"):
        graph.connect(topic)
    graph.publish("speech/state", msg.SpeechState(phase="shouting"))
    graph.publish("audio", msg.AudioChunk(sample_rate=7, channels=1, samples=[1] * 10))
    bad = fill_speaker(msg.SpeakerFrame(), frame(0.0, voice([], 0.0)))
    bad.coefficients = np.full(58, np.nan, np.float32)
    graph.publish("speaker/frame", bad)
    play(graph, 0.0, 1.0)
    graph.until(lambda: signals)
    begun, count = time.monotonic(), len(signals)
    play(graph, 1.0, 6.0, user=[(1.5, 3.0)], robot=[(5.5, 6.5)])
    assert 17.0 < (len(signals) - count) / (time.monotonic() - begun) < 22.0

    kinds = lambda: [turn_event_value(m).kind for m in graph.received[EVENT]]  # noqa: E731
    graph.until(lambda: len(kinds()) >= 5)
    assert kinds() == ["user_started", "eot_eager", "eot", "robot_started", "robot_stopped"]
    values = [turn_signals_value(m) for m in signals]
    assert np.diff([v.stamp_ns for v in values]).min() > 0
    assert values[-1].sound_stamp_ns is not None
    assert values[-1].model.startswith("turns@")
    play(graph, 7.0, 1.0, flag=True)
    graph.until(lambda: "robot_started" in kinds()[5:])


def test_clean_sound_is_heard_over_the_robots_speech_by_perception_and_listener(graph):
    """Its frame id says that the echo is cancelled, the voice of speaker/frame and the plans follow."""
    graph.start("perception_node")
    graph.start("reaction_node", policy="rules")
    graph.wait_active("perception_node", "reaction_node")
    graph.listen("speaker/frame", "listener/reaction")
    frames, reactions = graph.received["speaker/frame"], graph.received["listener/reaction"]
    for topic in ("audio", "robot_speaking"):
        graph.connect(topic)
    for clean in (True, False):
        plans = []

        def answered(clean=clean, plans=plans):
            graph.publish("robot_speaking", Bool(data=True))
            publish_sound(graph, graph.node.get_clock().now().nanoseconds - NS // 25, clean)
            graph.spin(0.04)
            if frames and frames[-1].voice.clean is clean:
                plans.extend(p for p in reactions[-1:] if p.turn == "robot_speaking" and p not in plans)
            return len(plans) > 5

        graph.until(answered, what="plans over the robot's speech")
        assert (plans[-1].sound_stamp.sec > 0) is clean, "whether they have heard"
