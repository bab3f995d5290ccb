"""actuator_node and those around it: its next start after a kill, the face's page, a controller of ros2_control, and
who asks where the head is.
"""

from __future__ import annotations

import math
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from actuator_graph import EXPRESSION, LOWERED, NEAR, NODE, STATE, Bench
from faces_shown import show_on, show_until
from geometry_msgs.msg import PointStamped, PoseStamped
from rcl_interfaces.msg import Log
from reachy_daemon import profile_at, rest
from reachy_daemon import running as reachy_daemon
from ros_harness import RosGraph, ask
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.clock import NS
from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.messages import expression_value, fill_gaze, fill_head_pose, head_pose_value
from reactdiff_ros.nodes.actuator_node import HeadPosePublisher
from reactdiff_ros.types import GazeTarget, HeadPose

pytestmark = pytest.mark.ros
POSE = "actuator/head_pose"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("restart")) as bench:
        yield bench
    assert set(bench.codes) <= {0}


@pytest.fixture
def bench(running):
    running.disarm()
    running.graph.until(lambda: not any(running.holds()), what="no torque")
    return running


def killed_while_it_followed(bench):
    """Where the neck is."""
    bench.enable()
    bench.show(1.0, headPitch=-0.2, jawOpen=0.4)
    bench.restart()
    assert bench.holds() == [True, True]
    return float(bench.neck.motor.position)


def let_go(bench):
    """Wait until the servos hold no more, and check that the neck was lowered first."""
    bench.graph.until(lambda: not any(bench.holds()), what="the servos let go")
    assert bench.neck.motor.position == pytest.approx(LOWERED, abs=NEAR)
    bench.graph.until(lambda: not any(bench.said.torque) and bench.said.state == "disarmed", what="that is reported")


def test_torque_of_a_killed_actuator_is_reported_lowered_and_let_go(bench):
    stands = killed_while_it_followed(bench)
    bench.graph.until(lambda: bench.brow.target == 0, what="the board's watchdog")
    said = bench.said
    assert (said.state, said.armed, list(said.obstacles)) == ("disarmed", False, [])
    assert list(said.torque)[1:] == [True, True]
    warned = lambda: "torque is on although the robot is disarmed" in bench.graph.sentence(NODE)  # noqa: E731
    bench.graph.until(warned, what="a warning in the diagnostics")
    assert bench.neck.motor.position == pytest.approx(stands, abs=NEAR)
    answer = bench.call("enable", data=False)
    assert answer.success
    # On a busy machine the answer comes before the decision.
    assert answer.message.startswith("under way") or "lowered first, then let go" in answer.message
    let_go(bench)


def test_a_stop_after_a_kill_holds_until_a_reset_lowers_and_lets_go(bench):
    stands = killed_while_it_followed(bench)
    assert bench.call("software_stop").success
    bench.graph.until(lambda: bench.said.state == "stopped", what="stopped")
    assert bench.holds() == [True, True]
    assert "may have torque" in bench.refusal("enable", data=False)
    assert bench.neck.motor.position == pytest.approx(stands, abs=NEAR)
    assert bench.call("reset").success
    let_go(bench)


def test_a_stop_that_was_answered_survives_a_kill_in_the_next_millisecond(bench):
    answer = bench.call("software_stop")
    bench.restart()
    assert answer.success
    assert (bench.said.state, bench.said.software_stop) == ("stopped", True)
    assert "software stop" in bench.refusal("enable", data=True)
    assert bench.call("reset").success
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


