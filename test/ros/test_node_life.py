"""Life of a node: transitions, parameters, one of a name, clean and forced ends, the start."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import rclpy
from ros_harness import RosGraph, executable

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


def test_every_transition_is_told_an_impossible_one_refused_and_settings_are_fixed_while_configured(graph, node):
    graph.listen("listener/expression")
    faces = graph.received["listener/expression"]
    assert not graph.change(NAME, "activate")
    for label, state, sentence, level in (
        ("configure", "inactive", "configured, not active", 1),
        ("activate", "active", "works", 0),
        ("deactivate", "inactive", "configured, not active", 1),
        ("cleanup", "unconfigured", "not configured", 1),
    ):
        assert graph.change(NAME, label)
        graph.until(lambda state=state: graph.state(NAME) == state, 20.0, state)
        assert (graph.sentence(NAME), graph.level(NAME)) == (sentence, level)
        if label == "activate":
            graph.until(lambda: len(faces) > 10, 10.0, "expression frames")
            refused = graph.set_parameter(NAME, "style", "calm")
            assert not refused.successful
            assert "unconfigured" in refused.reason
    graph.spin(0.3)  # frames that were under way
    count = len(faces)
    graph.spin(0.3)
    assert len(faces) == count
    assert graph.set_parameter(NAME, "style", "no_such_style").successful
    assert not graph.change(NAME, "configure")
    graph.until(lambda: "no_such_style" in graph.sentence(NAME), 20.0, "the sentence")
    assert graph.level(NAME) == 2
    assert graph.set_parameter(NAME, "style", "warm").successful
    assert graph.change(NAME, "configure", "cleanup")
    assert node.process.poll() is None


def test_parameters_are_described_and_ranged_and_a_bad_value_is_refused_with_a_sentence(graph, node):
    names = ["intensity", "seed"]
    answer = graph.call("rcl_interfaces/DescribeParameters", f"/{NAME}/describe_parameters", names=names)
    assert [d.description[:21] for d in answer.descriptors] == ["Strength of reactions", "Seed of blinks, gaze "]
    ranges = [r for d in answer.descriptors for r in (*d.floating_point_range, *d.integer_range)]
    assert [(r.from_value, r.to_value) for r in ranges] == [(-1.0, 2.0), (0, 2**31 - 1)]
    values = lambda: graph.call("rcl_interfaces/GetParameters", f"/{NAME}/get_parameters", names=names).values  # noqa: E731
    before = values()
    for name, value in (("intensity", 7.0), ("intensity", float("nan")), ("seed", -1), ("seed", "a")):
        result = graph.set_parameter(NAME, name, value)
        assert (result.successful, bool(result.reason)) == (False, True)
    assert values() == before


def test_what_cannot_start_leaves_with_one_sentence(graph, node):
    other = graph.start(NAME, "-r", "__ns:=/other", blink_rate_per_min=20)  # a whole number for a number
    for said, process in {
        f"a node /{NAME} already runs": graph.start(NAME),
        "intensity": graph.start(NAME, "-r", "__ns:=/beyond", intensity=9.0),
        "/no/such/file.yaml": graph.start(NAME, "-r", "__ns:=/worse", "--params-file", "/no/such/file.yaml"),
    }.items():
        assert process.ended() == 2
        assert said in process.log
    assert node.process.poll() is None
    graph.until(lambda: graph.state(f"other/{NAME}") == "active", 40.0, "the node of another namespace")
    assert other.stop(signal.SIGHUP) == 0
    assert "finalized" in other.log


def test_a_signal_ends_a_node_cleanly_also_during_its_start(graph, node):
    """All nodes of all graphs are ended by SIGTERM."""
    early = graph.start(NAME, "-r", "__ns:=/early")
    status = Path(f"/proc/{early.process.pid}/status")
    caught = lambda: int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) >> (signal.SIGTERM - 1) & 1  # noqa: E731
    graph.until(caught, 20.0, "the handler")  # the imports follow
    early.process.send_signal(signal.SIGINT)
    assert early.stop(signal.SIGINT) == 0, "`ros2 launch` passes on the SIGINT that the terminal has sent already"
    assert node.stop(signal.SIGINT) == 0
    assert "finalized" in node.log


@pytest.fixture
def alone(tmp_path):
    with RosGraph(tmp_path) as graph:
        rclpy.init(args=[], domain_id=graph.domain)
        yield graph
        rclpy.shutdown()


def test_a_twin_on_another_machine_and_a_stuck_worker_are_told_and_then_there_is_no_heartbeat(monkeypatch, alone):
    """The claim of this machine cannot see a second node of the name there."""
    monkeypatch.setattr(health, "TWIN_S", 0.0)
    mine = ExpressionNode()
    far = rclpy.create_node(NAME, context=alone.node.context, use_global_arguments=False)
    told = lambda words: mine.report() or words in alone.sentence(NAME)  # noqa: E731
    alone.until(lambda: told("another node is called /expression_node"), 20.0, "the other node")
    far.destroy_node()
    alone.until(lambda: told("not configured"), 20.0, "its end")

    stuck = SimpleNamespace(busy_s=lambda: 3.0, dropped=Counter(frame=2))
    mine.workers.append(stuck)
    alone.until(lambda: told("has worked on one input"), 20.0, "the sentence")
    assert (alone.level(NAME), alone.value(NAME, "dropped frame")) == (2, "2")
    stuck.busy_s = lambda: 6.0
    alone.spin(0.2)
    alone.diagnostics.clear()
    mine.report()
    alone.spin(0.3)
    assert not alone.diagnostics
    stuck.busy_s = lambda: 0.0
    alone.until(lambda: told("not configured"), 20.0, "the heartbeat again")
    mine.destroy_node()


# Its end


def test_a_hang_that_holds_pythons_lock_is_ended_by_force():
    script = """
        import ctypes, os, signal, time
        import reactdiff_ros.nodes.runner as runner
        runner.STOP_S, runner.HANG_S = 0.2, 0.4
        stop = runner.StopSignal()
        os.kill(os.getpid(), signal.SIGTERM)
        while not stop:
            time.sleep(0.01)
        ctypes.PyDLL(None).sleep(600)  # a call that keeps Python's lock
    """
    command = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script)]
    node = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _, said = node.communicate(timeout=60.0)
    finally:
        node.kill()
    assert node.returncode == 1
    assert "Timeout" in said
    assert "Thread 0x" in said


def test_a_service_manager_hears_that_a_node_alone_is_ready_turns_and_ends(tmp_path, domain):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(60.0)
        variables = {"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "300000", "ROS_DOMAIN_ID": str(domain)}
        node = subprocess.Popen([executable("expression_node")], env=os.environ | variables)
        try:
            assert ear.recv(200) == b"READY=1\nSTATUS=/expression_node is active"
            assert [ear.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            node.send_signal(signal.SIGTERM)
            while (heard := ear.recv(200)) == b"WATCHDOG=1":
                pass
            assert heard == b"STOPPING=1"
            assert node.wait(30.0) == 0
        finally:
            node.kill()
