"""actuator_node in a process of its own, before emulated servos; its next start after a kill; the face's page."""

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import rclpy
from faces_shown import show_on
from profile_parts import JAW, head_of
from rcl_interfaces.msg import Log
from ros_harness import START_S, RosGraph, ask

from reactdiff_ros import msg
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.robot.calibration import save_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.evaluation.bench.emulated import PRIORITY, Stamped
from reactdiff_ros.messages import head_pose_value

pytestmark = [pytest.mark.ros, pytest.mark.real_time]

NODE, STATE, EXPRESSION = "actuator_node", "actuator/state", "listener/expression"
PROFILE = (
    head_of("head")
    + """\
head: {pitch: {neck: 0.01745329}}
drivers:
  board: {type: maestro, port: BOARD, timeout_s: 1.5}
  bus: {type: feetech, port: BUS}
joints:
  brow: {unit: us, group: brows, neutral: 1500,
    limits: {position: [1300, 1700], speed: 2000, acceleration: 30000, jerk: 900000}, map: {sum: {browInnerUp: 200}},
    on_fault: release, output: {driver: board, id: 0}}
"""
    + JAW
    + """\
  neck: {unit: deg, group: neck, neutral: 0, limits: {position: [-30, 30], speed: 90, acceleration: 400, jerk: 6000},
    map: {sum: {headPitch: 57.3}}, on_fault: lower_then_release, lowered: 25, output: {driver: bus, id: 2}}
"""
)
LOWERED = pytest.approx(2047 + 25 * 4096 / 360, abs=6.0)
"""Counts at which the neck may be let go."""
JAW_COUNTS_A_TICK = 120 / 50 * 4096 / 360 + 1  # counts are rounded
"""What the jaw's speed limit allows between two commands."""


class Bench:
    """Rig, graph and node."""

    def __init__(self, folder):
        path = folder / "head.yaml"
        tty = folder / "tty_head_"
        path.write_text(PROFILE.replace("BOARD", f"{tty}board").replace("BUS", f"{tty}bus"))
        self.rig = Rig(load_profile(path), folder, time.monotonic)
        self.jaw, self.neck = (self.rig.buses["bus"].servos[n] for n in (1, 2))
        self.brow = self.rig.buses["board"].channels[0]
        for device in (self.jaw, self.neck, self.brow):
            device.received = Stamped()
        save_calibration(folder / "calibration.json", self.rig.calibrations)
        self.graph = RosGraph(folder)
        self.graph.listen(STATE)
        self._start = {
            "robot": path, "calibration": folder / "calibration.json", "state_dir": folder / "state",
            "lock_dir": folder, "answer_ms": 40.0, "state_hz": 50.0,
        }  # fmt: skip

    def __enter__(self):
        # Servos do not wait for the computer: their threads, and what shares Python's lock with them, come first.
        self._schedule(os.SCHED_FIFO, PRIORITY)
        self.rig.__enter__()
        self._schedule(os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, PRIORITY)
        self.start()
        return self

    def __exit__(self, *_):
        try:
            self.codes = self.graph.close()
        finally:
            self.rig.__exit__()
            self._schedule(os.SCHED_OTHER, 0)

    @staticmethod
    def _schedule(policy, priority):
        """How this thread and those that it starts are scheduled, where the account may choose."""
        with suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(priority))

    def start(self, **parameters):
        """Start the node, with further parameters."""
        self.node = self.graph.start(NODE, **self._start | parameters)
        self.graph.wait_active(NODE)
        self.graph.until(lambda: self.graph.received[STATE], what="its state")

    def hush(self):
        """The test publishes no faces any more, until it shows one."""
        publisher = self.graph._publishers.pop(EXPRESSION, None)
        if publisher is not None:
            self.graph.node.destroy_publisher(publisher)

    @property
    def said(self):
        """The newest actuator/state."""
        return self.graph.received[STATE][-1]

    def until(self, state):
        """Until the robot says that state; faces come meanwhile."""
        end_s = time.monotonic() + START_S
        while not self.graph.received[STATE] or self.said.state != state:
            if time.monotonic() > end_s:
                pytest.fail(f"not {state}: {self.graph.received[STATE][-1:]}\n{self.node.log[-3000:]}")
            self.show(0.1)

    def show(self, seconds, **coefficients):
        """Publish a face at 50 Hz, without bursts after a delay."""
        self.graph.connect(EXPRESSION)
        show_on(self.graph, seconds, **coefficients)

    def call(self, name, **fields):
        """One of the node's services."""
        kind = "std_srvs/SetBool" if name == "enable" else "std_srvs/Trigger"
        return self.graph.call(kind, f"/{NODE}/{name}", **fields)

    def refusal(self, *, data):
        """The sentence with which `enable` refuses: one that takes its time is asked again."""
        while (answer := self.call("enable", data=data)).message.startswith("under way"):
            pass
        assert not answer.success, answer.message
        return answer.message

    def disarm(self):
        """As at the beginning of a test: reset, without torque."""
        self.call("reset")
        self.call("enable", data=False)
        self.until("disarmed")
        self.graph.until(lambda: not any(self.holds()), what="no torque")

    def kill(self):
        """Kill the node; what it sent before is not taken for the next one's."""
        self.graph.processes.remove(self.node)
        self.node.stop(signal.SIGKILL)
        self.graph.spin(1.0)
        self.graph.received[STATE].clear()
        self.graph.diagnostics.clear()

    def restart(self, **parameters):
        """Kill it and start the next one."""
        self.kill()
        self.start(**parameters)
        self.graph.until(lambda: "being opened" not in self.said.message, START_S, "its hardware was asked")

    def holds(self):
        """Whether jaw and neck have torque."""
        return [self.jaw.motor.torque, self.neck.motor.torque]

    def enable(self):
        """Until it follows."""
        self.until("disarmed")
        self.graph.until(lambda: not self.said.obstacles, what="no obstacles")
        answer = self.call("enable", data=True)
        assert answer.success, answer.message
        self.until("following")

    def jaw_is_within_its_speed(self, since=0):
        """Check the jaw's goals from this one on; the first goals of an arming are where it stands."""
        goals = list(self.jaw.received)[since:]
        assert max((abs(b - a) for a, b in itertools.pairwise(goals)), default=0) <= JAW_COUNTS_A_TICK


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


