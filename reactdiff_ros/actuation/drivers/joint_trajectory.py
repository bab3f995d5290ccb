"""A controller of ros2_control as a driver: JointTrajectory out, JointState in. The topics are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Driver, Fault, Reading
from reactdiff_ros.actuation.robot.profile import JointTrajectoryDriver

SILENT_S = 0.5
"""Joint states are missed after this time."""

Send = Callable[[list[str], list[float]], None]
"""Names on the robot and positions; never waits."""


class TrajectoryDriver(Driver):
    """See `driver.Driver`. A controller keeps its torque; while nothing is armed it gets no commands.

    A command names all joints, for a JointTrajectoryController refuses one that lacks some (its parameter
    allow_partial_joints_goal is false by default): a joint that is not armed stays at its last command, or
    where it was measured when the first of the others got one, also where that is a little beyond an end.

    Args:
        config: of the profile.
        axes: the joints on it.
        clock: steady, s.
        send: what takes the commands.
        resolve: the whole name of a topic.
    """

    feedback = True

    def __init__(
        self,
        config: JointTrajectoryDriver,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        send: Send,
        resolve: Callable[[str], str] = str,
    ) -> None:
        super().__init__(axes, clock)
        self.topic = resolve(f"{config.controller}/joint_trajectory")
        self.states_topic = resolve(config.joint_states)
        self._send = send
        self._joint_of = {axis.name: joint for joint, axis in self.axes.items()}
        self._readings: dict[str, Reading] = {}
        self._goal: dict[str, float] = {}
        """The last command of each joint; empty while nothing is armed."""
        self.listeners = 0
        """Who listens to the commands; the node counts."""

    def heard(self, names: Sequence[str], positions: Sequence[float], now_s: float) -> None:
        """A JointState; joints of others and numbers that are none are left out. From any thread."""
        for name, position in zip(names, positions, strict=False):
            joint = self._joint_of.get(name)
            if joint is not None and math.isfinite(position):
                self._readings[joint] = Reading(now_s, float(position))

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """No more commands."""
        self._disarm(self._armed)

    def check(self) -> dict[str, Fault]:
        """As `faults`."""
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Measurements come by themselves."""
        self._disarm(self.faults().keys())

    def reading(self, joint: str) -> Reading | None:
        """The newest measurement that is not old."""
        found = self._readings.get(joint)
        return found if found is not None and self._clock() - found.time_s <= SILENT_S else None

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""
        if not self.listeners:
            text = f"{self.topic} has no subscriber: is the controller active?"
            return dict.fromkeys(self.axes, Fault("gone", text))
        text = f"{self.states_topic} does not report its position: is the joint_state_broadcaster active?"
        return {joint: Fault("no_answer", text) for joint in self.axes if self.reading(joint) is None}

    def holding(self, joint: str) -> bool | None:
        """Unknown: torque is the controller's, which neither reports it nor can be asked to release it."""
        return None

    def arm(self, joint: str, position: float) -> Fault | None:
        """Let a joint take commands, from where it is measured; nothing is sent yet."""
        fault, measured = self.faults().get(joint), self.reading(joint)
        if fault is None and measured is not None and measured.position is not None:
            fault = self._begin_at(joint, measured.position)
        if fault is None:
            self._armed.add(joint)
        return fault

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions of armed joints; the others stay where they are."""
        mine = {j: self._clamped(j, p) for j, p in self._accepted(positions).items()}
        if not mine:
            return
        for joint in self.axes.keys() - self._goal.keys() - mine.keys():
            found = self.reading(joint)
            position = None if found is None else found.position
            if position is not None and self._begin_at(joint, position) is None:
                self._goal[joint] = position
        self._goal |= mine
        goal = {self.axes[j].name: self._goal[j] for j in self.axes if j in self._goal}
        self._send(list(goal), list(goal.values()))

    def release(self, joint: str) -> None:
        """No more commands: the controller holds."""
        self._disarm({joint})

    def stop(self) -> None:
        """Hold."""
        self._disarm(self._armed)

    def _disarm(self, joints: Set[str]) -> None:
        self._armed = self._armed - joints
        if not self._armed:
            self._goal.clear()  # others may move them until the next command
