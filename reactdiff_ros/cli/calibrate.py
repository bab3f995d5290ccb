"""Guided calibration of a robot's servos: ports and ids, one joint after the other, and a safe end whatever happens.

A joint on a bus is moved by hand through three poses and then moves slowly by itself; a hobby servo moves slowly from
pulse to pulse as the operator confirms. The result is `actuation.robot.calibration`.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from reactdiff_ros.actuation import calibrate as steps
from reactdiff_ros.actuation.calibrate import Clock, HandRange, SlowJoint, Track
from reactdiff_ros.actuation.drivers.boards import OhbotBoard, PulseBoard
from reactdiff_ros.actuation.drivers.driver import Driver, Fault
from reactdiff_ros.actuation.drivers.serial_port import IN_USE
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.calibration import (
    Calibration,
    CalibrationError,
    calibrated_joints,
    load_calibration,
    save_calibration,
)
from reactdiff_ros.actuation.robot.kinematics import travel_time_s
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.cli.common import stop_signals
from reactdiff_ros.errors import ConfigError, DeviceError, ReactdiffError

T = TypeVar("T")
MISSES: Final = 50
"""Reads in a row without an answer that end a pose."""
LOOK_S: Final = 0.01
"""Interval between reads of a joint that is moved by hand."""
ANSWER_S: Final = 0.02
"""Interval at which input is checked while nothing moves."""
SHIFTS: Final = 0.2
"""Largest shift of a hobby servo's neutral, as a share of its range."""
NUDGE: Final = 0.2
"""Share of the way to a limit that shows the direction."""
SAME: Final = 0.01
"""Tolerance of a position, as a share of the servo's counts."""
TRIES: Final = 3
ALL_IDS: Final = range(254)
SHOWN: Final = 20
"""Ids that an error names; more are left out."""


class StoppedError(ReactdiffError):
    """The operator stopped the calibration."""


class Console:
    """Asks the operator, and keeps working until the answer arrives.

    Args:
        source: file descriptor that lines are read from.
        show: shows a line to the operator.
    """

    def __init__(self, source: int, show: Callable[[str], object]) -> None:
        self._source, self.show = source, show
        self._rest = b""
        self._ended = False
        self._signals = 0

    def catching(self) -> AbstractContextManager[None]:
        """Within the block, SIGINT, SIGTERM and SIGHUP stop the calibration at the next safe moment."""
        return stop_signals(self._caught)

    def _caught(self, *_: Any) -> None:
        self._signals += 1

    def forget_stop(self) -> None:
        """Clear the stop, so that it does not also stop what has to follow it."""
        self._signals = 0

    def check(self) -> None:
        """Raise StoppedError after Ctrl-C."""
        if self._signals:
            raise StoppedError("the calibration was stopped")

    def ask(self, question: str, *allowed: str, while_waiting: Callable[[], None] | None = None) -> str:
        """The answer in lower case.

        Args:
            question: shown first.
            allowed: valid answers; none: any.
            while_waiting: called repeatedly until the answer is there.

        Raises:
            StoppedError: Ctrl-C, `q`, or the end of input.
        """
        self.show(question)
        while True:
            line = self.answer(ANSWER_S if while_waiting is None else 0.0)
            if line is None:
                if while_waiting is not None:
                    while_waiting()
            elif not allowed or line in allowed:
                return line
            else:
                self.show(f"  {' or '.join(repr(a) if a else 'Enter' for a in allowed)}, or q to stop")

    def answer(self, wait_s: float = 0.0) -> str | None:
        """A line that arrives within `wait_s`, or None. Errors as `ask`."""
        self.check()
        if b"\n" not in self._rest and not self._ended and select.select([self._source], [], [], wait_s)[0]:
            data = os.read(self._source, 4096)
            self._ended = not data
            self._rest += data
        if b"\n" not in self._rest:
            self.check()
            if self._ended:
                raise StoppedError("the calibration was stopped: there are no more answers")
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        text = line.decode("utf-8", "replace").strip().lower()
        if text == "q":
            raise StoppedError("the calibration was stopped")
        return text


