"""The head's pose between actuator_node and expression_node: its message, who sends it, what the eyes make of it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped, PoseStamped
from ros_harness import RosGraph

from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.clock import NS
from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.messages import expression_value, fill_gaze, fill_head_pose, head_pose_value
from reactdiff_ros.nodes.actuator_node import HeadPosePublisher
from reactdiff_ros.types import GazeTarget, HeadPose

TOPIC, EXPRESSION = "actuator/head_pose", "listener/expression"


class Sent:
    """A node that keeps what it publishes."""

    def __init__(self):
        self.messages = []

    def advertise(self, topic):
        assert topic == TOPIC

    def publish(self, _, message):
        self.messages.append(message)


def state(profile, *, measured=None, torque=True, time_s=100.0):
    """Status and hardware with the head's yaw at 0.4 as told, and as measured by `measured`."""
    names = list(profile.joints)
    position = [0.4 if name == "head_yaw" else 0.0 for name in names]
    commands = SimpleNamespace(position=position, torque=[torque] * len(names))
    readings = {name: measured[1] if name == "head_yaw" else 0.0 for name in names} if measured is not None else {}
    hardware = SimpleNamespace(
        measured=lambda: [readings.get(name, math.nan) for name in names],
        reading=lambda name: SimpleNamespace(time_s=measured[0], position=readings[name]) if readings else None,
    )
    return SimpleNamespace(commands=commands, time_s=time_s), hardware


def test_stamps_are_those_of_the_measurement_in_the_nodes_clock():
    profile, node = load_profile("reachy_mini"), Sent()
    head = HeadPosePublisher(node, profile)
    for measured_s in (99.95, 99.95, 99.97):
        head.publish(*state(profile, measured=(measured_s, 0.3)), now_ns=7000 * NS, steady_s=100.0)
    found = [head_pose_value(message) for message in node.messages]
    assert [f.stamp_ns for f in found] == [6_999_950_000_000, 6_999_970_000_000], "nothing is said twice"
    assert found[0].pose[1] == pytest.approx(0.3)


def test_a_head_that_cannot_be_measured_is_where_it_is_told_to_be_while_it_has_torque():
    profile, node = load_profile("reachy_mini"), Sent()
    head = HeadPosePublisher(node, profile)
    head.publish(*state(profile, torque=False), now_ns=7000 * NS, steady_s=100.0)
    assert node.messages == []
    head.publish(*state(profile), now_ns=7000 * NS, steady_s=100.01)
    assert head_pose_value(node.messages[0]).pose[1] == pytest.approx(0.4)
    assert head_pose_value(node.messages[0]).stamp_ns == 6_999_990_000_000


def test_a_robot_without_a_head_says_nothing():
    profile, node = load_profile("screen"), Sent()
    HeadPosePublisher(node, profile).publish(*state(profile), now_ns=NS, steady_s=1.0)
    assert node.messages == []


@pytest.mark.ros
def test_expression_node_looks_where_the_person_is_and_not_where_the_camera_saw_them(tmp_path):
    """The head is turned by 0.4 rad to its left all the time, and its camera sees somebody straight before it."""
    given = robot_parameters("reachy_mini")["/**/expression_node"]["ros__parameters"] | {"head_share": 0.0}
    config = ExpressionConfig()
    places, yaws = {True: "on_head", False: "fixed"}, {}
    with RosGraph(tmp_path) as graph:
        still = {"stillness": 1.0, "contact_listening": 1.0, "contact_share": 1.0, "aversions_per_min": 0.5}
        for on_head, place in places.items():
            graph.listen(f"{place}/{EXPRESSION}")
            parameters = {**given, **still, "camera_on_head": on_head}
            graph.start("expression_node", "-r", f"__ns:=/{place}", **parameters)
        graph.wait_active(*(f"{place}/expression_node" for place in places.values()))
        for place in places.values():
            graph.connect(f"{place}/{TOPIC}")
            graph.connect(f"{place}/gaze_target")
        pose = np.array([0.0, 0.4, 0, 0, 0, 0], np.float32)
        for _ in range(150):
            now_ns = graph.node.get_clock().now().nanoseconds
            target = GazeTarget(now_ns - 50_000_000, np.array([0.0, 0.0, 1.5], np.float32))
            for place in places.values():
                graph.publish(f"{place}/{TOPIC}", fill_head_pose(PoseStamped(), HeadPose(now_ns - 10_000_000, pose)))
                graph.publish(f"{place}/gaze_target", fill_gaze(PointStamped(), target))
            graph.spin(0.02)
    for on_head, place in places.items():
        faces = [expression_value(m).coefficients for m in graph.received[f"{place}/{EXPRESSION}"][-50:]]
        look = {n: np.median([f[i] for f in faces]) for n, i in
                (("out_left", 14), ("in_left", 12), ("in_right", 13), ("out_right", 15))}  # fmt: skip
        eyes = (look["out_left"] - look["in_left"] + look["in_right"] - look["out_right"]) / 2
        yaws[on_head] = eyes * config.eye_yaw_full_rad + 0.4  # the eyes in the measured head, in the room
    # The face shows no turn of its own, the measured head has 0.4 rad: the person is there, straight before the head.
    assert yaws[True] == pytest.approx(0.4, abs=0.06)
    assert abs(yaws[False]) < 0.06, "taken for a fixed camera, the same picture means straight ahead of the body"
