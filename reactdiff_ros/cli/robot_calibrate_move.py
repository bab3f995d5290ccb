"""One joint, moved slowly: the only way in which a calibration lets a servo move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.actuation.calibration import CalibrationError
from reactdiff_ros.actuation.drivers.driver import Driver
from reactdiff_ros.actuation.motion import Motion
from reactdiff_ros.actuation.profile import Profile

SLOW: Final = 0.1
"""Share of the speed limits."""
AWAY: Final = 0.15
"""A joint that is this share of its range away from where it was told to be does not follow."""
AWAY_S: Final = 0.5
"""For so long."""
THERE: Final = 1e-4
"""This close, as a share of the range, is there."""


@dataclass(frozen=True, slots=True)
class Time:
    """The clock of a calibration, s, and how it waits."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


class SlowJoint:
    """Moves one joint at a tenth of its speed limit; all others have no torque.

    Args:
        profile: the robot.
        name: the joint.
        driver: open, with the joint's provisional calibration.
        time: to keep the profile's rate.
        check: called at every tick; raises to stop.
    """

    def __init__(self, profile: Profile, name: str, driver: Driver, time: Time, check: Callable[[], None]) -> None:
        self._joint = profile.joints[name]
        self.name, self._driver, self._time, self._check = name, driver, time, check
        self._index = list(profile.joints).index(name)
        self._motion = Motion(profile)
        self._span = self._joint.upper - self._joint.lower
        self._away_since: float | None = None
        self._seen_s = self._due = 0.0
        self.on = False

    @property
    def position(self) -> float:
        """The last command."""
        return self._motion.position[self._index]

    def start(self, position: float) -> None:
        """Torque or pulses on: at `position`, which for a joint on a bus is where it stands.

        Raises:
            CalibrationError: it cannot be armed; the sentence says why.
        """
        self._place(position)
        fault = self._driver.arm(self.name, position)
        if fault is not None:
            raise CalibrationError(f"it cannot be moved: {fault}", where=self.name)
        self.on = True
        self._due = self._time.now()

    def move(self, target: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Slowly to `target`, until it is measured there too; `until` stops it on the way. Whether it got there.

        Raises:
            CalibrationError: it does not follow, or has a fault.
        """
        self._motion.pace(SLOW)
        goal = min(max(target, self._joint.lower), self._joint.upper)
        stopped = False
        while not (self._motion.finished and abs(self.position - goal) <= THERE * self._span):
            if not stopped and until():
                stopped = True
                goal = min(max(self._motion.stops()[self._index].end, self._joint.lower), self._joint.upper)
            self._tick(goal)
        told_s = self._time.now()
        while self._driver.feedback and (self._seen_s < told_s or self._away_since is not None):
            self._tick(goal)
        return not stopped

    def hold(self) -> None:
        """Stay for one tick."""
        self._tick(self.position)

    def settle(self) -> str:
        """Leave it as its `on_fault` says: hold, release, or lower and release. In words."""
        if not self.on:
            self._driver.release(self.name)
            return "it has no torque"
        lowered = self._joint.lowered
        if lowered is not None:
            self.move(lowered)
        if self._joint.on_fault == "hold":
            self.move(self._motion.stops()[self._index].end)
            self._driver.stop()
            return "it holds where it is: switch its power off to let it go"
        self._driver.release(self.name)
        self.on = False
        return "it has no torque"

    def release(self) -> None:
        """No torque; a joint that would fall is lowered first."""
        if self.on and self._joint.lowered is not None:
            self.move(self._joint.lowered)
        self._driver.release(self.name)
        self.on = False

    def halt(self) -> None:
        """Hold, and command no more."""
        self._driver.stop()

    def _place(self, position: float) -> None:
        places = list(self._motion.position)
        places[self._index] = min(max(position, self._joint.lower), self._joint.upper)
        self._motion.place(places)

    def _tick(self, goal: float) -> None:
        targets = list(self._motion.position)
        targets[self._index] = goal
        self._motion.step(targets)
        self._driver.poll(0.25 * self._motion.dt_s)
        fault = self._driver.faults().get(self.name)
        if fault is not None or self.name not in self._driver.armed:
            raise CalibrationError(f"it stopped: {fault or 'it lost its torque'}", where=self.name)
        self._driver.command({self.name: self.position})
        self._follows()
        self._check()
        # A late tick is not made up for.
        self._due = max(self._due + self._motion.dt_s, self._time.now())
        self._time.sleep(max(self._due - self._time.now(), 0.0))

    def _follows(self) -> None:
        reading = self._driver.reading(self.name)
        if reading is None or reading.position is None or reading.time_s == self._seen_s:
            return
        now = self._seen_s = reading.time_s
        if abs(reading.position - self.position) <= AWAY * self._span:
            self._away_since = None
            return
        self._away_since = now if self._away_since is None else self._away_since
        if now - self._away_since >= AWAY_S:
            text = f"it does not follow: it is at {reading.position:.4g}, and was told {self.position:.4g}"
            todo = "is something in its way, or its horn on the wrong tooth?"
            raise CalibrationError(text, where=self.name, todo=todo)