def test_active_is_watching_then_it_follows_goes_to_neutral_without_faces_and_lets_go(bench):
    bench.graph.until(lambda: not bench.said.obstacles, what="no obstacles")
    assert bench.graph.state(NODE) == "active"
    assert not bench.said.armed
    assert bench.brow.target == 0
    assert bench.holds() == [False, False]
    bench.enable()
    bench.graph.listen("actuator/joint_states", "actuator/head_pose")
    bench.show(1.5, jawOpen=0.5, headPitch=0.1)
    said = bench.said
    assert (said.robot, said.state, list(said.joints)) == ("head", "following", ["brow", "jaw", "neck"])
    assert list(said.units) == ["us", "deg", "deg"]
    assert said.header.frame_id == ""  # the profile's name is no frame of TF
    assert said.command[1] == pytest.approx(10.0, abs=1e-4)
    assert said.measured[1] == pytest.approx(10.0, abs=0.2)
    assert math.isnan(said.measured[0])
    assert list(said.torque) == [True] * 3
    assert said.temperature[1] == pytest.approx(30.0, abs=20.0)
    bench.jaw_is_within_its_speed()
    joints = bench.graph.received["actuator/joint_states"][-1]
    assert list(joints.name) == ["jaw", "neck"]  # the brow, in pulses, has no angle
    assert joints.position[0] == pytest.approx(math.radians(10.0), abs=1e-5)
    assert len(joints.velocity) == 2
    poses = [head_pose_value(message) for message in bench.graph.received["actuator/head_pose"]]
    assert poses[-1].pose == pytest.approx([0.1, 0, 0, 0, 0, 0], abs=0.01)
    assert np.diff([pose.stamp_ns for pose in poses]).min() > 0, "nothing is said twice"
    assert 0 <= bench.graph.node.get_clock().now().nanoseconds - poses[-1].stamp_ns < 0.3e9
    broken = msg.ExpressionFrame(mode="listening")
    broken.coefficients[0] = math.nan
    for _ in range(30):
        bench.graph.publish(EXPRESSION, broken)
        bench.graph.spin(0.02)
    assert bench.said.state == "returning"
    bench.graph.until(lambda: "dropped a message of listener/expression" in bench.node.log, what="it is said")
    assert bench.call("enable", data=False).success
    bench.until("disarmed")
    assert bench.holds() == [False, False]
    assert bench.brow.target == 0
    assert bench.said.measured[2] == pytest.approx(25.0, abs=0.5)
    bench.rig.wires["bus"].pull()
    bench.graph.until(lambda: "its port is gone" in bench.said.message, what="it is said")
    assert [bool(fault) for fault in bench.said.joint_fault] == [False, True, True]
    bench.rig.wires["bus"].plug()
    bench.graph.until(lambda: not any(bench.said.joint_fault), what="it is found")


