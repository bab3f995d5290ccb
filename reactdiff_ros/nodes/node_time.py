"""Whether a node's own clock runs: simulated time may not have begun, stand still, or come at any speed."""

from __future__ import annotations

from reactdiff_ros.clock import NS

STANDS_NS = 2 * NS
"""A simulated clock that did not move for so long stands still."""


class ClockWatch:
    """Looks at a node's clock now and then. All arguments are ns: the node's clock, and a steady one."""

    def __init__(self) -> None:
        self._now_ns: int | None = None
        self._since_ns = 0
        self._standing_ns = 0
        self._stood_ns = 0

    def look(self, now_ns: int, steady_ns: int) -> None:
        """Once a second or oftener."""
        if now_ns != self._now_ns:
            self._stood_ns += self._standing_ns
            self._now_ns, self._since_ns, self._standing_ns = now_ns, steady_ns, 0
        else:
            self._standing_ns = steady_ns - self._since_ns

    def running_ns(self, steady_ns: int) -> int:
        """The steady clock without the time in which the node's clock was seen to stand still.

        What is missing for so long is missed: while a bag is paused, nothing is.
        """
        return steady_ns - self._stood_ns - self._standing_ns

    def sentence(self) -> str:
        """What is wrong with the clock; empty when it runs."""
        if self._now_ns == 0:
            return (
                "waits for /clock, on which nothing comes: play a bag with its clock (ros2 bag play --clock 200), "
                "or start without use_sim_time"
            )
        if self._standing_ns >= STANDS_NS:
            return "/clock stands still: the bag is paused or has ended"
        return ""
