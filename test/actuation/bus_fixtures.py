"""Emulated buses in memory, drivers that talk to them, and what listens or fails between the two."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory_port import MemoryWire, Ticker

from reactdiff_ros.actuation.drivers.driver import Axis, Driver
from reactdiff_ros.actuation.drivers.dynamixel import DynamixelServos
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.emulators.rig import Bus
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import DynamixelDriver, FeetechDriver, Pulse

CLOCK = time.monotonic


def axis(number: int, **changes: Any) -> Axis:
    """A joint named after its id: -40 to 40 degrees, calibrated to most of a turn."""
    given = {"unit": "deg", "lower": -40.0, "upper": 40.0, "calibration": Calibration(number, 0, 0, 0, 4095)}
    return Axis(**{"joint": f"j{number}", "id": number, **given, **changes})


def axes(*numbers: int, **changes: Any) -> dict[str, Axis]:
    """Joints by name."""
    return {f"j{n}": axis(n, **changes) for n in numbers}


def hobby_axes(*numbers: int) -> dict[str, Axis]:
    """Joints of hobby servos by name: 10 us a degree around 1500, calibrated to 600 to 2400 us."""
    pulse = Pulse(zero_us=1500, us_per_unit=10)
    return {f"j{n}": axis(n, pulse=pulse, calibration=Calibration(n, 0, 0, 600, 2400)) for n in numbers}


def wired(
    make: Any, config: Any, bus: Bus, joints: dict[str, Axis], baud: int = 1_000_000, clock: Ticker | None = None
) -> tuple[Any, MemoryWire]:
    """A driver, open, and the wire to the emulated bus that it talks to, in a time of their own: `wire.clock`."""
    wire = MemoryWire(bus, clock or Ticker(), baud)
    wire.plug()
    driver = make(config, joints, wire.clock, connect=wire.connect)
    driver.open()
    return driver, wire


def until(condition: Callable[[], bool], work: Callable[[], object], seconds: float = 60.0) -> bool:
    """Work until the condition holds; False when it does not within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        work()
    return True


def settle(driver: Driver, condition: Callable[[], object]) -> None:
    """Look at the line of a robot in the network until the condition holds."""
    assert until(lambda: bool(condition()), lambda: driver.poll(0.001) or time.sleep(0.005))


def sweep(driver: Driver, target: dict[str, float]) -> bool:
    """Command `target` until every joint measures it."""

    def there() -> bool:
        readings = {j: driver.reading(j) for j in target}
        return all(r and r.position is not None and abs(r.position - target[j]) <= 0.5 for j, r in readings.items())

    return until(there, lambda: driver.command(target) or driver.poll(0.02))


def losing(number: int) -> Callable[[bytes], bytes]:
    """For `MemoryWire.garble`: the answer with this number does not come."""
    answers = itertools.count()
    return lambda answer: b"" if answer and next(answers) == number else answer


def port(folder: Path) -> Path:
    """Where an emulated port appears."""
    return folder / "dev" / "ttyTEST0"


KINDS = ("sts", "scs", "load", "current")
"""Feetech's series, and Dynamixels that measure load or current."""


class Bench:
    """Servos of one of KINDS: a driver, open, the bus that it talks to, and the wire between them, in memory."""

    def __init__(self, kind: str, ids: tuple[int, ...] = (1, 2, 5), **changes: Any) -> None:
        self.kind, counts = kind, 1024 if kind == "scs" else 4096
        fields = {"drive_mode": 0, "homing_offset": 0, "range_min": 0, "range_max": counts - 1}
        fields |= {key: changes.pop(key) for key in fields.keys() & changes.keys()}
        joints = {f"j{i}": axis(i, **{"calibration": Calibration(i, **fields), **changes}) for i in ids}
        start = dict.fromkeys(ids, counts / 2 - 1.0)
        bus: Any
        config: Any
        make: Any
        if kind in ("sts", "scs"):
            bus, make = FeetechBus(start, kind), FeetechServos  # type: ignore[arg-type]
            config = FeetechDriver(type="feetech", series=kind)  # type: ignore[arg-type]
        else:
            bus, make = DynamixelBus(start, 1060 if kind == "load" else 1020), DynamixelServos
            config = DynamixelDriver(type="dynamixel", baud=1_000_000, watchdog_s=2.0)
        self.bus: Any = bus
        self.driver, self.wire = wired(make, config, bus, joints)
        self.clock = self.wire.clock

    def arm_all(self) -> None:
        assert self.driver.check() == {}
        for joint in self.driver.axes:
            assert self.driver.arm(joint, 0.0) is None
        assert self.driver.armed == set(self.driver.axes)

    def misses(self, joint: str, commands: dict[str, float] | None = None) -> None:
        """Poll, with these commands in between, until the joint has a fault."""

        def work() -> None:
            self.driver.command(commands or {})
            self.driver.poll(0.02)

        assert until(lambda: joint in self.driver.faults(), work), joint

    def recovers(self) -> None:
        """Poll until no joint has a fault."""
        assert until(lambda: self.driver.faults() == {}, lambda: self.driver.poll(0.05))