def test_a_second_publisher_is_named_prevents_enabling_and_stops(bench):
    other = rclpy.create_node("intruder", context=bench.graph.node.context, use_global_arguments=False)
    intruder = other.create_publisher(msg.ExpressionFrame, EXPRESSION, 10)
    bench.graph.until(lambda: bench.said.obstacles, what="it is seen")
    assert "/intruder and /tester publish listener/expression" in bench.refusal(data=True)
    other.destroy_publisher(intruder)
    bench.enable()
    other.create_publisher(msg.ExpressionFrame, EXPRESSION, 10)
    bench.until("stopped")
    assert "/intruder and /tester" in bench.said.fault
    assert "/intruder and /tester" in bench.graph.sentence(NODE)
    other.destroy_node()


def test_a_stall_of_two_seconds_disarms_without_a_jump(bench):
    bench.enable()
    bench.show(0.5, jawOpen=0.7)
    sent, stalls = len(bench.jaw.received), bench.said.stalls
    os.kill(bench.node.process.pid, signal.SIGSTOP)
    time.sleep(2.0)
    os.kill(bench.node.process.pid, signal.SIGCONT)
    bench.until("disarmed")
    assert bench.said.stalls > stalls
    bench.jaw_is_within_its_speed(sent - 1)
    assert not bench.jaw.motor.torque


# After a kill


def test_torque_of_a_killed_actuator_is_reported_and_a_stop_holds_over_kills_until_a_reset_lowers_it(bench):
    bench.enable()
    bench.show(1.0, headPitch=-0.2, jawOpen=0.4)
    bench.restart()
    assert bench.holds() == [True, True]
    stands = pytest.approx(float(bench.neck.motor.position), abs=6.0)
    bench.graph.until(lambda: bench.brow.target == 0, what="the board's watchdog")
    said = bench.said
    assert (said.state, said.armed, list(said.obstacles)) == ("disarmed", False, [])
    assert list(said.torque)[1:] == [True, True]
    warned = lambda: "torque is on although the robot is disarmed" in bench.graph.sentence(NODE)  # noqa: E731
    bench.graph.until(warned, what="a warning in the diagnostics")
    assert bench.neck.motor.position == stands
    answer = bench.call("software_stop")
    bench.restart()  # in the next millisecond
    assert answer.success
    assert (bench.said.state, bench.said.software_stop) == ("stopped", True)
    assert "software stop" in bench.refusal(data=True)
    assert "may have torque" in bench.refusal(data=False)
    assert bench.holds() == [True, True]
    assert bench.neck.motor.position == stands
    assert bench.call("reset").success
    bench.graph.until(lambda: not any(bench.holds()), what="the servos let go")
    assert bench.neck.motor.position == LOWERED
    bench.restart()
    assert (bench.said.state, bench.said.software_stop) == ("disarmed", False)


def test_auto_enable_does_not_act_again_after_a_crash(bench):
    bench.restart(auto_enable=True)
    bench.until("following")
    bench.restart(auto_enable=True)
    bench.show(3.0, jawOpen=0.5)
    assert bench.said.state == "disarmed"
    assert "auto_enable has acted" in bench.node.log
    assert bench.holds() == [True, True]
    bench.enable()


# The face's page


