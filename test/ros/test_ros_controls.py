"""Controls, gestures, turns and candidates through real nodes over DDS, fed with speaker frames by the test."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faces_shown import feed, somebody
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, MOUTH
from reactdiff_ros.messages import fill, fill_mouth, from_stamp
from reactdiff_ros.types import Mouth, SpeechState

pytestmark = pytest.mark.ros

FRAME, REACTION, EXPRESSION = "speaker/frame", "listener/reaction", "listener/expression"
CONTROL, GESTURE, SPEAKING, STATUS = "listener/control", "listener/gesture", "robot_speaking", "listener/status"
MOUTH_TOPIC, STATE_TOPIC = "speech/mouth", "speech/state"


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("styles") / "mine.yaml"
    path.write_text("mine: {nodding: -0.5, head: 0.5}\n")
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory, styles):
    with RosGraph(tmp_path_factory.mktemp("controls")) as graph:
        graph.start("reaction_node", policy="rules", smile_share=1.0, nodding=0.25, styles_file=styles)
        graph.start("expression_node", head=0.75, styles_file=styles)
        graph.listen(REACTION, EXPRESSION, STATUS)
        graph.wait_active("reaction_node", "expression_node")
        for topic in (FRAME, CONTROL, GESTURE, SPEAKING, MOUTH_TOPIC, STATE_TOPIC):
            graph.connect(topic)
        yield graph


def shown(graph: RosGraph, since: int) -> np.ndarray:
    return np.stack([np.asarray(m.coefficients) for m in graph.received[EXPRESSION][since:]])


def test_start_values_and_messages_are_told_back_as_they_are_in_force(graph):
    graph.until(lambda: graph.settings("reaction_node").get("nodding") == "0.25", 10.0, "the start value")
    graph.until(lambda: graph.settings("expression_node").get("head") == "0.75", 10.0, "the start value")
    graph.publish(CONTROL, msg.ListenerControl(smiling=0.5, delay=0.4, intensity=1.5, responsiveness=7.0))
    graph.until(lambda: graph.settings("reaction_node").get("smiling") == "0.5", 10.0, "the control")
    values = graph.settings("reaction_node")
    found = [values[name] for name in ("delay_s", "responsiveness", "nodding")]
    assert found == ["0.4", "1", "0.25"], "clipped; the rest stays"
    graph.until(lambda: graph.settings("expression_node").get("intensity") == "1.5", 10.0, "the control")
    assert "delay_s" not in graph.settings("expression_node"), "it acts in one place"
    graph.publish(CONTROL, msg.ListenerControl(style="natural"))
    graph.until(lambda: graph.settings("reaction_node").get("smiling") == "0", 10.0, "the style")


def test_a_style_that_is_saved_meanwhile_is_known_and_an_unknown_one_is_said(graph, styles):
    from reactdiff_ros.styles import save_style

    graph.publish(CONTROL, msg.ListenerControl(style="mine"))
    graph.until(lambda: graph.settings("reaction_node").get("nodding") == "-0.5", 10.0, "the own style")
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    graph.until(lambda: "unknown style (anna)" in graph.sentence("reaction_node"), 10.0, "the sentence")
    assert graph.settings("reaction_node")["style"] == "mine"
    save_style(styles, "anna", {"reference": [0.5, None, *[-1.0] * 6], "liveliness": 0.5})
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    graph.until(lambda: graph.settings("reaction_node").get("style") == "anna", 10.0, "the learnt style")
    assert graph.settings("reaction_node")["reference"].startswith("0.50 - -1.00")
    graph.until(lambda: graph.settings("expression_node").get("style") == "anna", 10.0, "the learnt style")
    graph.until(lambda: graph.level("reaction_node") < 2, 10.0, "the sentence is over")
    graph.publish(CONTROL, msg.ListenerControl(style="natural"))


def test_a_gesture_moves_the_face_by_its_strength_and_a_bad_one_is_said(graph):
    def dip(strength: float) -> float:
        feed(graph, 1.0)
        since = len(graph.received[EXPRESSION])
        graph.publish(GESTURE, msg.Gesture(name="Nod", strength=strength))
        feed(graph, 1.5)
        return float(np.degrees(np.ptp(shown(graph, since)[:, HEAD_PITCH])))

    half, whole = dip(0.5), dip(1.0)
    assert whole > 4.0
    assert half < 0.8 * whole
    graph.publish(GESTURE, msg.Gesture(name="moonwalk"))
    graph.until(lambda: "unknown gesture (moonwalk)" in graph.sentence("expression_node"), 10.0, "the sentence")
    assert "brow_raise" in graph.sentence("expression_node"), "it says which there are"
    graph.publish(GESTURE, msg.Gesture(name="nod", strength=math.nan))
    graph.until(lambda: graph.value("expression_node", f"dropped {GESTURE}") == "1", 10.0, "the count")
    graph.publish(GESTURE, msg.Gesture(name="brow raise"))
    graph.until(lambda: "moonwalk" not in graph.sentence("expression_node"), 10.0, "it is over")


def test_the_turn_is_told_and_the_robots_own_voice_is_not_heard(graph):
    from std_msgs.msg import Bool

    def own_voice(now: int, time_s: float) -> Any:
        graph.publish(SPEAKING, Bool(data=True))
        return somebody(now, speaking=time_s % 1.5 < 0.9)

    feed(graph, 2.0)
    assert graph.received[REACTION][-1].turn == "listening"
    since = len(graph.received[EXPRESSION])
    feed(graph, 4.0, own_voice)
    count = len(graph.received[REACTION])
    plans = graph.received[REACTION][count - 10 : count]
    assert {p.turn for p in plans} == {"robot_speaking"}
    assert {p.sound_stamp.sec for p in plans} == {0}
    statuses = [s.settings for s in graph.received[STATUS] if s.stage == "reaction_node"][-2:]
    assert any("turn=robot_speaking" in s for s in statuses)
    graph.publish(SPEAKING, Bool(data=False))
    feed(graph, 1.5)
    assert graph.received[REACTION][-1].turn == "listening"
    assert np.degrees(np.ptp(shown(graph, since)[50:, HEAD_PITCH])) < 3.0, "no nod at its own words"


def test_the_own_speech_moves_the_mouth_at_its_time_and_a_stop_ends_it(graph):
    count = 300
    coefficients = np.zeros((count, len(MOUTH)), np.float32)
    coefficients[:, MOUTH.index(INDEX["jawOpen"])] = 0.6
    level, none = np.full(count, 0.5, np.float32), np.zeros(count, np.float32)
    feed(graph, 1.0)
    since, now = len(graph.received[EXPRESSION]), graph.node.get_clock().now().nanoseconds
    track = Mouth("one", now + NS // 2, coefficients, none, none, level)
    graph.publish(MOUTH_TOPIC, fill_mouth(msg.Mouth(), track))
    state = SpeechState(now, "speaking", "one", "", track.start_ns, track.start_ns + 3 * NS)
    graph.publish(STATE_TOPIC, fill(msg.SpeechState(), state))
    feed(graph, 1.5)
    stopped = graph.node.get_clock().now().nanoseconds
    graph.publish(STATE_TOPIC, fill(msg.SpeechState(), replace(state, stamp_ns=stopped, phase="stopping")))
    feed(graph, 1.0)
    frames = graph.received[EXPRESSION][since:]
    at = np.array([from_stamp(f.header.stamp) for f in frames])
    jaw = np.stack([f.coefficients for f in frames])[:, INDEX["jawOpen"]]
    assert np.median(jaw[(at > now + 0.7 * NS) & (at < stopped)]) == pytest.approx(0.6, abs=0.02)
    assert np.median(jaw[at < track.start_ns]) < 0.3, "not before it is heard"
    assert np.median(jaw[at > stopped + 0.4 * NS]) < 0.3
    assert any("speech" in f.layers for f in frames)


def test_a_paused_listener_plays_no_nod_late(graph):
    """The process of the listener stands still for a while; the face goes on and catches up without a jerk."""
    node = next(p for p in graph.processes if p.name == "reaction_node").process

    def talk(now: int, time_s: float) -> Any:
        return somebody(now, speaking=time_s % 3.0 < 2.4, smile=0.6)

    feed(graph, 2.0, talk)
    since, plans = len(graph.received[EXPRESSION]), len(graph.received[REACTION])
    node.send_signal(signal.SIGSTOP)
    try:
        feed(graph, 2.0, talk)
    finally:
        node.send_signal(signal.SIGCONT)
    feed(graph, 1.5, talk)
    faces = shown(graph, since)
    assert np.abs(np.diff(faces[:, HEAD_PITCH])).max() <= 1.5 * 0.04 + 1e-3, "no faster than the limit"
    assert np.median(np.diff(stamps_s(graph, EXPRESSION, since))) == pytest.approx(0.02, abs=0.004)
    now_s = graph.node.get_clock().now().nanoseconds / NS
    assert stamps_s(graph, REACTION, plans)[-1] == pytest.approx(now_s, abs=0.6), "it plans for now"


def stamps_s(graph: RosGraph, topic: str, since: int) -> np.ndarray:
    return np.array([from_stamp(m.header.stamp) / NS for m in graph.received[topic][since:]])


def test_candidates_are_drawn_and_plans_explained_while_somebody_subscribes(tmp_path, random_weights):
    with RosGraph(tmp_path) as graph:
        graph.start("reaction_node", policy="model", model_dir=random_weights, candidates=3, steps=2, quality="fixed")
        graph.listen(REACTION)
        graph.wait_active("reaction_node")
        graph.connect(FRAME)
        feed(graph, 2.0)
        assert {r.candidate_count for r in graph.received[REACTION]} == {1}
        graph.listen("listener/reaction/candidates")
        graph.until(lambda: graph.node.count_publishers("listener/reaction/candidates"), 10.0, "the topic")
        feed(graph, 3.0)
        assert graph.received["listener/reaction/candidates"]
        newest = graph.received["listener/reaction/candidates"][-1]
        assert (newest.count, newest.horizon) == (3, 12)
        why = "listener/reaction/explanation"
        graph.listen(why)
        graph.until(lambda: graph.node.count_publishers(why), 10.0, "the topic")
        feed(graph, 4.0)
        assert graph.received[why]
        assert list(graph.received[why][-1].cues)[:4] == ["plan", "face", "head_and_gaze", "voice"]
        assert np.isfinite(graph.received[why][-1].smile).all()
