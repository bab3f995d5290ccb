"""`reactdiff robot`: profiles of robots, checked, previewed, emulated, calibrated and simulated."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Output, echo, json_on_stdout, log, progress_bar
from reactdiff_ros.errors import ConfigError, ReactdiffError, explained

if TYPE_CHECKING:
    from reactdiff_ros.actuation.emulators.rig import Rig
    from reactdiff_ros.actuation.emulators.servos import Servo
    from reactdiff_ros.actuation.robot.profile import Profile
    from reactdiff_ros.actuation.simulate import Block

_FRAMES = "arrays coefficients (T, 58) and times (T), in seconds"
_ROBOT = click.argument("robot", metavar="ROBOT")
HAND_S: Final = 0.5
"""Duration of a move by hand, s."""
HAND_STEPS: Final = 25
LONGEST_NAME: Final = 55
"""Part of a robot's name that is kept: names have at most 64 characters."""
EMULATOR_HELP: Final = """\
where                 print the position of every joint
JOINT +200            move a joint by hand, in counts (Feetech, Dynamixel); it must have no torque
JOINT FAULT           switch a fault on or off: {faults}
pull DRIVER, plug DRIVER   disconnect or connect its cable
q                     quit"""


@click.group(cls=common.Group)
def robot() -> None:
    """Check, preview, emulate, calibrate and simulate robots."""


@robot.command("list")
@common.reporting
def list_robots(result: Output) -> None:
    """List the robot profiles that come with the package."""
    from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles

    for name, path in shipped_profiles().items():
        profile = load_profile(path)
        result[name] = _summary(profile) | {"file": str(path)}
        result.say(f"{name:16} {profile.about}")


def _summary(profile: Profile) -> dict[str, Any]:
    names = ("about", "shows", "published", "chosen", "tested", "rate_hz", "groups")
    drivers = {name: driver.type for name, driver in profile.drivers.items()}
    return {n: getattr(profile, n) for n in names} | {"joints": len(profile.joints), "drivers": drivers}


@robot.command()
@_ROBOT
@common.reporting
def check(result: Output, robot: str) -> int:
    """Check the profile of ROBOT and print each error with its line and key.

    ROBOT is a file or a shipped profile.
    """
    from reactdiff_ros.actuation.hardware import slow_lines
    from reactdiff_ros.actuation.robot.profile import load_profile, profile_path
    from reactdiff_ros.plain_yaml import ProblemsError

    path = profile_path(robot)
    result.update(file=str(path), problems=[])
    try:
        found = load_profile(path)
    except ProblemsError as error:
        for p in error.problems:
            result["problems"].append({"line": p.line, "key": p.key, "what": p.what, "todo": p.todo})
            log(f"{path}, {p}")
        return EXIT_ERROR
    result.update(_summary(found), warnings=slow_lines(found))
    for name, text in slow_lines(found).items():
        log(f"{path}, drivers.{name}: {text}")
    loss = found.host_loss
    result.say(f"{path}: {found.name}, {len(found.joints)} joints, no errors")
    result.say(f"if this computer fails: {loss.does} (detected by: {loss.watchdog}). {loss.about}")
    return EXIT_DONE


@robot.command()
@_ROBOT
@click.option("--recorded", is_flag=True, help="For a clip or bag, whose pictures do not turn with the robot's head.")
@common.reporting
def parameters(result: Output, robot: str, recorded: bool) -> None:
    """Print the ROS parameters that follow from the profile of ROBOT.

    The position of its camera is one of them.
    """
    import yaml

    from reactdiff_ros.launching.configuration import robot_parameters

    result.update(robot_parameters(robot, recorded=recorded) or {})
    result.say(yaml.safe_dump(dict(result)), nl=False)


@robot.command()
@_ROBOT
@click.option("--frames", type=common.FILE, metavar="FILE.npz", help=f"Clip to play: {_FRAMES}. Default: each part.")
@click.option("--output", type=common.FILE, metavar="FILE",
              help="Only draw the mapping to this picture (.png, .svg, .pdf).")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@click.option("--port", type=click.IntRange(0, 65535), default=8770,
              help="Port of the page; the next free one if it is in use.")  # fmt: skip
