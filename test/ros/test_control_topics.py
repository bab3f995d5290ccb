"""`listener/control` from publishers of every kind, and nodes that agree on the style after one of them began again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from command_lines import commands
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from ros_harness import START_S, NodeProcess, RosGraph

from reactdiff_ros import msg
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.messages import fill_control
from reactdiff_ros.nodes.base import interface
from reactdiff_ros.nodes.controls import CONTROL, END_NS, HISTORY_NS, LATEST, Controls, Sent
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.types import ListenerControl

pytestmark = pytest.mark.ros

EXPRESSION, STATUS = "listener/expression", "listener/status"
NODES = ("reaction_node", "expression_node")


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


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosGraph]:
    with RosGraph(tmp_path_factory.mktemp("control")) as graph:
        graph.start("reaction_node", policy="rules")
        graph.start("expression_node")
        graph.listen(EXPRESSION, STATUS)
        graph.wait_active(*NODES)
        yield graph


@contextmanager
def recording(graph: RosGraph, path: Path) -> Iterator[NodeProcess]:
    """A recorder_node that writes to `path`; its bag is complete afterwards."""
    recorder = graph.start("recorder_node", output=path)
    try:
        graph.until(lambda: "recording to" in recorder.log, START_S, "the recorder")
        yield recorder
    finally:
        graph.processes.remove(recorder)
        assert recorder.stop() == 0


def styles(graph: RosGraph) -> list[str]:
    return [graph.settings(name).get("style", "") for name in NODES]


@contextmanager
def publishing(graph: RosGraph, topic: str, kind: str, values: dict[str, Any], wait: int = 0) -> Iterator[None]:
    """A node that has published a message, after so many listened, or else a latched one; ends with the context."""
    missed: list[Any] = []
    node = rclpy.create_node("publisher_of_a_test", context=graph.node.context, use_global_arguments=False)
    events = PublisherEventCallbacks(incompatible_qos=missed.append)
    durability = DurabilityPolicy.VOLATILE if wait else DurabilityPolicy.TRANSIENT_LOCAL
    profile = QoSProfile(depth=10, durability=durability)
    publisher = node.create_publisher(interface(kind, "msg"), topic, profile, event_callbacks=events)
    graph.add(node)
    try:
        graph.until(lambda: publisher.get_subscription_count() >= wait, START_S, f"who listens to {topic}")
        message = interface(kind, "msg")()
        for name, value in values.items():
            setattr(message, name, type(getattr(message, name))(value))
        publisher.publish(message)
        yield
        assert not missed, "a warning that is not true"
    finally:
        graph.remove(node)
        node.destroy_node()


def pub(graph: RosGraph, topic: str, kind: str, values: dict[str, Any], wait: int = 1) -> None:
    """As `ros2 topic pub --once`: at least one match, then 0.1 s and the end."""
    with publishing(graph, topic, kind, values, wait):
        graph.spin(0.1)


def control(graph: RosGraph, style: str, wait: int = 1) -> None:
    pub(graph, f"/{CONTROL}", "reactdiff_ros/msg/ListenerControl", {"style": style}, wait)


def parsed(line: str) -> tuple[str, str, dict[str, Any]]:
    """Topic, type and values of a line of `ros2 topic pub`; options that this does not know fail."""
    once, topic, kind, values = shlex.split(line, comments=True)[3:]
    assert once == "--once", line
    return topic, kind, yaml.safe_load(values)


LINES = commands("ros2 topic pub")


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_documentation_that_publishes_acts(graph: RosGraph, line: str, tmp_path: Path) -> None:
    topic, kind, values = parsed(line)
    if topic == "/study/marker":
        with recording(graph, tmp_path / "bag") as recorder:
            pub(graph, topic, kind, values)
            graph.until(lambda: f"marked: {values['data']}" in recorder.log, what=line)
        return
    since = len(graph.received[EXPRESSION])
    pub(graph, topic, kind, values)
    if topic == "/listener/control":
        style = values.pop("style", None)
        numbers = {n: f"{v:g}" for n, v in values.items()}
        graph.until(lambda: numbers.items() <= graph.settings("reaction_node").items(), what=f"{numbers}")
        if style is not None:
            graph.until(lambda: styles(graph) == [style, style], what=style)
    else:
        assert topic == "/listener/gesture"
        index = {"nod": HEAD_PITCH, "smile": SMILE[0], "brow_raise": INDEX["browInnerUp"]}[values["name"]]

        def moved() -> bool:
            faces = [m.coefficients[index] for m in graph.received[EXPRESSION][since:]]
            return bool(faces) and float(np.ptp(faces)) > 0.1

        graph.until(moved, what=f"the face moves: {line}")


@pytest.mark.parametrize("node", NODES)
def test_a_control_that_one_node_missed_reaches_it_and_undoes_the_older(graph: RosGraph, node: str) -> None:
    """`--once` publishes as soon as one subscription is there, which need not be that of every node."""
    control(graph, "serious")
    graph.until(lambda: styles(graph) == ["serious", "serious"], what="the style")
    assert graph.change(node, "deactivate")
    control(graph, "warm")
    assert graph.change(node, "activate")
    graph.clear(STATUS)
    graph.until(lambda: styles(graph) == ["warm", "warm"], what="the newer style")


def test_the_recorder_keeps_what_ordinary_publishers_sent_and_what_was_set_before(
    graph: RosGraph, tmp_path: Path
) -> None:
    graph.clear(STATUS)
    with recording(graph, tmp_path / "bag"):
        # DDS may show a publisher the new subscription before the recorder knows the publisher: what it sends is lost.
        graph.until(lambda: written(graph) > 0, what="the recorder knows who publishes")
        control(graph, "calm", wait=3)
        graph.until(lambda: styles(graph) == ["calm", "calm"], what="the style")
        before = written(graph)
        graph.until(lambda: written(graph) > before + 3, what="what was sent later is recorded")
    assert recorded(tmp_path / "bag", CONTROL) == ["calm"]
    with recording(graph, tmp_path / "later"):
        graph.spin(2.0)
    assert recorded(tmp_path / "later", CONTROL) == []
    assert recorded(tmp_path / "later", LATEST)[0] == "calm"


def written(graph: RosGraph) -> int:
    """Messages in the recorder's bag as of its last status."""
    return int(graph.settings("recorder_node").get("messages", "0"))


