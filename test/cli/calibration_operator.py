"""Somebody who calibrates an emulated robot, moves joints by hand as asked and answers on a pipe; and that robot."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from memory_port import MemoryWire, Ticker
from profile_parts import head_of

from reactdiff_ros.actuation.calibrate import Clock
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.cli.calibrate import Console, calibrate_robot, wanted_joints

DRIVERS: dict[str, dict[str, Any]] = {
    "sts": {"type": "feetech"}, "scs": {"type": "feetech", "series": "scs"}, "ohbot": {"type": "ohbot"},
    "dynamixel": {"type": "dynamixel", "watchdog_s": 2.0}, "maestro": {"type": "maestro", "timeout_s": 1.0},
}  # fmt: skip
USUAL = (("Enter: again", "q"), ("y or n", "y"), ("Enter", ""), ("which one", "1"), ("is this its neutral", ""))
"""What is answered to a line that holds the first text."""


def joint(unit: str = "deg", number: int = 1, **changes: Any) -> dict[str, Any]:
    """A joint that goes 40 units either way (hobby servos: 400 us), quickly, because a calibration moves slowly."""
    size, middle = {"us": (400.0, 1500.0), "raw": (300.0, 500.0)}.get(unit, (40.0, 0.0))
    ends = [middle - size, middle + size]
    return {
        "unit": unit, "group": "neck", "neutral": middle, "map": {"sum": {"headPitch": size}}, "on_fault": "release",
        "limits": {"position": ends, "speed": 100 * size, "acceleration": 600 * size, "jerk": 40_000 * size},
        "output": {"driver": "bus", "id": number}, **changes,
    }  # fmt: skip


def profile_of(folder: Path, kind: str, **neck: Any) -> Profile:
    """A profile with one joint, "neck", with these changes of `joint`, on a bus or board of that kind."""
    parts = {"rate_hz": 100, "drivers": {"bus": DRIVERS[kind]}, "joints": {"neck": joint(**neck)}}
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(head_of("bench")) | parts, sort_keys=False))
    return load_profile(path)


@contextmanager
def bench(folder: Path, kind: str, poses: list[int], *answers: Any, **neck: Any) -> Iterator[Any]:
    """Somebody before the emulated hardware of that profile, in memory, in a time that goes on where somebody waits."""
    ticker, wires = Ticker(), dict[str, MemoryWire]()

    def wire(bus: Any, link: Path, clock: Ticker, baud: int | None = None) -> MemoryWire:
        return wires.setdefault(str(link), MemoryWire(bus, clock))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reactdiff_ros.actuation.emulators.rig.Wire", wire)
        for module in ("servo_bus", "boards"):
            port = f"reactdiff_ros.actuation.drivers.{module}.SerialPort"
            patch.setattr(port, lambda path, *_, **__: wires[path].connect())
        with Rig(profile_of(folder, kind, **neck), folder / "dev", ticker) as rig:
            somebody = Operator(rig, ticker, poses, list(answers))
            try:
                yield somebody
            finally:
                for end in somebody.pipe:
                    os.close(end)


class Operator:
    """Reads what the calibration says, moves joints and answers.

    `poses`: counts of the sensor from one pose to the next, to neutral, the upper end, the lower end, near neutral;
    `answers`: what to do or say at a line that holds the text, instead of what is usual, each once.
    """

    def __init__(self, rig: Rig, ticker: Ticker, poses: list[int], answers: list[Any]) -> None:
        self.rig, self.said, self.pipe = rig, list[str](), os.pipe()
        self.time = Clock(ticker, lambda seconds: ticker.wait(max(seconds, 0.0)))
        self._poses, self._answers = list(poses), answers
        self.console = Console(self.pipe[0], self.hear)

    def servo(self) -> Any:
        bus: Any = self.rig.buses["bus"]
        return bus.servos[self.rig.profile.joints["neck"].output.id]

    def push(self, way: int) -> None:
        """By hand, as slowly as a hand is, where it has no torque."""
        motor = self.servo().motor
        for _ in range(4):
            with self.rig.wires["bus"].lock:
                assert not motor.torque, "it has torque, no one can move it"
                motor.position += way / 4
            self.time.sleep(0.03)

    def hear(self, line: str) -> None:
        """What the calibration shows."""
        self.said.append(line)
        answer: Any = next((a for a in self._answers if a[0] in line), None)
        if answer is not None:
            self._answers.remove(answer)
        elif "move it by hand" in line and self._poses:
            self.push(self._poses.pop(0))
        does = answer[1] if answer else next((usual for text, usual in USUAL if text in line), None)
        if callable(does):
            does()
        elif does is not None:
            os.write(self.pipe[1], f"{does}\n".encode())

    def calibrate(self, path: Path) -> dict[str, Any]:
        """The whole calibration of the rig's robot, by this operator."""
        profile = self.rig.profile
        options = {"answer_s": 0.15, "lock_folder": path.parent, "i2c": lambda _: self.rig.i2c}
        with self.console.catching():
            return calibrate_robot(
                profile, wanted_joints(profile, ()), path, self.console, self.time, ports={}, others=[], **options
            )