@common.JSON
def preview(robot: str, frames: Path | None, output: Path | None, force: bool, port: int, as_json: bool) -> int:
    """Show the mapping of ROBOT in the browser, and play a clip on it.

    ROBOT is a shipped profile or a file. The clip runs through the real mapping, limits and motion, without hardware.
    The file is reloaded when it changes; errors in it are shown on the page with line and key. Ctrl-C ends the preview.
    """
    if force and output is None:
        raise click.UsageError("--force needs --output")
    import asyncio

    from reactdiff_ros.actuation.robot.profile import profile_path
    from reactdiff_ros.actuation.simulate import read_frames, tick_count
    from reactdiff_ros.cli.preview import Preview, draw_mapping, sequence, serve

    given = sequence() if frames is None else read_frames(frames)
    path = profile_path(robot)
    shown = Preview(path, given, str(frames) if frames is not None else "every part in turn")
    tick_count(shown.profile, given)
    if output is None:
        return asyncio.run(serve(shown, port, as_json))
    if output.exists() and (not force or output.resolve() == path.resolve()):
        todo = "choose another name, or use --force"
        raise ReactdiffError("the picture already exists", where=str(output), todo=todo)
    with json_on_stdout(as_json) as result:
        draw_mapping(shown.profile, output)
        result.update(robot=shown.profile.name, file=str(path), joints=len(shown.profile.joints), output=str(output))
        log(f"wrote the mapping of {shown.profile.name} to {output}")
    return EXIT_DONE


@robot.command()
@_ROBOT
@click.option("--port", "ports", multiple=True, metavar="DRIVER=PORT", help="Port of a driver. Default: search.")
@click.option("--joint", "joints", multiple=True, metavar="NAME", help="Calibrate this joint only; repeatable.")
@click.option("--output", type=common.FILE, metavar="FILE.json",
              help="Calibration file. Default: the user's configuration.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print what would be sent, without opening a port.")
@common.reporting
def calibrate(
    result: Output, robot: str, ports: tuple[str, ...], joints: tuple[str, ...], output: Path | None, dry_run: bool
) -> None:
    """Calibrate the servos of ROBOT (a shipped profile or a file) joint by joint. Stay next to the robot.

    Servos cannot be armed before they are calibrated. You move bus servos by hand to neutral and to both ends; then
    they move there slowly by themselves. Hobby servos move slowly, step by step, as you confirm. The result is a JSON
    file in the format of lerobot; the previous file is kept as a backup. Ctrl-C puts the joint into the state that
    on_fault names and leaves the previous file unchanged.
    """
    from reactdiff_ros.actuation.calibrate import Clock
    from reactdiff_ros.actuation.drivers.serial_port import ports as serial_ports
    from reactdiff_ros.actuation.kept_state import Kept
    from reactdiff_ros.actuation.robot.calibration import calibration_path
    from reactdiff_ros.actuation.robot.profile import load_profile
    from reactdiff_ros.cli.calibrate import Console, calibrate_robot, dry_plan, wanted_joints
    from reactdiff_ros.settings import state_folder

    parts = [text.partition("=") for text in ports]
    if wrong := ["".join(part) for part in parts if not all(part)]:
        raise click.BadParameter(f"{wrong[0]!r} is not DRIVER=PORT", param_hint="--port")
    given = {name: port for name, _, port in parts}
    profile = load_profile(robot)
    path = output or calibration_path(profile.name)
    wanted = wanted_joints(profile, joints)
    clock = Clock(time.monotonic, time.sleep)
    if dry_run:
        lines = list(dry_plan(profile, wanted, given, clock))
        result.update(robot=profile.name, file=str(path), dry_run=True, would_send=lines)
        result.say("\n".join([*lines, f"would write {path}", "dry run: nothing was opened, sent or written"]))
        return
    none = "there is no standard input for your answers"
    with explained((AttributeError, OSError, ValueError), none, todo="run it in a terminal", error=ConfigError):
        console = Console(sys.stdin.fileno(), echo)
    with console.catching():
        result.update(calibrate_robot(profile, wanted, path, console, clock, ports=given, others=serial_ports()))
    Kept(state_folder("", "robots"), profile.name, profile.joints).forget_commands(result["calibrated"])
    backup = f"; the previous file is {result['backup']}" if result["backup"] else ""
    count = len(result["calibrated"])
    result.say(f"{path}: {count} joint{'' if count == 1 else 's'} calibrated{backup}")
    if result["missing"]:
        result.say(f"not calibrated yet, and therefore not armed: {', '.join(result['missing'])}")


@robot.command()
@_ROBOT
@click.option("--folder", type=common.FOLDER, metavar="DIR",
              help="Folder of ports and profile. Default: a temporary folder.")  # fmt: skip
