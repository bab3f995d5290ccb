"""Controls, gestures, turns and the own speech through real nodes over DDS, which agree on controls that one missed."""

import math
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import yaml
from command_lines import commands
from deadline import until
from faces_shown import feed, feed_until, somebody
from loaded_files import loaded
from rclpy.event_handler import PublisherEventCallbacks
from ros_harness import ROOT, START_S, RosGraph
from std_msgs.msg import Bool

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, MOUTH, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.messages import fill, fill_control, fill_mouth, from_stamp
from reactdiff_ros.nodes.base import interface
from reactdiff_ros.nodes.controls import CONTROL, END_NS, Controls, Sent
from reactdiff_ros.styles import save_style
from reactdiff_ros.types import ListenerControl, Mouth, SpeechState

pytestmark = pytest.mark.ros

FRAME, REACTION, EXPRESSION = "speaker/frame", "listener/reaction", "listener/expression"
GESTURE, SPEAKING, STATUS = "listener/gesture", "robot_speaking", "listener/status"
MOUTH_TOPIC, STATE_TOPIC = "speech/mouth", "speech/state"
NODES = ("reaction_node", "expression_node")


class Taker:
    """Which control is in force."""

    def __init__(self):
        self.controls, self.applied = Controls(), []

    def take(self, sent_ns, *, live, **values):
        sent = Sent(fill_control(msg.ListenerControl(), ListenerControl(**values)), sent_ns, live)
        return self.controls.take(sent, self.applied.append)

    def learn(self, other):
        """What another node says that it has; whether that is news."""
        sent = Sent(other.controls.message(), other.controls.sent_ns, live=False)
        return self.controls.take(sent, self.applied.append)


def test_a_live_control_counts_once_what_others_have_only_if_it_was_missed_and_what_cannot_be_not_at_all():
    one, other = Taker(), Taker()
    for node, first in ((one, True), (other, False)):
        assert node.take(1000, live=first, style="warm")
        assert not node.take(1000, live=not first, style="warm"), "whichever subscription is first"
        assert node.take(500, live=True, head=0.5), "of a machine whose clock is behind"
        assert not node.take(900, live=False, style="calm"), "what is latched is older than what came live"
        assert [c.style for c in node.applied] == ["warm", ""]
    assert not one.learn(other), "both know it"
    assert other.take(3000, live=True, nodding=0.25)
    assert not other.take(2000, live=False, style="calm"), "an old latched control does not undo a newer one"
    assert one.learn(other)
    assert str(one.controls.message()) == str(other.controls.message())
    assert not one.take(END_NS + 999_999_999, live=False, style="calm"), "a stamp from the end of time"
    with pytest.raises(ConfigError):
        one.controls.take(Sent(msg.ListenerControl(style="nobodys"), 4000, True), Mock(side_effect=ConfigError("why")))
    with pytest.raises(MessageError):
        one.take(5000, live=True, head=float("inf"))
    began_again = Taker()
    assert began_again.learn(one)
    assert [(c.style, c.head, c.nodding) for c in began_again.applied] == [("warm", 0.5, 0.25)]
    assert (one.controls.sent_ns, one.controls.message().header.stamp.nanosec) == (3000, 3000)


def test_the_example_tells_its_own_speech_before_during_and_after():
    told, before = [], []
    publisher = SimpleNamespace(publish=lambda message: told.append(message.data))
    say = lambda text: before.append((text, told[:1])) or until(lambda: len(told) >= 4)  # noqa: E731
    loaded("examples/robot_speaking.py").speak(publisher, say, "hello")
    assert before == [("hello", [True])]
    assert told[:4] == [True] * 4, "repeated while it speaks"
    assert (told.count(False), told[-1]) == (1, False)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("controls")) as graph:
        styles = graph.folder / "mine.yaml"
        styles.write_text("mine: {nodding: -0.5, head: 0.5}\n")
        graph.start("reaction_node", policy="rules", smile_share=1.0, nodding=0.25, styles_file=styles)
        graph.start("expression_node", head=0.75, styles_file=styles)
        graph.listen(REACTION, EXPRESSION, STATUS)
        graph.wait_active(*NODES)
        for topic in (FRAME, CONTROL, GESTURE, SPEAKING, MOUTH_TOPIC, STATE_TOPIC):
            graph.connect(topic)
        yield graph


