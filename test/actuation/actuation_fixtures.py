"""A head in memory: two Feetech servos and two hobby servos on a Maestro, a clock that is turned by hand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from memory_port import MemoryWire, Ticker
from robot_fixtures import SMALL, face

from reactdiff_ros.actuation.actuation import Actuation, Face, Request, Status
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.emulators.servos import FeetechBus
from reactdiff_ros.actuation.hardware import Hardware, make_drivers
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import load_profile

TICK_S = 0.02
PROFILE = SMALL.replace("{type: pca9685}", "{type: maestro, timeout_s: 0.5}")
BOARD, BUS = ("eye", "lid"), ("jaw", "neck")


class Head:
    """The robot, its emulated hardware, and everything that was commanded, tick by tick."""

    def __init__(
        self,
        folder: Path,
        old: str = "",
        new: str = "",
        *,
        uncalibrated: tuple[str, ...] = (),
        saved: dict[str, float] | None = None,
        plugged: bool = True,
        stands: dict[int, float] | None = None,
        calibrated: Mapping[str, Calibration] | None = None,
    ) -> None:
        path = folder / "head.yaml"
        assert old in PROFILE
        path.write_text(PROFILE.replace(old, new, 1) if old else PROFILE)
        self.profile = load_profile(path)
        self.clock = Ticker(0.00002)
        self.bus = FeetechBus(stands or {1: 2047.0, 2: 2047.0})
        for servo in self.bus.servos.values():
            servo.motor.speed, servo.motor.acceleration = 20_000.0, 2e6
        self.board = emulated.MaestroBoard(6, timeout_s=0.5)
        self.bus_wire, self.board_wire = MemoryWire(self.bus, self.clock), MemoryWire(self.board, self.clock)
        self.wires = {"servos": self.board_wire, "bus": self.bus_wire}
        if plugged:
            self.plug()
        self.uncalibrated, self.calibrated = uncalibrated, calibrated or {}
        self.face: np.ndarray | None = np.zeros(58)
        self.log: list[Status] = []
        self.start(saved)

    def start(self, saved: dict[str, float] | None = None, stopped: bool = False) -> None:
        """As a process that is started, also after another one was killed: the hardware is as it was."""
        found = {
            "eye": Calibration(0, 0, 0, 1200, 1800),
            "lid": Calibration(1, 0, 0, 1100, 1700),
            "jaw": Calibration(1, 0, 0, 1000, 3000),
            "neck": Calibration(2, 0, 0, 1000, 3000),
            **self.calibrated,
        }
        found = {n: c for n, c in found.items() if n not in self.uncalibrated}
        self.begin(found, {}, saved=saved, uncalibrated=self.uncalibrated, stopped=stopped)

    def begin(self, found: Mapping[str, Calibration], drivers: dict[str, Any], **options: Any) -> None:
        """Drivers with these calibrations and options, and what drives them."""
        self.buses: dict[str, Any] = make_drivers(self.profile, found, self.clock, **drivers)
        for name, wire in self.wires.items():
            self.buses[name]._connect_port = wire.connect
        self.hardware = Hardware(self.profile, self.buses, self.clock)
        self.actuation = Actuation(self.profile, self.hardware, self.clock, **options)

    @property
    def state(self) -> str:
        return self.actuation.state.state

    def run(self, seconds: float, until: str = "") -> bool:
        """Tick at 50 Hz, a new face each time while there is one; True when the state was reached."""
        due_s = self.clock.now_s
        end_s = due_s + seconds
        while due_s < end_s:
            if self.face is not None:
                self.actuation.take(Face(self.face.copy(), self.clock.now_s, 0.001))
            self.log.append(self.actuation.tick(self.clock.now_s))
            self.actuation.look(0.006)
            due_s = max(due_s + TICK_S, self.clock.now_s)
            self.clock.now_s = due_s
            if until and self.state == until:
                return True
        return False

    def ask(self, wish: str, seconds: float = 2.0) -> Request:
        """Ask, and tick until it is decided."""
        request = self.actuation.request(wish)  # type: ignore[arg-type]
        for _ in range(round(seconds / TICK_S)):
            self.run(TICK_S)
            if request.done:
                break
        return request

    def enable(self) -> Self:
        """Enable and follow."""
        self.run(1.5)
        request = self.ask("enable")
        assert request.granted, request.answer
        assert self.run(20.0, until="following")
        return self

    def ends_without_torque(self) -> None:
        """Tick until it is disarmed; then nothing has torque, and it says so."""
        assert self.run(10.0, until="disarmed")
        self.run(0.5)
        assert self.torques() == self.torque_told() == [False] * 4

    def torque_told(self) -> list[bool | None]:
        """What the status says has torque."""
        return list(self.actuation.state.torque.values())

    def plug(self) -> None:
        """All cables in."""
        for wire in self.wires.values():
            wire.plug()

    def pull(self) -> None:
        """All cables out."""
        for wire in self.wires.values():
            wire.pull()

    def torques(self) -> list[bool]:
        """What really has torque or pulses, in the profile's order."""
        return [*(channel.target != 0 for channel in self.board.channels[:2]), self.torque(1), self.torque(2)]

    def show(self, **coefficients: float) -> None:
        """The face from now on."""
        self.face = face(**coefficients)

    def steps(self, joint: str) -> list[float]:
        """Differences of successive commands of a joint, in units a tick, while it had torque."""
        i = list(self.profile.joints).index(joint)
        sent = [(s.commands.position[i], s.commands.torque[i]) for s in self.log]
        return [b[0] - a[0] for a, b in itertools.pairwise(sent) if a[1] and b[1]]

    def goals(self, number: int) -> list[int]:
        """Every goal that a Feetech servo received, in counts."""
        return self.bus.servos[number].received

    def torque(self, number: int) -> bool:
        """Whether a Feetech servo has torque."""
        return bool(self.bus.servos[number].table[40])

    def largest_step(self, joint: str) -> float:
        """Units a tick that the speed limit of a joint allows."""
        return self.profile.joints[joint].limits.speed / self.profile.rate_hz * (1 + 1e-6)


class Boards(Head):
    """A shipped robot of hobby servos, whose process may be killed."""

    def __init__(self, folder: Path, robot: str) -> None:
        self.profile, self.clock, self.folder = load_profile(robot), Ticker(0.00002), folder
        self.rig = Rig(self.profile, folder, self.clock)
        self.wires = {name: MemoryWire(bus, self.clock) for name, bus in self.rig.buses.items()}
        self.plug()
        self.face, self.log = np.zeros(58), []
        self.start()

    def start(self, saved: dict[str, float] | None = None, stopped: bool = False) -> None:
        drivers = {"lock_folder": self.folder, "i2c": lambda _: self.rig.i2c}
        self.begin(self.rig.calibrations, drivers, saved=saved, stopped=stopped)

    def kill(self) -> dict[str, float]:
        """What the kernel does with what a killed process had: its locks are free; what was saved before."""
        self.hardware.close()
        return self.actuation.to_save()

    def pulses(self) -> dict[str, float]:
        """What the board of an Ohbot, or of a robot on I2C, really does, by joint."""
        found = {}
        for name, joint in self.profile.joints.items():
            if self.wires:
                servo = self.rig.buses["board"].motors[joint.output.id].servo  # type: ignore[union-attr]
                found[name] = servo.goal if servo.torque else 0.0
            else:
                found[name] = self.rig.i2c.chips[0x40].pulse_us(joint.output.id)
        return found
