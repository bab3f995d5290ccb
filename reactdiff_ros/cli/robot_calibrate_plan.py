"""A calibration's dry run: every joint, and what would be sent to it, in its servo's own counts or pulses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from reactdiff_ros.actuation.calibration import Calibration
from reactdiff_ros.actuation.drivers.driver import Driver
from reactdiff_ros.actuation.drivers.pulse_board import PulseBoard
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.kinematics import travel_time_s
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.cli.robot_calibrate_joints import NUDGE, bus_scale
from reactdiff_ros.cli.robot_calibrate_move import SLOW


def plan(profile: Profile, joints: Sequence[str], drivers: dict[str, Driver]) -> Iterator[str]:
    """Lines for the operator; no driver is opened.

    Args:
        profile: the robot.
        joints: which of its joints.
        drivers: its drivers, not open.
    """
    for name, driver in drivers.items():
        config: Any = profile.drivers[name]
        mine = [j for j in joints if profile.joints[j].output.driver == name]
        if not mine:
            continue
        place = getattr(config, "port", None) or f"I2C bus {config.bus}, address 0x{config.address:02x}"
        ids = ", ".join(str(driver.axes[j].id) for j in mine)
        yield f"{name} ({config.type}) at {place}: would ask for {ids}"
        for joint in mine:
            yield from _bus(profile, joint, driver) if isinstance(driver, ServoBus) else _board(profile, joint, driver)


def _seconds(profile: Profile, joint: str, a: float, b: float) -> float:
    limits = profile.joints[joint].limits
    way = abs(b - a)
    return travel_time_s(way, SLOW * limits.speed, limits.acceleration, limits.jerk) if way else 0.0


def _bus(profile: Profile, name: str, driver: ServoBus) -> Iterator[str]:
    joint, axis = profile.joints[name], driver.axes[name]
    driver._load_library()
    scale = bus_scale(driver, name)
    at = [scale.zero + round(x / scale.step) for x in (joint.lower, joint.neutral, joint.upper)]
    yield f"  {name}, id {axis.id}"
    yield "    torque off; its position is read while you move it by hand to neutral and both ends"
    if driver.homing_most:
        yield f"    homing offset, so that neutral reads {at[1]} (from -{driver.homing_most} to {driver.homing_most})"
    else:
        yield f"    no homing offset (it stores none): neutral has to read about {at[1]}"
    yield "    torque on where it stands, then goals, mirrored where it turns the other way:"
    for start, end, a, b in (("neutral", "upper", 1, 2), ("upper", "lower", 2, 0), ("lower", "neutral", 0, 1)):
        seconds = _seconds(profile, name, *((joint.lower, joint.neutral, joint.upper)[i] for i in (a, b)))
        yield f"      {at[a]} to {at[b]} ({start} to {end}) in {seconds:.1f} s"
    yield f"    torque off{_lowered(profile, name)}"


def _board(profile: Profile, name: str, driver: Driver) -> Iterator[str]:
    if not isinstance(driver, PulseBoard):
        return
    joint, axis = profile.joints[name], driver.axes[name]
    driver.axes = {**driver.axes, name: _provisional(axis)}
    lower, neutral, upper = (driver.pulse(name, x) for x in (joint.lower, joint.neutral, joint.upper))
    far = joint.upper if joint.upper - joint.neutral >= joint.neutral - joint.lower else joint.lower
    nudge = driver.pulse(name, joint.neutral + NUDGE * (far - joint.neutral))
    yield f"  {name}, channel {axis.id}"
    yield f"    pulses on at {neutral:.0f}, slowly to {nudge:.0f} and back: its direction; mirrored if you say so"
    yield "    a shift of its neutral, as you say, one at a time"
    for words, end, position in (("lower", lower, joint.lower), ("upper", upper, joint.upper)):
        seconds = _seconds(profile, name, joint.neutral, position)
        yield f"    {neutral:.0f} to {end:.0f} (its {words} limit) in {seconds:.1f} s, or until you stop it, and back"
    yield f"    pulses off{_lowered(profile, name)}"


def _provisional(axis: Any) -> Any:
    from dataclasses import replace

    return replace(axis, calibration=Calibration(axis.id, 0, 0, math.floor(-1e9), math.ceil(1e9)))


def _lowered(profile: Profile, name: str) -> str:
    lowered = profile.joints[name].lowered
    return "" if lowered is None else f", after it was brought slowly to {lowered:g} {profile.joints[name].unit}"
