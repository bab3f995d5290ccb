"""actuator_node is killed while its robot has torque, and started again: what it says, and what lets go."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from actuator_graph import NODE, STATE, Bench
from ros_harness import START_S

pytestmark = pytest.mark.ros

LOWERED = 2047 + 25 * 4096 / 360
"""Counts at which the neck may be let go."""
NEAR = 6.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench
    assert set(bench.codes) <= {0}


def restart(bench: Bench) -> None:
    """Kill it and start the next one."""
    bench.node.stop(signal.SIGKILL)
    bench.graph.processes.remove(bench.node)
    # What it sent before is not taken for the next one's.
    end_s = time.monotonic() + 1.0
    bench.graph.until(lambda: time.monotonic() > end_s, what="its last messages")
    bench.graph.received[STATE].clear()
    bench.graph.diagnostics.clear()
    bench.start()
    bench.graph.until(lambda: "being opened" not in bench.said.message, START_S, "its hardware was asked")


def holds(bench: Bench) -> list[bool]:
    return [bench.jaw.motor.torque, bench.neck.motor.torque]


def killed_while_it_followed(bench: Bench) -> float:
    """Where the neck is."""
    bench.enable()
    bench.show(1.0, headPitch=-0.2, jawOpen=0.4)
    restart(bench)
    assert holds(bench) == [True, True]
    return float(bench.neck.motor.position)


def let_go(bench: Bench) -> None:
    """Wait until the servos hold no more, and check that the neck was lowered first."""
    bench.graph.until(lambda: not any(holds(bench)), what="the servos let go")
    assert bench.neck.motor.position == pytest.approx(LOWERED, abs=NEAR)
    bench.graph.until(lambda: not any(bench.said.torque) and bench.said.state == "disarmed", what="that is reported")


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
    assert holds(bench) == [True, True]
    assert "may have torque" in bench.refusal("enable", data=False)
    assert bench.neck.motor.position == pytest.approx(stands, abs=NEAR)
    assert bench.call("reset").success
    let_go(bench)


@pytest.mark.real_time
def test_an_actuator_that_enabled_nothing_lowers_and_lets_go_at_its_end(bench: Bench) -> None:
    killed_while_it_followed(bench)
    assert bench.node.stop() == 0
    # Its last command may still be on the way to the emulated servo.
    bench.graph.until(lambda: not any(holds(bench)), what="the servos let go")
    assert bench.neck.motor.position == pytest.approx(LOWERED, abs=NEAR)


def test_a_stop_that_was_answered_survives_a_kill_in_the_next_millisecond(bench: Bench) -> None:
    answer = bench.call("software_stop")
    restart(bench)
    assert answer.success
    assert (bench.said.state, bench.said.software_stop) == ("stopped", True)
    assert "software stop" in bench.refusal("enable", data=True)
    assert bench.call("reset").success
    restart(bench)
    assert (bench.said.state, bench.said.software_stop) == ("disarmed", False)


def test_a_stop_that_cannot_be_kept_acts_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Bench(tmp_path, state_dir=str(tmp_path / "file")) as bench:
        answer = bench.call("software_stop")
        assert answer.success
        assert "but a software stop cannot be kept" in answer.message
        bench.graph.until(lambda: bench.said.state == "stopped", what="stopped")


def test_auto_enable_does_not_act_again_after_a_crash(tmp_path: Path) -> None:
    with Bench(tmp_path, auto_enable=True) as bench:
        bench.until("following")
        restart(bench)
        bench.show(3.0, jawOpen=0.5)
        assert bench.said.state == "disarmed"
        assert "auto_enable has acted" in bench.node.log
        assert holds(bench) == [True, True]
        bench.enable()
