"""actuator_node in a process of its own, before emulated servos: what they were told, and when."""

from __future__ import annotations

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import rclpy
from actuator_graph import EXPRESSION, JAW_COUNTS_A_TICK, NODE, STATE, Bench

from reactdiff_ros import msg
from reactdiff_ros.actuation.drivers.serial_port import SerialPort

pytestmark = [pytest.mark.ros, pytest.mark.real_time]

FACES = """
import select, sys, time
import rclpy
from rclpy.serialization import serialize_message
from reactdiff_ros.msg import ExpressionFrame
from reactdiff_ros.launching.process import FACE, prioritise
rclpy.init()
if sys.argv[1] == "expression_node":
    prioritise(FACE)  # as the node that makes faces does
node = rclpy.create_node(sys.argv[1])
publisher = node.create_publisher(ExpressionFrame, "listener/expression", 10)
message = ExpressionFrame(mode="listening")
message.coefficients[24] = 0.8  # jawOpen
hz, due, sent = 50.0, time.monotonic(), 0
while rclpy.ok():
    if hz == 50.0 or sent % 20 == 0:
        if select.select([sys.stdin], [], [], 0.0)[0]:
            hz, message.coefficients[24] = map(float, sys.stdin.readline().split())
        message.header.stamp = node.get_clock().now().to_msg()
        face = serialize_message(message)
    if hz == 50.0:
        print(repr(time.monotonic()), flush=True)
    publisher.publish(face)
    sent += 1
    due = max(due + 1.0 / hz, time.monotonic() - 0.1)
    time.sleep(max(due - time.monotonic(), 0.0))
"""
"""Open-jawed faces, or at the rate and with the open jaw that a line says."""


@contextmanager
def faces_of(bench, name):
    """A node of this name that publishes faces, until the context ends."""
    with subprocess.Popen(
        [sys.executable, "-c", FACES, name],
        env=bench.graph.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("actuator")) as bench:
        yield bench
    assert bench.codes == [0] * len(bench.codes)
    assert "Traceback" not in bench.node.log


@pytest.fixture
def bench(running):
    """Every test begins with a robot that is reset, and has no torque."""
    running.disarm()
    return running


def allowed(steps):
    return max(steps, default=0) <= JAW_COUNTS_A_TICK + 1  # counts are rounded


def test_active_is_watching_then_it_follows_and_lets_go(bench):
    bench.graph.until(lambda: not bench.said.obstacles, what="no obstacles")
    assert bench.graph.state(NODE) == "active"
    assert not bench.said.armed
    assert bench.brow.received == []
    assert not bench.jaw.motor.torque
    bench.enable()
    bench.graph.listen("actuator/joint_states")
    bench.show(1.5, jawOpen=0.5)
    said = bench.said
    assert (said.robot, said.state, list(said.joints)) == ("head", "following", ["brow", "jaw", "neck"])
    assert list(said.units) == ["us", "deg", "deg"]
    assert said.header.frame_id == ""  # the profile's name is no frame of TF
    assert said.command[1] == pytest.approx(10.0, abs=1e-4)
    assert said.measured[1] == pytest.approx(10.0, abs=0.2)
    assert math.isnan(said.measured[0])
    assert list(said.torque) == [True] * 3
    assert said.temperature[1] == pytest.approx(30.0, abs=20.0)
    assert allowed(bench.jaw_steps())
    joints = bench.graph.received["actuator/joint_states"][-1]
    assert list(joints.name) == ["jaw", "neck"]  # the brow, in pulses, has no angle
    assert joints.position[0] == pytest.approx(math.radians(10.0), abs=1e-5)
    assert len(joints.velocity) == 2
    assert bench.call("enable", data=False).success
    bench.until("disarmed")
    assert not bench.jaw.motor.torque
    assert not bench.neck.motor.torque
    assert bench.brow.target == 0
    assert bench.said.measured[2] == pytest.approx(25.0, abs=0.5)


