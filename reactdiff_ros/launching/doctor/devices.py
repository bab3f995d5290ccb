"""`reactdiff doctor`: cameras, microphones, serial ports, who may open them, and what the lab's robot needs."""

from __future__ import annotations

import getpass
import grp
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Finding, failed

if TYPE_CHECKING:
    from reactdiff_ros.actuation.profile import Profile

DEV: Final = Path("/dev")
KINDS: Final = {
    "video": ("video*",),
    "audio": ("snd/pcm*", "snd/control*"),
    "dialout": ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyTHS*"),
    "i2c": ("i2c-*",),
}
"""Devices by the group that usually owns them."""
SERIAL: Final = KINDS["dialout"]
MEDDLERS: Final = {
    "ModemManager": "sudo systemctl mask --now ModemManager",
    "brltty": "sudo apt-get remove brltty",
}
"""Programs that open serial ports to look for modems and Braille displays, with what ends that."""
SLOW_FTDI_MS: Final = 4
"""An FTDI adapter that waits for longer before it hands on what it received: each servo's answer is late by it."""


@dataclass(frozen=True)
class User:
    """Whose rights are asked for."""

    name: str
    groups: frozenset[int]
    """In force for this process."""
    member: Callable[[int], bool]
    """Whether the user is in a group by the system's list, in force or not."""


def this_user() -> User:
    """The user of this process."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())

    def member(gid: int) -> bool:
        with suppress(KeyError):
            return name in grp.getgrgid(gid).gr_mem
        return False

    return User(name, frozenset({os.getgid(), *os.getgroups()}), member)


def check_camera() -> Iterator[Finding]:
    """Webcams."""
    from reactdiff_ros.launching.devices import cameras

    found = cameras()
    if not found:
        todo = "plug in a webcam; in a container: --device /dev/video0"
        yield Finding("camera", NOTE, "no /dev/video* takes pictures: the demo speaker plays", todo)
    for camera in found:
        if camera.problem:
            yield Finding("camera", ERROR, camera.problem)
        else:
            yield Finding("camera", OK, f"/dev/video{camera.index}: {camera.name}")


def check_microphone() -> Iterator[Finding]:
    """Microphones."""
    from reactdiff_ros.launching.devices import MicrophoneQuestion

    answer = MicrophoneQuestion().answer()
    if answer.problem:
        todo = "systemctl --user restart pipewire pulseaudio" if "did not answer" in answer.problem else ""
        yield Finding("microphone", ERROR, answer.problem, todo)
    elif answer.default is None:
        todo = "plug in a microphone; in a container: --device /dev/snd"
        yield Finding("microphone", NOTE, "no input: the listener goes by sight alone", todo)
    else:
        yield Finding("microphone", OK, f"{answer.default} ({len(answer.inputs)} inputs)")


def check_groups(
    dev: Path = DEV, user: User | None = None, may_open: Callable[[Path], bool] | None = None
) -> Iterator[Finding]:
    """Who may open the devices that are there."""
    user = user or this_user()
    may_open = may_open or (lambda path: os.access(path, os.R_OK | os.W_OK))
    for kind, patterns in KINDS.items():
        devices = _devices(dev, patterns)
        closed = [path for path in devices if not may_open(path)]
        if closed:
            yield _closed(kind, closed, user)
        elif devices:
            yield Finding("groups", OK, f"{kind}: {', '.join(map(str, devices[:4]))} can be opened")
    if not any(_devices(dev, patterns) for patterns in KINDS.values()):
        yield Finding("groups", NOTE, f"no camera, sound card, serial port or I2C bus in {dev}")


def check_serial(
    dev: Path = DEV, proc: Path = Path("/proc"), sys: Path = Path("/sys"), locks: Path = Path("/run/lock")
) -> Iterator[Finding]:
    """Serial ports of servos: their lasting names, and who else has them."""
    ports = _devices(dev, SERIAL)
    names = {os.path.realpath(path): path for path in _devices(dev, ("serial/by-id/*",))}
    for port in ports:
        known = names.get(os.path.realpath(port))
        lasting = f", always {known}" if known else ""
        holder = _holder(locks / f"LCK..{port.name}", proc)
        yield Finding("serial", NOTE if holder else OK, f"{port}{lasting}{holder}")
        timer = sys / "bus/usb-serial/devices" / port.name / "latency_timer"
        waits = _number(timer)
        if waits is not None and waits > SLOW_FTDI_MS:
            yield Finding("serial", NOTE, f"{port} hands on answers after {waits} ms", f"echo 1 | sudo tee {timer}")
    if not ports:
        yield Finding("serial", OK, "no serial ports: a face on a screen needs none")
        return
    running = {_text(path) for path in proc.glob("[0-9]*/comm")}
    for program in sorted(MEDDLERS.keys() & running):
        yield Finding("serial", NOTE, f"{program} runs and may take a servo port", MEDDLERS[program])


def check_robot() -> Iterator[Finding]:
    """The robot of the lab's settings: its profile, the ports that it names, its calibration."""
    from reactdiff_ros.actuation.profile import load_profile
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.launching.configuration import lab_settings
    from reactdiff_ros.launching.effective import effective

    try:
        found = effective({}, lab_settings({}))
        robot = str(found.arguments["robot"].value)
        if robot in ("", "none", "screen"):
            return
        profile = load_profile(robot)
    except ReactdiffError as error:
        yield failed("robot", error, "reactdiff config show")
        return
    calibration = str(found.parameters.get("actuator_node", {})["calibration"].value)
    yield from robot_findings(robot, profile, calibration)


