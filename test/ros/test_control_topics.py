"""`listener/control` from publishers of every kind, and nodes that agree on the style after one of them began again."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from command_lines import commands
from rclpy.serialization import deserialize_message
from ros_harness import START_S, NodeProcess, RosGraph

from reactdiff_ros import msg
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.messages import fill_control
from reactdiff_ros.nodes.controls import CONTROL, END_NS, HISTORY_NS, LATEST, Controls, Sent
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.types import ListenerControl

pytestmark = pytest.mark.ros

EXPRESSION, STATUS = "listener/expression", "listener/status"
NODES = ("reaction_node", "expression_node")

PUB = """
import sys, time
import rclpy
import yaml
from rclpy.qos import DurabilityPolicy, QoSProfile
from reactdiff_ros.nodes.base import interface
topic, kind, values, durability, wait, keep_s = sys.argv[1:]
rclpy.init()
node = rclpy.create_node("publisher_of_a_test")
profile = QoSProfile(depth=10, durability=DurabilityPolicy[durability])
publisher = node.create_publisher(interface(kind, "msg"), topic, profile)
while publisher.get_subscription_count() < int(wait):
    time.sleep(0.1)
message = interface(kind, "msg")()
for name, value in yaml.safe_load(values).items():
    setattr(message, name, type(getattr(message, name))(value))
publisher.publish(message)
print("published", flush=True)
time.sleep(float(keep_s))
rclpy.shutdown()
"""
"""As ros2topic's verb pub: QoS `default` of rclpy unless told otherwise, at least one match, then 0.1 s and the end."""


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
def graph(tmp_path_factory: pytest.TempPathFactory) -> Any:
    graph = RosGraph(tmp_path_factory.mktemp("control"))
    graph.start("reaction_node", policy="rules")
    graph.start("expression_node")
    graph.listen(EXPRESSION, STATUS)
    graph.wait_active(*NODES)
    yield graph
    assert set(graph.close()) == {0}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


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


def pub(graph: RosGraph, topic: str, kind: str, values: str, *, latched: bool = False, wait: int = 1) -> Any:
    """A program that publishes once; a latched one stays."""
    how = ["TRANSIENT_LOCAL", "0", "600"] if latched else ["VOLATILE", str(wait), "0.1"]
    log = graph.folder / "published.log"
    with log.open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-c", PUB, topic, kind, values, *how],
            env=graph.environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def done() -> bool:
        assert program.poll() in (None, 0), log.read_text()
        return "published" in log.read_text() if latched else program.poll() is not None

    try:
        graph.until(done, START_S, f"{topic} is published")
    except BaseException:
        program.kill()
        raise
    assert "incompatible" not in log.read_text(), "a warning that is not true"
    return program


def parsed(line: str) -> SimpleNamespace:
    """A line of `ros2 topic pub` as that reads it; options that this does not know fail."""
    once, topic, kind, values = shlex.split(line, comments=True)[3:]
    assert once == "--once", line
    return SimpleNamespace(topic=topic, kind=kind, values=values, fields=yaml.safe_load(values))


LINES = commands("ros2 topic pub")


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_documentation_that_publishes_acts(graph: RosGraph, line: str, tmp_path: Path) -> None:
    report = parsed(line)
    if report.topic == "/study/marker":
        with recording(graph, tmp_path / "bag") as recorder:
            pub(graph, report.topic, report.kind, report.values)
            graph.until(lambda: f"marked: {report.fields['data']}" in recorder.log, what=line)
        return
    since = len(graph.received[EXPRESSION])
    pub(graph, report.topic, report.kind, report.values)
    if report.topic == "/listener/control":
        style = report.fields.pop("style", None)
        numbers = {n: f"{v:g}" for n, v in report.fields.items()}
        graph.until(lambda: numbers.items() <= graph.settings("reaction_node").items(), what=f"{numbers}")
        if style is not None:
            graph.until(lambda: styles(graph) == [style, style], what=style)
    else:
        assert report.topic == "/listener/gesture"
        index = {"nod": HEAD_PITCH, "smile": SMILE[0], "brow_raise": INDEX["browInnerUp"]}[report.fields["name"]]

        def moved() -> bool:
            faces = [m.coefficients[index] for m in graph.received[EXPRESSION][since:]]
            return bool(faces) and float(np.ptp(faces)) > 0.1

        graph.until(moved, what=f"the face moves: {line}")


