"""`reactdiff robot emulate`: the buses and boards of a robot on pseudo-terminals, to try things without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reactdiff_ros.cli.output import echo

if TYPE_CHECKING:
    from reactdiff_ros.actuation.emulators.motor import Motor
    from reactdiff_ros.actuation.emulators.rig import Rig
    from reactdiff_ros.actuation.emulators.servo import Servo

HAND_S: Final = 0.5
"""So long takes a move by hand."""
STEPS: Final = 25
LONGEST: Final = 55
"""So much of a robot's name is kept: names have at most 64 letters."""
HELP: Final = """\
where                 where every joint stands
JOINT +200            move it by hand by so many counts (Feetech, Dynamixel), while it has no torque
JOINT FAULT           switch a fault on, or off again: {faults}
pull DRIVER, plug DRIVER   its cable
q                     end"""


@click.command()
@click.argument("robot")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where ports and profile appear [default: a new temporary folder].",
)
def emulate(robot: str, folder: Path | None) -> int:
    """Emulate the servos of ROBOT on pseudo-terminals, until Ctrl-C: to try calibration and drivers without hardware.

    A copy of the profile with the emulated ports is written beside them: give that to the other commands. It is a
    robot of its own, NAME_emulated, so that its calibration and its last commands are not taken for the real one's.
    Lines on stdin move joints by hand, switch faults on, and pull the cable; `help` shows them.
    """
    import sys
    import tempfile
    import time

    from reactdiff_ros.actuation.emulators.rig import Rig
    from reactdiff_ros.actuation.profile import load_profile
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.evaluation.bench.emulated import PRIORITY
    from reactdiff_ros.launching.process import prioritise

    profile = load_profile(robot)
    with tempfile.TemporaryDirectory(prefix="reactdiff_") as made:
        where = (folder or Path(made)).resolve()
        rig = Rig(profile, where, time.monotonic)
        if not rig.wires:
            raise ConfigError("a board on I2C has no port that could be emulated", where=profile.name)
        path = write_profile(rig, where)
        try:
            prioritise(PRIORITY)
            with _ended_like_ctrl_c(), rig:
                for name, wire in rig.wires.items():
                    echo(f"{name}: {wire.link}")
                echo(_next(path))
                serve(Emulation(rig, time.sleep), sys.stdin, echo)
        except KeyboardInterrupt:
            echo("ended")
        finally:
            path.unlink(missing_ok=True)
    return 0


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """A terminal that is closed, or a kill, leaves no ports and no profile behind either."""
    import signal

    from reactdiff_ros.cli.interrupts import interrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _next(path: Path) -> str:
    from shlex import quote

    return (
        f"profile with these ports: {path}\n"
        f"in another terminal: reactdiff robot calibrate {quote(str(path))}\n"
        f"then there: reactdiff listen --robot {quote(str(path))}\n"
        "'help' shows what can be done here; Ctrl-C ends"
    )


def write_profile(rig: Rig, folder: Path) -> Path:
    """The robot's profile with the emulated ports and a name of its own, as a file for other commands.

    Raises:
        ConfigError: it is there already, or cannot be written.
    """
    import yaml

    from reactdiff_ros.errors import ConfigError

    name = f"{rig.profile.name[:LONGEST]}_emulated"
    path = folder / f"{name}.yaml"
    text = yaml.safe_dump(rig.profile.model_dump(mode="json") | {"name": name}, sort_keys=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        todo = "another emulator runs there, or was killed: end it, remove the file, or use another --folder"
        raise ConfigError("the profile cannot be written: it is there already", where=str(path), todo=todo) from error
    except OSError as error:
        raise ConfigError("the profile cannot be written", where=str(path), todo=str(error.strerror)) from error
    return path


def serve(emulation: Emulation, lines: Iterable[str], show: Callable[[str], object]) -> None:
    """Obey line by line; where there is nobody who types, the hardware stays until it is ended."""
    for line in lines:
        words = line.split()
        if words == ["q"]:
            return
        if words:
            show(emulation.obey(words))
    while True:
        emulation.wait(1.0)


class Emulation:
    """A rig, and what somebody beside it could do with it.

    Args:
        rig: plugged.
        wait: waits so many seconds.
    """

    def __init__(self, rig: Rig, wait: Callable[[float], object]) -> None:
        from reactdiff_ros.actuation.emulators.servo import Failing

        self.rig, self.wait = rig, wait
        self.faults = [f.name for f in fields(Failing)]

    def obey(self, words: Sequence[str]) -> str:
        """Do what the words say; what to tell."""
        first, second = words[0], words[1] if len(words) > 1 else ""
        if first == "where":
            return "\n".join(f"{joint} {self._where(joint)}" for joint in self._joints())
        if first in ("pull", "plug") and second in self.rig.wires:
            wire = self.rig.wires[second]
            wire.pull() if first == "pull" else wire.plug()
            return f"{second}: the cable is {'in' if wire.plugged else 'out'}"
        if first in self._joints() and self._servo(first) is not None:
            if second in self.faults:
                return self._switch(first, second)
            with suppress(ValueError):
                return self.move(first, int(second))
        return HELP.format(faults=", ".join(self.faults))

    def move(self, joint: str, way: int) -> str:
        """Move a joint on a bus by hand, by so many counts."""
        servo, bus = self._servo(joint), self.rig.wires[self._driver(joint)]
        if servo is None or servo.motor.torque:
            return f"{joint} has torque, and holds against you"
        for _ in range(STEPS):
            with bus.lock:
                servo.motor.position += way / STEPS
            self.wait(HAND_S / STEPS)
        return f"{joint} {self._where(joint)}"

    def _switch(self, joint: str, fault: str) -> str:
        servo: Any = self._servo(joint)
        with self.rig.wires[self._driver(joint)].lock:
            now = getattr(servo.failing, fault)
            other = servo.id + 1 if fault == "answers_as" else True
            setattr(servo.failing, fault, other if now in (None, False) else (None if fault == "answers_as" else False))
            return f"{joint}: {fault} {getattr(servo.failing, fault)}"

    def _joints(self) -> list[str]:
        return [n for n, j in self.rig.profile.joints.items() if j.output.driver in self.rig.wires]

    def _driver(self, joint: str) -> str:
        return self.rig.profile.joints[joint].output.driver

    def _servo(self, joint: str) -> Servo | None:
        bus: Any = self.rig.buses[self._driver(joint)]
        return bus.servos.get(self.rig.profile.joints[joint].output.id) if hasattr(bus, "servos") else None

    def _where(self, joint: str) -> str:
        driver = self._driver(joint)
        with self.rig.wires[driver].lock:
            servo = self._servo(joint)
            if servo is not None:
                return f"{servo.motor.position:.0f} counts{', torque' if servo.motor.torque else ''}"
            bus: Any = self.rig.buses[driver]
            number = self.rig.profile.joints[joint].output.id
            motor: Motor = bus.channels[number].servo if hasattr(bus, "channels") else bus.motors[number].servo
            place = f"{motor.position / 4:.1f} us" if hasattr(bus, "channels") else f"{motor.position:.0f} counts"
            return f"{place}{', pulses' if motor.torque else ''}"