def test_the_page_arms_with_the_token_alone_stops_without_and_confirms_no_stop_of_a_dead_actuator(tmp_path):
    rosout = []
    with Bench(tmp_path) as bench:
        graph = bench.graph
        graph.node.create_subscription(Log, "/rosout", lambda message: rosout.append(message.msg), 100)
        avatar = graph.start("avatar_node", port=20765)
        graph.wait_active("avatar_node")
        url = graph.page(avatar)
        token = graph.until(lambda: re.search(r"into its panel: (\S+)", avatar.log), what="a token")[1]

        def command(what, body, **headers):
            """Status and answer of what a browser would send; the robot's faces come meanwhile."""
            with ThreadPoolExecutor(1) as hands:
                answer = hands.submit(ask, url, f"api/robot/{what}", body, **headers)
                while not answer.done():
                    bench.show(0.1, jawOpen=0.0)
            return answer.result()

        def shows(**wanted):
            """Wait until the page shows this of the actuator: it may hear of it later than the test."""
            asked = lambda: ask(url)[1]["graph"].get("actuator") or {}  # noqa: E731
            graph.until(lambda: wanted.items() <= asked().items(), 20.0, f"the page shows {wanted}")

        mine = {"token": token}
        bench.until("disarmed")
        graph.until(lambda: not bench.said.obstacles, what="no obstacles")
        shows(robot="head", state="disarmed", armed=False)
        for body in ({}, {"token": "wrong"}):
            status, answer = command("arm", body)
            assert status == 403
            assert "the terminal prints" in answer["message"]
        assert command("arm", mine, Origin="http://evil.example")[0] == 403
        assert command("arm", mine, Host="evil.example")[0] == 403
        bench.show(0.3, jawOpen=0.0)
        assert not bench.said.armed
        assert not any(bench.said.torque)
        status, answer = command("arm", mine)
        assert (status, answer["done"]) == (200, True), answer
        bench.until("following")
        shows(armed=True)
        assert command("disarm", mine)[0] == 200
        bench.until("disarmed")

        bench.enable()
        status, answer = command("stop", {})
        assert (status, answer["done"]) == (200, True), answer
        assert bench.said.software_stop
        bench.until("stopped")
        shows(software_stop=True)
        assert command("arm", mine)[0] == 409, "a stop is latched"
        assert command("reset", mine)[0] == 200
        bench.until("disarmed")

        bench.end(signal.SIGKILL)
        shows(silent=True)
        status, answer = command("stop", {})
        assert status == 503
        assert "NOT confirmed" in answer["message"]
        graph.clear()
        bench.start()
        bench.until("disarmed")
        shows(silent=False)
        assert command("stop", {})[0] == 200
    assert set(bench.codes) == {0}
    assert "Traceback" not in avatar.log
    assert not [line for line in rosout if token in line], "the log goes over the network and into recordings"


# A controller of ros2_control

COMMANDS, STATES = "/head_controller/joint_trajectory", "/joint_states"
JOINTS = {str(joint.output.id): joint for joint in load_profile("ros2_control").joints.values()}


class Controller:
    """Goes where it is told at once, and says where it is, 50 times a second."""

    def __init__(self, graph):
        self.positions = {name: joint.neutral + 0.1 for name, joint in JOINTS.items()}
        self.goals = []
        self.says = True
        self._states = graph.node.create_publisher(JointState, STATES, 10)
        graph.node.create_subscription(JointTrajectory, COMMANDS, self._on_command, 10)
        graph.node.create_timer(0.02, self._say)

    def _on_command(self, message):
        self.goals.append(dict(zip(message.joint_names, message.points[0].positions, strict=True)))
        self.positions |= self.goals[-1]
        assert 0 < message.points[0].time_from_start.nanosec <= 60_000_000

    def _say(self):
        if self.says:
            names = [*self.positions, "wheel"]
            self._states.publish(JointState(name=names, position=[*self.positions.values(), 7.0]))


