"""A robot in memory, and what its hardware was told last: the emulated board's, the daemon's, the controller's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from memory_port import MemoryWire, Ticker
from robot_fixtures import SMALL, robots

from reactdiff_ros.actuation.actuation import Actuation, Face, Status
from reactdiff_ros.actuation.drivers.driver import Axis
from reactdiff_ros.actuation.drivers.dynamixel import SCALE as DYNAMIXEL
from reactdiff_ros.actuation.drivers.feetech import SCALE as FEETECH
from reactdiff_ros.actuation.drivers.joint_trajectory import TrajectoryDriver
from reactdiff_ros.actuation.emulators.boards import MaestroBoard, OhbotBoard
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus
from reactdiff_ros.actuation.hardware import Hardware, make_drivers
from reactdiff_ros.actuation.robot.profile import (
    FurhatDriver,
    JointTrajectoryDriver,
    Pca9685Driver,
    Profile,
    ReachyMiniDriver,
    load_profile,
)

NETWORK = (FurhatDriver, ReachyMiniDriver)
NOWHERE = dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0)


class Line:
    """The line to a robot in the network, and its newest message of each kind."""

    connected, lost, problem = True, 0, ""

    def __init__(self) -> None:
        self.newest: dict[str, Mapping[str, Any]] = {}

    def wait(self, *_: object) -> bool:
        return True

    def send(self, _name: str, kind: str, message: Mapping[str, Any]) -> None:
        self.newest[kind] = message

    def request(self, *_: object) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


class Robot:
    """A robot whose hardware is emulated in memory, in a time that is turned by hand."""

    def __init__(self, profile: Profile, folder: Path) -> None:
        self.profile, self.clock, self.line = profile, Ticker(0.0), Line()
        self.left_s: dict[str, list[float]] = {}
        """When the last two commands of each driver left."""
        self.sent_s: dict[str, float] = {}
        """When the last command of each joint left."""
        self._told: dict[str, float] = {}
        self.rig = None
        options: dict[str, Any] = {"send": lambda _, *command: self._controller(*command)}
        found = {}
        if not any(isinstance(c, (*NETWORK, JointTrajectoryDriver)) for c in profile.drivers.values()):
            self.rig = Rig(profile, folder, self.clock)
            found, options["i2c"] = self.rig.calibrations, lambda _: self.rig.i2c
        drivers: dict[str, Any] = make_drivers(profile, found, self.clock, lock_folder=folder, **options)
        for name, driver in drivers.items():
            if isinstance(profile.drivers[name], NETWORK):
                driver._connect, driver._access = lambda: self.line, True
            elif isinstance(driver, TrajectoryDriver):
                driver.listeners = 1
            elif name in self.rig.buses:
                wire = MemoryWire(self.rig.buses[name], self.clock, profile.drivers[name].baud)  # type: ignore[union-attr]
                wire.plug()
                driver._connect_port = wire.connect
        self.drivers = drivers
        for name, driver in drivers.items():
            driver.command = self._stamped(name, driver.command)
        hardware = Hardware(profile, drivers, self.clock, wait=self.clock.wait)
        self.actuation = Actuation(profile, hardware, self.clock)

    def tick(self, now_s: float, face: np.ndarray | None) -> Status:
        self.clock.now_s = max(self.clock.now_s, now_s)
        self._measured()
        if face is not None:
            self.actuation.take(Face(face, self.clock.now_s))
        status = self.actuation.tick(self.clock.now_s)
        self.actuation.look(0.002)
        return status

    def wire(self) -> dict[str, tuple[float, float]]:
        """What each joint was told last, in its unit, and the step in which it is told."""
        return {
            joint: self._wire(name, axis)
            for name, driver in self.drivers.items()
            for joint, axis in driver.axes.items()
        }

    def _wire(self, name: str, axis: Axis) -> tuple[float, float]:
        config, output = self.profile.drivers[name], str(self.profile.joints[axis.joint].output.id)
        if isinstance(config, JointTrajectoryDriver):
            return self._told[output], 0.0
        if isinstance(config, FurhatDriver):
            turned, part = self.line.newest.get("headpose", {}), output.removeprefix("head.")
            return (-turned[part] if part != output else self.line.newest["params"]["params"][output]), 1e-4
        if isinstance(config, ReachyMiniDriver):
            pose, part = self.line.newest["pose"], output.rpartition(".")[2]
            head = output.startswith("head.")
            return (pose["target_head_pose"][part] if head else pose["target_antennas"][part == "left"]), 0.0
        bus = self.rig.buses.get(name)
        if isinstance(bus, OhbotBoard):
            return bus.motors[axis.id].servo.goal, 1000 / 180
        if isinstance(bus, (FeetechBus, DynamixelBus)):
            scale = FEETECH[bus.series] if isinstance(bus, FeetechBus) else DYNAMIXEL
            return scale.position(axis, bus.servos[axis.id].received[-1]), abs(scale.position(axis, scale.zero + 1))
        if isinstance(bus, MaestroBoard):
            us, step = bus.channels[axis.id].target / 4, 0.25
        else:
            assert isinstance(config, Pca9685Driver)
            us, step = self.rig.i2c.chips[config.address].pulse_us(axis.id), 1e6 / config.pulse_hz / 4096
        per, zero = (axis.pulse.us_per_unit, axis.pulse.zero_us) if axis.pulse else (1.0, 0.0)
        return (us - zero) / per, abs(step / per)

    def _controller(self, names: list[str], positions: list[float]) -> None:
        self._told.update(zip(names, positions, strict=True))

    def _measured(self) -> None:
        """Robots that say where they are do so: at once where they were told to be."""
        for name, driver in self.drivers.items():
            config = self.profile.drivers[name]
            if isinstance(config, JointTrajectoryDriver):
                stands = {str(self.profile.joints[j].output.id): self.profile.joints[j].neutral for j in driver.axes}
                stands |= self._told
                driver.heard(list(stands), list(stands.values()), self.clock.now_s)
            elif isinstance(config, ReachyMiniDriver):
                pose = self.line.newest.get("pose", {})
                head, antennas = pose.get("target_head_pose", NOWHERE), pose.get("target_antennas", [0.0, 0.0])
                state = {"head_pose": head, "antennas_position": antennas, "control_mode": "enabled"}
                driver._on_message("state", state)

    def _stamped(self, name: str, command: Any) -> Any:
        def stamped(positions: Mapping[str, float]) -> None:
            self.left_s[name] = [*self.left_s.get(name, [])[-1:], self.clock.now_s]
            self.sent_s.update(dict.fromkeys(positions, self.clock.now_s))
            command(positions)

        return stamped


def profiles() -> list[str]:
    """The shipped robots with hardware, and two heads with servos on a bus."""
    return [*(r for r in robots() if r != "screen"), "feetech", "dynamixel"]


def load(name: str, folder: Path) -> Profile:
    """One of `profiles`."""
    if name in robots():
        return load_profile(name)
    path = folder / "head.yaml"
    path.write_text(SMALL.replace("{type: pca9685}", "{type: maestro}").replace("type: feetech", f"type: {name}"))
    return load_profile(path)