def change(graph: RosGraph, node: str, *labels: str) -> None:
    from lifecycle_msgs.msg import Transition

    for label in labels:
        number = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4}[label]
        wanted = Transition(id=number)
        assert graph.call("lifecycle_msgs/ChangeState", f"/{node}/change_state", transition=wanted).success
    graph.received[STATUS].clear()


@pytest.mark.parametrize("node", NODES)
def test_a_control_that_one_node_missed_reaches_it_and_undoes_the_older(graph: RosGraph, node: str) -> None:
    """`--once` publishes as soon as one subscription is there, which need not be that of every node."""
    kind = "reactdiff_ros/msg/ListenerControl"
    pub(graph, CONTROL, kind, "{style: serious}")
    graph.until(lambda: styles(graph) == ["serious", "serious"], what="the style")
    change(graph, node, "deactivate")
    pub(graph, CONTROL, kind, "{style: warm}")
    change(graph, node, "activate")
    graph.until(lambda: styles(graph) == ["warm", "warm"], what="the newer style")


@pytest.mark.parametrize("node", NODES)
def test_a_node_that_was_killed_has_the_style_again(graph: RosGraph, node: str) -> None:
    pub(graph, CONTROL, "reactdiff_ros/msg/ListenerControl", "{style: enthusiastic}", wait=2)
    graph.until(lambda: styles(graph) == ["enthusiastic", "enthusiastic"], what="the style")
    process = next(p for p in graph.processes if p.name == node)
    process.process.kill()
    process.process.wait()
    graph.processes.remove(process)
    graph.received[STATUS].clear()
    graph.start(node, **({"policy": "rules"} if node == "reaction_node" else {}))
    graph.until(lambda: styles(graph) == ["enthusiastic", "enthusiastic"], START_S, "the style again")


def test_what_a_latched_publisher_sent_before_a_node_started_reaches_it(graph: RosGraph) -> None:
    """And ordinary publishers go on being heard beside it."""
    kind = "reactdiff_ros/msg/ListenerControl"
    latched = pub(graph, "/late/listener/control", kind, "{style: sceptical}", latched=True)
    try:
        heard: list[Any] = []
        from reactdiff_ros.msg import ListenerStatus

        graph.node.create_subscription(ListenerStatus, "/late/listener/status", heard.append, 10)
        late = graph.start("expression_node", "-r", "__ns:=/late")

        def style(name: str) -> bool:
            return bool(heard) and f"style={name}" in heard[-1].settings

        graph.until(lambda: style("sceptical"), START_S, "the style that was sent before")
        graph.spin(HISTORY_NS / 1e9 + 1.0)  # what fetched it is over
        pub(graph, "/late/listener/control", kind, "{style: calm}")
        graph.until(lambda: style("calm"), what="the ordinary publisher's style")
        assert "incompatible QoS" not in late.log
        assert late.stop() == 0
    finally:
        latched.kill()
        latched.wait()


def test_the_recorder_keeps_what_ordinary_publishers_sent_and_what_was_set_before(
    graph: RosGraph, tmp_path: Path
) -> None:
    with recording(graph, tmp_path / "bag"):
        pub(graph, CONTROL, "reactdiff_ros/msg/ListenerControl", "{style: calm}", wait=3)
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
    from reactdiff_ros.msg import ListenerControl as ControlMessage

    return [deserialize_message(r.raw, ControlMessage).style for r in BagFiles(path).records({f"/{topic}"})]