def in_force(graph, node="reaction_node", **wanted):
    """Wait until a node says that this is in force."""
    graph.until(lambda: wanted.items() <= graph.settings(node).items(), START_S, f"{node}: {wanted}")


def style(graph, name):
    for node in NODES:
        in_force(graph, node, style=name)


def shown(graph, since):
    return np.stack([np.asarray(m.coefficients) for m in graph.received[EXPRESSION][since:]])


def pub(graph, topic, kind, values):
    """As `ros2 topic pub --once`: at least one match, then 0.1 s and the end."""
    missed, message = [], interface(kind, "msg")()
    for name, value in values.items():
        setattr(message, name, type(getattr(message, name))(value))
    events = PublisherEventCallbacks(incompatible_qos=missed.append)
    publisher = graph.node.create_publisher(type(message), topic, 10, event_callbacks=events)
    graph.until(publisher.get_subscription_count, START_S, f"who listens to {topic}")
    publisher.publish(message)
    graph.spin(0.1)
    graph.node.destroy_publisher(publisher)
    assert not missed, "a warning that is not true"


def test_controls_are_told_back_as_they_are_in_force_and_an_unknown_style_is_said(graph):
    in_force(graph, "expression_node", head="0.75")
    graph.publish(CONTROL, msg.ListenerControl(smiling=0.5, delay=0.4, intensity=1.5, responsiveness=7.0))
    in_force(graph, smiling="0.5", delay_s="0.4", responsiveness="1", nodding="0.25")  # clipped; the rest stays
    in_force(graph, "expression_node", intensity="1.5")
    assert "delay_s" not in graph.settings("expression_node"), "it acts in one place"
    graph.publish(CONTROL, msg.ListenerControl(style="mine"))
    in_force(graph, nodding="-0.5")
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    graph.until(lambda: "unknown style (anna)" in graph.sentence("reaction_node"), 10.0, "the sentence")
    assert graph.settings("reaction_node")["style"] == "mine"
    save_style(graph.folder / "mine.yaml", "anna", {"reference": [0.5, None, *[-1.0] * 6], "liveliness": 0.5})
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    style(graph, "anna")
    assert graph.settings("reaction_node")["reference"].startswith("0.50 - -1.00")
    graph.until(lambda: graph.level("reaction_node") < 2, 10.0, "the sentence is over")
    graph.publish(CONTROL, msg.ListenerControl(style="natural"))
    in_force(graph, smiling="0")


@pytest.mark.parametrize("line", commands("ros2 topic pub"))
def test_every_line_of_the_documentation_that_publishes_acts(graph, line, tmp_path):
    once, topic, kind, values = shlex.split(line, comments=True)[3:]
    assert once == "--once", "options that this does not know fail"
    values = yaml.safe_load(values)
    if topic == "/study/marker":
        recorder = graph.start("recorder_node", output=tmp_path / "bag")
        graph.until(lambda: "recording to" in recorder.log, START_S, "the recorder")
        pub(graph, topic, kind, values)
        graph.until(lambda: f"marked: {values['data']}" in recorder.log, what=line)
        graph.processes.remove(recorder)
        assert recorder.stop() == 0
        return
    since = len(graph.received[EXPRESSION])
    pub(graph, topic, kind, values)
    if topic == "/listener/control":
        name = values.pop("style", None)
        in_force(graph, **{n: f"{v:g}" for n, v in values.items()})
        if name is not None:
            style(graph, name)
    else:
        assert topic == "/listener/gesture"
        index = {"nod": HEAD_PITCH, "smile": SMILE[0], "brow_raise": INDEX["browInnerUp"]}[values["name"]]
        moved = lambda: float(np.ptp(shown(graph, since)[:, index])) > 0.1  # noqa: E731
        graph.until(lambda: len(graph.received[EXPRESSION]) > since and moved(), what=f"the face moves: {line}")


def test_a_bad_gesture_is_said_until_a_good_one_comes_as_the_examples(graph):
    graph.publish(GESTURE, msg.Gesture(name="moonwalk"))
    graph.until(lambda: "unknown gesture (moonwalk)" in graph.sentence("expression_node"), 10.0, "the sentence")
    assert "brow_raise" in graph.sentence("expression_node"), "it says which there are"
    graph.publish(GESTURE, msg.Gesture(name="nod", strength=math.nan))
    graph.until(lambda: graph.value("expression_node", f"dropped {GESTURE}") == "1", 10.0, "the count")
    example = [sys.executable, str(ROOT / "examples" / "gesture.py"), "smile"]
    assert subprocess.run(example, env=graph.environment, timeout=60.0).returncode == 0
    graph.until(lambda: "moonwalk" not in graph.sentence("expression_node"), 10.0, "it is over")


