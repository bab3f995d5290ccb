"""Where the servos of a robot are: the ports that answer, and the ids on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reactdiff_ros.actuation.calibration import CalibrationError
from reactdiff_ros.actuation.drivers.driver import Driver
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.cli.robot_calibrate_console import Console
from reactdiff_ros.errors import ConfigError, DeviceError

Make = Callable[[Profile], Mapping[str, Driver]]
"""The drivers of a profile."""
TRIES: Final = 2
ALL_IDS: Final = range(254)
SHOWN: Final = 20
"""More ids than this are counted, not named."""


def with_ports(profile: Profile, ports: Mapping[str, str]) -> Profile:
    """The profile with other ports for some of its drivers.

    Raises:
        ConfigError: it has no such driver, or that has no port.
    """
    drivers: dict[str, Any] = dict(profile.drivers)
    for name, port in ports.items():
        if not hasattr(drivers.get(name), "port"):
            able = ", ".join(n for n, d in drivers.items() if hasattr(d, "port"))
            todo = f"use {able}" if able else "leave --port out, no driver of this robot has one"
            raise ConfigError(f"there is no driver {name} with a port", where=f"--port {name}", todo=todo)
        drivers[name] = drivers[name].model_copy(update={"port": port})
    return profile.model_copy(update={"drivers": drivers})


def find_ports(
    profile: Profile,
    names: Sequence[str],
    given: Mapping[str, str],
    others: Sequence[str],
    make: Make,
    console: Console,
) -> Profile:
    """The profile with the ports at which something answers.

    A port that was given, or the profile's, is taken where it can be opened and answers; else all `others` are tried,
    and the operator says which where several answer.

    Args:
        profile: the robot.
        names: the drivers that are looked for.
        given: ports by driver, from the command line.
        others: serial ports of this machine.
        make: its drivers.
        console: the operator.

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
            raise DeviceError(f"nothing of {name} was found", where=what, todo="are cable and power in?")
        port = found[0]
        if len(found) > 1:
            list_ = "\n".join(f"  {i + 1}  {p}" for i, p in enumerate(found))
            numbers = [str(i + 1) for i in range(len(found))]
            port = found[int(console.ask(f"{name}: several ports answer\n{list_}\nwhich one?", *numbers)) - 1]
        console.show(f"{name}: found at {port}; write 'port: {port}' into the profile's drivers.{name}")
        profile = with_ports(profile, {name: port})
    return profile


def _answers(profile: Profile, name: str, port: str, make: Make, tried: dict[str, str]) -> bool:
    driver = make(with_ports(profile, {name: port}))[name]
    try:
        driver.open()
    except DeviceError as error:
        tried[port] = error.what + (f", {error.todo}" if error.todo else "")
        return False
    try:
        if isinstance(driver, ServoBus):
            ids = [axis.id for axis in driver.axes.values()]
            good = any(driver.scan(ids) for _ in range(TRIES))
            tried[port] = f"none of the ids {', '.join(map(str, ids[:SHOWN]))} answers"
            return good
        faults = driver.check()
        tried[port] = next((str(fault) for fault in faults.values()), "")
        # A board with a wrong setting is there.
        return not any(fault.kind in ("gone", "no_answer") for fault in faults.values())
    finally:
        driver.close()


def check_ids(driver: Driver, name: str, joints: Sequence[str], console: Console) -> None:
    """Every joint of `joints` answers at its id, once, and is what the profile says.

    Raises:
        CalibrationError: one does not; the sentence names it, and the ids that there are.
    """
    faults = {joint: fault for joint, fault in driver.check().items() if joint in joints}
    if not faults:
        return
    joint, fault = next(iter(faults.items()))
    where = f"{joint}, id {driver.axes[joint].id} of {name}"
    more = f" (and {len(faults) - 1} other joints: {', '.join(list(faults)[1:])})" if len(faults) > 1 else ""
    if isinstance(driver, ServoBus) and fault.kind in ("no_answer", "checksum", "garbage", "wrong_id"):
        twice = [str(axis.id) for axis in driver.axes.values() if driver.answers_twice(axis.id)]
        if twice:
            raise CalibrationError(
                f"more than one servo answers to id {', '.join(twice)}{more}",
                where=where,
                todo="plug them in one by one and give each its own id with the maker's tool",
            )
        console.show(f"{where}: {fault}; looking at all ids ...")
        known: list[int] = []
        for number in ALL_IDS:
            console.check()
            known += driver.scan((number,))
        ids = ", ".join(map(str, known[:SHOWN])) + (" ..." if len(known) > SHOWN else "")
        todo = f"there are the ids {ids}" if known else "no id answers"
        raise CalibrationError(f"{fault}{more}", where=where, todo=todo)
    raise CalibrationError(f"{fault}{more}", where=where)
