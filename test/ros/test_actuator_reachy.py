"""actuator_node before a Reachy Mini that speaks its daemon's protocol."""

from __future__ import annotations

import pytest
from faces_shown import show_on, show_until
from network_robots import FakeReachy
from ros_harness import RosGraph

from reactdiff_ros.resources import share_path

pytestmark = pytest.mark.ros
NODE, STATE, EXPRESSION = "actuator_node", "actuator/state", "listener/expression"


@pytest.fixture
def reachy():
    robot = FakeReachy()
    yield robot
    robot.close()


@pytest.fixture
def graph(tmp_path, reachy):
    text = (share_path("config/robots") / "reachy_mini.yaml").read_text()
    assert "port: 8000" in text
    path = tmp_path / "reachy_mini.yaml"
    path.write_text(text.replace("port: 8000", f"port: {reachy.port}"))
    graph = RosGraph(tmp_path)
    graph.listen(STATE)
    graph.start(NODE, robot=str(path), state_dir=str(tmp_path), lock_dir=str(tmp_path))
    graph.wait_active(NODE)
    graph.connect(EXPRESSION)
    yield graph
    assert set(graph.close()) == {0}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


def test_a_reachy_mini_is_enabled_follows_and_is_let_go(graph, reachy):
    graph.until(lambda: graph.received[STATE] and not graph.received[STATE][-1].obstacles, 30.0, "no obstacles")
    assert reachy.modes == []
    assert reachy.got == []
    answer = graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)
    assert answer.success, answer.message
    show_until(graph, "following")
    assert reachy.modes == ["enabled"]
    first = reachy.got[0]
    assert first["target_head_pose"]["pitch"] == pytest.approx(0.3, abs=0.02)  # from where it is
    assert first["target_antennas"] == pytest.approx([-0.5, 0.5], abs=0.05)
    show_on(graph, 1.5, headYaw=0.3)
    assert reachy.pose["yaw"] == pytest.approx(0.3, abs=0.02)
    graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=False)
    show_until(graph, "disarmed")
    assert reachy.modes[-1] == "disabled"


def test_a_reachy_mini_that_goes_stops_and_is_found_again(graph, reachy):
    graph.until(lambda: graph.received[STATE] and not graph.received[STATE][-1].obstacles, 30.0, "no obstacles")
    graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True)
    show_until(graph, "following")
    reachy.talks = False
    show_until(graph, "stopped")
    assert "its daemon says nothing of where it is" in graph.received[STATE][-1].fault
    reachy.talks = True
    show_on(graph, 1.0)
    assert graph.received[STATE][-1].state == "stopped"
    assert graph.call("std_srvs/Trigger", f"/{NODE}/reset").success
    show_until(graph, "disarmed")
    graph.until(lambda: not graph.received[STATE][-1].obstacles, 30.0, "no obstacles")
    assert graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True).success
    show_until(graph, "following")