def test_the_own_speech_is_not_heard_moves_the_mouth_at_its_time_and_ends_with_a_stop(graph):
    def own_voice(now, time_s):
        graph.publish(SPEAKING, Bool(data=True))
        return somebody(now, speaking=time_s % 1.5 < 0.9)

    coefficients = np.zeros((300, len(MOUTH)), np.float32)
    coefficients[:, MOUTH.index(INDEX["jawOpen"])] = 0.6
    level, none = np.full(300, 0.5, np.float32), np.zeros(300, np.float32)
    feed(graph, 1.0)
    assert graph.received[REACTION][-1].turn == "listening"
    since, now = len(graph.received[EXPRESSION]), graph.node.get_clock().now().nanoseconds
    track = Mouth("one", now + NS // 2, coefficients, none, none, level)
    graph.publish(MOUTH_TOPIC, fill_mouth(msg.Mouth(), track))
    state = SpeechState(now, "speaking", "one", "", track.start_ns, track.start_ns + 5 * NS)
    graph.publish(STATE_TOPIC, fill(msg.SpeechState(), state))
    feed(graph, 3.0, own_voice)
    assert {(p.turn, p.sound_stamp.sec) for p in graph.received[REACTION][-5:]} == {("robot_speaking", 0)}
    in_force(graph, turn="robot_speaking")
    stopped = graph.node.get_clock().now().nanoseconds
    graph.publish(STATE_TOPIC, fill(msg.SpeechState(), replace(state, stamp_ns=stopped, phase="stopping")))
    graph.publish(SPEAKING, Bool(data=False))
    feed(graph, 1.5)
    assert graph.received[REACTION][-1].turn == "listening"
    at = np.array([from_stamp(m.header.stamp) for m in graph.received[EXPRESSION][since:]])
    jaw = shown(graph, since)[:, INDEX["jawOpen"]]
    assert np.median(jaw[(at > now + 0.7 * NS) & (at < stopped)]) == pytest.approx(0.6, abs=0.02)
    assert np.median(jaw[at < track.start_ns]) < 0.3, "not before it is heard"
    assert np.median(jaw[at > stopped + 0.4 * NS]) < 0.3


def test_candidates_are_drawn_and_plans_explained_while_somebody_subscribes(tmp_path, random_weights):
    candidates, why = "listener/reaction/candidates", "listener/reaction/explanation"
    with RosGraph(tmp_path) as graph:
        graph.start("reaction_node", policy="model", model_dir=random_weights, candidates=3, steps=2, quality="fixed")
        graph.listen(REACTION)
        graph.wait_active("reaction_node")
        graph.connect(FRAME)
        feed(graph, 2.0)
        assert {r.candidate_count for r in graph.received[REACTION]} == {1}
        for topic in (candidates, why):
            graph.listen(topic)
            feed_until(graph, lambda topic=topic: graph.received[topic], what=topic)
        newest = graph.received[candidates][-1]
        assert (newest.count, newest.horizon) == (3, 12)
        newest = graph.received[why][-1]
        assert list(newest.cues)[:4] == ["plan", "face", "head_and_gaze", "voice"]
        assert np.isfinite(newest.smile).all()


def test_a_control_that_a_node_missed_reaches_it_also_if_it_was_killed_and_undoes_the_older(graph):
    """The test's publisher has long been known to both nodes: who is active gets what it sends."""
    for node in NODES:
        graph.publish(CONTROL, msg.ListenerControl(style="serious"))
        style(graph, "serious")
        assert graph.change(node, "deactivate")
        graph.publish(CONTROL, msg.ListenerControl(style="warm"))
        assert graph.change(node, "activate")
        graph.clear(STATUS)
        style(graph, "warm")
    killed = graph.processes.pop(0)
    assert (killed.name, killed.stop(signal.SIGKILL)) == (NODES[0], -signal.SIGKILL)
    graph.clear(STATUS)
    graph.start(NODES[0], policy="rules")
    style(graph, "warm")
