"""The commands as sensor_msgs/JointState in rad and m (REP-103), for RViz and simulators, while somebody listens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from std_msgs.msg import Header

from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.actuation.status import Status
from reactdiff_ros.messages import fill_header
from reactdiff_ros.nodes.base import Worker, interface

if TYPE_CHECKING:
    from .actuator_node import ActuatorNode

TO_SI: Final = {"rad": 1.0, "m": 1.0, "deg": math.pi / 180.0}
"""What a joint's unit is in rad or m. Pulses, counts and shares have no angle that a profile states."""


class JointStates:
    """Publishes by a thread of its own: the one that ticks does not wait for DDS.

    Args:
        node: the actuator.
        publisher: of JointState.
        profile: its joints in rad, m or degrees are published, the others are left out.
    """

    def __init__(self, node: ActuatorNode, publisher: Any, profile: Profile) -> None:
        self._node, self._publisher = node, publisher
        joints = enumerate(profile.joints.items())
        self._joints = [(name, i, TO_SI[joint.unit]) for i, (name, joint) in joints if joint.unit in TO_SI]
        self._message = interface("sensor_msgs/msg/JointState", "msg")
        self._worker: Worker | None = None
        self._heard = False

    def start(self) -> None:
        """Begin; it ends with the node's deactivation."""
        self._worker = self._node.work(Worker("joints", self._publish, {"status": 1}, self._node.failed))

    def count_listeners(self) -> None:
        """Look whether anybody listens."""
        self._heard = bool(self._joints) and self._publisher.get_subscription_count() > 0

    def send(self, status: Status) -> None:
        """Publish soon; the newest wins. Never waits."""
        if self._heard and self._worker is not None:
            self._worker.put("status", (self._node.now_ns(), status))

    def _publish(self, _kind: str, item: tuple[int, Status]) -> None:
        stamp_ns, status = item
        commands = status.commands
        message = self._message(
            header=fill_header(Header(), stamp_ns),
            name=[name for name, _, _ in self._joints],
            position=[si * commands.position[i] for _, i, si in self._joints],
            velocity=[si * commands.velocity[i] for _, i, si in self._joints],
        )
        self._node.publish(self._publisher, message)
