"""Who can reach a robot: the sentence, and that the running actuator says it in its log and its diagnostics."""

from __future__ import annotations

import pytest

from reactdiff_ros.launching.process import wider_than_this_machine

NODE = "actuator_node"
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
SECURE = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize(
    "environment",
    [
        {RANGE: "LOCALHOST"},
        {RANGE: "OFF", "ROS_STATIC_PEERS": "192.0.2.1"},
        {RANGE: "SUBNET", "ROS_LOCALHOST_ONLY": "1"},
        {"ROS_LOCALHOST_ONLY": "1", "ROS_STATIC_PEERS": "192.0.2.1"},
        {"ROS_LOCALHOST_ONLY": "1", "ROS_DISTRO": "humble"},
        {RANGE: "SUBNET", **SECURE},
    ],
)
def test_a_robot_of_this_machine_alone_is_told_nothing(environment):
    assert wider_than_this_machine(environment) == ""


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, f"({RANGE} is not set): set {RANGE}=LOCALHOST,"),
        ({RANGE: ""}, f"({RANGE} is not set)"),
        ({RANGE: "SUBNET"}, f"({RANGE} is SUBNET)"),
        ({RANGE: "SYSTEM_DEFAULT", "ROS_LOCALHOST_ONLY": "0"}, f"({RANGE} is SYSTEM_DEFAULT)"),
        ({RANGE: "localhost"}, f"({RANGE} is localhost)"),
        ({RANGE: "LOCALHOST", "ROS_STATIC_PEERS": "192.0.2.1"}, "(ROS_STATIC_PEERS names 192.0.2.1)"),
        ({RANGE: "LOCALHOST", "ROS_DISTRO": "humble"}, "(ROS_LOCALHOST_ONLY is not 1): set ROS_LOCALHOST_ONLY=1,"),
        ({RANGE: "SUBNET", "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Permissive"}, "is SUBNET)"),
    ],
)
def test_a_robot_that_others_can_reach_has_one_sentence(environment, why):
    sentence = wider_than_this_machine(environment)
    assert sentence.startswith("other machines can move this robot (")
    assert why in sentence
    assert "\n" not in sentence


@pytest.mark.ros
def test_the_actuator_says_it_in_its_log_and_its_diagnostics(tmp_path):
    from ros_harness import RosGraph

    graph = RosGraph(tmp_path)
    try:
        # Nothing leaves this machine here: only the name of the distribution makes its settings look too wide.
        graph.environment |= {"ROS_DISTRO": "humble", RANGE: "LOCALHOST"}
        graph.environment.pop("ROS_LOCALHOST_ONLY", None)
        said = wider_than_this_machine(graph.environment)
        assert said
        node = graph.start(NODE, robot="screen", state_dir=str(tmp_path))
        graph.wait_active(NODE)
        assert graph.level(NODE) == 1
        # Another warning is what the user must know first.
        graph.until(lambda: "it has no joints" in graph.sentence(NODE), what="what prevents enabling")
        assert sum("[WARN]" in line and said in line for line in node.log.splitlines()) == 1
    finally:
        codes = graph.close()
    assert codes == [0]
