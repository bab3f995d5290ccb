"""Controls, gestures, turns and candidates through real nodes over DDS; controls from every kind of publisher."""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from command_lines import commands
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from ros_harness import START_S, NodeProcess, RosGraph

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.messages import fill_control, fill_speaker
from reactdiff_ros.nodes.base import interface
from reactdiff_ros.nodes.controls import END_NS, HISTORY_NS, LATEST, Controls, Sent
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.styles import save_style
from reactdiff_ros.types import ListenerControl, SpeakerFrame, Voice

pytestmark = pytest.mark.ros

FRAME, REACTION, EXPRESSION = "speaker/frame", "listener/reaction", "listener/expression"
CONTROL, GESTURE, SPEAKING, STATUS = "listener/control", "listener/gesture", "robot_speaking", "listener/status"
CONTROL_TYPE = "reactdiff_ros/msg/ListenerControl"
NODES = ("reaction_node", "expression_node")


# The rules by which nodes apply controls


def sent(sent_ns: int, *, live: bool, **values: Any) -> Sent:
    return Sent(fill_control(msg.ListenerControl(), ListenerControl(**values)), sent_ns, live)


class Taker:
    def __init__(self) -> None:
        self.controls, self.applied = Controls(), list[ListenerControl]()

    def take(self, *args: Any, **values: Any) -> bool:
        return self.controls.take(sent(*args, **values), self.applied.append)


def test_a_live_control_is_applied_once_whichever_subscription_is_first() -> None:
    for first in (True, False):
        one = Taker()
        assert one.take(1000, live=first, style="warm")
        assert not one.take(1000, live=not first, style="warm")
        assert [c.style for c in one.applied] == ["warm"]


def test_history_counts_only_if_it_is_newer() -> None:
    one = Taker()
    assert one.take(1000, live=False, style="warm")
    assert one.take(3000, live=True, nodding=0.5)
    assert not one.take(2000, live=False, style="calm"), "an old latched control does not undo a newer one"
    assert one.take(4000, live=False, head=0.5)
    assert (one.controls.control.style, one.controls.control.nodding, one.controls.control.head) == ("warm", 0.5, 0.5)


def test_a_live_control_acts_also_from_a_machine_whose_clock_is_behind() -> None:
    here, there = Taker(), Taker()
    for node in (here, there):
        assert node.take(10_000, live=True, style="warm")
        assert node.take(500, live=True, style="calm")
    assert here.controls.control.style == "calm"
    echo = Sent(there.controls.message(), there.controls.sent_ns, live=False)
    assert not here.controls.take(echo, here.applied.append), "both know it"


def test_a_node_that_missed_a_control_learns_it_from_the_other() -> None:
    here, there = Taker(), Taker()
    for node in (here, there):
        node.take(1000, live=True, style="warm", head=0.5)
    there.take(2000, live=True, nodding=0.25)
    assert here.controls.take(Sent(there.controls.message(), there.controls.sent_ns, live=False), here.applied.append)
    assert str(here.controls.message()) == str(there.controls.message())
    began_again = Taker()
    kept = Sent(here.controls.message(), here.controls.sent_ns, live=False)
    assert began_again.controls.take(kept, began_again.applied.append)
    assert began_again.applied[0].style == "warm"
    assert (began_again.applied[0].head, began_again.applied[0].nodding) == (0.5, 0.25)


def test_a_stamp_from_the_end_of_time_does_not_end_controls() -> None:
    one = Taker()
    assert not one.take(END_NS + 999_999_999, live=False, style="warm")
    assert one.take(1000, live=True, style="calm")
    assert one.controls.message().header.stamp.nanosec == 1000


def test_a_control_that_cannot_be_applied_is_as_if_it_had_not_come() -> None:
    def refuse(_: ListenerControl) -> None:
        raise ConfigError("unknown style")

    one = Taker()
    one.take(1000, live=True, style="warm")
    with pytest.raises(ConfigError):
        one.controls.take(sent(2000, live=True, style="nobodys"), refuse)
    with pytest.raises(MessageError):
        one.take(3000, live=True, head=float("inf"))
    assert (one.controls.control, one.controls.sent_ns) == (ListenerControl(style="warm"), 1000)


# Two nodes, fed with speaker frames by the test


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("styles") / "mine.yaml"
    path.write_text("mine: {nodding: -0.5, head: 0.5}\n")
    return path