def test_the_page_arms_with_the_token_alone_stops_without_and_confirms_no_stop_of_a_dead_actuator(bench):
    graph, rosout = bench.graph, []
    graph.node.create_subscription(Log, "/rosout", lambda message: rosout.append(message.msg), 100)
    avatar = graph.start("avatar_node", port=20765)
    graph.wait_active("avatar_node")
    url = graph.page(avatar)
    token = graph.until(lambda: re.search(r"into its panel: (\S+)", avatar.log), what="a token")[1]

    def command(what, body):
        """Status and answer of what a browser would send; the robot's faces come meanwhile."""
        with ThreadPoolExecutor(1) as hands:
            answer = hands.submit(ask, url, f"api/robot/{what}", body)
            while not answer.done():
                bench.show(0.1)
        return answer.result()

    def shows(**wanted):
        """Wait until the page shows this of the actuator: it may hear of it later than the test."""
        asked = lambda: ask(url)[1]["graph"].get("actuator") or {}  # noqa: E731
        graph.until(lambda: wanted.items() <= asked().items(), 20.0, f"the page shows {wanted}")

    graph.until(lambda: not bench.said.obstacles, what="no obstacles")
    shows(robot="head", state="disarmed", armed=False)
    status, answer = command("arm", {"token": "wrong"})
    assert (status, "the terminal prints" in answer["message"]) == (403, True)
    bench.show(0.3)
    assert not bench.said.armed
    assert command("arm", {"token": token})[0] == 200
    bench.until("following")
    status, answer = command("stop", {})
    assert (status, answer["done"]) == (200, True), answer
    bench.until("stopped")
    assert bench.jaw.motor.torque, "the profile holds"
    shows(software_stop=True)
    assert command("reset", {"token": token})[0] == 200
    bench.enable()
    assert command("disarm", {"token": token})[0] == 200
    bench.until("disarmed")
    bench.kill()
    shows(silent=True)
    status, answer = command("stop", {})
    assert (status, "NOT confirmed" in answer["message"]) == (503, True)
    bench.start()
    shows(silent=False)
    assert "Traceback" not in avatar.log
    assert not [line for line in rosout if token in line], "the log goes over the network and into recordings"


# Faces of other programs: at the end of the file, for DDS goes on listing a killed one for a while

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
    pipe, words = subprocess.PIPE, [sys.executable, "-c", FACES, name]
    environment = bench.graph.environment
    with subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.terminate()


def follow(bench, faces):
    """Enable while the test itself sends no faces, and once those of the program have begun."""
    bench.hush()
    faces.stdout.readline()
    bench.graph.until(lambda: bench.said.input_age < 1.0 and not bench.said.obstacles, 40.0, "faces of one node alone")
    assert bench.call("enable", data=True).success
    follows = lambda: bench.said.state == "following" and bench.said.measured[1] > 15.0  # noqa: E731
    bench.graph.until(follows, what="the jaw is open")


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
        said = re.match(rf"faces come at ([\d,]+) Hz on {EXPRESSION}: ", graph.sentence(NODE))
        assert float(said[1].replace(",", "")) > 1000.0
        faces.stdin.write("4000 0.8\n")
        graph.until(lambda: bench.said.measured[1] > 15.0, what="the newest face is followed")
        during = list(graph.received[STATE])
        assert {s.state for s in during} == {"following"}
        assert not any(any(s.joint_fault) or s.fault for s in during)
        assert len(bench.jaw.received) - sent > 0.7 * 50 * 3.0
        bench.jaw_is_within_its_speed(sent)
        faces.stdin.write("50 0.8\n")
        graph.until(lambda: "faces come at" not in graph.sentence(NODE), what="it is over")


def test_killed_expression_begins_the_return_within_200_ms_and_of_its_name_one_is_followed_two_stop(bench):
    graph = bench.graph
    with faces_of(bench, "expression_node") as face:
        follow(bench, face)
        graph.until(lambda: len(set(list(bench.jaw.received)[-15:])) == 1, what="the jaw stands")
        sent = len(bench.jaw.received)
        face.kill()
        last_s = float(face.stdout.read().split()[-1])

    def over():
        said = bench.said
        return said.state == "returning" and abs(said.command[1]) < 1e-4 and not math.isnan(said.return_took)

    graph.until(over, what="the return is over")
    goals, times = list(bench.jaw.received), bench.jaw.received.times
    first = next(t for g, t in zip(goals[sent:], times[sent:], strict=False) if g != goals[sent])
    assert bench.said.return_began <= 0.2
    # What the machine's own delays add is not the robot's.
    assert 0.1 < first - last_s <= 0.25
    bench.jaw_is_within_its_speed(sent)
    assert "the return to neutral began 0." in bench.node.log
    with faces_of(bench, "expression_node"):
        both = f"/expression_node and another /expression_node publish {EXPRESSION}"
        graph.until(lambda: both in graph.sentence(NODE), what="both are seen")
        graph.until(lambda: bench.said.measured[1] > 15.0, what="it follows again")
        graph.received[STATE].clear()
        graph.spin(5.0)
        assert {said.state for said in graph.received[STATE]} == {"following"}
        sent = len(bench.jaw.received)
        with faces_of(bench, "expression_node") as twin:
            began_s = float(twin.stdout.readline())
            graph.until(lambda: bench.said.state == "stopped", what="two that send stop it")
        assert bench.said.fault == f"{both}: stop one of them"
        assert time.monotonic() - began_s < 10.0, "long before the 30 s that a killed one gets"
        bench.jaw_is_within_its_speed(sent)