def test_a_controller_is_followed_from_where_it_is_and_missed_when_it_goes(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.listen(STATE)
        for place, kept in (("", tmp_path), ("robot1", tmp_path / "kept")):
            given = {"robot": "ros2_control", "state_dir": str(kept), "lock_dir": str(tmp_path)}
            graph.start(NODE, "-r", f"__ns:=/{place}", **given)
        graph.wait_active(NODE)
        graph.connect(EXPRESSION)
        for place in ("", "robot1/"):
            missing = f"/{place}head_controller/joint_trajectory has no subscriber"
            graph.until(lambda n=f"{place}{NODE}", m=missing: m in graph.sentence(n), what=missing)

        def enable():
            return graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)

        assert not enable().success
        controller = Controller(graph)
        graph.until(lambda: graph.received[STATE] and not graph.received[STATE][-1].obstacles, what="no obstacles")
        assert controller.goals == []

        other = rclpy.create_node("dancer", context=graph.node.context, use_global_arguments=False)
        other.create_publisher(JointTrajectory, COMMANDS, 10)
        seen = lambda: any("dancer" in obstacle for obstacle in graph.received[STATE][-1].obstacles)  # noqa: E731
        graph.until(seen, what="a second publisher of commands is seen")
        answer = enable()
        assert not answer.success
        assert "/actuator_node and /dancer publish /head_controller/joint_trajectory" in answer.message
        other.destroy_node()
        graph.until(lambda: not graph.received[STATE][-1].obstacles, what="it has gone")

        answer = enable()
        assert answer.success, answer.message
        show_until(graph, "following")
        show_on(graph, 1.0, headYaw=0.3)
        start = controller.goals[0]
        assert sorted(start) == sorted(JOINTS)
        assert all(abs(start[n] - min(j.neutral + 0.1, j.upper)) < 0.02 for n, j in JOINTS.items())
        assert controller.positions["head_pan_joint"] == pytest.approx(0.3, abs=1e-4)
        path = [goal["head_pan_joint"] for goal in controller.goals]
        # One that is dropped on a busy machine makes the next step longer.
        assert np.median(np.abs(np.diff(path))) <= 2.0 / 50
        controller.says = False
        show_until(graph, "stopped")
        assert "/joint_states does not report its position" in graph.received[STATE][-1].fault


# Where the head is


def said(robot, *moments):
    """Poses that are published of (measured at, as, torque, now): the head's yaw is told to be 0.4."""
    profile, messages = load_profile(robot), []
    names = list(profile.joints)
    told = [0.4 if name == "head_yaw" else 0.0 for name in names]
    node = SimpleNamespace(advertise=lambda topic: topic, publish=lambda topic, message: messages.append(message))
    head = HeadPosePublisher(node, profile)
    for measured_s, yaw, torque, now_s in moments:
        found = {name: yaw if name == "head_yaw" else 0.0 for name in names} if measured_s else {}
        hardware = SimpleNamespace(
            measured=lambda found=found: [found.get(name, math.nan) for name in names],
            reading=lambda name, found=found, at=measured_s: (
                SimpleNamespace(time_s=at, position=found[name]) if found else None
            ),
        )
        commands = SimpleNamespace(position=told, torque=[torque] * len(names))
        status = SimpleNamespace(commands=commands, time_s=100.0)
        head.publish(status, hardware, now_ns=7000 * NS, steady_s=now_s)
    return [(f.stamp_ns, pytest.approx(f.pose[1])) for f in map(head_pose_value, messages)]


def test_a_head_is_where_it_was_measured_or_else_told_to_be_while_it_has_torque():
    measured = [(99.95, 0.3, True, 100.0), (99.95, 0.3, True, 100.0), (99.97, 0.3, True, 100.0)]
    # In the node's clock, and nothing is said twice.
    assert said("reachy_mini", *measured) == [(6_999_950_000_000, 0.3), (6_999_970_000_000, 0.3)]
    unknown = [(None, 0.0, False, 100.0), (None, 0.0, True, 100.01)]
    assert said("reachy_mini", *unknown) == [(6_999_990_000_000, 0.4)]
    assert said("screen", (1.0, 0.0, True, 1.0)) == [], "it has no head"


