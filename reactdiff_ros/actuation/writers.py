"""Who publishes a topic: more than one is a fault, for the robot would do what both say in turns. No ROS here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

LINGER_S: Final = 30.0
"""A killed process is seen for the 20 s of DDS's lease beside the one that took its place."""
NAMED_S: Final = 12.0
"""A publisher is discovered before the name of its node is; where that message is lost, it comes again with one of the
heartbeats that DDS sends every 3 s; on a busy machine two were not enough. Until then a robot that moves goes on:
most likely it is the one that came back."""
UNKNOWN: Final = "_NODE_NAME_UNKNOWN_"
NOBODY: Final = "an unknown node"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: `sentence` prevents enabling, and with `now` stops a robot that moves; empty: all is well."""

    sentence: str = ""
    now: bool = False


class Writers:
    """Watches the publishers of one topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._count = 0
        self._grew_s = 0.0
        self._unnamed_s: float | None = None

    def look(self, endpoints: Iterable[Any], now_s: float) -> Finding:
        """What follows from the publishers that there are (`node_name`, `node_namespace`) at `now_s`, steady."""
        counted = Counter(_name(e) for e in endpoints)
        if counted.total() > self._count:
            self._grew_s = now_s
        self._count = counted.total()
        if NOBODY not in counted:
            self._unnamed_s = None
        elif self._unnamed_s is None:
            self._unnamed_s = now_s
        if self._count < 2:
            return Finding()
        names = sorted(counted)
        too_long = self._unnamed_s is not None and now_s - self._unnamed_s > NAMED_S
        if len(names) > 1:
            listed = " and ".join([", ".join(names[:-1]), names[-1]])
            certain = len(names) > 1 + (NOBODY in names) or too_long
            todo = "stop all but one of them (one that was killed is seen for 20 s)"
            return Finding(f"{listed} publish {self._topic}: {todo}", certain)
        if NOBODY in names:
            return Finding(f"{self._count} unknown nodes publish {self._topic}: stop all but one of them", too_long)
        twins = f"{names[0]} and another {names[0]} publish {self._topic}"
        if now_s - self._grew_s > LINGER_S:
            return Finding(f"{twins}: stop one of them", True)
        return Finding(f"{twins}: stop one of them, or wait for 20 s if it was started again just now")


def _name(endpoint: Any) -> str:
    if endpoint.node_name == UNKNOWN:
        return NOBODY
    return f"{str(endpoint.node_namespace).rstrip('/')}/{endpoint.node_name}"