def emulate(robot: str, folder: Path | None) -> None:
    """Emulate the servos of ROBOT, to try calibration and drivers without hardware.

    They are emulated on pseudo-terminals until Ctrl-C. A copy of the profile with the emulated ports is written to the
    folder: give that to the other commands. Its name is NAME_emulated, so that its calibration is not mistaken for the
    real robot's. Type lines to move joints by hand, to inject faults and to unplug cables; `help` lists them.
    """
    import tempfile
    from shlex import quote

    from reactdiff_ros.actuation.emulators.rig import Rig
    from reactdiff_ros.actuation.robot.profile import load_profile
    from reactdiff_ros.evaluation.bench.emulated import PRIORITY
    from reactdiff_ros.launching.process import prioritise

    profile = load_profile(robot)
    with tempfile.TemporaryDirectory(prefix="reactdiff_") as temporary:
        where = (folder or Path(temporary)).resolve()
        rig = Rig(profile, where, time.monotonic)
        if not rig.wires:
            raise ConfigError("a board on I2C has no port that could be emulated", where=profile.name)
        path = _write_profile(rig, where)
        try:
            prioritise(PRIORITY)
            with common.stop_signals(common.interrupt), rig:  # so that SIGTERM and a closed terminal clean up
                for name, wire in rig.wires.items():
                    echo(f"{name}: {wire.link}")
                mine = quote(str(path))
                echo(f"profile with these ports: {path}\nin another terminal: reactdiff robot calibrate {mine}")
                echo(f"then: reactdiff listen --robot {mine}")
                echo("type 'help' for what can be done to the hardware; Ctrl-C ends")
                _serve(Emulation(rig, time.sleep), sys.stdin, echo)
        except KeyboardInterrupt:
            echo("ended")
        finally:
            path.unlink(missing_ok=True)


