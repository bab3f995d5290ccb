"""actuator_node and those around it: a controller of ros2_control, and who asks where the head is."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from faces_shown import show_on, show_until
from geometry_msgs.msg import PointStamped, PoseStamped
from reachy_daemon import profile_at, rest
from reachy_daemon import running as reachy_daemon
from ros_harness import RosGraph
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
NODE, STATE, EXPRESSION, POSE = "actuator_node", "actuator/state", "listener/expression", "actuator/head_pose"

COMMANDS, STATES = "/head_controller/joint_trajectory", "/joint_states"
JOINTS = {str(joint.output.id): joint for joint in load_profile("ros2_control").joints.values()}


class Controller:
    """Goes where it is told at once, and says where it is, 50 times a second."""

    def __init__(self, graph):
        self.positions = {name: joint.neutral + 0.1 for name, joint in JOINTS.items()}
        self.goals = []
        states = graph.node.create_publisher(JointState, STATES, 10)
        graph.node.create_subscription(JointTrajectory, COMMANDS, self._on_command, 10)
        self.says = graph.node.create_timer(0.02, lambda: states.publish(self._state()))

    def _on_command(self, message):
        self.goals.append(dict(zip(message.joint_names, message.points[0].positions, strict=True)))
        self.positions |= self.goals[-1]
        assert 0 < message.points[0].time_from_start.nanosec <= 60_000_000

    def _state(self):
        return JointState(name=[*self.positions, "wheel"], position=[*self.positions.values(), 7.0])


def test_a_controller_is_followed_from_where_it_is_and_missed_when_it_goes(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.listen(STATE)
        obstacles = lambda: "; ".join(graph.received[STATE][-1].obstacles)  # noqa: E731
        enable = lambda: graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)  # noqa: E731
        for place, kept in (("", tmp_path), ("robot1", tmp_path / "kept")):
            given = {"robot": "ros2_control", "state_dir": str(kept), "lock_dir": str(tmp_path)}
            graph.start(NODE, "-r", f"__ns:=/{place}", **given)
        graph.wait_active(NODE)
        graph.connect(EXPRESSION)
        for place in ("", "robot1/"):
            missing = f"/{place}head_controller/joint_trajectory has no subscriber"
            graph.until(lambda n=f"{place}{NODE}", m=missing: m in graph.sentence(n), what=missing)
        assert not enable().success
        controller = Controller(graph)
        graph.until(lambda: graph.received[STATE] and not obstacles(), what="no obstacles")
        assert controller.goals == []
        other = rclpy.create_node("dancer", context=graph.node.context, use_global_arguments=False)
        other.create_publisher(JointTrajectory, COMMANDS, 10)
        graph.until(lambda: "dancer" in obstacles(), what="a second publisher of commands is seen")
        answer = enable()
        assert not answer.success
        assert "/actuator_node and /dancer publish /head_controller/joint_trajectory" in answer.message
        other.destroy_node()
        graph.until(lambda: not obstacles(), what="it has gone")
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
        controller.says.cancel()
        show_until(graph, "stopped")
        assert "/joint_states does not report its position" in graph.received[STATE][-1].fault


# Where the head is


def test_a_head_that_cannot_be_measured_is_where_it_was_told_to_be_while_it_has_torque():
    profile, published = load_profile("reachy_mini"), []
    node = SimpleNamespace(advertise=lambda topic: topic, publish=lambda _, message: published.append(message))
    head, told = HeadPosePublisher(node, profile), [0.4 * (name == "head_yaw") for name in profile.joints]
    hardware = SimpleNamespace(measured=lambda: [math.nan] * len(told), reading=lambda name: None)
    for torque in (False, True):
        commands = SimpleNamespace(position=told, torque=[torque] * len(told))
        status = SimpleNamespace(commands=commands, time_s=99.0 + torque)
        head.publish(status, hardware, now_ns=7000 * NS, steady_s=100.01)
    (found,) = map(head_pose_value, published)
    assert (found.stamp_ns, found.pose[1]) == (6_999_990_000_000, pytest.approx(0.4))


@pytest.mark.parametrize("on_head", [True, False])
def test_expression_node_looks_where_the_person_is_and_not_where_the_camera_saw_them(graph, on_head):
    """The head is turned by 0.4 rad to its left all the time, and its camera sees somebody straight before it."""
    given = robot_parameters("reachy_mini")["/**/expression_node"]["ros__parameters"]
    still = {"stillness": 1.0, "contact_listening": 1.0, "contact_share": 1.0, "aversions_per_min": 0.5}
    graph.listen(EXPRESSION)
    graph.start("expression_node", **given | still | {"head_share": 0.0, "camera_on_head": on_head})
    graph.wait_active("expression_node")
    graph.connect(POSE)
    graph.connect("gaze_target")
    pose = np.array([0.0, 0.4, 0, 0, 0, 0], np.float32)
    for _ in range(150):
        now_ns = graph.node.get_clock().now().nanoseconds
        target = GazeTarget(now_ns - 50_000_000, np.array([0.0, 0.0, 1.5], np.float32))
        graph.publish(POSE, fill_head_pose(PoseStamped(), HeadPose(now_ns - 10_000_000, pose)))
        graph.publish("gaze_target", fill_gaze(PointStamped(), target))
        graph.spin(0.02)
    faces = [expression_value(m).coefficients for m in graph.received[EXPRESSION][-50:]]
    in_left, in_right, out_left, out_right = np.median(faces, axis=0)[12:16]
    eyes = (out_left - in_left + in_right - out_right) / 2 * ExpressionConfig().eye_yaw_full_rad
    # In the room: the face shows no turn of its own, and a fixed camera sees the person straight before the body.
    assert eyes + 0.4 == pytest.approx(0.4 if on_head else 0.0, abs=0.06)


@pytest.mark.slow
def test_the_head_of_reachy_mini_turns_and_says_where_it_is(tmp_path):
    """The whole way: a face, actuator_node, Reachy's own daemon, and the pose of its head back to the eyes."""
    with reachy_daemon("mockup-sim", tmp_path) as port:
        profile_at(port, tmp_path)
        rest(port)
        with RosGraph(tmp_path) as graph:
            graph.listen(POSE, STATE)
            graph.start(NODE, robot=tmp_path / "reachy_mini.yaml", lock_dir=tmp_path, state_dir=tmp_path)
            graph.wait_active(NODE)
            graph.connect(EXPRESSION)
            graph.until(lambda: graph.received[POSE], 20.0, "a pose before it is enabled")
            show_on(graph, 1.0)
            answer = graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)
            assert answer.success, answer.message
            for _ in range(25):
                show_on(graph, 0.5, headYaw=0.3)
                poses = [head_pose_value(message) for message in graph.received[POSE]]
                if poses[-1].pose[1] == pytest.approx(0.3, abs=0.02):
                    break
            now_ns = graph.node.get_clock().now().nanoseconds
            assert graph.received[STATE][-1].state == "following", graph.received[STATE][-1]
    assert poses[-1].pose[:3] == pytest.approx([0.0, 0.3, 0.0], abs=0.03)
    gaps = np.diff([pose.stamp_ns for pose in poses]) / 1e9
    assert gaps.min() > 0.0
    assert np.median(gaps) < 0.1  # 0.02 where the machine has time
    assert 0 <= now_ns - poses[-1].stamp_ns < 0.3e9
