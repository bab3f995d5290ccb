"""The listeners of one reaction_node: which there are to be, and what each of them has of ROS."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reactdiff_ros.launching.table import LONGEST_NAMESPACE

from ..errors import ConfigError
from ..model.listener import Listener
from .controls import ControlInbox, Controls
from .health import Meter

MOST_LISTENERS = 256
_NAMESPACE = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*")
_SEEDS = 1 << 31


def seated(text: str, seed: int) -> dict[str, int]:
    """Namespaces and seeds of the parameter `listeners`: names with commas between, each with =SEED where wanted.

    Without one a listener's seed is made of the node's seed and its own name, so that no two robots move alike, and
    each moves again as before whoever else is there. An empty text is one listener, in the node's own namespace "".

    Raises:
        ConfigError: a name is no namespace or stands twice, a seed is no whole number, or there are too many.
    """
    seats: dict[str, int] = {}
    for entry in filter(None, re.split(r"[\s,]+", text.strip())):
        name, equals, given = entry.partition("=")
        if not _NAMESPACE.fullmatch(name):
            raise ConfigError(f"{name!r} is no namespace of a listener", todo="write such as robot1, /lab/robot2=7")
        if len(name) > LONGEST_NAMESPACE:
            raise ConfigError(f"a namespace has at most {LONGEST_NAMESPACE} characters", where=name)
        if name in seats:
            raise ConfigError(f"the listener {name} stands twice")
        if equals and not (given.isdecimal() and int(given) < _SEEDS):
            raise ConfigError(f"the seed of the listener {name} is not a whole number below {_SEEDS}", where=given)
        seats[name] = int(given) if equals else (seed + zlib.crc32(name.strip("/").encode())) % _SEEDS
    if len(seats) > MOST_LISTENERS:
        raise ConfigError(f"{len(seats)} listeners are more than the {MOST_LISTENERS} of one node")
    return seats or {"": seed}


def wrong_listeners(parameters: Iterable[Any], seed: int) -> str:
    """Why the parameter `listeners` cannot be as these ROS parameters would have it; "" if it can."""
    try:
        for parameter in parameters:
            if parameter.name == "listeners":
                seated(str(parameter.value), seed)
    except ConfigError as error:
        return str(error)
    return ""


@dataclass(eq=False)
class Seat:
    """One listener in its namespace. The worker alone changes it."""

    name: str
    """Its namespace; "" is the node's own."""
    seed: int
    listener: Listener
    reactions: Any
    """Publishers."""
    candidates: Any
    latest: Any
    status: Any = None
    """Publisher; None where the node's own status tells of it."""
    subscriptions: list[Any] = field(default_factory=list)
    inbox: ControlInbox = field(init=False)
    meter: Meter = field(default_factory=Meter)
    controls: Controls = field(default_factory=Controls)
    newest_ns: int = 0
    """Newest evidence in a plan."""
    followed_ns: int | None = None
    """Simulated time up to which it planned."""
    heard_ns: int = 0
    """Steady time of the last frame."""
    missed_ns: int = 0
    """The same, of a clock that stands while a simulated one does."""

    def topic(self, topic: str) -> str:
        """The name of one of its topics."""
        return f"{self.name}/{topic}" if self.name else topic