def _write_profile(rig: Rig, folder: Path) -> Path:
    import yaml

    name = f"{rig.profile.name[:LONGEST_NAME]}_emulated"
    path = folder / f"{name}.yaml"
    text = yaml.safe_dump(rig.profile.model_dump(mode="json") | {"name": name}, sort_keys=False)
    if path.exists():
        todo = "end the other emulator, remove the file if none runs, or use another --folder"
        raise ConfigError("the profile already exists", where=str(path), todo=todo)
    with common.writing("the profile", path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return path


def _serve(emulation: Emulation, lines: Iterable[str], show: Callable[[str], object]) -> None:
    """Execute line by line; after the end of input, the hardware keeps running until it is stopped."""
    for line in lines:
        words = line.split()
        if words == ["q"]:
            return
        if words:
            show(emulation.execute(words))
    while True:
        emulation.wait(1.0)


class Emulation:
    """A rig, and what a person next to the robot could do to it.

    Args:
        rig: plugged.
        wait: waits for a number of seconds.
    """

    def __init__(self, rig: Rig, wait: Callable[[float], object]) -> None:
        from reactdiff_ros.actuation.emulators.servos import Failing

        self.rig, self.wait = rig, wait
        self.faults = [f.name for f in fields(Failing)]
        self.joints = {n: j.output for n, j in rig.profile.joints.items() if j.output.driver in rig.wires}

    def execute(self, words: Sequence[str]) -> str:
        """Execute a line of EMULATOR_HELP; the answer."""
        first, second = words[0], words[1] if len(words) > 1 else ""
        if first == "where":
            return "\n".join(f"{joint} {self._position(joint)}" for joint in self.joints)
        if first in ("pull", "plug") and second in self.rig.wires:
            wire = self.rig.wires[second]
            wire.pull() if first == "pull" else wire.plug()
            return f"{second}: the cable is {'in' if wire.plugged else 'out'}"
        servo = self._servo(first) if first in self.joints else None
        if servo is not None and second in self.faults:
            with self._bus(first).lock:
                now: Any = getattr(servo.failing, second)
                on, off = (servo.id + 1, None) if second == "answers_as" else (True, False)
                setattr(servo.failing, second, on if now == off else off)
            return f"{first}: {second} {getattr(servo.failing, second)}"
        if servo is not None:
            with suppress(ValueError):
                return self._move(first, servo, int(second))
        return EMULATOR_HELP.format(faults=", ".join(self.faults))

    def _move(self, joint: str, servo: Servo, counts: int) -> str:
        """Move a joint on a bus by hand."""
        if servo.motor.torque:
            return f"{joint} has torque and resists"
        for _ in range(HAND_STEPS):
            with self._bus(joint).lock:
                servo.motor.position += counts / HAND_STEPS
            self.wait(HAND_S / HAND_STEPS)
        return f"{joint} {self._position(joint)}"

    def _bus(self, joint: str) -> Any:
        return self.rig.wires[self.joints[joint].driver]

    def _servo(self, joint: str) -> Servo | None:
        bus: Any = self.rig.buses[self.joints[joint].driver]
        return bus.servos.get(self.joints[joint].id) if hasattr(bus, "servos") else None

    def _position(self, joint: str) -> str:
        with self._bus(joint).lock:
            servo = self._servo(joint)
            if servo is not None:
                return f"{servo.motor.position:.0f} counts{', torque' if servo.motor.torque else ''}"
            bus: Any = self.rig.buses[self.joints[joint].driver]
            pulses = hasattr(bus, "channels")
            motor = (bus.channels if pulses else bus.motors)[self.joints[joint].id].servo
            place = f"{motor.position / 4:.1f} us" if pulses else f"{motor.position:.0f} counts"
            return f"{place}{', pulses' if motor.torque else ''}"


@robot.command()
@click.option("--robot", required=True, metavar="ROBOT", help="Shipped profile, by name, or a file.")
@click.option("--frames", required=True, type=common.FILE, metavar="FILE.npz", help=f"Coefficients: {_FRAMES}.")
@click.option("--log", "path", required=True, type=common.FILE, metavar="LOG.csv", help="CSV file to write.")
@click.option("--force", is_flag=True, help="Overwrite a file that is not a log of an earlier run.")
@common.reporting
def simulate(result: Output, robot: str, frames: Path, path: Path, force: bool) -> int:
    """Run mapping, limits and motion over coefficient frames, without a robot.

    Motion starts at neutral. The log has one row per tick and joint, at the profile's rate, in the joint's unit: time,
    joint, target, command, velocity, acceleration, lower, upper, max_velocity, max_acceleration, limited (1: the target
    was cut, or the command has not reached it). Frames whose time is NaN, infinite or decreasing are dropped. Exits
    with 1 if the robot stopped.
    """
    from reactdiff_ros.actuation.robot.profile import load_profile
    from reactdiff_ros.actuation.simulate import COLUMNS, read_frames, tick_count
    from reactdiff_ros.actuation.simulate import simulate as run
    from reactdiff_ros.whole_file import whole_file

    profile = load_profile(robot)
    given = read_frames(frames)
    count = tick_count(profile, given)
    header = (",".join(COLUMNS) + "\n").encode()
    fault, limited, done = "", 0, 0
    with common.writing("the log", path):
        if path.exists() and (path.resolve() == frames.resolve() or not (force or _is_log(path, header))):
            raise ReactdiffError("the file is not a log", where=str(path), todo="choose another name, or --force")
        with whole_file(path) as file, progress_bar(profile.name) as show:
            file.write(header)
            for block in run(profile, given):
                write_rows(file, profile, block)
                done += len(block.time)
                limited += int(block.limited.sum())
                fault = block.fault
                show(done / count)
    result.update(
        robot=profile.name, log=str(path), frames=len(given.times), frames_dropped=given.dropped, ticks=done,
        joints=len(profile.joints), limited_share=limited / (done * len(profile.joints)), fault=fault or None,
    )  # fmt: skip
    if fault:
        log(f"the robot stopped: {fault}")
    dropped = f", {given.dropped} frames dropped" if given.dropped else ""
    result.say(f"{path}: {done} ticks of {len(profile.joints)} joints{dropped}")
    return EXIT_ERROR if fault else EXIT_DONE


def write_rows(file: IO[bytes], profile: Profile, block: Block) -> None:
    """Write the rows of a block of ticks. Floats are written so that reading them gives the same bits."""
    joints = [
        (name, f"{j.lower!r},{j.upper!r},{j.limits.speed!r},{j.limits.acceleration!r}")
        for name, j in profile.joints.items()
    ]
    columns = (block.target, block.command, block.velocity, block.acceleration, block.limited)
    for now, *row in zip(block.time.tolist(), *(c.tolist() for c in columns), strict=True):
        for (name, limits), target, command, velocity, acceleration, limited in zip(joints, *row, strict=True):
            numbers = f"{now!r},{name},{target!r},{command!r},{velocity!r},{acceleration!r},{limits},{limited:d}\n"
            file.write(numbers.encode())


def _is_log(path: Path, header: bytes) -> bool:
    """Whether the file is empty, or a log of an earlier run."""
    if not path.is_file():
        return True  # a device or a folder: writing it says what is wrong
    with path.open("rb") as file:
        return file.read(len(header)) in (b"", header)
