"""The clock of a bag that is played: it runs, stands, goes on from where it stood, and jumps."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytestmark = pytest.mark.ros
S = 1_000_000_000


class Node:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def create_publisher(self, *_):
        return self

    def publish(self, message) -> None:
        self.told.append(message.clock.sec * S + message.clock.nanosec)


def test_the_clock_of_a_bag():
    from reactdiff_ros.evaluation.graph.fault_clock import BagClock

    node = Node()
    clock = BagClock(node)
    try:
        end_s = time.monotonic() + 20.0
        while len(node.told) < 5 and time.monotonic() < end_s:
            threading.Event().wait(0.01)
        assert abs(clock.now_ns() - time.time_ns()) < S
        assert clock.of_machine(0) == 0
        clock.pause()
        stood_ns = clock.now_ns()
        threading.Event().wait(0.05)
        count = len(node.told)
        threading.Event().wait(0.1)
        assert len(node.told) == count
        assert clock.stands
        assert clock.now_ns() == stood_ns
        clock.go_on()
        assert 0 <= clock.now_ns() - stood_ns < S // 10
        behind_ns = time.time_ns() - clock.now_ns()
        assert behind_ns > S // 10
        assert abs(clock.of_machine(stood_ns) - stood_ns - behind_ns) < S // 10
        clock.jump(-8.0)
        assert clock.now_ns() < stood_ns - 7 * S
        assert clock.simulated(clock.of_machine(stood_ns)) == stood_ns
    finally:
        clock.close()
    assert node.told == sorted(node.told) or min(b - a for a, b in zip(node.told, node.told[1:], strict=False)) < -7 * S
