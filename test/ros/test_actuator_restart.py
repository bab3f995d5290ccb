"""actuator_node is killed while its robot has torque, and started again: what it says, and what lets go."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from actuator_graph import LOWERED, NEAR, NODE, Bench

from reactdiff_ros.clock import NS
from reactdiff_ros.messages import head_pose_value

pytestmark = pytest.mark.ros
POSE = "actuator/head_pose"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("restart")) as bench:
        bench.graph.listen(POSE)
        yield bench
    assert set(bench.codes) <= {0}


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.disarm()
    running.graph.until(lambda: not any(running.holds()), what="no torque")
    return running


def killed_while_it_followed(bench: Bench) -> float:
    """Where the neck is."""
    bench.enable()
    bench.show(1.0, headPitch=-0.2, jawOpen=0.4)
    bench.restart()
    assert bench.holds() == [True, True]
    return float(bench.neck.motor.position)


def let_go(bench: Bench) -> None:
    """Wait until the servos hold no more, and check that the neck was lowered first."""
    bench.graph.until(lambda: not any(bench.holds()), what="the servos let go")
    assert bench.neck.motor.position == pytest.approx(LOWERED, abs=NEAR)
    bench.graph.until(lambda: not any(bench.said.torque) and bench.said.state == "disarmed", what="that is reported")


def test_the_actuator_says_where_its_neck_is_measured(bench: Bench) -> None:
    bench.graph.received[POSE].clear()
    bench.graph.until(lambda: len(bench.graph.received[POSE]) > 5, what="poses without any torque")
    bench.enable()
    bench.show(2.0, headPitch=0.2)
    poses = [head_pose_value(message) for message in bench.graph.received[POSE]]
    now_ns = bench.graph.node.get_clock().now().nanoseconds
    assert poses[-1].pose[0] == pytest.approx(0.2, abs=0.02)
    stamps = np.array([p.stamp_ns for p in poses])
    assert (np.diff(stamps) > 0).all()
    assert 0 <= now_ns - stamps[-1] < NS


def test_torque_of_a_killed_actuator_is_reported_lowered_and_let_go(bench: Bench) -> None:
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


def test_a_stop_after_a_kill_holds_until_a_reset_lowers_and_lets_go(bench: Bench) -> None:
    stands = killed_while_it_followed(bench)
    assert bench.call("software_stop").success
    bench.graph.until(lambda: bench.said.state == "stopped", what="stopped")
    assert bench.holds() == [True, True]
    assert "may have torque" in bench.refusal("enable", data=False)
    assert bench.neck.motor.position == pytest.approx(stands, abs=NEAR)
    assert bench.call("reset").success
    let_go(bench)


def test_a_stop_that_was_answered_survives_a_kill_in_the_next_millisecond(bench: Bench) -> None:
    answer = bench.call("software_stop")
    bench.restart()
    assert answer.success
    assert (bench.said.state, bench.said.software_stop) == ("stopped", True)
    assert "software stop" in bench.refusal("enable", data=True)
    assert bench.call("reset").success
    bench.restart()
    assert (bench.said.state, bench.said.software_stop) == ("disarmed", False)


def test_auto_enable_does_not_act_again_after_a_crash(bench: Bench) -> None:
    bench.restart(auto_enable=True)
    bench.until("following")
    bench.restart(auto_enable=True)
    bench.show(3.0, jawOpen=0.5)
    assert bench.said.state == "disarmed"
    assert "auto_enable has acted" in bench.node.log
    assert bench.holds() == [True, True]
    bench.enable()