def recorded(path: Path, topic: str) -> list[str]:
    """The styles in a bag's messages of a topic."""
    return [deserialize_message(r.raw, msg.ListenerControl).style for r in BagFiles(path).records({f"/{topic}"})]


def test_what_a_latched_publisher_sent_before_a_node_started_reaches_it(graph: RosGraph) -> None:
    """And ordinary publishers go on being heard beside it."""
    topic, kind = f"/late/{CONTROL}", "reactdiff_ros/msg/ListenerControl"
    graph.listen(f"late/{STATUS}")
    style = lambda: graph.settings("expression_node", "late").get("style")  # noqa: E731
    with publishing(graph, topic, kind, {"style": "sceptical"}):
        late = graph.start("expression_node", "-r", "__ns:=/late")
        graph.until(lambda: style() == "sceptical", START_S, "the style that was sent before")
        graph.spin(HISTORY_NS / 1e9 + 1.0)  # what fetched it is over
        pub(graph, topic, kind, {"style": "calm"})
        graph.until(lambda: style() == "calm", what="the ordinary publisher's style")
        assert "incompatible QoS" not in late.log
        assert late.stop() == 0


@pytest.mark.parametrize(("node", "style"), list(zip(NODES, ("enthusiastic", "sceptical"), strict=True)))
def test_a_node_that_was_killed_has_the_style_again(graph: RosGraph, node: str, style: str) -> None:
    """At the end of the file: for long DDS counts a killed node among those that listen."""
    control(graph, style, wait=2)
    graph.until(lambda: styles(graph) == [style, style], what="the style")
    process = next(p for p in graph.processes if p.name == node)
    process.process.kill()
    process.process.wait()
    graph.processes.remove(process)
    graph.received[STATUS].clear()
    graph.start(node, **({"policy": "rules"} if node == "reaction_node" else {}))
    graph.until(lambda: styles(graph) == [style, style], START_S, "the style again")
