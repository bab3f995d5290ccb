"""The whole way to Reachy Mini: a face, actuator_node, its own daemon, and the pose of its head back to the eyes."""

from __future__ import annotations

import numpy as np
import pytest
from faces_shown import show_on
from reachy_daemon import profile_at, rest, running
from ros_harness import RosGraph

from reactdiff_ros.messages import head_pose_value

pytestmark = [pytest.mark.ros, pytest.mark.slow]
POSE, STATE, EXPRESSION, NODE = "actuator/head_pose", "actuator/state", "listener/expression", "actuator_node"


def test_the_head_turns_and_says_where_it_is(tmp_path):
    with running("mockup-sim", tmp_path) as port:
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
