"""Whether a node's own clock runs, as simulated time may not, and whether what it receives agrees with it."""

from __future__ import annotations

from reactdiff_ros.clock import NS

STANDS_NS = 2 * NS
"""A simulated clock that did not move for so long stands still."""
FAR_NS = NS
"""Evidence that is stamped so far from the node's clock cannot drive the face."""
LONGEST_LOAD_NS = 8 * NS
"""No load makes evidence so late: a clock differs."""
STEADY_NS = 5 * NS
"""A load lets some evidence through in time: if none was in time for this long, a clock differs."""


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


class StampWatch:
    """Compares the stamps of each topic with the node's clock: a load makes them late at times, a clock all of them."""

    def __init__(self) -> None:
        self._since_ns: dict[str, int] = {}

    def sentence(self, topic: str, late_ns: int, steady_ns: int) -> str:
        """What is wrong with evidence that is `late_ns` behind the node's clock (negative: ahead); empty: nothing."""
        if abs(late_ns) <= FAR_NS:
            self._since_ns.pop(topic, None)
            return ""
        since_ns = self._since_ns.setdefault(topic, steady_ns)
        if 0 < late_ns < LONGEST_LOAD_NS and steady_ns - since_ns < STEADY_NS:
            return f"{topic} arrives more than 1 s late: this machine is overloaded, stop other programs on it"
        return (
            f"{topic} is stamped more than 1 s away from this node's clock: start with use_sim_time:=true for a bag, "
            "or synchronise the clocks of the machines"
        )
