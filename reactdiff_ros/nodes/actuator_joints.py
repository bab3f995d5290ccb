"""The commands as sensor_msgs/JointState, for RViz and simulators, while somebody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactdiff_ros.robots.actuation_status import Status

from . import convert
from .interfaces import interface
from .worker import Worker

if TYPE_CHECKING:
    from .actuator_node import ActuatorNode


class JointStates:
    """Publishes by a thread of its own: the one that ticks does not wait for DDS.

    Args:
        node: the actuator.
        publisher: of JointState.
        names: the profile's joints.
    """

    def __init__(self, node: ActuatorNode, publisher: Any, names: tuple[str, ...]) -> None:
        self._node, self._publisher, self._names = node, publisher, list(names)
        self._message = interface("sensor_msgs/msg/JointState", "msg")
        self._worker: Worker | None = None
        self._heard = False

    def start(self) -> None:
        """Begin; it ends with the node's deactivation."""
        self._worker = self._node.work(Worker("joints", self._publish, {"status": 1}, self._node.failed))

    def count_listeners(self) -> None:
        """Look whether anybody listens."""
        self._heard = self._publisher.get_subscription_count() > 0

    def send(self, status: Status) -> None:
        """Publish soon; the newest wins. Never waits."""
        if self._heard and self._worker is not None:
            self._worker.put("status", (self._node.now_ns(), status))

    def _publish(self, _kind: str, item: tuple[int, Status]) -> None:
        stamp_ns, status = item
        commands = status.commands
        message = self._message(
            header=convert.header(stamp_ns), name=self._names, position=commands.position, velocity=commands.velocity
        )
        self._node.publish(self._publisher, message)
