"""Life of a node: transitions, parameters, one of a name, clean ends. The expression node starts fastest."""

from __future__ import annotations

import gc
import re
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import rclpy
from ros_harness import RosGraph

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.nodes import health
from reactdiff_ros.nodes.expression_node import ExpressionNode

pytestmark = pytest.mark.ros

NAME = "expression_node"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    graph = RosGraph(tmp_path_factory.mktemp("lifecycle"))
    yield graph
    graph.close()  # some of the nodes end with an error
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


@pytest.fixture(scope="module")
def node(graph):
    """The node, not configured."""
    process = graph.start(NAME, autostart=False)
    graph.until(lambda: graph.state(NAME) == "unconfigured", 40.0, "the first heartbeat")
    return process


def test_every_transition_is_told_at_once(graph, node):
    graph.listen("listener/expression")
    steps = [
        ("configure", "inactive", "configured, not active", 1),
        ("activate", "active", "works", 0),
        ("deactivate", "inactive", "configured, not active", 1),
        ("cleanup", "unconfigured", "not configured", 1),
    ]
    for label, state, sentence, level in steps:
        assert graph.change(NAME, label)
        graph.until(lambda state=state: graph.state(NAME) == state, 20.0, state)
        assert (graph.sentence(NAME), graph.level(NAME)) == (sentence, level)
        if label == "activate":
            graph.until(lambda: len(graph.received["listener/expression"]) > 10, 10.0, "expression frames")
    graph.spin(0.3)  # frames that were under way
    count = len(graph.received["listener/expression"])
    graph.spin(0.3)
    assert len(graph.received["listener/expression"]) == count
    assert node.process.poll() is None


def test_impossible_transition_is_refused_and_harmless(graph, node):
    assert not graph.change(NAME, "activate")
    assert graph.call("lifecycle_msgs/GetState", f"/{NAME}/get_state").current_state.label == "unconfigured"


def test_parameters_are_described_and_ranged(graph, node):
    specs = load_table().node(NAME).parameters
    names = [p.name for p in specs]
    answer = graph.call("rcl_interfaces/DescribeParameters", f"/{NAME}/describe_parameters", names=names)
    for spec, descriptor in zip(specs, answer.descriptors, strict=True):
        assert descriptor.description.startswith(spec.description)
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        low = spec.minimum if spec.unset is None else min(spec.minimum, spec.unset)
        assert [(r.from_value, r.to_value) for r in ranges] == ([] if low is None else [(low, spec.maximum)])


@pytest.mark.parametrize(
    ("name", "value"),
    [("intensity", 7.0), ("intensity", float("nan")), ("seed", -1), ("seed", "a")],
)
def test_bad_parameter_is_refused_with_a_sentence(graph, node, name, value):
    before = graph.call("rcl_interfaces/GetParameters", f"/{NAME}/get_parameters", names=[name]).values
    result = graph.set_parameter(NAME, name, value)
    assert not result.successful
    assert result.reason
    assert graph.call("rcl_interfaces/GetParameters", f"/{NAME}/get_parameters", names=[name]).values == before


def test_settings_are_fixed_while_configured_and_free_after(graph, node):
    assert graph.set_parameter(NAME, "style", "warm").successful
    assert graph.change(NAME, "configure")
    refused = graph.set_parameter(NAME, "style", "calm")
    assert not refused.successful
    assert "unconfigured" in refused.reason
    assert graph.change(NAME, "cleanup")
    assert graph.set_parameter(NAME, "style", "calm").successful


def test_configure_fails_with_one_sentence_and_can_be_tried_again(graph, node):
    assert graph.set_parameter(NAME, "style", "no_such_style").successful
    assert not graph.change(NAME, "configure")
    graph.until(lambda: "no_such_style" in graph.sentence(NAME), 20.0, "the sentence")
    assert graph.level(NAME) == 2
    assert graph.set_parameter(NAME, "style", "neutral").successful
    assert graph.change(NAME, "configure")
    assert graph.change(NAME, "cleanup")