def robot_findings(robot: str, profile: Profile, calibration: str) -> Iterator[Finding]:
    """What the robot of a profile needs and is not there. `calibration`: its file, "" = the user's own folder."""
    from reactdiff_ros.actuation.calibration import calibrated_joints, calibration_path, load_calibration
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.settings import written_path

    complete = True
    for name, driver in profile.drivers.items():
        port = getattr(driver, "port", None)
        if isinstance(port, str) and not Path(port).exists():
            complete = False
            todo = f"plug it in and switch it on; another port: reactdiff robot calibrate {robot} finds it"
            yield Finding("robot", ERROR, f"{profile.name}: {port} of the driver {name} is not there", todo)
    try:
        path = written_path(calibration) if calibration else calibration_path(profile.name)
        missing = [joint for joint in calibrated_joints(profile) if joint not in load_calibration(path)]
    except ReactdiffError as error:
        yield failed("robot", error)
        return
    if missing:
        complete = False
        shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        sentence = f"{profile.name}: no calibration of {shown} in {path}: these joints are not armed"
        elsewhere = f" --output {shlex.quote(str(path))}" if calibration else ""
        yield Finding("robot", ERROR, sentence, f"reactdiff robot calibrate {robot}{elsewhere}")
    if complete:
        yield Finding("robot", OK, f"{profile.name}, {len(profile.joints)} joints")


def _closed(kind: str, closed: list[Path], user: User) -> Finding:
    path = closed[0]
    try:
        status = path.stat()
        gid, mode = status.st_gid, status.st_mode
        group = grp.getgrgid(gid).gr_name
    except (OSError, KeyError):
        return Finding(
            "groups", ERROR, f"{path} cannot be opened by {user.name}", f"sudo usermod -aG {kind} {user.name}"
        )
    if gid in user.groups or not mode & stat.S_IRGRP:
        return Finding("groups", ERROR, f"{path} is closed to its group {group}", f"sudo chmod g+rw {path}")
    if user.member(gid):
        sentence = f"{user.name} is in the group {group}, but not in this session: {path} stays closed"
        return Finding("groups", ERROR, sentence, f"log in again, or: newgrp {group}")
    sentence = f"{path} is for the group {group}, and {user.name} is not in it"
    return Finding("groups", ERROR, sentence, f"sudo usermod -aG {group} {user.name}, then log in again")


def _devices(dev: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in dev.glob(pattern))


def _holder(lock: Path, proc: Path) -> str:
    words = _text(lock).split()
    if words and words[0].isdigit() and (proc / words[0]).is_dir():
        return f", taken by process {words[0]} ({_text(proc / words[0] / 'comm') or '?'})"
    return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
