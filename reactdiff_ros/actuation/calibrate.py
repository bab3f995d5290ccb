"""How a calibration finds a joint's range, by hand or by pulses, lets it move: slowly, and alone; and what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.actuation.drivers.driver import Counts, Driver
from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.motion import Motion
from reactdiff_ros.actuation.robot.calibration import CalibrationError
from reactdiff_ros.actuation.robot.profile import Joint, Profile
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, LOWER, NAMES, UPPER

SMALLEST: Final = 0.5
"""A range that covers no more than this share of the profile's limits is refused;
a joint that was stopped at once covers half."""
WIDEST: Final = 0.95
"""A range of more than this share of a turn is none: the joint was turned round."""
MARGIN: Final = 0.01
"""Share of the range that stays free at either end, so that nothing is pressed against its stop."""
NEUTRAL_OUTSIDE: Final = 0.03
"""Neutral may stand outside of the ends by this share of the range: it may be an end itself."""


class Track:
    """Follows the counts of a joint that is moved by hand, also over the end of the counts.

    `value` goes on where the counts wrap; `lost` when two counts were too far apart to know which way it went.
    """

    def __init__(self, scale: Counts, count: int) -> None:
        self._scale, self._last = scale, count
        self.value, self.lost = count, False

    def see(self, count: int) -> None:
        """The next count."""
        counts, step = self._scale.counts, count - self._last
        if self._scale.degrees == 360.0:  # the count after the last is 0 again
            step = (step + counts // 2) % counts - counts // 2
        self.lost = self.lost or abs(step) > counts // 4
        self.value, self._last = self.value + step, count


@dataclass(frozen=True, slots=True)
class HandRange:
    """What follows from three poses: direction, how much all counts are to be shifted, and the range after that."""

    drive_mode: int
    shift: int
    range_min: int
    range_max: int


def range_by_hand(
    name: str, joint: Joint, scale: Counts, step: float, neutral: int, lower: int, upper: int
) -> HandRange:
    """Direction, shift and range of a joint on a bus.

    Args:
        name: the joint's, for the sentence.
        joint: its entry of the profile.
        scale: of its servo.
        step: one count, in the joint's unit.
        neutral: its count (`Track.value`) at its neutral.
        lower: at the end towards its lower limit.
        upper: at the other end.

    Raises:
        CalibrationError: the range is too small, too wide, reversed or wrapped.
    """
    way = upper - lower
    if abs(way) * step <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, abs(way) * step)
    if abs(way) > WIDEST * scale.counts:
        turn = abs(way) / scale.counts
        raise CalibrationError(f"its range is too wide: {turn:.2f} of all counts", where=name, todo="move it less far")
    sign = 1 if way > 0 else -1
    low, high = sorted((lower, upper))
    room = NEUTRAL_OUTSIDE * (high - low)
    if not low - room <= neutral <= high + room:
        text = f"its range is reversed: its neutral ({neutral}) is not between its ends ({lower} and {upper})"
        raise CalibrationError(text, where=name, todo="move it first to one end, then to the other")
    shift = scale.zero + sign * round(joint.neutral / step) - neutral
    margin = round(MARGIN * (high - low))
    low, high = low + shift + margin, high + shift - margin
    if low < 0 or high >= scale.counts:
        text = f"its range is wrapped: counts from {low} to {high}, and there are 0 to {scale.counts - 1}"
        raise CalibrationError(text, where=name, todo="turn the horn: neutral belongs into the middle of the servo")
    ends = sorted((sign * (low - scale.zero) * step, sign * (high - scale.zero) * step))
    covered = min(ends[1], joint.upper) - max(ends[0], joint.lower)
    if covered <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, max(covered, 0.0))
    return HandRange(0 if sign > 0 else 1, shift, low, high)


def range_by_pulses(
    name: str, lower: float, upper: float, wanted: tuple[float, float], bounds: tuple[float, float]
) -> tuple[int, int]:
    """The range of a hobby servo from the pulses at which it was stopped, or that its limits ask for.

    Args:
        name: the joint's, for the sentence.
        lower: where it was stopped on the way to its lower limit, in us (Ohbot: counts).
        upper: on the way to the other.
        wanted: the pulses of the limits themselves.
        bounds: what such servos take.

    Raises:
        CalibrationError: the range is too small, too wide or reversed.
    """
    way, whole = upper - lower, wanted[1] - wanted[0]
    if way * whole < 0:
        raise CalibrationError(f"its range is reversed: {lower:.0f} to {upper:.0f}", where=name, todo="do it again")
    if abs(way) <= SMALLEST * abs(whole):
        text = f"its range is too small: {abs(way):.0f} of {abs(whole):.0f} that its limits ask for"
        raise CalibrationError(text, where=name, todo="turn its horn, or give it other limits in the profile")
    low, high = sorted((lower, upper))
    if low < bounds[0] or high > bounds[1]:
        text = f"its range is too wide: {low:.0f} to {high:.0f}"
        raise CalibrationError(text, where=name, todo=f"such servos take {bounds[0]:.0f} to {bounds[1]:.0f}")
    return math.floor(low), math.ceil(high)


def _refuse_small(name: str, joint: Joint, covered: float) -> None:
    text = f"its range is too small: {covered:.4g} of the {joint.upper - joint.lower:.4g} {joint.unit} of its limits"
    raise CalibrationError(text, where=name, todo="move it to both ends, or give it other limits in the profile")


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


POSE: Final = {
    ("headPitch", 1): "the face looks down",
    ("headPitch", -1): "the face looks up",
    ("headYaw", 1): "the head turns to its own left",
    ("headYaw", -1): "the head turns to its own right",
    ("headRoll", 1): "the head tilts to its own right",
    ("headRoll", -1): "the head tilts to its own left",
    ("headX", 1): "the head goes to its own left",
    ("headX", -1): "the head goes to its own right",
    ("headY", 1): "the head goes up",
    ("headY", -1): "the head goes down",
    ("headZ", 1): "the head goes forward",
    ("headZ", -1): "the head goes back",
}
FACE: Final = {
    "eyeLookOutLeft": "the eye looks to its own left",
    "eyeLookInRight": "the eye looks to its own left",
    "eyeLookInLeft": "the eye looks to its own right",
    "eyeLookOutRight": "the eye looks to its own right",
    "eyeLookUp": "the eye looks up",
    "eyeLookDown": "the eye looks down",
    "eyeBlink": "the lid closes",
    "eyeWide": "the lid opens wide",
    "browInnerUp": "the brow rises",
    "browOuterUp": "the brow rises",
    "browDown": "the brow is lowered",
    "jawOpen": "the mouth opens",
    "mouthClose": "the mouth closes",
    "mouthSmile": "the mouth smiles",
    "mouthFrown": "the corners of the mouth go down",
    "mouthUpperUp": "the upper lip rises",
    "mouthLowerDown": "the lower lip goes down",
}
LEAST: Final = 0.02
"""A way of less than this share of the range shows no direction."""


def directions(profile: Profile) -> dict[str, tuple[str, str]]:
    """For every joint: what is seen when it goes towards its lower, and towards its upper limit.

    The coefficient that moves it furthest that way names it; empty: none moves it that way.
    """
    signs = np.concatenate([np.ones(COEFFICIENT_COUNT), -np.ones(COEFFICIENT_COUNT - BLENDSHAPE_COUNT)])
    numbers = np.concatenate([np.arange(COEFFICIENT_COUNT), np.arange(BLENDSHAPE_COUNT, COEFFICIENT_COUNT)])
    frames = np.zeros((len(signs), COEFFICIENT_COUNT))
    frames[np.arange(len(signs)), numbers] = np.where(signs > 0, UPPER[numbers], LOWER[numbers])
    moved = Mapping(profile).wanted(frames) - np.array([j.neutral for j in profile.joints.values()])
    found = {}
    for i, (name, joint) in enumerate(profile.joints.items()):
        least = LEAST * (joint.upper - joint.lower)
        down, up = int(np.argmin(moved[:, i])), int(np.argmax(moved[:, i]))
        lower = _words(numbers[down], signs[down]) if moved[down, i] < -least else ""
        upper = _words(numbers[up], signs[up]) if moved[up, i] > least else ""
        found[name] = (lower, upper)
    return found


def _words(number: int, sign: float) -> str:
    name = NAMES[number]
    known = POSE.get((name, int(sign))) or FACE.get(name) or FACE.get(name.removesuffix("Left").removesuffix("Right"))
    return known or f"it moves as for {name}"
