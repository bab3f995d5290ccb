"""`listener/control` from any publisher, and what it has set so far for nodes that start later.

Ordinary publishers are volatile, latched ones transient-local. A volatile subscription takes what either sends from now
on. What a latched one has sent before is fetched by a transient-local subscription that exists for a few seconds after
such a publisher is found: while it exists, ROS warns every ordinary publisher that it is incompatible.

The publisher of a one-shot control is gone when a node starts later or again. So both nodes that act on controls
publish what controls have set so far on `listener/control/latest`, latched, and take from it what is newer than what
they have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rclpy.qos import DurabilityPolicy

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import control_value, fill_control, from_stamp
from reactdiff_ros.nodes.base import Polled
from reactdiff_ros.styles import merged
from reactdiff_ros.types import ListenerControl

if TYPE_CHECKING:
    from reactdiff_ros.nodes.base import ReactdiffNode

CONTROL: Final = "listener/control"
LATEST: Final = "listener/control/latest"
LOOK_S: Final = 0.5
"""How often a node looks for what was sent before it listened."""
HISTORY_NS: Final = 5 * NS
"""How long a latched publisher has for sending its history."""
DEPTH: Final = 8
END_NS: Final = (2**31 - 1) * NS
"""Stamps end here; one of this time would leave none for later messages."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A control message: when it was sent (system clock of its publisher, ns), and whether it was sent just now."""

    message: Any
    sent_ns: int
    live: bool


class Controls:
    """What control messages have set so far for one listener."""

    def __init__(self) -> None:
        self.control = ListenerControl()
        """All that were taken, in one."""
        self.sent_ns = 0
        """When the newest was sent; as the nodes' clocks may differ, later than all that were taken before."""

    def take(self, sent: Sent, apply: Callable[[ListenerControl], None]) -> bool:
        """Apply what is new, and return whether it was: live messages, and older ones that are newer than all so far.

        Raises:
            MessageError: the message is malformed.
            ConfigError: `apply` refused it. In both cases it is as if it had not come.
        """
        known = 0 < sent.sent_ns == self.sent_ns  # 0: the middleware does not tell
        if known or (not sent.live and not self.sent_ns < sent.sent_ns < END_NS):
            return False
        control = control_value(sent.message)
        apply(control)
        self.control = merged(self.control, control)
        self.sent_ns = max(sent.sent_ns, self.sent_ns + 1)
        return True

    def message(self) -> Any:
        """As a message of `listener/control/latest`."""
        return fill_control(msg.ListenerControl(), self.control, self.sent_ns)


class ControlInbox:
    """Gives `taken` every control message of a listener until deactivation or `close`, some of them twice.

    Args:
        node: must call `look` every LOOK_S.
        taken: called in ROS' thread; its errors are reported as those of the topic.
        namespace: the listener's, as for `ReactdiffNode.subscribe`.
    """

    def __init__(self, node: ReactdiffNode, taken: Callable[[Sent], None], namespace: str = "") -> None:
        self._node, self._namespace = node, namespace
        self._topic = f"{namespace}/{CONTROL}" if namespace else CONTROL
        self._taken = taken
        self._live = node.subscribe(CONTROL, self._on_live, namespace=namespace, info=True)
        self._latest = node.poll(LATEST, depth=DEPTH, namespace=namespace)
        self._history: Polled | None = None
        self._latched: set[bytes] = set()
        self._found_ns = 0

    def look(self) -> None:
        """Take what was sent before this node listened."""
        for message, _ in self._latest.take():
            self._give(Sent(message, from_stamp(message.header.stamp), live=False))
        for message, info in self._history.take() if self._history is not None else ():
            self._give(Sent(message, info["source_timestamp"], live=False))
        latched, now_ns = self._latched_publishers(), self._node.steady_ns()
        if latched - self._latched:
            self._found_ns = now_ns
            if self._history is None:
                self._history = self._node.poll(CONTROL, depth=DEPTH, namespace=self._namespace, qos="latched")
        elif self._history is not None and now_ns - self._found_ns > HISTORY_NS:
            self._node.unsubscribe(self._history.entity)
            self._history = None
        self._latched = latched

    def close(self) -> None:
        """End the subscriptions before the deactivation."""
        polled = [self._latest] if self._history is None else [self._latest, self._history]
        for entity in (self._live, *(one.entity for one in polled)):
            self._node.unsubscribe(entity)

    def _on_live(self, message: Any, info: dict[str, Any]) -> None:
        self._taken(Sent(message, info["source_timestamp"], live=True))

    def _give(self, sent: Sent) -> None:
        try:
            self._taken(sent)
        except Exception as error:
            self._node.failed(error, self._topic)

    def _latched_publishers(self) -> set[bytes]:
        if not self._node.count_publishers(self._topic):  # which is cheaper, and the usual case
            return set()
        found = self._node.get_publishers_info_by_topic(self._topic)
        return {bytes(e.endpoint_gid) for e in found if e.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL}
