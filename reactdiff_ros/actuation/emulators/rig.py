"""The hardware of a whole profile, emulated: pseudo-terminals whose cables can be pulled, with buses behind them."""

from __future__ import annotations

import math
import os
import select
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from reactdiff_ros.actuation.drivers.driver import MICROSECONDS, Axis, Counts, axes_of
from reactdiff_ros.actuation.drivers.dynamixel import SCALE as DYNAMIXEL
from reactdiff_ros.actuation.drivers.feetech import SCALE as FEETECH
from reactdiff_ros.actuation.emulators.boards import I2cBus, MaestroBoard, OhbotBoard
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus, ServoLine
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import (
    DynamixelDriver,
    FeetechDriver,
    MaestroDriver,
    OhbotDriver,
    Pca9685Driver,
    Profile,
)
from reactdiff_ros.errors import ConfigError

Bus: TypeAlias = ServoLine | MaestroBoard | OhbotBoard
"""What can be behind a wire: it answers what the host sends (`receive`) and lives until a time (`step`)."""
IDLE_S = 0.005
"""The bus lives on at least this often while the line is silent."""


SLOWLY = 8
"""Bytes at a time that come over a line with a baud rate."""


class Wire:
    """Serves a bus on a pseudo-terminal, in its own thread.

    Args:
        bus: what is behind it.
        link: where the port appears: a link that goes when the cable is pulled, and comes back with it.
        clock: seconds; the bus lives in its time.
        baud: bits a second that the line carries to the bus; None: all at once.
    """

    def __init__(self, bus: Bus, link: Path, clock: Callable[[], float], baud: int | None = None) -> None:
        self.bus, self.link = bus, link
        self.lock = threading.Lock()
        """Held while the bus works; take it to look at several things at once."""
        self._clock = clock
        self._byte_s = 10.0 / baud if baud else 0.0
        self._master = -1
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Wire:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    @property
    def plugged(self) -> bool:
        """Whether the cable is in."""
        return self._thread is not None

    def plug(self) -> None:
        """Put the cable in; nothing when it is."""
        if self.plugged:
            return
        self._master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        part = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        part.symlink_to(name)
        part.replace(self.link)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(self._master, slave, self._stop), daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Pull the cable: the port is gone for the program that has it open. The servos keep their power."""
        if self._thread is None:
            return
        self.link.unlink(missing_ok=True)
        self._stop.set()
        self._thread.join()
        self._thread = None

    def say(self, data: bytes) -> None:
        """Put bytes on the line that no servo sent."""
        if self.plugged:
            with suppress(OSError):
                os.write(self._master, data)

    def _serve(self, master: int, slave: int, stop: threading.Event) -> None:
        free_s, more = 0.0, False
        try:
            while not stop.is_set():
                heard = b""
                if select.select([master], [], [], IDLE_S)[0]:
                    with suppress(OSError):
                        heard = os.read(master, SLOWLY if self._byte_s else 4096)
                if self._byte_s:
                    # What waits goes on where the line was, also when this thread is late.
                    free_s = (free_s if more else max(free_s, self._clock())) + len(heard) * self._byte_s
                    more = len(heard) == SLOWLY
                    stop.wait(max(free_s - self._clock(), 0.0))
                with self.lock:
                    now_s = self._clock()
                    answer = self.bus.receive(heard, now_s) if heard else b""
                    self.bus.step(now_s)
                while answer and not stop.is_set():
                    # A host that does not read must not keep the bus from living.
                    if not select.select([], [master], [], IDLE_S)[1]:
                        break
                    with suppress(OSError):
                        answer = answer[os.write(master, answer) :]
        finally:
            os.close(slave)
            os.close(master)


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
        for name, config in profile.drivers.items():
            axes = axes_of(profile, name, {})
            if isinstance(config, FeetechDriver):
                scale = FEETECH[config.series]
                self.buses[name] = FeetechBus(self._servos(profile, axes, scale), config.series)
            elif isinstance(config, DynamixelDriver):
                self.buses[name] = DynamixelBus(self._servos(profile, axes, DYNAMIXEL))
            elif isinstance(config, MaestroDriver):
                self._calibrate(axes, MICROSECONDS.of)
                count = 1 + max((axis.id for axis in axes.values()), default=0)
                size = next((size for size in (6, 12, 18) if count <= size), 24)
                self.buses[name] = MaestroBoard(size, 12 if config.device is None else config.device, config.timeout_s)
            elif isinstance(config, OhbotDriver):
                self._calibrate(axes, lambda _, position: position)
                self.buses[name] = OhbotBoard()
            elif isinstance(config, Pca9685Driver):
                self._calibrate(axes, MICROSECONDS.of)
                if config.address in self.i2c.chips:
                    raise ConfigError(
                        f"two boards at address 0x{config.address:02x} cannot be emulated",
                        where=f"{profile.name}, driver {name}",
                        todo="there is one emulated I2C bus: give each PCA9685 its own address",
                    )
                self.i2c.add(config.address)
            if name in self.buses:
                link = folder / f"tty_{profile.name}_{name}"
                # The others' lines are fast, or are none: USB.
                baud = config.baud if isinstance(config, OhbotDriver) else None
                self.wires[name] = Wire(self.buses[name], link, clock, baud)
                drivers[name] = config.model_copy(update={"port": str(link)})
        if not self.buses and not self.i2c.chips:
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
        """Where the servos of a bus stand, by id."""
        self._calibrate(axes, scale.of)
        return {axis.id: float(scale.of(axis, profile.joints[joint].neutral)) for joint, axis in axes.items()}

    def _calibrate(self, axes: dict[str, Axis], sent: Callable[[Axis, float], float]) -> None:
        """Joints may go as far as their limits; `sent`: what is sent for a position."""
        for joint, axis in axes.items():
            low, high = sorted((sent(axis, axis.lower), sent(axis, axis.upper)))
            self.calibrations[joint] = Calibration(axis.id, 0, 0, math.floor(low), math.ceil(high))
