"""Simulated time as a bag that is played gives it: it runs, stands, and jumps back where the bag loops."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_stamp

PERIOD_S: Final = 0.005


class BagClock:
    """Publishes /clock from a thread of its own.

    Args:
        node: which publishes it.
    """

    def __init__(self, node: Any) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", QoSProfile(depth=10))
        self._ahead_ns = 0
        self._stood_ns: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    @property
    def stands(self) -> bool:
        """Whether the bag is paused."""
        return self._stood_ns is not None

    def now_ns(self) -> int:
        """Simulated time."""
        stood_ns = self._stood_ns
        return time.time_ns() + self._ahead_ns if stood_ns is None else stood_ns

    def of_machine(self, stamp_ns: int) -> int:
        """A simulated time, by the machine's clock as the two go now; 0 stays 0: none."""
        if not stamp_ns:
            return 0
        stood_ns = self._stood_ns
        return stamp_ns - self._ahead_ns if stood_ns is None else stamp_ns + time.time_ns() - stood_ns

    def simulated(self, stamp_ns: int) -> int:
        """A time of the machine's clock, in simulated time."""
        return stamp_ns + self._ahead_ns

    def pause(self) -> None:
        """Let it stand."""
        self._stood_ns = self.now_ns()

    def go_on(self) -> None:
        """From where it stood."""
        assert self._stood_ns is not None
        self._ahead_ns = self._stood_ns - time.time_ns()
        self._stood_ns = None

    def jump(self, seconds: float) -> None:
        """On, or back."""
        self._ahead_ns += round(seconds * NS)

    def close(self) -> None:
        """Publish no more."""
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            if not self.stands:
                self._publisher.publish(Clock(clock=fill_stamp(Time(), self.now_ns())))
