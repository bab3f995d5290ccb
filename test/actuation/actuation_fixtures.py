"""A robot whose hardware is emulated in memory, and a clock that is turned by hand: a small head or a shipped one."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from memory_port import MemoryWire, Ticker
from robot_fixtures import SMALL, face

from reactdiff_ros.actuation.actuation import Actuation, Face, Request, Status
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import Hardware, make_drivers
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import load_profile

TICK_S = 0.02
PROFILE = SMALL.replace("{type: pca9685}", "{type: maestro, timeout_s: 0.5}")
CALIBRATIONS = {
    "eye": Calibration(0, 0, 0, 1200, 1800), "lid": Calibration(1, 0, 0, 1100, 1700),
    "jaw": Calibration(1, 0, 0, 1000, 3000), "neck": Calibration(2, 0, 0, 1000, 3000),
}  # fmt: skip


class Head:
    """Two Feetech servos (`bus`) and two hobby servos on a Maestro (`board`); or the hobby servos of a shipped `robot`.

    It remembers everything that was commanded, tick by tick.
    """

    def __init__(
        self,
        folder: Path,
        old: str = "",
        new: str = "",
        *,
        robot: str = "",
        plugged: bool = True,
        saved: dict[str, float] | None = None,
        stands: dict[int, float] | None = None,
        calibrated: Mapping[str, Calibration] | None = None,
        uncalibrated: tuple[str, ...] = (),
    ) -> None:
        path = folder / "head.yaml"
        assert old in PROFILE
        path.write_text(PROFILE.replace(old, new, 1))
        self.profile, self.folder, self.clock = load_profile(robot or path), folder, Ticker(0.00002)
        self.rig = self.emulated()
        bauds = {name: getattr(config, "baud", 0) for name, config in self.profile.drivers.items()}
        self.wires = {name: MemoryWire(bus, self.clock, bauds[name]) for name, bus in self.rig.buses.items()}
        found = self.rig.calibrations if robot else CALIBRATIONS | dict(calibrated or {})
        self.calibrations = {name: c for name, c in found.items() if name not in uncalibrated}
        self.uncalibrated = uncalibrated
        self.board: Any = next(iter(self.rig.buses.values()), None)
        self.bus: Any = self.rig.buses.get("bus")
        for servo in () if self.bus is None else self.bus.servos.values():
            servo.motor.speed, servo.motor.acceleration = 20_000.0, 2e6
            servo.motor.position = (stands or {}).get(servo.id, 2047.0)
        if plugged:
            self.plug()
        self.options: dict[str, Any] = {"lock_folder": folder, "i2c": lambda _: self.rig.i2c}
        self.face: np.ndarray | None = np.zeros(58)
        self.log: list[Status] = []
        self.start(saved)

    def emulated(self) -> Any:
        return Rig(self.profile, self.folder, self.clock)

    def start(self, saved: dict[str, float] | None = None, stopped: bool = False) -> None:
        """As a process that is started, also after another one was killed: the hardware is as it was."""
        self.buses: dict[str, Any] = make_drivers(self.profile, self.calibrations, self.clock, **self.options)
        for name, wire in self.wires.items():
            self.buses[name]._connect_port = wire.connect
        self.hardware = Hardware(self.profile, self.buses, self.clock, wait=self.clock.wait)
        self.actuation = Actuation(
            self.profile, self.hardware, self.clock, saved=saved, uncalibrated=self.uncalibrated, stopped=stopped
        )

    status = property(lambda self: self.actuation.state)
    state = property(lambda self: self.status.state)

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
        self.run(1.5)
        request = self.ask("enable")
        assert request.granted, request.answer
        assert self.run(20.0, until="following")
        return self

    def stays(self) -> Self:
        """Its board goes on with its pulses while nobody speaks, where else it would let go by itself."""
        for channel in self.board.channels:
            channel.goes_home = False
        return self

    def ends_without_torque(self) -> None:
        """Tick until it is disarmed; then nothing has torque, and it says so."""
        assert self.run(10.0, until="disarmed")
        self.run(0.5)
        assert self.torques() == self.torque_told() == [False] * 4

    def torque_told(self) -> list[bool | None]:
        return list(self.status.torque.values())

    def plug(self) -> None:
        for wire in self.wires.values():
            wire.plug()

    def pull(self) -> None:
        for wire in self.wires.values():
            wire.pull()

    def torque(self, number: int) -> bool:
        return bool(self.bus.servos[number].table[40])

    def torques(self) -> list[bool]:
        """What of the small head really has torque or pulses, in the profile's order."""
        return [*(channel.target != 0 for channel in self.board.channels[:2]), self.torque(1), self.torque(2)]

    def pulses(self) -> dict[str, float]:
        """What the board of an Ohbot, or of a robot on I2C, really does, by joint."""
        found = {}
        for name, joint in self.profile.joints.items():
            if self.board:
                servo = self.board.motors[joint.output.id].servo
                found[name] = servo.goal if servo.torque else 0.0
            else:
                found[name] = self.rig.i2c.chips[0x40].pulse_us(joint.output.id)
        return found

    def show(self, **coefficients: float) -> None:
        self.face = face(**coefficients)

    def goals(self, number: int) -> list[int]:
        """Every goal that a Feetech servo received, in counts."""
        return self.bus.servos[number].received

    def largest_step(self, joint: str) -> float:
        """Units a tick that the speed limit of a joint allows."""
        return self.profile.joints[joint].limits.speed / self.profile.rate_hz * (1 + 1e-6)

    def steps_are_allowed(self) -> None:
        """No joint with torque was commanded further in a tick than its limit of speed allows."""
        for i, joint in enumerate(self.profile.joints):
            sent = [(s.commands.position[i], s.commands.torque[i]) for s in self.log]
            for (before, was_on), (after, is_on) in itertools.pairwise(sent):
                assert not (was_on and is_on) or abs(after - before) <= self.largest_step(joint), joint
