"""Calibrating one joint with its operator: by hand and then slowly by itself on a bus, by pulses on a board."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from reactdiff_ros.actuation.calibration import (
    Calibration,
    CalibrationError,
    HandRange,
    Scale,
    Track,
    range_by_hand,
    range_by_pulses,
)
from reactdiff_ros.actuation.drivers.driver import Fault
from reactdiff_ros.actuation.drivers.ohbot import COUNTS, OhbotBoard
from reactdiff_ros.actuation.drivers.pulse_board import PulseBoard
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.profile import SERVO_PULSE_US, Profile
from reactdiff_ros.cli.robot_calibrate_console import Console
from reactdiff_ros.cli.robot_calibrate_move import SlowJoint, Time

T = TypeVar("T")
MISSES: Final = 50
"""So many questions in a row without an answer end a pose."""
LOOK_S: Final = 0.01
SHIFTS: Final = 0.2
"""The neutral of a hobby servo is shifted by this share of its range at most."""
NUDGE: Final = 0.2
"""So much of the way to a limit shows the direction."""
SAME: Final = 0.01
"""A joint stands as it should to this share of the counts."""


@dataclass
class Bench:
    """What calibrating needs: the robot, its operator, the time, and what has to be undone when it is stopped."""

    profile: Profile
    words: dict[str, tuple[str, str]]
    """For every joint, what is seen when it goes to its lower and its upper limit."""
    console: Console
    time: Time
    moving: SlowJoint | None = None
    """The joint that may move."""
    homed: list[tuple[ServoBus, str, int]] = field(default_factory=list)
    """Homing offsets as they were before they were written: driver, joint, offset."""
    holding: set[str] = field(default_factory=set)
    """Joints that were left holding."""

    def slow(self, name: str, driver: ServoBus | PulseBoard) -> SlowJoint:
        """The joint, to be moved; it is settled when the calibration is stopped."""
        self.holding.discard(name)
        self.moving = SlowJoint(self.profile, name, driver, self.time, self.console.check)
        return self.moving

    def done(self) -> None:
        """The joint that moves is let go."""
        if self.moving is not None:
            self.moving.release()
            self.moving = None


def bus_scale(driver: ServoBus, name: str) -> Scale:
    """The scale of a joint's servo, in the joint's unit."""
    counts, unit = driver.scale(name), driver.axes[name].unit
    step = counts.degrees / counts.counts
    return Scale(counts.counts, counts.zero, math.radians(step) if unit == "rad" else step, counts.degrees == 360.0)


def calibrate_on_bus(bench: Bench, name: str, driver: ServoBus) -> Calibration:
    """A joint that measures itself: three poses by hand, then slowly through its limits by itself.

    Raises:
        CalibrationError: refused; the joint may still have torque (`Bench.moving`).
        StoppedError: the operator wants no more.
    """
    bench.console.ask("  it is let go now: hold what would fall, then Enter", "")
    driver.recalibrate(name, None)
    found = _poses(bench, name, driver)
    offset = _must(driver.homing(name), name)
    new = _offset(driver, name, offset, found.shift)
    if new == offset and found.shift:
        found = replace(found, range_min=found.range_min - found.shift, range_max=found.range_max - found.shift)
    calibration = Calibration(driver.axes[name].id, found.drive_mode, new, found.range_min, found.range_max)
    turned = ", it turns the other way" if found.drive_mode else ""
    bench.console.show(f"  range {found.range_min} to {found.range_max}, homing offset {new} (was {offset}){turned}")
    if new != offset:
        _write_homing(bench, name, driver, offset, new)
    driver.recalibrate(name, calibration)
    _sweep(bench, name, driver)
    return calibration


def _poses(bench: Bench, name: str, driver: ServoBus) -> HandRange:
    console, joint, (down, up) = bench.console, bench.profile.joints[name], bench.words[name]
    scale = bus_scale(driver, name)
    track = Track(scale, _must(driver.count(name), name))
    misses = 0

    def look() -> None:
        nonlocal misses
        count = driver.count(name)
        misses = misses + 1 if isinstance(count, Fault) else 0
        if not isinstance(count, Fault):
            track.see(count)
        elif misses > MISSES:
            raise CalibrationError(str(count), where=name)
        bench.time.sleep(LOOK_S)

    def pose(where: str) -> int:
        console.ask(f"  bring it by hand to {where}, then Enter", "", while_waiting=look)
        look()
        if track.lost:
            text = "its counts are wrapped, or it was moved too fast to be followed"
            raise CalibrationError(text, where=name, todo="move it slowly, and not round")
        console.show(f"  {track.value}")
        return track.value

    neutral = pose(f"its neutral pose ({joint.neutral:g} {joint.unit})")
    upper = pose(f"its upper end{_where(up)} ({joint.upper:g} {joint.unit} or more)")
    lower = pose(f"its lower end{_where(down)} ({joint.lower:g} {joint.unit} or less)")
    return range_by_hand(name, joint, scale, neutral, lower, upper)


def _offset(driver: ServoBus, name: str, offset: int, shift: int) -> int:
    """The homing offset that shifts what the servo says by `shift` counts.

    Raises:
        CalibrationError: the servo cannot store it.
    """
    counts = driver.scale(name).counts
    if not driver.homing_most and abs(shift) <= SAME * counts:
        return offset
    new = offset + shift if driver.homing_adds else offset - shift
    if driver.homing_most:
        new = (new + counts // 2) % counts - counts // 2
    if abs(new) > driver.homing_most:
        most = f"{driver.homing_most} at most" if driver.homing_most else "it stores none"
        degrees = shift * driver.scale(name).degrees / counts
        raise CalibrationError(
            f"it would need a homing offset of {new}: {most}",
            where=name,
            todo=f"turn its horn by about {abs(degrees):.0f} degrees, so that neutral is nearer to the servo's middle",
        )
    return new


def _write_homing(bench: Bench, name: str, driver: ServoBus, offset: int, new: int) -> None:
    before = _must(driver.count(name), name)
    bench.homed.append((driver, name, offset))
    _must(driver.write_homing(name, new), name)
    counts = driver.scale(name).counts
    wanted = before + (new - offset if driver.homing_adds else offset - new)
    beside = (_must(driver.count(name), name) - wanted + counts // 2) % counts - counts // 2
    if abs(beside) > SAME * counts:
        text = f"it did not take its homing offset of {new}, or was moved: it reads {beside:+d} counts beside it"
        raise CalibrationError(text, where=name, todo="leave it alone for a moment, and try again")


def _sweep(bench: Bench, name: str, driver: ServoBus) -> None:
    """By itself to the upper end, the lower end and neutral; the operator sees whether that is right."""
    console, joint, (down, up) = bench.console, bench.profile.joints[name], bench.words[name]
    while True:
        console.ask("  bring it by hand near its neutral pose, then Enter", "")
        count = _must(driver.count(name), name)
        position = driver.scale(name).position(driver.axes[name], count)
        if joint.lower <= position <= joint.upper:
            break
        console.show(f"  it is at {position:.4g} {joint.unit}, outside its limits {joint.lower:g} to {joint.upper:g}")
    axis = driver.axes[name]
    ends = sorted(driver.scale(name).position(axis, count) for count in driver.scale(name).range(axis))
    low, high = max(joint.lower, ends[0]), min(joint.upper, ends[1])
    neutral = min(max(joint.neutral, low), high)
    console.ask("  fingers off: now it moves slowly by itself. Enter begins, Enter again stops it", "")
    slow = bench.slow(name, driver)
    slow.start(position)
    for goal in (high, low, neutral):
        console.show(f"  to {goal:.4g} {joint.unit}")
        if not slow.move(goal, lambda: console.answer() is not None):
            raise CalibrationError("it was stopped on its way", where=name)
    question = (
        f"  was it free, and did it go first to its upper end{_where(up)}, then to its lower{_where(down)}? y or n"
    )
    if console.ask(question, "y", "n", while_waiting=slow.hold) == "n":
        text = "its range is reversed, or it is not free"
        raise CalibrationError(text, where=name, todo="do it again, with the ends as they are named")
    bench.done()


def calibrate_on_board(bench: Bench, name: str, driver: PulseBoard) -> Calibration:
    """A hobby servo: its direction, its neutral, and slowly to both limits, or as far as the operator lets it.

    Raises:
        CalibrationError: refused; the joint may still have pulses (`Bench.moving`).
        StoppedError: the operator wants no more.
    """
    joint = bench.profile.joints[name]
    bounds = (0.0, float(COUNTS)) if isinstance(driver, OhbotBoard) else SERVO_PULSE_US
    slow = _direction(bench, name, driver, bounds)
    _shift(bench, name, driver, slow)
    ends = [_end(bench, name, driver, slow, goal) for goal in (joint.lower, joint.upper)]
    wanted = (driver.pulse(name, joint.lower), driver.pulse(name, joint.upper))
    low, high = range_by_pulses(name, ends[0], ends[1], wanted, bounds)
    bench.done()
    found = driver.axes[name].calibration
    if found is None:
        raise CalibrationError("its calibration was lost", where=name)
    return replace(found, range_min=low, range_max=high)


def _direction(bench: Bench, name: str, driver: PulseBoard, bounds: tuple[float, float]) -> SlowJoint:
    """The joint at its neutral, with a provisional calibration of the right direction."""
    console, joint, (down, up) = bench.console, bench.profile.joints[name], bench.words[name]
    far = joint.upper if joint.upper - joint.neutral >= joint.neutral - joint.lower else joint.lower
    words = f"towards its {'upper' if far == joint.upper else 'lower'} end{_where(up if far == joint.upper else down)}"
    for drive_mode in (0, 1):
        provisional = Calibration(driver.axes[name].id, drive_mode, 0, math.ceil(bounds[0]), math.floor(bounds[1]))
        console.ask("  it is let go now, then it gets its neutral and may jump there: fingers off, then Enter", "")
        driver.recalibrate(name, provisional)
        console.show(f"  {driver.pulse(name, joint.neutral):.0f} {_unit(driver)}")
        slow = bench.slow(name, driver)
        slow.start(joint.neutral)
        for goal in (joint.neutral + NUDGE * (far - joint.neutral), joint.neutral):
            slow.move(goal)
        question = f"  did it go {words}, and back? y or n (n: the other way)"
        if console.ask(question, "y", "n", while_waiting=slow.hold) == "y":
            return slow
        bench.done()
    text = "it went neither way"
    raise CalibrationError(text, where=name, todo="does it have power, and is it on this channel?")


def _shift(bench: Bench, name: str, driver: PulseBoard, slow: SlowJoint) -> None:
    """Move the neutral as the operator says, one unit a tick."""
    console, joint, unit = bench.console, bench.profile.joints[name], _unit(driver)
    most = round(SHIFTS * abs(driver.pulse(name, joint.upper) - driver.pulse(name, joint.lower)))
    question = f"  is this its neutral pose? Enter, or how much further: +20, -5 ... {unit}"
    while answer := console.ask(question, while_waiting=slow.hold):
        calibration = driver.axes[name].calibration
        if calibration is None:
            return
        try:
            wanted = calibration.homing_offset + int(answer)
        except ValueError:
            console.show(f"  {answer!r} is no whole number of {unit}")
            continue
        if abs(wanted) > most:
            console.show(f"  {wanted:+d} {unit} is too much ({most} at most): set the horn on another tooth")
            continue
        while calibration.homing_offset != wanted:
            step = 1 if wanted > calibration.homing_offset else -1
            calibration = replace(calibration, homing_offset=calibration.homing_offset + step)
            driver.recalibrate(name, calibration, release=False)
            slow.hold()
        console.show(f"  {driver.pulse(name, joint.neutral):.0f} {unit}")


def _end(bench: Bench, name: str, driver: PulseBoard, slow: SlowJoint, goal: float) -> float:
    """Slowly towards a limit until it is there or the operator stops it, and back; the pulse of the furthest point."""
    console, joint = bench.console, bench.profile.joints[name]
    words = _where(bench.words[name][int(goal == joint.upper)])
    which = "upper" if goal == joint.upper else "lower"
    text = f"  slowly to its {which} limit{words}: Enter begins, Enter again stops it before it touches anything"
    console.ask(text, "", while_waiting=slow.hold)
    there = slow.move(goal, lambda: console.answer() is not None)
    pulse = driver.pulse(name, slow.position)
    console.show(f"  {'at its limit' if there else 'stopped'}: {pulse:.0f} {_unit(driver)}")
    slow.move(joint.neutral)
    return pulse


def _where(words: str) -> str:
    return f", where {words}" if words else ""


def _unit(driver: PulseBoard) -> str:
    return "counts" if isinstance(driver, OhbotBoard) else "us"


def _must(value: T | Fault, name: str) -> T:
    if isinstance(value, Fault):
        raise CalibrationError(str(value), where=name)
    return value
