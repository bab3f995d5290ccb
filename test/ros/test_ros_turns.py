"""turn_node in a process of its own, heard over DDS: signals at 20 Hz, events of a conversation, and bad input."""

from __future__ import annotations

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


class Talk:
    """Plays a conversation into the graph, 25 frames a second, from now on."""

    def __init__(self, graph):
        self.graph = graph
        self.t = 0.0

    def play(self, seconds, user=(), robot=(), flag=None):
        due = time.monotonic()
        for _ in range(round(seconds * 25)):
            now_ns = self.graph.node.get_clock().now().nanoseconds
            seen = frame(self.t, voice(user, self.t), face=True)
            seen = replace(seen, stamp_ns=now_ns, picture_stamp_ns=now_ns, sound_stamp_ns=now_ns)
            self.graph.publish("speaker/frame", fill_speaker(msg.SpeakerFrame(), seen))
            sound = Sound(now_ns, 16000, np.full((640, 1), 100, np.int16))
            self.graph.publish("audio", fill_audio(msg.AudioChunk(), sound, "microphone"))
            speaks = next((i for i, (b, e) in enumerate(robot) if b <= self.t < e), None)
            state = SpeechState(now_ns, "idle") if speaks is None else SpeechState(now_ns, "speaking", f"u{speaks}")
            self.graph.publish("speech/state", fill(msg.SpeechState(), state))
            if flag is not None:
                self.graph.publish("robot_speaking", Bool(data=flag))
            self.t += 0.04
            due = max(due + 0.04, time.monotonic())
            self.graph.spin(due - time.monotonic())


def kinds(graph):
    return [turn_event_value(m).kind for m in graph.received[EVENT]]


def test_a_conversation_becomes_signals_at_20_hz_and_events(graph):
    graph.start("turn_node")
    graph.wait_active("turn_node")
    graph.listen(SIGNALS, EVENT)
    for topic in ("speaker/frame", "audio", "speech/state"):
        graph.connect(topic)
    talk = Talk(graph)
    talk.play(1.0)
    graph.until(lambda: graph.received[SIGNALS])
    begun, count = time.monotonic(), len(graph.received[SIGNALS])
    talk.play(6.0, user=[(1.5, 3.0)], robot=[(5.5, 6.5)])
    rate = (len(graph.received[SIGNALS]) - count) / (time.monotonic() - begun)
    assert 17.0 < rate < 22.0
    graph.until(lambda: len(kinds(graph)) >= 5)
    assert kinds(graph) == ["user_started", "eot_eager", "eot", "robot_started", "robot_stopped"]
    values = [turn_signals_value(m) for m in graph.received[SIGNALS]]
    stamps = np.array([v.stamp_ns for v in values])
    assert (np.diff(stamps) > 0).all()
    assert values[-1].sound_stamp_ns is not None
    assert values[-1].model.startswith("turns@")


def test_bad_input_is_one_sentence_and_the_signals_go_on(graph):
    graph.start("turn_node")
    graph.wait_active("turn_node")
    graph.listen(SIGNALS, EVENT)
    for topic in ("speaker/frame", "audio", "speech/state", "robot_speaking"):
        graph.connect(topic)
    graph.publish("speech/state", msg.SpeechState(phase="shouting"))
    graph.publish("audio", msg.AudioChunk(sample_rate=7, channels=1, samples=[1] * 10))
    bad = fill_speaker(msg.SpeakerFrame(), frame(0.0, voice([], 0.0)))
    bad.coefficients = np.full(58, np.nan, np.float32)
    graph.publish("speaker/frame", bad)
    talk = Talk(graph)
    talk.play(1.0)
    count = len(graph.received[SIGNALS])
    talk.play(1.0, flag=True)
    assert len(graph.received[SIGNALS]) > count + 10
    graph.until(lambda: "robot_started" in kinds(graph))


def test_clean_sound_is_heard_over_the_robots_speech_by_perception_and_listener(graph):
    """Its frame id says that the echo is cancelled, the voice of speaker/frame and the plans follow."""
    graph.start("perception_node")
    graph.start("reaction_node", policy="rules")
    for node in ("perception_node", "reaction_node"):
        graph.wait_active(node)
    graph.listen("speaker/frame", "listener/reaction")
    for topic in ("audio", "robot_speaking"):
        graph.connect(topic)

    def over(clean):
        """Whether the newest plan over the robot's speech consumed sound, once the frames say `clean`."""
        plans = []

        def answered():
            now_ns = graph.node.get_clock().now().nanoseconds
            graph.publish("robot_speaking", Bool(data=True))
            sound = Sound(now_ns - NS // 25, 16000, np.full((640, 1), 100, np.int16), clean)
            graph.publish("audio", fill_audio(msg.AudioChunk(), sound, "microphone"))
            graph.spin(0.04)
            frames = graph.received["speaker/frame"]
            if not frames or frames[-1].voice.clean is not clean:
                return False
            newest = graph.received["listener/reaction"][-1] if graph.received["listener/reaction"] else None
            if newest is not None and newest.turn == "robot_speaking" and newest not in plans:
                plans.append(newest)
            return len(plans) > 5

        graph.until(answered, what="plans over the robot's speech")
        return plans[-1].sound_stamp.sec > 0

    assert over(clean=True)
    assert not over(clean=False)
    assert over(clean=True)
