"""Life of a node: transitions, parameters, one of a name, clean ends, and what hangs is ended by force. The expression
node starts fastest.
"""

from __future__ import annotations

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

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.nodes import health
from reactdiff_ros.nodes.expression_node import ExpressionNode
from reactdiff_ros.nodes.runner import claim_name

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


def test_every_transition_is_told_at_once_and_an_impossible_one_is_refused(graph, node):
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
    graph.spin(0.3)  # frames that were under way
    count = len(faces)
    graph.spin(0.3)
    assert len(faces) == count
    assert node.process.poll() is None


def test_parameters_are_described_and_ranged_and_a_bad_value_is_refused_with_a_sentence(graph, node):
    specs = load_table().node(NAME).parameters
    names = [p.name for p in specs]
    answer = graph.call("rcl_interfaces/DescribeParameters", f"/{NAME}/describe_parameters", names=names)
    for spec, descriptor in zip(specs, answer.descriptors, strict=True):
        assert descriptor.description.startswith(spec.description)
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        low = spec.minimum if spec.unset is None else min(spec.minimum, spec.unset)
        assert [(r.from_value, r.to_value) for r in ranges] == ([] if low is None else [(low, spec.maximum)])

    def values():
        return graph.call("rcl_interfaces/GetParameters", f"/{NAME}/get_parameters", names=["intensity", "seed"]).values

    before = values()
    for name, value in (("intensity", 7.0), ("intensity", float("nan")), ("seed", -1), ("seed", "a")):
        result = graph.set_parameter(NAME, name, value)
        assert not result.successful
        assert result.reason
    assert values() == before


def test_settings_are_fixed_while_configured_and_a_wrong_one_can_be_put_right(graph, node):
    assert graph.set_parameter(NAME, "style", "warm").successful
    assert graph.change(NAME, "configure")
    refused = graph.set_parameter(NAME, "style", "calm")
    assert not refused.successful
    assert "unconfigured" in refused.reason
    assert graph.change(NAME, "cleanup")
    assert graph.set_parameter(NAME, "style", "no_such_style").successful
    assert not graph.change(NAME, "configure")
    graph.until(lambda: "no_such_style" in graph.sentence(NAME), 20.0, "the sentence")
    assert graph.level(NAME) == 2
    assert graph.set_parameter(NAME, "style", "neutral").successful
    assert graph.change(NAME, "configure", "cleanup")


def test_what_cannot_start_leaves_with_one_sentence(graph, node):
    other = graph.start(NAME, "-r", "__ns:=/other", blink_rate_per_min=20)  # a whole number for a number
    for said, process in {
        f"a node /{NAME} already runs": graph.start(NAME),
        "blink_rate_per_min": graph.start(NAME, "-r", "__ns:=/bad", "-p", "blink_rate_per_min:=.nan"),
        "intensity": graph.start(NAME, "-r", "__ns:=/beyond", intensity=9.0),
        "seed": graph.start(NAME, "-r", "__ns:=/soon", seed="soon"),
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
    told = lambda: mine.report() or "has worked on one input" in alone.sentence(NAME)  # noqa: E731
    alone.until(told, 20.0, "the sentence")
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


# Its end


def program(script, *arguments, domain=0):
    """A Python program in a process."""
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script), *arguments],
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_hang_that_holds_pythons_lock_is_ended_by_force():
    script = """
        import ctypes, time
        import reactdiff_ros.nodes.runner as runner
        runner.STOP_S, runner.HANG_S = 0.2, 0.4
        stop = runner.StopSignal()
        print("ready", flush=True)
        while not stop:
            time.sleep(0.01)
        ctypes.PyDLL(None).sleep(600)  # a call that keeps Python's lock
    """
    node = program(script)
    try:
        assert node.stdout.readline() == "ready\n"
        os.kill(node.pid, signal.SIGTERM)
        _, said = node.communicate(timeout=60.0)
    finally:
        node.kill()
    assert node.returncode == 1
    assert "Timeout" in said
    assert "Thread 0x" in said


def test_of_an_ended_node_no_thread_is_left_and_one_that_cannot_be_stopped_does_not_see_pythons_end(domain):
    """A thread of the middleware would use what the end of the process takes away, and any other would come back from C
    to a Python that is being taken down: crashes, once in some hundred ends.
    """
    script = """
        import atexit, os, pathlib, signal, sys, threading, time
        from reactdiff_ros.nodes.avatar_node import AvatarNode
        from reactdiff_ros.nodes.runner import run

        def threads():
            names = [task.joinpath("comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()]
            return sorted(name for name in names if name.startswith("dds."))

        class EndsAtOnce(AvatarNode):
            def start_by_itself(self):
                super().start_by_itself()
                if sys.argv[1] == "stuck":
                    threading.Thread(target=time.sleep, args=(600.0,), daemon=True).start()
                print(self.life, *threads(), flush=True)
                os.kill(os.getpid(), signal.SIGTERM)

        atexit.register(print, "taken down")
        ended = run(EndsAtOnce, ["--ros-args", "-p", f"port:={sys.argv[2]}", "-r", f"__ns:=/{sys.argv[1]}"])
        print(ended, *threads())
    """
    ports = {"one": "18765", "two": "18765", "three": "18765", "refused": "0 is none", "stuck": "18765"}
    nodes = {name: program(script, name, port, domain=domain) for name, port in ports.items()}
    try:
        ends = {name: (*node.communicate(timeout=60.0), node.returncode) for name, node in nodes.items()}
    finally:
        for node in nodes.values():
            node.kill()
    for name, (said, errors, code) in ends.items():
        assert code == 0, errors
        words = [line.split() for line in said.splitlines()]
        if name != "refused":
            assert words.pop(0)[0] == "active", errors
        if name != "stuck":
            assert words.pop() == ["taken", "down"], said
            (left,) = words
            assert left[0] == ("2" if name == "refused" else "0"), errors
            assert set(left[1:]) <= {"dds.shm.wdog"}, f"the process may keep one, a node none: {said}"
            words.clear()
        assert words == [], said
    if not any("dds." in said for said, *_ in ends.values()):
        pytest.skip("this middleware does not name its threads")


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


def test_a_name_of_any_length_is_held_by_one_node(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "232")
    for length in (20, 89, 90, 250):
        name = "/claimed_in_a_test/".ljust(length - 1, "n")
        with claim_name(f"{name}1"), claim_name(f"{name}2"), pytest.raises(ReactdiffError, match="already runs"):
            claim_name(f"{name}1")
