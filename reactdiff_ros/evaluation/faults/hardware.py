"""What can be done to emulated servos, called in their process (`EmulatedRobot.do`)."""

from __future__ import annotations

from typing import Literal

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.profile import DynamixelDriver, MaestroDriver, Profile

Failure = Literal["mute", "bad_checksum", "overload", "hot"]
"""Of a servo on a bus: flags of `emulators.servo.Failing`."""


def fail(rig: Rig, failure: Failure, wrong: bool) -> None:
    """Let the first servo of the first bus fail, or be well again."""
    for name, bus in rig.buses.items():
        for servo in getattr(bus, "servos", {}).values():
            with rig.wires[name].lock:
                setattr(servo.failing, failure, wrong)
            return


def hush(rig: Rig, wrong: bool) -> None:
    """Let every board hear and say nothing, or be well again; servos on a bus are mute."""
    for name, bus in rig.buses.items():
        with rig.wires[name].lock:
            if hasattr(bus, "silent"):
                bus.silent = wrong
            for servo in getattr(bus, "servos", {}).values():
                servo.failing.silent = wrong


def cable(rig: Rig, plugged: bool) -> None:
    """Pull all cables, or put them back."""
    for wire in rig.wires.values():
        (wire.plug if plugged else wire.pull)()


def expired(rig: Rig) -> list[float]:
    """When a watchdog of the hardware acted, steady clock, s."""
    return sorted(at for bus in rig.buses.values() for at in getattr(bus, "expired_s", ()))


def on_a_bus(profile: Profile) -> bool:
    """Whether it has servos that answer one by one."""
    return any(driver.type in ("feetech", "dynamixel") for driver in profile.drivers.values())


def watchdog_due_s(profile: Profile) -> float | None:
    """How long after the last command its hardware's own watchdogs act; None: it has none."""
    if profile.host_loss.watchdog != "device":
        return None
    times = [d.timeout_s for d in profile.drivers.values() if isinstance(d, MaestroDriver)]
    times += [d.watchdog_s for d in profile.drivers.values() if isinstance(d, DynamixelDriver)]
    return max(times, default=None)