def test_second_node_of_the_name_leaves_with_one_sentence(graph, node):
    second = graph.start(NAME)
    other = graph.start(NAME, "-r", "__ns:=/other", blink_rate_per_min=20)  # a whole number for a number
    assert second.ended() == 2
    assert second.log.count(f"a node /{NAME} already runs") == 1
    assert node.process.poll() is None
    graph.until(lambda: graph.state(f"other/{NAME}") == "active", 40.0, "the node of another namespace")
    assert other.stop(signal.SIGHUP) == 0
    assert "finalized" in other.log


def test_bad_start_value_ends_the_node_with_one_sentence(graph):
    bad = {
        "blink_rate_per_min": graph.start(NAME, "-r", "__ns:=/bad", "-p", "blink_rate_per_min:=.nan"),
        "/no/such/file.yaml": graph.start(NAME, "-r", "__ns:=/worse", "--params-file", "/no/such/file.yaml"),
    }
    for said, process in bad.items():
        assert process.ended() == 2
        assert said in process.log


@pytest.mark.parametrize(("name", "value"), [("intensity", "9.0"), ("seed", "soon")])
def test_start_values_are_checked_as_parameters_are(domain, name, value):
    rclpy.init(args=["--ros-args", "-p", f"{name}:={value}"], domain_id=domain)
    try:
        with pytest.raises(ConfigError, match=name):
            ExpressionNode()
    finally:
        rclpy.shutdown()
        gc.collect()  # a node that could not be made is in the domain all the same


def test_signal_during_the_start_ends_cleanly(graph):
    node = graph.start(NAME, "-r", "__ns:=/early")
    status = Path(f"/proc/{node.process.pid}/status")
    caught = lambda: int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) >> (signal.SIGTERM - 1) & 1  # noqa: E731
    graph.until(caught, 20.0, "the handler")  # the imports follow
    assert node.stop(signal.SIGINT) == 0


def test_signal_ends_cleanly(graph, node):
    """All nodes of all graphs are ended by SIGTERM."""
    assert node.stop(signal.SIGINT) == 0
    assert "finalized" in node.log


@pytest.fixture
def alone(tmp_path):
    with RosGraph(tmp_path) as graph:
        rclpy.init(args=[], domain_id=graph.domain)
        yield graph
        rclpy.shutdown()


def test_twin_on_another_machine_is_told(monkeypatch, alone):
    """A second node of the name that this machine's claim cannot see."""
    monkeypatch.setattr(health, "TWIN_S", 0.0)
    mine = ExpressionNode()
    far = rclpy.create_node(NAME, context=alone.node.context, use_global_arguments=False)
    try:
        alone.until(lambda: mine.get_node_names().count(NAME) > 1, 20.0, "the other node")
        mine.report()
        mine.report()
        assert "another node is called /expression_node" in mine.health.summary("").sentence
    finally:
        far.destroy_node()
    alone.until(lambda: mine.get_node_names().count(NAME) == 1, 20.0, "its end")
    mine.report()
    assert mine.health.summary("fine").sentence == "fine"
    mine.destroy_node()


def test_stuck_worker_is_told_and_then_takes_the_heartbeat_away(alone):
    mine = ExpressionNode()
    stuck = SimpleNamespace(busy_s=lambda: 3.0, dropped=Counter(frame=2))
    mine.workers.append(stuck)

    def reported():
        mine.report()
        return "has worked on one input" in alone.sentence(NAME)

    alone.until(reported, 20.0, "the sentence")
    assert alone.level(NAME) == 2
    assert alone.value(NAME, "dropped frame") == "2"
    stuck.busy_s = lambda: 6.0
    alone.spin(0.2)
    alone.diagnostics.clear()
    mine.report()
    alone.spin(0.3)
    assert not alone.diagnostics
    stuck.busy_s = lambda: 0.0
    mine.report()
    alone.until(lambda: alone.sentence(NAME) == "not configured", 20.0, "the heartbeat again")
    mine.destroy_node()