def test_a_cable_that_is_pulled_and_put_back_makes_no_jump(bench):
    bench.enable()
    bench.show(0.5, jawOpen=0.6, browInnerUp=0.5)
    wire = bench.rig.wires["bus"]
    wire.pull()
    for _ in range(50):
        bench.show(0.1, browInnerUp=1.0)
        if "its port is gone" in bench.said.message:
            break
    assert bench.said.message.startswith("goes on without jaw, neck")
    bench.show(0.5, browInnerUp=1.0)
    assert bench.said.state == "following"
    assert bench.said.command[0] == pytest.approx(1700.0)
    sent = len(bench.jaw.received)
    wire.plug()
    bench.show(2.0, jawOpen=0.0)
    assert len(bench.jaw.received) == sent  # until somebody enables it again
    assert bench.call("enable", data=False).success
    bench.until("disarmed")
    bench.enable()
    bench.show(0.5, jawOpen=0.3)
    goals = list(bench.jaw.received)[sent - 1 :]
    assert allowed([abs(b - a) for a, b in itertools.pairwise(goals)])


def test_a_second_publisher_is_named_prevents_enabling_and_stops(bench):
    bench.show(0.2)
    other = rclpy.create_node("intruder", context=bench.graph._context, use_global_arguments=False)
    intruder = other.create_publisher(msg.ExpressionFrame, EXPRESSION, 10)
    try:
        bench.graph.until(lambda: bench.said.obstacles, what="it is seen")
        assert "/intruder and /tester publish listener/expression" in bench.refusal("enable", data=True)
        other.destroy_publisher(intruder)
        bench.enable()
        intruder = other.create_publisher(msg.ExpressionFrame, EXPRESSION, 10)
        bench.until("stopped")
        assert "/intruder and /tester" in bench.said.fault
        assert "/intruder and /tester" in bench.graph.sentence(NODE)
    finally:
        other.destroy_publisher(intruder)
        other.destroy_node()
    bench.graph.until(lambda: not bench.said.armed or bench.said.torque[1], what="at rest")


def test_two_of_one_name_that_both_send_stop_the_robot(bench):
    bench.enable()
    sent = len(bench.jaw.received)
    with faces_of(bench, "tester") as twin:
        began_s = float(twin.stdout.readline())
        bench.until("stopped")
    assert bench.said.fault == f"/tester and another /tester publish {EXPRESSION}: stop one of them"
    assert time.monotonic() - began_s < 10.0, "long before the 30 s that a killed one gets"
    assert allowed(bench.jaw_steps(sent))


def test_faces_that_are_no_numbers_are_dropped_and_the_robot_goes_to_neutral(bench):
    bench.enable()
    bench.show(0.5, jawOpen=0.7)
    broken = msg.ExpressionFrame(mode="listening")
    broken.coefficients[0] = math.nan
    for _ in range(30):
        bench.publish(broken)
        bench.graph.spin(0.02)
    assert bench.said.state == "returning"
    bench.graph.until(lambda: "dropped a message of listener/expression" in bench.node.log, what="it is said")


def test_a_stall_of_two_seconds_disarms_without_a_jump(bench):
    bench.enable()
    bench.show(0.5, jawOpen=0.7)
    sent, stalls = len(bench.jaw.received), bench.said.stalls
    os.kill(bench.node.process.pid, signal.SIGSTOP)
    time.sleep(2.0)
    os.kill(bench.node.process.pid, signal.SIGCONT)
    bench.until("disarmed")
    assert bench.said.stalls > stalls
    assert allowed(bench.jaw_steps(sent - 1))
    assert not bench.jaw.motor.torque


def test_a_software_stop_is_latched_until_a_reset(bench):
    bench.enable()
    bench.show(0.3, jawOpen=0.7)
    assert bench.call("software_stop").success
    bench.until("stopped")
    bench.show(0.5, jawOpen=0.0)
    assert bench.said.software_stop
    assert bench.jaw.motor.torque  # the profile holds
    assert "software stop" in bench.refusal("enable", data=True)
    assert bench.call("reset").success
    bench.enable()


