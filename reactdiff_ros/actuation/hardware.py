"""All drivers of a robot as one: made, opened again and again, asked in turns, commanded; what fails is a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, TypeVar

from reactdiff_ros.actuation.drivers.driver import LINK_FAULTS, REFUSING, Clock, Driver, Fault, Reading, axes_of
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.resources import EXTRA_OF, missing_extra

_T = TypeVar("_T")
DRIVERS: Final = {
    "feetech": ("feetech", "FeetechServos", {"lock_folder", "answer_s"}),
    "dynamixel": ("dynamixel", "DynamixelServos", {"lock_folder", "answer_s"}),
    "pca9685": ("boards", "Pca9685Board", {"lock_folder", "i2c"}),
    "maestro": ("boards", "MaestroBoard", {"lock_folder", "answer_s"}),
    "ohbot": ("boards", "OhbotBoard", {"lock_folder", "answer_s"}),
    "reachy_mini": ("robots", "ReachyMini", {"lock_folder", "least_s"}),
    "furhat": ("robots", "FurhatRobot", {"lock_folder", "least_s"}),
    "joint_trajectory": ("joint_trajectory", "TrajectoryDriver", {"send", "resolve"}),
}
"""Module, class and options of each type of driver; a screen has none (avatar_node shows it)."""


def make_drivers(
    profile: Profile, calibrations: Mapping[str, Calibration], clock: Clock, **options: Any
) -> dict[str, Driver]:
    """The profile's drivers by their names in it, not yet open; only their modules are imported.

    Args:
        profile: the robot.
        calibrations: by joint; a joint without one can be measured, not armed.
        clock: seconds of a clock that only goes forward.
        options: each driver takes those of its type, see `DRIVERS`. lock_folder: for lock files, instead of where
            other programs have theirs; answer_s: how long an answer over a serial port may take beyond its time on the
            wire; i2c: what opens an I2C bus by its number; send: takes the commands for controllers of ros2_control
            (names, positions), which are left out without it; resolve: the whole name of a topic.
    """
    options = {"least_s": SHORTEST / profile.rate_hz} | options
    drivers: dict[str, Driver] = {}
    for name, config in profile.drivers.items():
        if config.type == "screen" or (config.type == "joint_trajectory" and "send" not in options):
            continue
        found, takes = _kind(config.type), DRIVERS[config.type][2]
        mine = {key: value for key, value in options.items() if key in takes and value is not None}
        if "send" in mine:
            mine["send"] = partial(mine["send"], name)
        drivers[name] = found(config, axes_of(profile, name, calibrations), clock, **mine)
    return drivers


def _kind(type_: str) -> Any:
    module, name, _ = DRIVERS[type_]
    return getattr(import_module(f"reactdiff_ros.actuation.drivers.{module}"), name)


def slow_lines(profile: Profile) -> dict[str, str]:
    """Drivers whose line is too slow for their servos, and what would do: joints would move in steps."""
    found = {}
    for name, config in profile.drivers.items():
        if config.type in ("feetech", "dynamixel"):
            joints = axes_of(profile, name, {})
            found[name] = _kind(config.type).slow_line(config, len(joints), profile.rate_hz)
    return {name: text for name, text in found.items() if text}


RETRY_S: Final = 1.0
"""What could not be opened is tried again this rarely, and what could not be let go as well."""
NOT_OPEN: Final = "it is being opened"


class Hardware:
    """The buses of one robot. Nothing that they do raises; used by one thread.

    Args:
        profile: the robot.
        buses: by the drivers' names in it, not yet open. Joints on a driver without one (a screen) have no hardware.
        clock: steady, s.
        wait: sleeps for s; with None commands go out whenever they come.
    """

    def __init__(
        self,
        profile: Profile,
        buses: Mapping[str, Driver],
        clock: Callable[[], float],
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._profile, self._clock = profile, clock
        self._buses = dict(buses)
        self._wait, self._least_s = wait, SHORTEST / profile.rate_hz
        self._sent_s: dict[str, float] = {}
        """When the last command of each bus had left."""
        self._bus_of = {joint: name for name, bus in self._buses.items() for joint in bus.axes}
        self._closed = dict.fromkeys(self._buses, NOT_OPEN)
        """Why a bus is not open, by its name."""
        self._broken: dict[str, str] = {}
        """What a driver raised that must not."""
        self._owed: set[str] = set()
        """Joints that were to be let go, and may not have heard it."""
        self._retry_s = -math.inf

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints that have hardware, in the profile's order."""
        return tuple(j for j in self._profile.joints if j in self._bus_of)

    def open(self, now_s: float) -> bool:
        """Open what is not, at most once in RETRY_S; may wait for seconds. Whether anything was opened."""
        if not self._closed or now_s < self._retry_s:
            return False
        opened = False
        for name in list(self._closed):
            reason = self._try_open(self._buses[name])
            if reason:
                self._closed[name] = reason
            else:
                del self._closed[name]
                opened = True
                self._do(name, lambda bus: bus.check())
        self._retry_s = self._clock() + RETRY_S
        return opened

    def check(self) -> None:
        """Ask every joint for its id, model, settings and calibration; may take some tenths of a second a joint."""
        self._broken.clear()
        for name in self._open_buses():
            self._do(name, lambda bus: bus.check())

    def check_again(self) -> None:
        """Ask drivers with faults, as `check` does, unless their joints take commands: what is over is forgotten."""
        for name in self._open_buses():
            bus, failed = self._buses[name], self._broken.pop(name, "")
            if (failed or bus.faults()) and not bus.armed:
                self._do(name, lambda bus: bus.check())

    def poll(self, budget_s: float) -> None:
        """Measure as many joints as fit into `budget_s`, in turns; let go what may not be yet, at least one."""
        end_s = self._clock() + budget_s
        buses = self._open_buses()
        for name in buses:
            self._do(name, lambda bus: bus.poll(budget_s / len(buses)))
        if self._owed:
            wrong = self.faults()
            for joint in (j for j in self.joints if j in self._owed and j not in wrong):
                self.release(joint)
                if self._clock() >= end_s:
                    break

    def faults(self) -> dict[str, str]:
        """What is wrong now: sentences by joint."""
        return {joint: fault.text for joint, fault in self._all_faults().items()}

    def forbidden(self) -> dict[str, str]:
        """Joints that must not be moved at all, and why."""
        return {joint: fault.text for joint, fault in self._all_faults().items() if fault.kind in REFUSING}

    def reading(self, joint: str) -> Reading | None:
        """The newest measurement of a joint."""
        name = self._bus_of.get(joint)
        return None if name is None or name in self._closed else self._buses[name].reading(joint)

    def holding(self, joint: str) -> bool | None:
        """Whether a joint has torque, as its hardware reports it or was last commanded; None: unknown, it may hold."""
        name = self._bus_of.get(joint)
        if name is None:
            return False
        return None if name in self._closed or name in self._broken else self._buses[name].holding(joint)

    def hears(self, joint: str) -> bool:
        """Whether a joint hears its commands, as far as is known."""
        fault = self._all_faults().get(joint)
        return joint in self._bus_of and (fault is None or fault.kind not in LINK_FAULTS)

    def sent(self) -> dict[str, float]:
        """Where joints that cannot be measured are held, by joint, as far as their boards report it."""
        readings = {joint: self.reading(joint) for joint in self.joints if self.holding(joint)}
        return {joint: r.sent for joint, r in readings.items() if r is not None and r.sent is not None}

    def measured(self, since_s: float = -math.inf) -> list[float]:
        """Positions of all joints of the profile, NaN where there is none that was measured at `since_s` or later."""
        found = []
        for joint in self._profile.joints:
            reading = self.reading(joint)
            position = None if reading is None or reading.time_s < since_s else reading.position
            found.append(math.nan if position is None else position)
        return found

    def ends(self) -> list[tuple[float, float]]:
        """The lowest and highest position that each joint of the profile takes, see `Driver.ends`."""
        found = []
        for name, joint in self._profile.joints.items():
            bus = self._bus_of.get(name)
            ends = None if bus is None else self._do(bus, lambda driver, name=name: driver.ends(name))  # type: ignore[misc]
            found.append(ends if isinstance(ends, tuple) else (joint.lower, joint.upper))
        return found

    def takes_commands(self, joint: str) -> bool:
        """Whether the joint is armed."""
        name = self._bus_of.get(joint)
        return name is not None and joint in self._buses[name].armed

    def arm(self, joint: str, position: float) -> Fault | None:
        """Torque where the joint is, without feedback at `position`; what is wrong, or None."""
        name = self._bus_of.get(joint)
        if name is None:
            return None
        if name in self._closed:
            return Fault("gone", self._closed[name])
        self._owed.discard(joint)
        return self._do(name, lambda bus: bus.arm(joint, position))

    def take(self, joint: str, position: float) -> str:
        """Let a joint that has or may have torque take commands from where it is, without feedback from `position`.

        Returns: why it does not; empty: it does. One that has no torque gets none.
        """
        if self.holding(joint):
            fault = self.arm(joint, position)
            return "" if fault is None else fault.text
        if not self.hears(joint):
            return "whether it has torque is unknown"
        fault = self._do(self._bus_of[joint], lambda bus: bus.steer(joint, position))
        if fault is not None:
            return fault.text
        self._owed.discard(joint)
        return ""

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions, by joint."""
        for name in self._open_buses():
            axes = self._buses[name].axes
            mine = {joint: p for joint, p in positions.items() if joint in axes}
            if mine:
                self._space(name)
                self._do(name, lambda bus, mine=mine: bus.command(mine))  # type: ignore[misc]
                self._sent_s[name] = self._clock()

    def step(self, joint: str) -> float:
        """The step in which a joint takes positions, in its unit; 0 where it cannot be seen."""
        name = self._bus_of.get(joint)
        return 0.0 if name is None else self._buses[name].step(joint)

    def _space(self, name: str) -> None:
        """Wait until the last command of a bus is as long ago as the limits assume."""
        left_s = self._sent_s.get(name, -math.inf) + self._least_s - self._clock()
        if left_s > 0.0 and self._wait is not None:
            self._wait(left_s)

    def release(self, joint: str) -> None:
        """Torque off; where the joint does not hear it now, as soon as it does."""
        name = self._bus_of.get(joint)
        if name is None:
            return
        if name not in self._closed:
            self._do(name, lambda bus: bus.release(joint))
        self._owed.discard(joint)
        if joint in self.faults():
            self._owed.add(joint)

    def release_all(self) -> None:
        """Torque off everywhere, as fast as the buses can, unconfirmed: `poll` releases each joint again."""
        for name in self._open_buses():
            self._do(name, lambda bus: bus.release_all())
        self._owed |= self._bus_of.keys()

    def close(self) -> None:
        """Give all devices back."""
        for name in self._open_buses():
            self._do(name, lambda bus: bus.close())
            self._closed[name] = NOT_OPEN

    def _open_buses(self) -> list[str]:
        return [name for name in self._buses if name not in self._closed]

    def _all_faults(self) -> dict[str, Fault]:
        found: dict[str, Fault] = {}
        for name, bus in self._buses.items():
            whole = self._closed.get(name) or self._broken.get(name)
            if whole:
                found |= dict.fromkeys(bus.axes, Fault("gone", whole))
            else:
                found |= bus.faults()
        return found

    @staticmethod
    def _try_open(bus: Driver) -> str:
        try:
            bus.open()
        except ReactdiffError as error:
            return str(error)
        except ModuleNotFoundError as error:
            return str(missing_extra(error)) if error.name in EXTRA_OF else f"the library {error.name} is not installed"
        except Exception as error:
            return f"its driver failed ({type(error).__name__}: {error})"
        return ""

    def _do(self, name: str, work: Callable[[Driver], _T]) -> _T | Fault:
        """What `work` gives. A driver does not raise; one that does has a fault, and the others go on."""
        try:
            return work(self._buses[name])
        except Exception as error:
            self._broken[name] = f"its driver failed ({type(error).__name__}: {error})"
            return Fault("broken", self._broken[name])


def in_one_sentence(faults: Mapping[str, str]) -> str:
    """Joints with the same fault together: "lid, jaw: its port is gone: is the cable in?"."""
    by_text: dict[str, list[str]] = {}
    for joint, text in faults.items():
        by_text.setdefault(text, []).append(joint)
    return "; ".join(f"{listed(joints)}: {text}" for text, joints in by_text.items())


LISTED: Final = 6


def listed(joints: Sequence[str]) -> str:
    """Names for a sentence: the first LISTED ones, and how many more."""
    more = len(joints) - LISTED
    return ", ".join(joints) if more <= 0 else f"{', '.join(joints[:LISTED])} and {more} more"
