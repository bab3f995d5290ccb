"""The thread that moves the robot: it ticks on its own clock and never waits for ROS."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from reactdiff_ros.actuation.actuation import Actuation
from reactdiff_ros.actuation.schedule import Schedule
from reactdiff_ros.actuation.status import Status
from reactdiff_ros.launching.process import BUS, prioritise
from reactdiff_ros.nodes.base import Worker

LEAST_LEFT_S = 0.004
"""Measuring ends so long before the next tick."""
SWITCH_S = 0.0005
"""Python gives another thread its turn after this long; its default of 5 ms would be a quarter of a tick."""
PATIENCE_S = 6.0
"""While nothing moves the thread may wait so long for devices (a robot in the network) before it counts as stuck."""


class BusThread(Worker):
    """Ticks an actuation at its profile's rate until `stop`; then gives the devices back.

    Args:
        actuation: the robot.
        ticked: told the status of every tick.
        failed: told of every exception, which ends nothing.
        before: called before every tick.
    """

    def __init__(
        self,
        actuation: Actuation,
        ticked: Callable[[Status], None],
        failed: Callable[[Exception, str], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("bus", lambda *_: None, {}, failed)
        self._actuation, self._ticked, self._report = actuation, ticked, failed
        self._before = before
        self.schedule = Schedule(actuation.profile.rate_hz, time.monotonic())
        self.realtime = False

    def busy_s(self) -> float:
        """How long the thread has been working, beyond what it may take while nothing moves."""
        busy_s = super().busy_s()
        still = self._actuation.state.state in ("disarmed", "preparing", "stopped")
        return max(busy_s - PATIENCE_S, 0.0) if still else busy_s

    def _run(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        self.realtime = prioritise(BUS)
        self.schedule = schedule = Schedule(self._actuation.profile.rate_hz, time.monotonic())
        try:
            while not self._stopping:
                left_s = schedule.due_s - time.monotonic()
                if left_s > 0.0:
                    time.sleep(left_s)
                self._busy_since = time.monotonic()
                self._once(schedule)
                self._busy_since = None
        finally:
            self._actuation.end()

    def _once(self, schedule: Schedule) -> None:
        began_s, waited_s = time.monotonic(), float("nan")
        try:
            self._before()
            status = self._actuation.tick(began_s)
            waited_s = status.waited_s
            self._ticked(status)
        except Exception as error:
            self._actuation.fail(f"internal error: {type(error).__name__}: {error}")
            self._report(error, "bus")
        schedule.ticked(began_s, waited_s)
        try:
            self._actuation.look(schedule.due_s - LEAST_LEFT_S - time.monotonic())
        except Exception as error:
            self._report(error, "bus")