def test_a_port_that_another_process_has_is_said_and_had_when_it_is_free(bench):
    assert bench.end() == 0
    folder = bench.graph.folder
    port = SerialPort(str(bench.rig.wires["bus"].link), 1_000_000, time.monotonic, lock_folder=folder)
    bench.graph.received[STATE].clear()
    bench.start()
    bench.graph.until(lambda: "in use" in bench.said.message, what="it is said")
    assert f"process {os.getpid()}" in bench.said.joint_fault[1]
    assert bench.said.joint_fault[0] == ""
    assert bench.graph.state(NODE) == "active"
    port.close()
    bench.graph.until(lambda: not any(bench.said.joint_fault), what="it is found")


def follow(bench, faces):
    """Enable while the test itself sends no faces, and once those of the program have begun."""
    bench.hush()
    faces.stdout.readline()
    bench.graph.until(lambda: bench.said.input_age < 1.0 and not bench.said.obstacles, 40.0, "faces of one node alone")
    assert bench.call("enable", data=True).success
    bench.graph.until(lambda: bench.said.state == "following", what="it follows")


def test_a_flood_of_faces_is_named_and_the_newest_is_followed(bench):
    """Which a mistaken rate in somebody's program is: once it looked like a board that does not answer."""
    graph = bench.graph
    with faces_of(bench, "face_lab") as faces:
        follow(bench, faces)
        graph.received[STATE].clear()
        sent = len(bench.jaw.received)
        faces.stdin.write("4000 0.0\n")
        graph.until(lambda: "faces come at" in graph.sentence(NODE), what="the sentence")
        graph.spin(3.0)
        said = re.fullmatch(rf"faces come at ([\d,]+) Hz on {EXPRESSION}: .*", graph.sentence(NODE))
        assert said is not None, graph.sentence(NODE)
        assert float(said[1].replace(",", "")) > 1000.0
        faces.stdin.write("4000 0.8\n")
        graph.until(lambda: bench.said.measured[1] > 15.0, what="the newest face is followed")
        during = list(graph.received[STATE])
        assert {s.state for s in during} == {"following"}
        assert not any(any(s.joint_fault) or s.fault for s in during)
        assert len(bench.jaw.received) - sent > 0.7 * 50 * 3.0
        assert allowed(bench.jaw_steps(sent))
        faces.stdin.write("50 0.8\n")
        graph.until(lambda: "faces come at" not in graph.sentence(NODE), what="it is over")


def test_killed_expression_begins_the_return_within_200_ms_and_started_again_it_is_followed(bench):
    graph = bench.graph
    with faces_of(bench, "expression_node") as face:
        follow(bench, face)
        graph.until(lambda: bench.said.measured[1] > 15.0, what="the jaw is open")
        graph.until(lambda: len(set(list(bench.jaw.received)[-15:])) == 1, what="the jaw stands")
        sent = len(bench.jaw.received)
        face.kill()
        last_s = float(face.stdout.read().split()[-1])

    def over():
        said = bench.said
        return said.state == "returning" and abs(said.command[1]) < 1e-4 and not math.isnan(said.return_took)

    graph.until(over, what="the return is over")
    goals, times = list(bench.jaw.received), bench.jaw.received.times
    open_count = goals[sent]
    first = next(t for g, t in zip(goals[sent:], times[sent:], strict=False) if g != open_count)
    assert bench.said.return_began <= 0.2
    # What the machine's own delays add is not the robot's.
    assert 0.1 < first - last_s <= 0.25
    assert bench.said.command[1] == pytest.approx(0.0, abs=1e-4)
    assert allowed(bench.jaw_steps(sent))
    assert "the return to neutral began 0." in bench.node.log
    with faces_of(bench, "expression_node"):
        both = f"/expression_node and another /expression_node publish {EXPRESSION}"
        graph.until(lambda: both in graph.sentence(NODE), what="both are seen")
        graph.until(lambda: bench.said.state == "following", what="it follows again")
        graph.received[STATE].clear()
        graph.spin(5.0)
        assert {said.state for said in graph.received[STATE]} == {"following"}
        assert bench.said.measured[1] > 15.0
