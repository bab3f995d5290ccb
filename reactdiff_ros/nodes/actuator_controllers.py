"""The topics of controllers of ros2_control: JointTrajectory out, JointState in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reactdiff_ros.nodes.base import Worker, interface

if TYPE_CHECKING:
    from reactdiff_ros.actuation.drivers.joint_trajectory import TrajectoryDriver

    from .actuator_node import ActuatorNode

PERIODS = 2.0
"""A controller is given so many periods to reach a point, so that the next one comes before it is there."""


class Controllers:
    """Carries commands from the bus' thread to the topics, by a thread of its own: DDS may make it wait."""

    def __init__(self, node: ActuatorNode) -> None:
        self._node = node
        self._drivers: dict[str, TrajectoryDriver] = {}
        self._publishers: dict[str, Any] = {}
        self._worker: Worker | None = None

    def send(self, driver: str, names: list[str], positions: list[float]) -> None:
        """Publish soon; of commands that wait the newest wins. Never waits."""
        if self._worker is not None:
            self._worker.put(driver, (names, positions))

    def start(self, drivers: dict[str, TrajectoryDriver], rate_hz: float) -> None:
        """Make the topics. Raises ImportError where trajectory_msgs is missing."""
        if not drivers:
            return
        self._drivers = drivers
        self._trajectory = interface("trajectory_msgs/msg/JointTrajectory", "msg")
        self._point = interface("trajectory_msgs/msg/JointTrajectoryPoint", "msg")
        self._duration = interface("builtin_interfaces/msg/Duration", "msg")
        self._nanoseconds = int(1e9 * PERIODS / rate_hz)
        qos = self._node.qos["reliable"]
        for name, driver in drivers.items():
            self._publishers[name] = self._node.create_publisher(self._trajectory, driver.topic, qos)
        for topic in dict.fromkeys(driver.states_topic for driver in drivers.values()):
            self._node.follow(interface("sensor_msgs/msg/JointState", "msg"), topic, self._on_states(topic))
        self._worker = self._node.work(
            Worker("trajectories", self._publish, dict.fromkeys(drivers, 1), self._node.failed)
        )

    def stop(self) -> None:
        """Remove the publishers; the rest goes with the node's deactivation."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def count_listeners(self) -> None:
        """Tell the drivers whether a controller is there."""
        for name, driver in self._drivers.items():
            publisher = self._publishers.get(name)
            driver.listeners = 0 if publisher is None else publisher.get_subscription_count()

    def _on_states(self, topic: str) -> Any:
        def heard(message: Any) -> None:
            for driver in self._drivers.values():
                if driver.states_topic == topic:
                    driver.heard(message.name, message.position, time.monotonic())

        return heard

    def _publish(self, driver: str, command: tuple[list[str], list[float]]) -> None:
        names, positions = command
        seconds, nanoseconds = divmod(self._nanoseconds, 1_000_000_000)
        point = self._point(positions=positions, time_from_start=self._duration(sec=seconds, nanosec=nanoseconds))
        # A stamp of zero: begin at once.
        self._node.publish(self._publishers[driver], self._trajectory(joint_names=names, points=[point]))
