"""A whole calibration: find, check, one joint after the other, and whatever happens, leave the robot safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.actuation.calibration import Calibration, calibrated_joints, load_calibration, save_calibration
from reactdiff_ros.actuation.drivers.driver import Driver
from reactdiff_ros.actuation.drivers.factory import make_drivers
from reactdiff_ros.actuation.drivers.pulse_board import PulseBoard
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.mapping import directions
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.cli.robot_calibrate_console import Console, StoppedError
from reactdiff_ros.cli.robot_calibrate_joints import Bench, calibrate_on_board, calibrate_on_bus
from reactdiff_ros.cli.robot_calibrate_move import Time
from reactdiff_ros.cli.robot_calibrate_ports import check_ids, find_ports
from reactdiff_ros.errors import ConfigError, ReactdiffError

TRIES: Final = 3


@dataclass(frozen=True)
class Work:
    """What is to be calibrated, and with what."""

    profile: Profile
    joints: tuple[str, ...]
    path: Path
    ports: Mapping[str, str]
    """By driver: those that the operator named."""
    others: Sequence[str]
    """Serial ports of this machine, to look at when nothing answers at the profile's."""
    options: Mapping[str, Any]
    """For `make_drivers`."""


def wanted_joints(profile: Profile, named: Sequence[str]) -> tuple[str, ...]:
    """The joints to calibrate: those named, else all that need it.

    Raises:
        ConfigError: there is no such joint, or it needs no calibration.
    """
    able = calibrated_joints(profile)
    if not able:
        todo = "its device or its controller knows its own ends: it can be enabled as it is"
        raise ConfigError("this robot has no servos to calibrate", where=profile.name, todo=todo)
    for name in named:
        if name not in able:
            raise ConfigError("there is no such joint to calibrate", where=name, todo=f"use one of {', '.join(able)}")
    return tuple(n for n in able if n in named) if named else able


def drivers_of(work: Work, profile: Profile, time: Time) -> dict[str, Driver]:
    """The drivers of the joints to calibrate, not open, without calibrations."""
    used = {work.profile.joints[name].output.driver for name in work.joints}
    made = make_drivers(profile, {}, time.now, **work.options)
    return {name: driver for name, driver in made.items() if name in used}


def calibrate(work: Work, console: Console, time: Time) -> dict[str, Any]:
    """Guide the operator through all joints and write the file; what was done, for JSON.

    Raises:
        StoppedError: Ctrl-C, `q`, or no more answers: the old file and the old homing offsets are as they were.
        ReactdiffError: nothing was found, or the file cannot be written.
    """
    old = load_calibration(work.path)
    names = list(dict.fromkeys(work.profile.joints[j].output.driver for j in work.joints))
    profile = find_ports(work.profile, names, work.ports, work.others, lambda p: drivers_of(work, p, time), console)
    bench = Bench(profile, directions(profile), console, time)
    drivers = drivers_of(work, profile, time)
    saved = False
    with ExitStack() as stack:
        for driver in drivers.values():
            driver.open()
            stack.callback(driver.close)
        for name, driver in drivers.items():
            check_ids(driver, name, [j for j in work.joints if profile.joints[j].output.driver == name], console)
        try:
            found = _all_joints(bench, work, drivers)
            keep = {n: c for n, c in old.items() if n in profile.joints}
            backup = _write(console, work.path, {**keep, **found}, found)
            saved = True
        finally:
            _leave_safe(bench, undo=not saved)
    return {
        "robot": profile.name,
        "file": str(work.path),
        "backup": str(backup) if backup else None,
        "calibrated": sorted(found),
        "missing": [n for n in calibrated_joints(profile) if n not in {**keep, **found}],
    }


def _all_joints(bench: Bench, work: Work, drivers: Mapping[str, Driver]) -> dict[str, Calibration]:
    found: dict[str, Calibration] = {}
    for i, name in enumerate(work.joints):
        driver = drivers[bench.profile.joints[name].output.driver]
        bench.console.show(f"{name} ({i + 1} of {len(work.joints)}), id {driver.axes[name].id}")
        while True:
            try:
                driver.open()
                found[name] = _one(bench, name, driver)
                break
            except StoppedError:
                raise
            except ReactdiffError as error:
                _settle(bench)
                bench.console.show(f"  {error}")
                if bench.console.ask("  Enter: again; s: leave this joint out; q: stop", "", "s") == "s":
                    break
    return found


def _one(bench: Bench, name: str, driver: Driver) -> Calibration:
    if isinstance(driver, ServoBus):
        return calibrate_on_bus(bench, name, driver)
    if isinstance(driver, PulseBoard):
        return calibrate_on_board(bench, name, driver)
    raise ConfigError("this joint cannot be calibrated", where=name)


def _write(
    console: Console, path: Path, everything: Mapping[str, Calibration], found: Mapping[str, Calibration]
) -> Path | None:
    if not found:
        raise StoppedError("nothing was calibrated, nothing is written")
    for name, c in found.items():
        turned = "turned" if c.drive_mode else "      "
        console.show(f"{name:24} id {c.id:3} {turned} offset {c.homing_offset:+5} range {c.range_min} to {c.range_max}")
    if console.ask(f"write {path}? y or n", "y", "n") == "n":
        raise StoppedError("nothing is written")
    return save_calibration(path, everything)


def _settle(bench: Bench) -> None:
    """The joint that moves is left as its `on_fault` says; when that is stopped too, it holds."""
    moving, bench.moving = bench.moving, None
    if moving is None or not moving.on:
        return
    bench.holding.add(moving.name)
    try:
        bench.console.show(f"  {moving.settle()}")
        if not moving.on:
            bench.holding.discard(moving.name)
    except ReactdiffError as error:
        moving.halt()
        bench.console.show(f"  {error}; it holds where it is, if it can: switch its power off to let it go")


def _leave_safe(bench: Bench, *, undo: bool) -> None:
    """After everything, or when it was stopped: no joint moves, and servos have the homing offsets of the file."""
    bench.console.forget_stop()
    _settle(bench)
    for driver, name, offset in reversed(bench.homed if undo else []):
        # To be written, it would have to lose its torque.
        if name in bench.holding or all(driver.write_homing(name, offset) is not None for _ in range(TRIES)):
            bench.console.show(f"{name}: its old homing offset {offset} could not be written: calibrate it again")
