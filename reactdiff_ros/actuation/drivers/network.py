"""What the drivers of robots with a computer of their own share: one line to it, joints by name."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reactdiff_ros.actuation.drivers.axes import Axis
from reactdiff_ros.actuation.drivers.driver import Clock, Driver, Fault, Reading
from reactdiff_ros.actuation.drivers.link import CONNECT_S, Link
from reactdiff_ros.actuation.drivers.locks import DeviceLock
from reactdiff_ros.actuation.kinematics import SHORTEST
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.errors import DeviceError


class NetworkRobot(ABC):
    """See `driver.Driver`. Joints have names on the robot in place of ids; no calibration: the robot has its own.

    `open` waits for up to `CONNECT_S`, the first `arm` and the last `release` for up to 2 s, everything else for
    nothing. A line that is lost is made again by itself; the joints then have to be armed again.

    Args:
        title: of the robot, for sentences.
        address: host and port, for sentences and for the lock.
        axes: the joints on it.
        names: their names on the robot.
        clock: seconds of a clock that only goes forward.
        lock_folder: for the lock file: one program a robot.
        least_s: the least time between two commands, s.
    """

    watchdog_s: float | None = None

    def __init__(
        self,
        title: str,
        address: tuple[str, int],
        axes: Mapping[str, Axis],
        names: Mapping[str, str],
        clock: Clock,
        lock_folder: Path | None = None,
        least_s: float = 0.0,
    ) -> None:
        self._least_s = least_s
        self.axes: Mapping[str, Axis] = dict(axes)
        self._title, self._address, self._names = title, address, dict(names)
        self._clock, self._folder = clock, lock_folder
        self._lock: DeviceLock | None = None
        self._link: Link | None = None
        self._armed: set[str] = set()
        self._holding: set[str] = set(axes)
        """Joints to release before torque, which is of all at once, goes off: armed, stopped, or let go without an
        answer; all of them until one was armed."""
        self._others = True
        """Whether what may have torque has it from another program, or from a process before this one."""
        self._faults: dict[str, Fault] = {}
        self._told: dict[str, float] = {}
        """Newest position of each joint that was sent."""
        self._lost = 0
        """How often the line had been lost when it was last looked at."""

    # What each robot does in its own way.

    @property
    @abstractmethod
    def feedback(self) -> bool:
        """Whether positions are measured."""

    @abstractmethod
    def _connect(self) -> Link:
        """A line to it, not waited for."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether the line is there and the robot has let us in."""

    @abstractmethod
    def _send(self, link: Link) -> None:
        """Send what is in `_told`; never waits."""

    @abstractmethod
    def _trouble(self) -> Fault | None:
        """What is wrong with the whole robot while the line is there."""

    @abstractmethod
    def _torque(self, link: Link, on: bool) -> str:
        """Let it take commands or not; empty, or why that did not work. May wait for a second."""

    # The interface.

    def open(self) -> None:
        """Connect; see `Driver.open`."""
        host, port = self._address
        if self._link is not None:
            return
        self._lock = DeviceLock(f"/dev/{self._title.replace(' ', '_').lower()}-{host}-{port}", self._folder)
        self._link, self._lost = self._connect(), 0
        if not self._link.wait(CONNECT_S, self._ready):
            reason = self._refusal() or self._link.trouble or "it does not answer in time"
            self.close()
            raise DeviceError(f"{self._title} cannot be reached, {reason}", where=f"{host}:{port}", todo=self._todo())

    def close(self) -> None:
        """Give the line back; joints stay as they are. Twice is fine."""
        self._armed.clear()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def check(self) -> dict[str, Fault]:
        """Whether the line is there and the robot is well."""
        self._look()
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Look at the line; measurements come by themselves."""
        self._look()

    def reading(self, joint: str) -> Reading | None:
        """Nothing is measured, unless a robot says otherwise."""
        return None

    def holding(self, joint: str) -> bool | None:
        """For a robot that does not report it: False once all joints were let go, True for armed ones, else None."""
        return (True if joint in self._armed else None) if self._holding else False

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""
        return dict(self._faults)

    @property
    def armed(self) -> frozenset[str]:
        """Joints that take commands."""
        return frozenset(self._armed)

    def arm(self, joint: str, position: float) -> Fault | None:
        """Let a joint take commands, from where it is measured, else from `position`. May wait for 2 s."""
        self._look()
        link = self._link
        if joint in self._faults or link is None:
            return self._faults.get(joint) or self._gone()
        measured = self.reading(joint)
        start = measured.position if measured is not None and measured.position is not None else position
        if self.feedback and measured is None:
            return Fault("sensor", f"{self._title} does not say where it is")
        if not math.isfinite(start):
            return Fault("refused", "nobody knows where it is")
        self._told[joint] = self.axes[joint].clamped(start)
        if self._others:
            self._others, self._holding = False, set()
        self._holding.add(joint)  # it may get torque although the answer says otherwise, or does not come
        if not self._armed:
            self._told |= self._measured()
            self._send(link)
            refused = self._torque(link, True)
            if refused:
                return Fault("refused", f"{self._title} does not take commands, {refused}")
        self._armed.add(joint)
        return None

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions of armed joints; the newest wins when the line is slow."""
        found = {j: self.axes[j].clamped(p) for j, p in positions.items() if j in self._armed and math.isfinite(p)}
        if not found or self._link is None:
            return
        if not self._ready() or self._link.lost != self._lost:
            self._look()
            return
        self._told.update(found)
        self._send(self._link)

    def release(self, joint: str) -> None:
        """No more commands; when the last joint is released, torque goes off for all, which may take 2 s.

        Where that does not work the joints have a fault, and it is tried again when the joint is released again.
        """
        self._armed.discard(joint)
        if not self._holding and self.holding(joint) is not False:
            self._others, self._holding = True, set(self.axes)
        if self._holding == {joint}:
            fault = self._let_go()
            if fault is not None:
                self._faults = dict.fromkeys(self.axes, fault)
                return
        self._holding.discard(joint)

    def stop(self) -> None:
        """Hold: the robot stays where it was told to be last; nothing is sent until armed again."""
        self._armed.clear()

    # Inside.

    def _let_go(self) -> Fault | None:
        link = self._link
        if link is None or not self._ready():
            return self._gone()
        refused = self._torque(link, False)
        return Fault("refused", f"{self._title} does not let go, {refused}") if refused else None

    def _measured(self) -> dict[str, float]:
        """Where the joints are, as far as it is known."""
        readings = {joint: self.reading(joint) for joint in self.axes}
        return {j: r.position for j, r in readings.items() if r is not None and r.position is not None}

    def _refusal(self) -> str:
        """Why the robot did not let us in."""
        return ""

    def _todo(self) -> str:
        return "see whether it is on, and check host and port"

    def _gone(self) -> Fault:
        trouble = self._link.trouble if self._link is not None else ""
        return Fault("gone", f"{self._title} is gone{f', {trouble}' if trouble else ''}: is it on, and in the network?")

    def _look(self) -> None:
        # A line that was lost and is there again since the last look may be of a robot that has restarted.
        before, self._lost = self._lost, self._link.lost if self._link is not None else 0
        went = bool(self._armed) and self._lost != before
        fault = self._trouble() if self._link is not None and self._ready() and not went else self._gone()
        if fault is None:
            self._faults = {}
            return
        self._faults = dict.fromkeys(self.axes, fault)
        self._armed.clear()