@pytest.fixture(scope="module")
def parameters(styles: Path) -> dict[str, dict[str, object]]:
    return {
        "reaction_node": {"policy": "rules", "smile_share": 1.0, "nodding": 0.25, "styles_file": styles},
        "expression_node": {"head": 0.75, "styles_file": styles},
    }


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, parameters: dict[str, dict[str, object]]) -> Iterator[RosGraph]:
    with RosGraph(tmp_path_factory.mktemp("controls")) as graph:
        for name, given in parameters.items():
            graph.start(name, **given)
        graph.listen(REACTION, EXPRESSION, STATUS)
        graph.wait_active(*NODES)
        for topic in (FRAME, CONTROL, GESTURE, SPEAKING):
            graph.connect(topic)
        yield graph


def frame(now_ns: int, *, smile: float = 0.0, speaking: bool = False, face: bool = True, heard: bool = True) -> Any:
    """A frame of somebody 1 m away as its message."""

    values = np.zeros(58, np.float32)
    values[list(SMILE)] = smile
    voice = Voice(0.9 if speaking else 0.05, speaking, np.zeros(26, np.float32), 120.0 if speaking else 0.0, -30, 0, 0)
    return fill_speaker(
        msg.SpeakerFrame(),
        SpeakerFrame(
            stamp_ns=now_ns,
            picture_stamp_ns=now_ns,
            sound_stamp_ns=now_ns if heard else None,
            person_id=1 if face else -1,
            face_present=face,
            mesh_present=face,
            coefficients=values if face else np.zeros(58, np.float32),
            confidence=np.full(58, 0.9 if face else 0.0, np.float32),
            neutral_confidence=1.0,
            gaze=None,
            position_m=np.array([0, 0, 1], np.float32) if face else None,
            affect=None,
            voice=voice if heard else None,
        ),
    )


