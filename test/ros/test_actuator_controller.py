"""actuator_node before a controller of ros2_control: JointTrajectory out, JointState in."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rclpy
from faces_shown import show_on, show_until
from ros_harness import RosGraph
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from reactdiff_ros.actuation.robot.profile import load_profile

pytestmark = pytest.mark.ros
NODE, STATE, EXPRESSION = "actuator_node", "actuator/state", "listener/expression"
COMMANDS, STATES = "/head_controller/joint_trajectory", "/joint_states"
PROFILE = load_profile("ros2_control")
JOINTS = {str(joint.output.id): joint for joint in PROFILE.joints.values()}


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
        self.goals.append((time.monotonic(), message))
        self.positions |= dict(zip(message.joint_names, message.points[0].positions, strict=True))

    def _say(self):
        if self.says:
            names = [*self.positions, "wheel"]
            self._states.publish(JointState(name=names, position=[*self.positions.values(), 7.0]))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Two robots, one of them in a namespace."""
    folder = tmp_path_factory.mktemp("controller")
    with RosGraph(folder) as graph:
        graph.listen(STATE)
        for place, kept in (("/", folder), ("/robot1", folder / "kept")):
            graph.start(
                NODE, "-r", f"__ns:={place}", robot="ros2_control", state_dir=str(kept), lock_dir=str(folder)
            )  # fmt: skip
        graph.wait_active(NODE)
        graph.connect(EXPRESSION)
        yield graph


def enable(graph):
    return graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)


@pytest.mark.parametrize("place", ["", "robot1/"])
def test_a_controller_that_is_not_there_is_said_by_its_full_name(graph, place):
    missing = f"/{place}head_controller/joint_trajectory has no subscriber"
    graph.until(lambda: missing in graph.sentence(f"{place}{NODE}"), what=missing)


def test_a_controller_is_followed_from_where_it_is_and_missed_when_it_goes(graph):
    assert not enable(graph).success
    controller = Controller(graph)
    graph.until(lambda: graph.received[STATE] and not graph.received[STATE][-1].obstacles, what="no obstacles")
    assert controller.goals == []

    other = rclpy.create_node("dancer", context=graph.node.context, use_global_arguments=False)
    other.create_publisher(JointTrajectory, COMMANDS, 10)
    seen = lambda: any("dancer" in obstacle for obstacle in graph.received[STATE][-1].obstacles)  # noqa: E731
    graph.until(seen, what="a second publisher of commands is seen")
    answer = enable(graph)
    assert not answer.success
    assert "/actuator_node and /dancer publish /head_controller/joint_trajectory" in answer.message
    other.destroy_node()
    graph.until(lambda: not graph.received[STATE][-1].obstacles, what="it has gone")

    answer = enable(graph)
    assert answer.success, answer.message
    show_until(graph, "following")
    show_on(graph, 1.0, headYaw=0.3)
    first = controller.goals[0][1]
    assert sorted(first.joint_names) == sorted(JOINTS)
    start = dict(zip(first.joint_names, first.points[0].positions, strict=True))
    assert all(abs(start[n] - min(j.neutral + 0.1, j.upper)) < 0.02 for n, j in JOINTS.items())
    assert controller.positions["head_pan_joint"] == pytest.approx(0.3, abs=1e-4)
    assert 0 < first.points[0].time_from_start.nanosec <= 60_000_000
    path = [dict(zip(m.joint_names, m.points[0].positions, strict=True))["head_pan_joint"] for _, m in controller.goals]
    # One that is dropped on a busy machine makes the next step longer.
    assert np.median(np.abs(np.diff(path))) <= 2.0 / 50
    controller.says = False
    show_until(graph, "stopped")
    assert "/joint_states does not report its position" in graph.received[STATE][-1].fault