def test_expression_node_looks_where_the_person_is_and_not_where_the_camera_saw_them(tmp_path):
    """The head is turned by 0.4 rad to its left all the time, and its camera sees somebody straight before it."""
    given = robot_parameters("reachy_mini")["/**/expression_node"]["ros__parameters"] | {"head_share": 0.0}
    still = {"stillness": 1.0, "contact_listening": 1.0, "contact_share": 1.0, "aversions_per_min": 0.5}
    places, yaws = {True: "on_head", False: "fixed"}, {}
    with RosGraph(tmp_path) as graph:
        for on_head, place in places.items():
            graph.listen(f"{place}/{EXPRESSION}")
            parameters = {**given, **still, "camera_on_head": on_head}
            graph.start("expression_node", "-r", f"__ns:=/{place}", **parameters)
        graph.wait_active(*(f"{place}/expression_node" for place in places.values()))
        for place in places.values():
            graph.connect(f"{place}/{POSE}")
            graph.connect(f"{place}/gaze_target")
        pose = np.array([0.0, 0.4, 0, 0, 0, 0], np.float32)
        for _ in range(150):
            now_ns = graph.node.get_clock().now().nanoseconds
            target = GazeTarget(now_ns - 50_000_000, np.array([0.0, 0.0, 1.5], np.float32))
            for place in places.values():
                graph.publish(f"{place}/{POSE}", fill_head_pose(PoseStamped(), HeadPose(now_ns - 10_000_000, pose)))
                graph.publish(f"{place}/gaze_target", fill_gaze(PointStamped(), target))
            graph.spin(0.02)
    for on_head, place in places.items():
        faces = [expression_value(m).coefficients for m in graph.received[f"{place}/{EXPRESSION}"][-50:]]
        in_left, in_right, out_left, out_right = np.median(faces, axis=0)[12:16]
        eyes = (out_left - in_left + in_right - out_right) / 2
        yaws[on_head] = eyes * ExpressionConfig().eye_yaw_full_rad + 0.4  # the eyes in the measured head, in the room
    # The face shows no turn of its own, the measured head has 0.4 rad: the person is there, straight before the head.
    assert yaws[True] == pytest.approx(0.4, abs=0.06)
    assert abs(yaws[False]) < 0.06, "taken for a fixed camera, the same picture means straight ahead of the body"


@pytest.mark.slow
def test_the_head_of_reachy_mini_turns_and_says_where_it_is(tmp_path):
    """The whole way: a face, actuator_node, Reachy's own daemon, and the pose of its head back to the eyes."""
    with reachy_daemon("mockup-sim", tmp_path) as port:
        profile_at(port, tmp_path)
        rest(port)
        with RosGraph(tmp_path) as graph:
            graph.listen(POSE, STATE)
            robot, folder = str(tmp_path / "reachy_mini.yaml"), str(tmp_path)
            graph.start(NODE, robot=robot, lock_dir=folder, state_dir=folder)
            graph.wait_active(NODE)
            graph.connect(EXPRESSION)
            graph.until(lambda: graph.received[POSE], 20.0, "a pose before it is enabled")
            show_on(graph, 1.0, headYaw=0.0)
            answer = graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)
            assert answer.success, answer.message
            for _ in range(25):
                show_on(graph, 0.5, headYaw=0.3)
                poses = [head_pose_value(message) for message in graph.received[POSE]]
                if poses[-1].pose[1] == pytest.approx(0.3, abs=0.02):
                    break
            now_ns = graph.node.get_clock().now().nanoseconds
            assert graph.received[STATE][-1].state == "following", graph.received[STATE][-1]
    assert poses[-1].pose[1] == pytest.approx(0.3, abs=0.03)
    assert np.abs(poses[-1].pose[[0, 2]]).max() < 0.03
    gaps = np.diff([pose.stamp_ns for pose in poses]) / 1e9
    assert gaps.min() > 0.0
    assert np.median(gaps) < 0.1  # 0.02 where the machine has time
    assert 0 <= now_ns - poses[-1].stamp_ns < 0.3e9
