"""Emulated buses in memory, drivers that talk to them, and what listens or fails between the two."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory_port import MemoryWire, Ticker

from reactdiff_ros.actuation.drivers.driver import Axis, Driver
from reactdiff_ros.actuation.drivers.dynamixel import DynamixelServos
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus
from reactdiff_ros.actuation.emulators.rig import Bus
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import DynamixelDriver, FeetechDriver, Pulse

ANSWER_S = 0.15
"""Generous: these machines are busy, and the emulator is a thread of the same process."""
CLOCK = time.monotonic


def axis(number: int, **changes: object) -> Axis:
    """A joint named after its id: -40 to 40 degrees, calibrated to most of a turn."""
    given: dict[str, object] = {
        "joint": f"j{number}",
        "id": number,
        "unit": "deg",
        "lower": -40.0,
        "upper": 40.0,
        "calibration": Calibration(number, 0, 0, 0, 4095),
    }
    return Axis(**{**given, **changes})  # type: ignore[arg-type]


def axes(*numbers: int, **changes: object) -> dict[str, Axis]:
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

    def work() -> None:
        driver.poll(0.001)
        time.sleep(0.005)

    assert until(lambda: bool(condition()), work)


def sweep(driver: Driver, target: dict[str, float]) -> bool:
    """Command `target` until every joint measures it."""

    def there() -> bool:
        readings = {j: driver.reading(j) for j in target}
        return all(r and r.position is not None and abs(r.position - target[j]) <= 0.5 for j, r in readings.items())

    def work() -> None:
        driver.command(target)
        driver.poll(0.02)

    return until(there, work)


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
        self.kind, middle = kind, 511 if kind == "scs" else 2047
        start = dict.fromkeys(ids, float(middle))
        top = 1023 if kind == "scs" else 4095
        given = {k: changes.pop(k) for k in ("drive_mode", "range_min", "range_max") if k in changes}
        fields = {"drive_mode": 0, "homing_offset": 0, "range_min": 0, "range_max": top, **given}
        joints = {}
        for i in ids:
            joints.update(axes(i, **{"calibration": Calibration(i, **fields), **changes}))
        self.bus: Any
        self.clock = Ticker()
        options: dict[str, Any] = {"answer_s": ANSWER_S, "connect": lambda: self.wire.connect()}
        self.driver: ServoBus
        if kind in ("sts", "scs"):
            self.bus = FeetechBus(start, kind)  # type: ignore[arg-type]
            config: Any = FeetechDriver(type="feetech", series=kind)  # type: ignore[arg-type]
            self.driver = FeetechServos(config, joints, self.clock, **options)
        else:
            self.bus = DynamixelBus(start, 1060 if kind == "load" else 1020)
            config = DynamixelDriver(type="dynamixel", baud=1_000_000, watchdog_s=2.0)
            self.driver = DynamixelServos(config, joints, self.clock, **options)
        self.wire = MemoryWire(self.bus, self.clock)
        self.wire.plug()
        self.driver.open()

    def arm_all(self) -> None:
        assert self.driver.check() == {}
        for joint in self.driver.axes:
            assert self.driver.arm(joint, 0.0) is None
        assert self.driver.armed == set(self.driver.axes)

    def misses(self, joint: str, commands: dict[str, float] | None = None) -> None:
        """Poll, with these commands in between, until the joint has a fault."""

        def work() -> None:
            if commands is not None:
                self.driver.command(commands)
            self.driver.poll(0.02)

        assert until(lambda: joint in self.driver.faults(), work), joint

    def recovers(self) -> None:
        """Poll until no joint has a fault."""
        assert until(lambda: self.driver.faults() == {}, lambda: self.driver.poll(0.05))