def wanted_joints(profile: Profile, named: Sequence[str]) -> tuple[str, ...]:
    """The joints to calibrate: those named, or all that need it.

    Raises:
        ConfigError: a joint does not exist, or needs no calibration.
    """
    able = calibrated_joints(profile)
    if not able:
        todo = "its device or controller knows its own limits: it can be armed as it is"
        raise ConfigError("this robot has no servos to calibrate", where=profile.name, todo=todo)
    for name in named:
        if name not in able:
            raise ConfigError("no such joint to calibrate", where=name, todo=f"use one of {', '.join(able)}")
    return tuple(n for n in able if n in named) if named else able


def drivers_of(profile: Profile, joints: Sequence[str], clock: Clock, **options: Any) -> dict[str, Driver]:
    """The drivers of these joints, not open, without calibrations. `options` go to `make_drivers`."""
    used = {profile.joints[name].output.driver for name in joints}
    drivers = make_drivers(profile, {}, clock.now, **options)
    return {name: driver for name, driver in drivers.items() if name in used}


def calibrate_robot(
    profile: Profile, joints: Sequence[str], path: Path, console: Console, clock: Clock, *, ports: Mapping[str, str],
    others: Sequence[str], **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Guide the operator through all joints and write the file; the result, for JSON.

    Args:
        profile: the robot.
        joints: those to calibrate (`wanted_joints`).
        path: the calibration file.
        console: the operator.
        clock: the time.
        ports: by driver, those that the operator named.
        others: serial ports of this machine, to try when none answers at the profile's.
        options: for `make_drivers`.

    Raises:
        StoppedError: Ctrl-C, `q`, or the end of input: the file and the homing offsets are as before.
        ReactdiffError: nothing was found, or the file cannot be written.
    """
    old = load_calibration(path)
    names = list(dict.fromkeys(profile.joints[j].output.driver for j in joints))
    profile = find_ports(profile, names, ports, others, lambda p: drivers_of(p, joints, clock, **options), console)
    drivers = drivers_of(profile, joints, clock, **options)
    work = _Calibrator(profile, drivers, console, clock)
    saved = False
    with ExitStack() as stack:
        for driver in drivers.values():
            driver.open()
            stack.callback(driver.close)
        for name, driver in drivers.items():
            check_ids(driver, name, [j for j in joints if profile.joints[j].output.driver == name], console)
        try:
            found = work.all_joints(joints)
            keep = {n: c for n, c in old.items() if n in profile.joints}
            backup = _write(console, path, {**keep, **found}, found)
            saved = True
        finally:
            work.leave_safe(undo=not saved)
    missing = [n for n in calibrated_joints(profile) if n not in {**keep, **found}]
    about = {"robot": profile.name, "file": str(path), "backup": str(backup) if backup else None}
    return {**about, "calibrated": sorted(found), "missing": missing}


def _write(
    console: Console, path: Path, content: Mapping[str, Calibration], found: Mapping[str, Calibration]
) -> Path | None:
    if not found:
        raise StoppedError("nothing was calibrated, nothing is written")
    for name, c in found.items():
        turned = "turned" if c.drive_mode else "      "
        console.show(f"{name:24} id {c.id:3} {turned} offset {c.homing_offset:+5} range {c.range_min} to {c.range_max}")
    if console.ask(f"write {path}? y or n", "y", "n") == "n":
        raise StoppedError("nothing is written")
    return save_calibration(path, content)


class _Calibrator:
    """Calibrates joint by joint, and knows what has to be undone when it is stopped.

    The methods for one joint raise CalibrationError when the joint is refused (it may still have torque: `_moving`)
    and StoppedError when the operator stops.
    """

    def __init__(self, profile: Profile, drivers: Mapping[str, Driver], console: Console, clock: Clock) -> None:
        self._profile, self._drivers, self._console, self._clock = profile, drivers, console, clock
        self._words = steps.directions(profile)
        self._moving: SlowJoint | None = None
        self._homed: list[tuple[ServoBus, str, int]] = []
        """Homing offsets before they were written: driver, joint, offset."""
        self._holding: set[str] = set()
        """Joints that were left holding."""

    def all_joints(self, joints: Sequence[str]) -> dict[str, Calibration]:
        """Calibrations by joint, without those that the operator skipped."""
        found: dict[str, Calibration] = {}
        for i, name in enumerate(joints):
            driver = self._drivers[self._profile.joints[name].output.driver]
            self._console.show(f"{name} ({i + 1} of {len(joints)}), id {driver.axes[name].id}")
            while name not in found:
                try:
                    driver.open()
                    if isinstance(driver, ServoBus):
                        found[name] = self._on_bus(name, driver)
                    elif isinstance(driver, PulseBoard):
                        found[name] = self._on_board(name, driver)
                    else:
                        raise ConfigError("this joint cannot be calibrated", where=name)
                except StoppedError:
                    raise
                except ReactdiffError as error:
                    self._settle()
                    self._console.show(f"  {error}")
                    if self._console.ask("  Enter: again; s: skip this joint; q: stop", "", "s") == "s":
                        break
        return found

    def leave_safe(self, *, undo: bool) -> None:
        """Settle the joint that moves and, with `undo`, restore the homing offsets."""
        self._console.forget_stop()
        self._settle()
        for driver, name, offset in reversed(self._homed if undo else []):
            # A joint that holds would have to lose its torque for it.
            if name in self._holding or all(driver.write_homing(name, offset) is not None for _ in range(TRIES)):
                self._console.show(f"{name}: its homing offset {offset} could not be restored: calibrate it again")

    def _settle(self) -> None:
        """Leave the joint that moves as its `on_fault` requires; if that is stopped too, it holds."""
        moving, self._moving = self._moving, None
        if moving is None or not moving.on:
            return
        self._holding.add(moving.name)
        try:
            self._console.show(f"  {moving.settle()}")
            if not moving.on:
                self._holding.discard(moving.name)
        except ReactdiffError as error:
            moving.halt()
            self._console.show(f"  {error}; it holds where it is, if it can: switch its power off to release it")

    def _slow(self, name: str, driver: ServoBus | PulseBoard) -> SlowJoint:
        """The joint, to be moved; it is settled when the calibration is stopped."""
        self._holding.discard(name)
        self._moving = SlowJoint(self._profile, name, driver, self._clock, self._console.check)
        return self._moving

    def _done(self) -> None:
        if self._moving is not None:
            self._moving.release()
            self._moving = None

    def _on_bus(self, name: str, driver: ServoBus) -> Calibration:
        """Three poses by hand, then slowly through the limits."""
        self._console.ask("  its torque goes off now: hold what would fall, then press Enter", "")
        driver.recalibrate(name, None)
        found = self._poses(name, driver)
        offset = _valid(driver.homing(name), name)
        new = _offset(driver, name, offset, found.shift)
        if new == offset and found.shift:
            found = replace(found, range_min=found.range_min - found.shift, range_max=found.range_max - found.shift)
        calibration = Calibration(driver.axes[name].id, found.drive_mode, new, found.range_min, found.range_max)
        turned = ", it turns the other way" if found.drive_mode else ""
        text = f"  range {found.range_min} to {found.range_max}, homing offset {new} (was {offset}){turned}"
        self._console.show(text)
        if new != offset:
            self._write_homing(name, driver, offset, new)
        driver.recalibrate(name, calibration)
        self._sweep(name, driver)
        return calibration

    def _poses(self, name: str, driver: ServoBus) -> HandRange:
        joint, (down, up) = self._profile.joints[name], self._words[name]
        scale = driver.scale(name)
        track = Track(scale, _valid(driver.count(name), name))
        misses = 0

        def look() -> None:
            nonlocal misses
            count = driver.count(name)
            misses = misses + 1 if isinstance(count, Fault) else 0
            if not isinstance(count, Fault):
                track.see(count)
            elif misses > MISSES:
                raise CalibrationError(str(count), where=name)
            self._clock.sleep(LOOK_S)

        def pose(where: str) -> int:
            self._console.ask(f"  move it by hand to {where}, then press Enter", "", while_waiting=look)
            look()
            if track.lost:
                text = "its counts wrapped, or it was moved too fast to be followed"
                raise CalibrationError(text, where=name, todo="move it slowly, and less than a turn")
            self._console.show(f"  {track.value}")
            return track.value

        neutral = pose(f"its neutral pose ({joint.neutral:g} {joint.unit})")
        upper = pose(f"its upper end{_where(up)} ({joint.upper:g} {joint.unit} or more)")
        lower = pose(f"its lower end{_where(down)} ({joint.lower:g} {joint.unit} or less)")
        return steps.range_by_hand(name, joint, scale, driver.step(name), neutral, lower, upper)

    def _write_homing(self, name: str, driver: ServoBus, offset: int, new: int) -> None:
        before = _valid(driver.count(name), name)
        self._homed.append((driver, name, offset))
        _valid(driver.write_homing(name, new), name)
        counts = driver.scale(name).counts
        wanted = before + (new - offset if driver.homing_adds else offset - new)
        error = (_valid(driver.count(name), name) - wanted + counts // 2) % counts - counts // 2
        if abs(error) > SAME * counts:
            text = f"it did not store its homing offset of {new}, or was moved: it is off by {error:+d} counts"
            raise CalibrationError(text, where=name, todo="do not touch it for a moment, and try again")

    def _sweep(self, name: str, driver: ServoBus) -> None:
        """Move to the upper end, the lower end and neutral; the operator confirms that it was right."""
        console, joint, (down, up) = self._console, self._profile.joints[name], self._words[name]
        while True:
            console.ask("  move it by hand near its neutral pose, then press Enter", "")
            position = driver.scale(name).position(driver.axes[name], _valid(driver.count(name), name))
            if joint.lower <= position <= joint.upper:
                break
            limits = f"{joint.lower:g} to {joint.upper:g}"
            console.show(f"  it is at {position:.4g} {joint.unit}, outside its limits {limits}")
        axis = driver.axes[name]
        ends = sorted(driver.scale(name).position(axis, count) for count in driver.scale(name).range(axis))
        low, high = max(joint.lower, ends[0]), min(joint.upper, ends[1])
        console.ask("  fingers off: it will move slowly by itself. Enter starts it, Enter again stops it", "")
        slow = self._slow(name, driver)
        slow.start(position)
        for goal in (high, low, min(max(joint.neutral, low), high)):
            console.show(f"  to {goal:.4g} {joint.unit}")
            if not slow.move(goal, lambda: console.answer() is not None):
                raise CalibrationError("it was stopped on its way", where=name)
        ways = f"first to its upper end{_where(up)}, then to its lower{_where(down)}"
        question = f"  did it move freely, and {ways}? y or n"
        if console.ask(question, "y", "n", while_waiting=slow.hold) == "n":
            text = "its range is reversed, or it does not move freely"
            raise CalibrationError(text, where=name, todo="calibrate it again, with the ends as they are named")
        self._done()

    def _on_board(self, name: str, driver: PulseBoard) -> Calibration:
        """Direction and neutral, then slowly to both limits or as far as the operator allows."""
        joint = self._profile.joints[name]
        bounds = driver.takes.low, driver.takes.high
        slow = self._direction(name, driver, bounds)
        self._shift(name, driver, slow)
        ends = [self._end(name, driver, slow, goal) for goal in (joint.lower, joint.upper)]
        wanted = (driver.pulse(name, joint.lower), driver.pulse(name, joint.upper))
        low, high = steps.range_by_pulses(name, ends[0], ends[1], wanted, bounds)
        self._done()
        return replace(_provisional(driver, name), range_min=low, range_max=high)

    def _direction(self, name: str, driver: PulseBoard, bounds: tuple[float, float]) -> SlowJoint:
        """The joint at its neutral, with a provisional calibration of the right direction."""
        console, joint, words = self._console, self._profile.joints[name], self._words[name]
        far = _far_end(joint)
        end = f"its {'upper' if far == joint.upper else 'lower'} end{_where(words[far == joint.upper])}"
        for drive_mode in (0, 1):
            provisional = Calibration(driver.axes[name].id, drive_mode, 0, math.ceil(bounds[0]), math.floor(bounds[1]))
            console.ask("  it goes to its neutral now and may jump: fingers off, then press Enter", "")
            driver.recalibrate(name, provisional)
            console.show(f"  {driver.pulse(name, joint.neutral):.0f} {_unit(driver)}")
            slow = self._slow(name, driver)
            slow.start(joint.neutral)
            for goal in (joint.neutral + NUDGE * (far - joint.neutral), joint.neutral):
                slow.move(goal)
            question = f"  did it move towards {end}, and back? y or n (n: the other way)"
            if console.ask(question, "y", "n", while_waiting=slow.hold) == "y":
                return slow
            self._done()
        raise CalibrationError("it moved neither way", where=name, todo="check its power, and that this is its channel")

    def _shift(self, name: str, driver: PulseBoard, slow: SlowJoint) -> None:
        """Shift the neutral as the operator asks, one unit a tick."""
        console, joint, unit = self._console, self._profile.joints[name], _unit(driver)
        most = round(SHIFTS * abs(driver.pulse(name, joint.upper) - driver.pulse(name, joint.lower)))
        question = f"  is this its neutral pose? Enter, or a shift such as +20 or -5 {unit}"
        while answer := console.ask(question, while_waiting=slow.hold):
            calibration = _provisional(driver, name)
            try:
                wanted = calibration.homing_offset + int(answer)
            except ValueError:
                console.show(f"  {answer!r} is not a whole number of {unit}")
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

    def _end(self, name: str, driver: PulseBoard, slow: SlowJoint, goal: float) -> float:
        """Move to a limit or until the operator stops it, and back; the pulse of the furthest point."""
        console, joint = self._console, self._profile.joints[name]
        which = f"{'upper' if goal == joint.upper else 'lower'} limit{_where(self._words[name][goal == joint.upper])}"
        text = f"  slowly to its {which}: Enter starts it, Enter again stops it before it touches anything"
        console.ask(text, "", while_waiting=slow.hold)
        arrived = slow.move(goal, lambda: console.answer() is not None)
        pulse = driver.pulse(name, slow.position)
        console.show(f"  {'at its limit' if arrived else 'stopped'}: {pulse:.0f} {_unit(driver)}")
        slow.move(joint.neutral)
        return pulse


def _offset(driver: ServoBus, name: str, offset: int, shift: int) -> int:
    """The homing offset that shifts what the servo reads by `shift` counts.

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
        most = f"it stores at most {driver.homing_most}" if driver.homing_most else "it stores none"
        degrees = shift * driver.scale(name).degrees / counts
        todo = f"turn its horn by about {abs(degrees):.0f} degrees, so that neutral is nearer to the servo's middle"
        raise CalibrationError(f"it would need a homing offset of {new}, but {most}", where=name, todo=todo)
    return new


def _provisional(driver: Driver, name: str) -> Calibration:
    calibration = driver.axes[name].calibration
    if calibration is None:
        raise CalibrationError("its calibration was lost", where=name)
    return calibration


def _far_end(joint: Any) -> float:
    return float(joint.upper if joint.upper - joint.neutral >= joint.neutral - joint.lower else joint.lower)


def _where(words: str) -> str:
    return f", where {words}" if words else ""


def _unit(driver: PulseBoard) -> str:
    return "counts" if isinstance(driver, OhbotBoard) else "us"


def _valid(value: T | Fault, name: str) -> T:
    if isinstance(value, Fault):
        raise CalibrationError(str(value), where=name)
    return value


def with_ports(profile: Profile, ports: Mapping[str, str]) -> Profile:
    """The profile with other ports for some of its drivers.

    Raises:
        ConfigError: it has no such driver, or that driver has no port.
    """
    drivers: dict[str, Any] = dict(profile.drivers)
    for name, port in ports.items():
        if not hasattr(drivers.get(name), "port"):
            able = ", ".join(n for n, d in drivers.items() if hasattr(d, "port"))
            todo = f"use {able}" if able else "omit --port: no driver of this robot has one"
            raise ConfigError(f"there is no driver {name} with a port", where=f"--port {name}", todo=todo)
        drivers[name] = drivers[name].model_copy(update={"port": port})
    return profile.model_copy(update={"drivers": drivers})


def find_ports(
    profile: Profile, names: Sequence[str], given: Mapping[str, str], others: Sequence[str],
    make: Callable[[Profile], Mapping[str, Driver]], console: Console,
) -> Profile:  # fmt: skip
    """The profile with the ports at which its drivers `names` answer.

    The given port, or the profile's, is used if it answers. Otherwise all `others` are tried, and the operator chooses
    if several answer. `make` makes the drivers of a profile.

    Raises:
        DeviceError: no port answers; the sentence says what was wrong with each.
        ConfigError: see `with_ports`.
    """
    profile = with_ports(profile, given)
    for name in names:
        config: Any = profile.drivers[name]
        if not hasattr(config, "port"):
            continue
        tried: dict[str, str] = {}
        if _answers(profile, name, config.port, make, tried):
            console.show(f"{name}: found at {config.port}")
            continue
        found = []
        if name not in given:
            found = [p for p in others if p != config.port and _answers(profile, name, p, make, tried)]
        if not found:
            what = "; ".join(f"{port}: {why}" for port, why in tried.items())
            busy = ", ".join(port for port, why in tried.items() if why.startswith(IN_USE))
            if busy:
                raise DeviceError(f"{name} answers at no free port", where=what, todo=f"end what uses {busy}")
            raise DeviceError(f"{name} was not found", where=what, todo="check cable and power")
        port = found[0]
        if len(found) > 1:
            rows = "\n".join(f"  {i + 1}  {p}" for i, p in enumerate(found))
            numbers = [str(i + 1) for i in range(len(found))]
            port = found[int(console.ask(f"{name}: several ports answer\n{rows}\nwhich one?", *numbers)) - 1]
        console.show(f"{name}: found at {port}; write 'port: {port}' into the profile's drivers.{name}")
        profile = with_ports(profile, {name: port})
    return profile


def _answers(
    profile: Profile, name: str, port: str, make: Callable[[Profile], Mapping[str, Driver]], tried: dict[str, str]
) -> bool:
    driver = make(with_ports(profile, {name: port}))[name]
    try:
        driver.open()
    except DeviceError as error:
        tried[port] = error.what + (f", {error.todo}" if error.todo else "")
        return False
    try:
        if isinstance(driver, ServoBus):
            ids = [axis.id for axis in driver.axes.values()]
            tried[port] = f"none of the ids {', '.join(map(str, ids[:SHOWN]))} answers"
            return any(driver.scan(ids) for _ in range(TRIES))
        faults = driver.check()
        tried[port] = next((str(fault) for fault in faults.values()), "")
        # A board with a wrong setting is a board all the same.
        return not any(fault.kind in ("gone", "no_answer") for fault in faults.values())
    finally:
        driver.close()


def check_ids(driver: Driver, name: str, joints: Sequence[str], console: Console) -> None:
    """Check that each of `joints` answers at its id, once, and is what the profile says.

    Raises:
        CalibrationError: one does not; the sentence names it, and the ids that answer.
    """
    faults = {joint: fault for joint, fault in driver.check().items() if joint in joints}
    if not faults:
        return
    joint, fault = next(iter(faults.items()))
    where = f"{joint}, id {driver.axes[joint].id} of {name}"
    more = f" (and {len(faults) - 1} other joints: {', '.join(list(faults)[1:])})" if len(faults) > 1 else ""
    todo = ""
    if isinstance(driver, ServoBus) and fault.kind in ("no_answer", "checksum", "garbage", "wrong_id"):
        twice = [str(axis.id) for axis in driver.axes.values() if driver.answers_twice(axis.id)]
        if twice:
            todo = "connect them one by one and give each its own id with the manufacturer's tool"
            text = f"more than one servo answers to id {', '.join(twice)}{more}"
            raise CalibrationError(text, where=where, todo=todo)
        console.show(f"{where}: {fault}; scanning all ids ...")
        known: list[int] = []
        for number in ALL_IDS:
            console.check()
            known += driver.scan((number,))
        ids = ", ".join(map(str, known[:SHOWN])) + (" ..." if len(known) > SHOWN else "")
        todo = f"the ids that answer are {ids}" if known else "no id answers"
    raise CalibrationError(f"{fault}{more}", where=where, todo=todo)


def dry_plan(profile: Profile, joints: Sequence[str], ports: Mapping[str, str], clock: Clock) -> Iterator[str]:
    """Lines for the operator: what would be sent to each joint, in its servo's counts or pulses. Opens no driver.

    `ports`: by driver, those that the operator named. Errors as `with_ports`.
    """
    profile = with_ports(profile, ports)
    for name, driver in drivers_of(profile, joints, clock).items():
        config: Any = profile.drivers[name]
        mine = [j for j in joints if profile.joints[j].output.driver == name]
        place = getattr(config, "port", None) or f"I2C bus {config.bus}, address 0x{config.address:02x}"
        ids = ", ".join(str(driver.axes[j].id) for j in mine)
        yield f"{name} ({config.type}) at {place}: would ask for {ids}"
        for joint in mine:
            lowered = profile.joints[joint].lowered
            after = "" if lowered is None else f", after moving slowly to {lowered:g} {profile.joints[joint].unit}"
            if isinstance(driver, ServoBus):
                yield from _bus_plan(profile, joint, driver)
                yield f"    torque off{after}"
            elif isinstance(driver, PulseBoard):
                yield from _board_plan(profile, joint, driver)
                yield f"    pulses off{after}"


def _bus_plan(profile: Profile, name: str, driver: ServoBus) -> Iterator[str]:
    joint = profile.joints[name]
    driver._load_library()
    zero, step = driver.scale(name).zero, driver.step(name)
    at = {x: zero + round(x / step) for x in (joint.lower, joint.neutral, joint.upper)}
    offset = f"from -{driver.homing_most} to {driver.homing_most}" if driver.homing_most else "it stores none"
    yield f"  {name}, id {driver.axes[name].id}"
    yield "    torque off; its position is read while you move it by hand to neutral and to both ends"
    yield f"    homing offset so that neutral reads {at[joint.neutral]} ({offset})"
    yield "    torque on where it is, then goals, mirrored if it turns the other way:"
    for start, end in (("neutral", "upper"), ("upper", "lower"), ("lower", "neutral")):
        a, b = getattr(joint, start), getattr(joint, end)
        yield f"      {at[a]} to {at[b]} ({start} to {end}) in {_seconds(joint, a, b):.1f} s"


def _board_plan(profile: Profile, name: str, driver: PulseBoard) -> Iterator[str]:
    joint, axis = profile.joints[name], driver.axes[name]
    unlimited = Calibration(axis.id, 0, 0, -(10**9), 10**9)
    driver.axes = {**driver.axes, name: replace(axis, calibration=unlimited)}
    neutral = driver.pulse(name, joint.neutral)
    nudge = driver.pulse(name, joint.neutral + NUDGE * (_far_end(joint) - joint.neutral))
    yield f"  {name}, channel {axis.id}"
    yield f"    pulses on at {neutral:.0f}, slowly to {nudge:.0f} and back to see its direction; mirrored if you say so"
    yield "    a shift of its neutral, as you ask, one unit at a time"
    for words, position in (("lower", joint.lower), ("upper", joint.upper)):
        seconds, pulse = _seconds(joint, joint.neutral, position), driver.pulse(name, position)
        yield f"    {neutral:.0f} to {pulse:.0f} (its {words} limit) in {seconds:.1f} s, or until you stop it, and back"


def _seconds(joint: Any, a: float, b: float) -> float:
    limits = joint.limits
    return travel_time_s(abs(b - a), steps.SLOW * limits.speed, limits.acceleration, limits.jerk) if a != b else 0.0
