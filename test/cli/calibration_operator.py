"""Somebody who calibrates an emulated robot, moves joints by hand as asked and answers on a pipe; and that robot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from memory_port import MemoryWire, Ticker

from reactdiff_ros.actuation.calibrate import Clock
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.cli.calibrate import Console, calibrate_robot, wanted_joints

HEAD: dict[str, Any] = {
    "name": "bench", **dict.fromkeys(("about", "shows", "published", "chosen", "tested"), "a"),
    "rate_hz": 100, "software_stop": "hold", "host_loss": {"does": "hold", "watchdog": "none", "about": "a"},
    "camera": {"mount": "fixed"},
}  # fmt: skip
DRIVERS: dict[str, dict[str, Any]] = {
    "sts": {"type": "feetech"}, "scs": {"type": "feetech", "series": "scs"}, "ohbot": {"type": "ohbot"},
    "dynamixel": {"type": "dynamixel", "watchdog_s": 2.0}, "maestro": {"type": "maestro", "timeout_s": 1.0},
}  # fmt: skip


def joint(unit: str = "deg", number: int = 1, **changes: Any) -> dict[str, Any]:
    """A joint that goes 40 units either way (hobby servos: 400 us), quickly, because a calibration moves slowly."""
    size, middle = {"us": (400.0, 1500.0), "raw": (300.0, 500.0)}.get(unit, (40.0, 0.0))
    ends = [middle - size, middle + size]
    return {
        "unit": unit, "group": "neck", "neutral": middle, "map": {"sum": {"headPitch": size}}, "on_fault": "release",
        "limits": {"position": ends, "speed": 100 * size, "acceleration": 600 * size, "jerk": 40_000 * size},
        "output": {"driver": "bus", "id": number}, **changes,
    }  # fmt: skip


def profile_of(folder: Path, kind: str, **joints: dict[str, Any]) -> Profile:
    """A profile with these joints on a bus or board of that kind."""
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump({**HEAD, "drivers": {"bus": DRIVERS[kind]}, "joints": joints}, sort_keys=False))
    return load_profile(path)


@contextmanager
def bench(folder: Path, kind: str, poses: list[int], *answers: Any, **changes: Any) -> Iterator[Any]:
    """Somebody before the emulated hardware of one joint, "neck", with these `changes` of `joint`.

    All of it is in memory, in a time that goes on where somebody waits.
    """
    ticker, wires = Ticker(), dict[str, MemoryWire]()

    def wire(bus: Any, link: Path, clock: Ticker, baud: int | None = None) -> MemoryWire:
        wires[str(link)] = MemoryWire(bus, clock)
        return wires[str(link)]

    def port(path: str, *_: object, **__: object) -> Any:
        return wires[path].connect()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reactdiff_ros.actuation.emulators.rig.Wire", wire)
        for module in ("servo_bus", "boards"):
            patch.setattr(f"reactdiff_ros.actuation.drivers.{module}.SerialPort", port)
        with Rig(profile_of(folder, kind, neck=joint(**changes)), folder / "dev", ticker) as rig:
            somebody = Operator(rig, ticker, poses, list(answers))
            try:
                yield somebody
            finally:
                somebody.close()


class Operator:
    """Reads what the calibration says, moves joints and answers.

    Args:
        rig: the emulated hardware.
        ticker: its time.
        poses: how far the joint is moved by hand (in the sensor's counts) from one pose to the next: to neutral, to
            the upper end, to the lower end, and back near neutral.
        answers: what to do or say at a line that holds the text, instead of what is usual; each once.
    """

    USUAL = (("Enter: again", "q"), ("y or n", "y"), ("Enter", ""), ("which one", "1"), ("is this its neutral", ""))

    def __init__(
        self, rig: Rig, ticker: Ticker, poses: list[int], answers: list[tuple[str, str | Callable[[], object]]]
    ) -> None:
        self.rig, self.said = rig, list[str]()
        self.time = Clock(ticker, self.sleep)
        self._ticker, self._poses, self._answers = ticker, list(poses), answers
        self._read, self._write = os.pipe()
        self.console = Console(self._read, self.hear)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def sleep(self, seconds: float) -> None:
        self._ticker.now_s += max(seconds, 0.0)

    def servo(self) -> Any:
        bus: Any = self.rig.buses["bus"]
        return bus.servos[self.rig.profile.joints["neck"].output.id]

    def push(self, way: int) -> None:
        """By hand, as slowly as a hand is, where it has no torque."""
        motor = self.servo().motor
        for _ in range(4):
            with self.rig.wires["bus"].lock:
                assert not motor.torque, "it has torque, nobody can move it"
                motor.position += way / 4
            self.sleep(0.03)

    def hear(self, line: str) -> None:
        """What the calibration shows."""
        self.said.append(line)
        answer = next((a for a in self._answers if a[0] in line), None)
        if answer is not None:
            self._answers.remove(answer)
        elif "move it by hand" in line and self._poses:
            self.push(self._poses.pop(0))
        found: Any = answer or next((usual for usual in self.USUAL if usual[0] in line), None)
        if found is not None and callable(found[1]):
            found[1]()
        elif found is not None:
            os.write(self._write, f"{found[1]}\n".encode())

    def calibrate(self, path: Path) -> dict[str, Any]:
        """The whole calibration of the rig's robot, by this operator."""
        profile = self.rig.profile
        options = {"answer_s": 0.15, "lock_folder": path.parent, "i2c": lambda _: self.rig.i2c}
        with self.console.catching():
            return calibrate_robot(
                profile, wanted_joints(profile, ()), path, self.console, self.time, ports={}, others=[], **options
            )
