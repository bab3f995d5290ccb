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
"""Share of the speed limits at which a joint moves."""
AWAY: Final = 0.15
AWAY_S: Final = 0.5
"""A joint does not follow if it is this share of its range away from its command for this long."""
THERE: Final = 1e-4
"""A joint is at its goal within this share of its range."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of a calibration, s, and how it waits."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


class SlowJoint:
    """Moves one joint at a tenth of its speed limit.

    Args:
        profile: the robot.
        name: the joint; all others have no torque.
        driver: open, with the joint's provisional calibration.
        clock: to keep the profile's rate.
        check: called at every tick; raises to stop.
    """

    def __init__(self, profile: Profile, name: str, driver: Driver, clock: Clock, check: Callable[[], None]) -> None:
        self._joint = profile.joints[name]
        self.name, self._driver, self._clock, self._check = name, driver, clock, check
        self._index = list(profile.joints).index(name)
        self._motion = Motion(profile)
        self._span = self._joint.upper - self._joint.lower
        self._away_since: float | None = None
        self._read_s = self._due = 0.0
        self.on = False

    @property
    def position(self) -> float:
        """The last command."""
        return self._motion.position[self._index]

    def start(self, position: float) -> None:
        """Switch torque or pulses on at `position`, which for a joint on a bus is its present position.

        Raises:
            CalibrationError: it cannot be armed.
        """
        places = list(self._motion.position)
        places[self._index] = self._within(position)
        self._motion.place(places)
        fault = self._driver.arm(self.name, position)
        if fault is not None:
            raise CalibrationError(f"it cannot be moved: {fault}", where=self.name)
        self.on = True
        self._due = self._clock.now()

    def move(self, target: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Move to `target` and wait until the joint is measured there; whether it arrived. `until` stops it early.

        Raises:
            CalibrationError: it does not follow, or has a fault.
        """
        self._motion.pace(SLOW)
        goal = self._within(target)
        stopped = False
        while not (self._motion.finished and abs(self.position - goal) <= THERE * self._span):
            if not stopped and until():
                stopped = True
                goal = self._within(self._motion.stops()[self._index].end)
            self._tick(goal)
        commanded_s = self._clock.now()
        while self._driver.feedback and (self._read_s < commanded_s or self._away_since is not None):
            self._tick(goal)
        return not stopped

    def hold(self) -> None:
        """Stay for one tick."""
        self._tick(self.position)

    def settle(self) -> str:
        """Hold, release, or lower and release, as the joint's `on_fault` requires; a sentence that says which."""
        if not self.on or self._joint.on_fault != "hold":
            self.release()
            return "it has no torque"
        self.move(self._motion.stops()[self._index].end)
        self._driver.stop()
        return "it holds where it is: switch its power off to release it"

    def release(self) -> None:
        """Switch torque off; a joint that would fall is lowered first."""
        if self.on and self._joint.lowered is not None:
            self.move(self._joint.lowered)
        self._driver.release(self.name)
        self.on = False

    def halt(self) -> None:
        """Hold without further commands."""
        self._driver.stop()

    def _within(self, position: float) -> float:
        return min(max(position, self._joint.lower), self._joint.upper)

    def _tick(self, goal: float) -> None:
        targets = list(self._motion.position)
        targets[self._index] = goal
        self._motion.step(targets)
        self._driver.poll(0.25 * self._motion.dt_s)
        fault = self._driver.faults().get(self.name)
        if fault is not None or self.name not in self._driver.armed:
            raise CalibrationError(f"it stopped: {fault or 'it lost its torque'}", where=self.name)
        self._driver.command({self.name: self.position})
        self._check_that_it_follows()
        self._check()
        # A late tick is not made up for.
        self._due = max(self._due + self._motion.dt_s, self._clock.now())
        self._clock.sleep(max(self._due - self._clock.now(), 0.0))

    def _check_that_it_follows(self) -> None:
        reading = self._driver.reading(self.name)
        if reading is None or reading.position is None or reading.time_s == self._read_s:
            return
        now = self._read_s = reading.time_s
        if abs(reading.position - self.position) <= AWAY * self._span:
            self._away_since = None
            return
        self._away_since = now if self._away_since is None else self._away_since
        if now - self._away_since >= AWAY_S:
            text = f"it does not follow: its position is {reading.position:.4g}, the command {self.position:.4g}"
            todo = "check for an obstacle, and that its horn is on the right tooth"
            raise CalibrationError(text, where=self.name, todo=todo)