def feed(graph: RosGraph, seconds: float, make: Callable[[int, float], Any] | None = None) -> None:
    """25 frames a second for so long; `make(now_ns, time_s)` gives each (None: no frame)."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        now = graph.node.get_clock().now().nanoseconds
        message = frame(now) if make is None else make(now, passed)
        if message is not None:
            graph.publish(FRAME, message)
        graph.spin(0.04)


def settings(graph: RosGraph, stage: str) -> dict[str, str]:
    told = [s for s in graph.received[STATUS] if s.stage == stage]
    return dict(s.split("=", 1) for s in told[-1].settings) if told else {}


def styles_of(graph: RosGraph) -> list[str]:
    return [settings(graph, name).get("style", "") for name in NODES]


def shown(graph: RosGraph, since: int) -> np.ndarray:
    return np.stack([np.asarray(m.coefficients) for m in graph.received[EXPRESSION][since:]])


def stamps(graph: RosGraph, since: int) -> np.ndarray:
    return np.array([m.header.stamp.sec + m.header.stamp.nanosec / NS for m in graph.received[EXPRESSION][since:]])


def test_start_values_and_messages_are_told_back_as_they_are_in_force(graph):
    graph.until(lambda: settings(graph, "reaction_node").get("nodding") == "0.25", 10.0, "the start value")
    graph.until(lambda: settings(graph, "expression_node").get("head") == "0.75", 10.0, "the start value")
    graph.publish(CONTROL, msg.ListenerControl(smiling=0.5, delay=0.4, intensity=1.5, responsiveness=7.0))
    graph.until(lambda: settings(graph, "reaction_node").get("smiling") == "0.5", 10.0, "the control")
    told = settings(graph, "reaction_node")
    assert (told["delay_s"], told["responsiveness"], told["nodding"]) == ("0.4", "1", "0.25"), "clipped; the rest stays"
    graph.until(lambda: settings(graph, "expression_node").get("intensity") == "1.5", 10.0, "the control")
    assert "delay_s" not in settings(graph, "expression_node"), "it acts in one place"
    graph.publish(CONTROL, msg.ListenerControl(style="natural"))
    graph.until(lambda: settings(graph, "reaction_node").get("smiling") == "0", 10.0, "the style")


def test_a_style_that_is_saved_meanwhile_is_known_and_an_unknown_one_is_said(graph, styles):
    graph.publish(CONTROL, msg.ListenerControl(style="mine"))
    graph.until(lambda: settings(graph, "reaction_node").get("nodding") == "-0.5", 10.0, "the own style")
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    graph.until(lambda: "unknown style (anna)" in graph.sentence("reaction_node"), 10.0, "the sentence")
    assert settings(graph, "reaction_node")["style"] == "mine"
    save_style(styles, "anna", {"reference": [0.5, None, *[-1.0] * 6], "liveliness": 0.5})
    graph.publish(CONTROL, msg.ListenerControl(style="anna"))
    graph.until(lambda: settings(graph, "reaction_node").get("style") == "anna", 10.0, "the learnt style")
    assert settings(graph, "reaction_node")["reference"].startswith("0.50 - -1.00")
    graph.until(lambda: settings(graph, "expression_node").get("style") == "anna", 10.0, "the learnt style")
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
        return frame(now, speaking=time_s % 1.5 < 0.9)

    feed(graph, 2.0)
    assert graph.received[REACTION][-1].turn == "listening"
    since = len(graph.received[EXPRESSION])
    feed(graph, 4.0, own_voice)
    count = len(graph.received[REACTION])
    plans = graph.received[REACTION][count - 10 : count]
    assert {p.turn for p in plans} == {"robot_speaking"}
    assert {p.sound_stamp.sec for p in plans} == {0}
    told = [s.settings for s in graph.received[STATUS] if s.stage == "reaction_node"][-2:]
    assert any("turn=robot_speaking" in s for s in told)
    graph.publish(SPEAKING, Bool(data=False))
    feed(graph, 1.5)
    assert graph.received[REACTION][-1].turn == "listening"
    assert np.degrees(np.ptp(shown(graph, since)[50:, HEAD_PITCH])) < 3.0, "no nod at its own words"


def test_a_paused_listener_plays_no_nod_late(graph):
    """The process of the listener stands still for a while; the face goes on and catches up without a jerk."""
    node = next(p for p in graph.processes if p.name == "reaction_node").process

    def talk(now: int, time_s: float) -> Any:
        return frame(now, speaking=time_s % 3.0 < 2.4, smile=0.6)

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
    assert np.median(np.diff(stamps(graph, since))) == pytest.approx(0.02, abs=0.004)
    starts = [m.header.stamp.sec + m.header.stamp.nanosec / NS for m in graph.received[REACTION][plans:]]
    now_s = graph.node.get_clock().now().nanoseconds / NS
    assert starts[-1] == pytest.approx(now_s, abs=0.6), "it plans for now"


# Publishers of every kind, and nodes that agree after one of them was away


def pub(graph: RosGraph, topic: str, kind: str, values: str, *, latched: bool = False, wait: int = 1) -> Any:
    """As ros2topic's verb pub: rclpy's default QoS, some matches, 0.1 s and the end; a latched one stays."""
    refused: list[Any] = []
    profile = QoSProfile(
        depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    )
    heard = PublisherEventCallbacks(incompatible_qos=refused.append)
    message = interface(kind, "msg")()
    publisher = graph.node.create_publisher(type(message), topic, profile, event_callbacks=heard)
    graph.until(lambda: publisher.get_subscription_count() >= (0 if latched else wait), START_S, f"who hears {topic}")
    for name, value in yaml.safe_load(values).items():
        setattr(message, name, type(getattr(message, name))(value))
    publisher.publish(message)
    graph.spin(0.1)
    assert not refused, "a warning that is not true"
    if not latched:
        graph.node.destroy_publisher(publisher)
    return publisher


def parsed(line: str) -> SimpleNamespace:
    """A line of `ros2 topic pub` as that reads it; options that this does not know fail."""
    once, topic, kind, values = shlex.split(line, comments=True)[3:]
    assert once == "--once", line
    return SimpleNamespace(topic=topic, kind=kind, values=values, fields=yaml.safe_load(values))


@contextmanager
def recording(graph: RosGraph, path: Path) -> Iterator[NodeProcess]:
    """A recorder_node that writes to `path`; its bag is complete afterwards."""
    recorder = graph.start("recorder_node", output=path)
    try:
        graph.until(lambda: "records to" in recorder.log, START_S, "the recorder")
        yield recorder
    finally:
        graph.processes.remove(recorder)
        assert recorder.stop() == 0


@pytest.mark.parametrize("line", commands("ros2 topic pub"))
def test_every_line_of_the_documentation_that_publishes_acts(graph: RosGraph, line: str, tmp_path: Path) -> None:
    told = parsed(line)
    if told.topic == "/study/marker":
        with recording(graph, tmp_path / "bag") as recorder:
            pub(graph, told.topic, told.kind, told.values)
            graph.until(lambda: f"marked: {told.fields['data']}" in recorder.log, what=line)
        return
    since = len(graph.received[EXPRESSION])
    pub(graph, told.topic, told.kind, told.values)
    if told.topic == "/listener/control":
        style = told.fields.pop("style", None)
        numbers = {n: f"{v:g}" for n, v in told.fields.items()}
        graph.until(lambda: numbers.items() <= settings(graph, "reaction_node").items(), what=f"{numbers}")
        if style is not None:
            graph.until(lambda: styles_of(graph) == [style, style], what=style)
    else:
        assert told.topic == "/listener/gesture"
        index = {"nod": HEAD_PITCH, "smile": SMILE[0], "brow_raise": INDEX["browInnerUp"]}[told.fields["name"]]

        def moved() -> bool:
            faces = [m.coefficients[index] for m in graph.received[EXPRESSION][since:]]
            return bool(faces) and float(np.ptp(faces)) > 0.1

        graph.until(moved, what=f"the face moves: {line}")


def test_a_control_that_one_node_missed_reaches_it_and_undoes_the_older(graph: RosGraph) -> None:
    """`--once` publishes as soon as one subscription is there, which need not be that of every node."""
    pub(graph, CONTROL, CONTROL_TYPE, "{style: serious}")
    graph.until(lambda: styles_of(graph) == ["serious", "serious"], what="the style")
    assert graph.change("expression_node", "deactivate")
    pub(graph, CONTROL, CONTROL_TYPE, "{style: warm}")
    assert graph.change("expression_node", "activate")
    graph.received[STATUS].clear()
    graph.until(lambda: styles_of(graph) == ["warm", "warm"], what="the newer style")


def test_a_node_that_was_killed_has_the_style_again(graph: RosGraph, parameters: Any) -> None:
    pub(graph, CONTROL, CONTROL_TYPE, "{style: enthusiastic}", wait=2)
    graph.until(lambda: styles_of(graph) == ["enthusiastic", "enthusiastic"], what="the style")
    process = next(p for p in graph.processes if p.name == "reaction_node")
    process.stop(signal.SIGKILL)
    graph.processes.remove(process)
    graph.received[STATUS].clear()
    graph.start("reaction_node", **parameters["reaction_node"])
    graph.until(lambda: styles_of(graph) == ["enthusiastic", "enthusiastic"], START_S, "the style again")


def test_what_a_latched_publisher_sent_before_a_node_started_reaches_it(graph: RosGraph) -> None:
    """And ordinary publishers go on being heard beside it."""
    pub(graph, "/late/listener/control", CONTROL_TYPE, "{style: sceptical}", latched=True)
    heard: list[Any] = []
    graph.node.create_subscription(msg.ListenerStatus, "/late/listener/status", heard.append, 10)
    late = graph.start("expression_node", "-r", "__ns:=/late")

    def style(name: str) -> bool:
        return bool(heard) and f"style={name}" in heard[-1].settings

    graph.until(lambda: style("sceptical"), START_S, "the style that was sent before")
    graph.spin(HISTORY_NS / 1e9 + 1.0)  # what fetched it is over
    pub(graph, "/late/listener/control", CONTROL_TYPE, "{style: calm}")
    graph.until(lambda: style("calm"), what="the ordinary publisher's style")
    assert "incompatible QoS" not in late.log
    assert late.stop() == 0


def recorded(path: Path, topic: str) -> list[str]:
    """The styles in a bag's messages of a topic."""
    return [deserialize_message(r.raw, msg.ListenerControl).style for r in BagFiles(path).records({f"/{topic}"})]


def test_the_recorder_keeps_what_ordinary_publishers_sent_and_what_was_set_before(
    graph: RosGraph, tmp_path: Path
) -> None:
    with recording(graph, tmp_path / "bag"):
        pub(graph, CONTROL, CONTROL_TYPE, "{style: calm}", wait=3)
        graph.until(lambda: styles_of(graph) == ["calm", "calm"], what="the style")
    assert recorded(tmp_path / "bag", CONTROL) == ["calm"]
    with recording(graph, tmp_path / "later"):
        graph.spin(2.0)
    assert recorded(tmp_path / "later", CONTROL) == []
    assert recorded(tmp_path / "later", LATEST)[0] == "calm"


def test_candidates_of_the_model_are_drawn_while_somebody_subscribes(tmp_path, random_weights):
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
