"""The hardware of a whole profile, emulated: what a robot can be tried with when it is not there."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from reactdiff_ros.actuation.calibration.file import Calibration
from reactdiff_ros.actuation.driver_settings import (
    DynamixelDriver,
    FeetechDriver,
    MaestroDriver,
    OhbotDriver,
    Pca9685Driver,
)
from reactdiff_ros.actuation.drivers.axes import Axis, Counts, axes_of, pulse_us
from reactdiff_ros.actuation.drivers.dynamixel import SCALE as DYNAMIXEL
from reactdiff_ros.actuation.drivers.feetech import SCALE as FEETECH
from reactdiff_ros.actuation.emulators.dynamixel import DynamixelBus
from reactdiff_ros.actuation.emulators.feetech import FeetechBus
from reactdiff_ros.actuation.emulators.maestro import MaestroBoard
from reactdiff_ros.actuation.emulators.ohbot import OhbotBoard
from reactdiff_ros.actuation.emulators.pca9685 import I2cBus
from reactdiff_ros.actuation.emulators.wire import Bus, Wire
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.errors import ConfigError


class Rig:
    """Emulated buses and boards for every driver of a profile that can be; motors stand at neutral.

    Args:
        profile: the robot.
        folder: where the emulated ports appear.
        clock: seconds; the buses live in its time.

    Raises:
        ConfigError: the profile has nothing that can be emulated, or two boards at one address of the one I2C bus.
    """

    def __init__(self, profile: Profile, folder: Path, clock: Callable[[], float]) -> None:
        self.buses: dict[str, Bus] = {}
        """By the driver's name: what is behind the wire."""
        self.wires: dict[str, Wire] = {}
        self.i2c = I2cBus()
        """For `make_drivers`: `i2c=lambda number: rig.i2c`."""
        self.calibrations: dict[str, Calibration] = {}
        """Those of the emulated servos: no offset, the ranges of the profile's limits."""
        drivers = dict(profile.drivers)
        found = False
        for name, config in profile.drivers.items():
            axes = axes_of(profile, name, {})
            if isinstance(config, FeetechDriver):
                scale = FEETECH[config.series]
                self.buses[name] = FeetechBus(self._servos(profile, axes, scale), config.series)
            elif isinstance(config, DynamixelDriver):
                self.buses[name] = DynamixelBus(self._servos(profile, axes, DYNAMIXEL))
            elif isinstance(config, MaestroDriver):
                self._hobby(axes)
                count = 1 + max((axis.id for axis in axes.values()), default=0)
                size = next((size for size in (6, 12, 18) if count <= size), 24)
                self.buses[name] = MaestroBoard(size, 12 if config.device is None else config.device, config.timeout_s)
            elif isinstance(config, OhbotDriver):
                for joint, axis in axes.items():
                    low, high = math.floor(axis.lower), math.ceil(axis.upper)
                    self.calibrations[joint] = Calibration(axis.id, 0, 0, low, high)
                self.buses[name] = OhbotBoard()
            elif isinstance(config, Pca9685Driver):
                self._hobby(axes)
                if config.address in self.i2c.chips:
                    raise ConfigError(
                        f"two boards at address 0x{config.address:02x} cannot be emulated",
                        where=f"{profile.name}, driver {name}",
                        todo="there is one emulated I2C bus: give each PCA9685 an address of its own",
                    )
                self.i2c.add(config.address)
            else:
                continue
            found = True
            if name in self.buses:
                link = folder / f"tty_{profile.name}_{name}"
                # The others' lines are fast, or are none: USB.
                baud = config.baud if isinstance(config, OhbotDriver) else None
                self.wires[name] = Wire(self.buses[name], link, clock, baud)
                drivers[name] = config.model_copy(update={"port": str(link)})
        if not found:
            todo = "it has no servos on a bus or a board"
            raise ConfigError("the hardware of this robot cannot be emulated", where=profile.name, todo=todo)
        self.profile = profile.model_copy(update={"drivers": drivers})
        """The profile with the emulated ports in place of the real ones."""

    def __enter__(self) -> Rig:
        for wire in self.wires.values():
            wire.plug()
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self.wires.values():
            wire.pull()

    def _servos(self, profile: Profile, axes: dict[str, Axis], scale: Counts) -> dict[int, float]:
        stand = {}
        for joint, axis in axes.items():
            low, high = scale.of(axis, axis.lower), scale.of(axis, axis.upper)
            self.calibrations[joint] = Calibration(axis.id, 0, 0, low, high)
            stand[axis.id] = float(scale.of(axis, profile.joints[joint].neutral))
        return stand

    def _hobby(self, axes: dict[str, Axis]) -> None:
        for joint, axis in axes.items():
            ends = sorted((pulse_us(axis, axis.lower), pulse_us(axis, axis.upper)))
            self.calibrations[joint] = Calibration(axis.id, 0, 0, math.floor(ends[0]), math.ceil(ends[1]))