def named_axes(profile: Profile, driver: str) -> tuple[dict[str, Axis], dict[str, str]]:
    """The joints of `profile` on a driver whose ids are names: axes numbered in the profile's order, and the names."""
    axes: dict[str, Axis] = {}
    names: dict[str, str] = {}
    for joint, spec in profile.joints.items():
        if spec.output.driver == driver:
            axes[joint] = Axis(joint, len(axes), spec.unit, spec.lower, spec.upper)
            names[joint] = str(spec.output.id)
    return axes, names


def make_network_drivers(profile: Profile, clock: Clock, **options: Any) -> dict[str, Driver]:
    """The profile's drivers of robots with a computer of their own (reachy_mini, furhat), by their names, not yet open.

    Args:
        profile: the robot.
        clock: seconds of a clock that only goes forward.
        options: `lock_folder`, for all. Furhat's key is read from the environment variable REACTDIFF_FURHAT_KEY.
    """
    from reactdiff_ros.actuation.driver_settings import FurhatDriver, ReachyMiniDriver
    from reactdiff_ros.actuation.drivers.furhat import FurhatRobot
    from reactdiff_ros.actuation.drivers.reachy_mini import ReachyMini

    made: dict[str, Driver] = {}
    options = {"least_s": SHORTEST / profile.rate_hz, **options}
    for name, config in profile.drivers.items():
        axes, names = named_axes(profile, name)
        if isinstance(config, ReachyMiniDriver):
            made[name] = ReachyMini(config, axes, names, clock, **options)
        elif isinstance(config, FurhatDriver):
            key = os.environ.get("REACTDIFF_FURHAT_KEY", "")
            made[name] = FurhatRobot(config, axes, names, clock, key=key, **options)
    return made
