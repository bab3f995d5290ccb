"""Who publishes a topic: more than one is a fault, for the robot would do what both say in turns. No ROS here.

A killed process is listed for the 20 s of DDS's lease next to its successor of the same name, but it is silent.
rclpy does not say which publisher a message is from; it gives the number under which its publisher sent it. Every
publisher counts up, so a number that is not higher than the last one is another publisher's: once after a new one
took over, over and over while two send.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

LINGER_S: Final = 30.0
"""Beyond DDS's lease: a second publisher that is still listed is there, even if it sends nothing."""
NAMED_S: Final = 12.0
"""A publisher is discovered before the name of its node is; where that message is lost, it comes again with one of the
heartbeats that DDS sends every 3 s; on a busy machine two were not enough. Until then a robot that moves goes on:
most likely it is the one that came back."""
RATE_S: Final = 1.0
"""What is sent is counted over this time."""
UNKNOWN: Final = "_NODE_NAME_UNKNOWN_"
UNNAMED: Final = "an unknown node"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: `sentence` prevents enabling, and with `now` stops a robot that moves; empty: all is well."""

    sentence: str = ""
    now: bool = False


class Writers:
    """Watches the publishers of one topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._known: frozenset[bytes] = frozenset()
        self._grew_s = 0.0
        self._unnamed_s: float | None = None
        self._last = 0
        self._returns = 0
        self._sent, self._since_s = float("nan"), 0.0
        self.rate_hz = 0.0
        """How many messages the publisher sends a second, taken or not; 0 where that is not known."""

    def heard(self, number: int | None) -> None:
        """A message has come that its publisher counts as this one (None: it is not known); in order of arrival.

        May be called by another thread than `look`: a count that is lost in between does no harm.
        """
        if number is None:
            return
        if number <= self._last:
            self._returns += 1
            self._sent = float("nan")
        else:
            self._sent += number - self._last
        self._last = number

    def look(self, endpoints: Iterable[Any], now_s: float) -> Finding:
        """What follows from what was heard and the publishers that are listed at `now_s`, steady.

        They have `endpoint_gid`, `node_name` and `node_namespace`.
        """
        named = {bytes(e.endpoint_gid): _name(e) for e in endpoints}
        if not named.keys() <= self._known:
            self._grew_s, self._returns, self._sent = now_s, 0, float("nan")
        self._known = frozenset(named)
        if now_s - self._since_s >= RATE_S:
            self.rate_hz = self._sent / (now_s - self._since_s) if math.isfinite(self._sent) else 0.0
            self._sent, self._since_s = 0.0, now_s
        counted = Counter(named.values())
        if UNNAMED not in counted:
            self._unnamed_s = None
        elif self._unnamed_s is None:
            self._unnamed_s = now_s
        if len(named) < 2:
            return Finding()
        names = sorted(counted)
        both = self._returns > 1
        too_long = both or (self._unnamed_s is not None and now_s - self._unnamed_s > NAMED_S)
        if len(names) > 1:
            listed = " and ".join([", ".join(names[:-1]), names[-1]])
            certain = len(names) > 1 + (UNNAMED in names) or too_long
            todo = "stop all but one of them (one that was killed is seen for 20 s)"
            return Finding(f"{listed} publish {self._topic}: {todo}", certain)
        if UNNAMED in names:
            return Finding(f"{len(named)} unknown nodes publish {self._topic}: stop all but one of them", too_long)
        twins = f"{names[0]} and another {names[0]} publish {self._topic}"
        if both or now_s - self._grew_s > LINGER_S:
            return Finding(f"{twins}: stop one of them", True)
        return Finding(f"{twins}: stop one of them, or wait for 20 s if it was started again just now")


def _name(endpoint: Any) -> str:
    if endpoint.node_name == UNKNOWN:
        return UNNAMED
    return f"{str(endpoint.node_namespace).rstrip('/')}/{endpoint.node_name}"
