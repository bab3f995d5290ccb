"""The checks of `reactdiff doctor`. Each yields findings: what works, what is wrong, and the command that fixes it."""

from __future__ import annotations

import getpass
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reactdiff_ros.errors import ConfigError, MissingExtraError, ReactdiffError, WeightsError
from reactdiff_ros.launching.ntp import NTP_PORT, clock_offset
from reactdiff_ros.resources import EXTRA_OF, install_command, ros_command, setup_command

if TYPE_CHECKING:
    from reactdiff_ros.actuation.robot.profile import Profile

OK, NOTE, ERROR = "ok", "note", "error"
ASK_S: Final = 30.0
"""Timeout of an import in another process."""
CHECK_S: Final = 2 * ASK_S + 15.0
"""Timeout of a check: a driver may hang where no timeout reaches."""


@dataclass(frozen=True)
class Finding:
    """One line. `level`: ok, note (works without it) or error; `todo`: how to fix it, "" = nothing to do."""

    check: str
    level: str
    sentence: str
    todo: str = ""


Check = Callable[[], Iterator[Finding]]


def failed(check: str, error: ReactdiffError, todo: str = "") -> Finding:
    """The finding of an error that explains itself; `todo` where it names no remedy."""
    sentence = error.what + (f" ({error.where})" if error.where else "")
    return Finding(check, ERROR, sentence, error.todo or todo)


def findings(check: Check, limit_s: float = CHECK_S) -> Iterator[Finding]:
    """What a check finds. It neither raises nor takes longer than `limit_s`: both are findings themselves."""
    name = getattr(check, "__name__", "check").removeprefix("check_")
    found: list[Finding] = []

    def work() -> None:
        try:
            found.extend(check())
        except Exception as error:
            # The command is for broken machines: whatever makes a check fail is its finding.
            found.append(Finding(name, ERROR, f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=work, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        yield Finding(name, ERROR, f"no answer within {limit_s:g} s", "a driver or a disk hangs: see 'dmesg | tail'")
    else:
        yield from found


def ask(command: list[str], timeout_s: float = 5.0) -> subprocess.CompletedProcess[str] | None:
    """The result of a program; None: it does not exist, cannot be started or does not answer."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False, cwd=Path("/"),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    return None


def ask_python(code: str) -> str:
    """What Python code prints in another process, which an import may crash; "": it failed."""
    answer = ask([sys.executable, "-c", code], ASK_S)
    return answer.stdout.strip() if answer is not None and answer.returncode == 0 else ""


def import_problem(module: str) -> str:
    """Why a module cannot be imported; "": it can."""
    answer = ask([sys.executable, "-c", f"import {module}"], ASK_S)
    if answer is None:
        return f"no answer within {ASK_S:g} s"
    return (answer.stderr.strip().splitlines() or [f"exit {answer.returncode}"])[-1] if answer.returncode else ""


# Software

NEEDED: Final = {
    "aiohttp": "aiohttp", "av": "av",
    "kaldi_native_fbank": "kaldi-native-fbank", "numpy": "numpy",
    "onnxruntime": "onnxruntime", "psutil": "psutil",
    "pydantic": "pydantic", "segno": "segno",
    "yaml": "PyYAML",
}  # fmt: skip
OPTIONAL: Final = {
    "cv2": "cameras of this machine and raw pictures of ROS cannot be used",
    "sounddevice": "microphones of this machine cannot be used",
    "py_mini_racer": "the face in videos and galleries cannot be drawn",
    "cryptography": "the page cannot be served encrypted (--https)",
    "cv_bridge": "pictures are decoded by our own code",
    "hri_msgs": "the REP-155 topics are not published",
    "audio_common_msgs": "sound comes from our own microphone_node",
    "ruckig": "robots with motors cannot be driven",
    "rosbags": "bags cannot be recorded, replayed or evaluated",
    "torch": "models cannot be trained or exported",
}
BOARD: Final = Path("/proc/device-tree/model")


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        yield Finding("python", OK, f"{version} ({sys.executable})")
    else:
        todo = f"use Python 3.10, 3.11 or 3.12; with it in PYTHON: {setup_command()}"
        yield Finding("python", ERROR, f"{version} is not supported", todo)


def check_packages() -> Iterator[Finding]:
    """Python packages; nothing is imported."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        yield Finding("packages", ERROR, f"missing: {', '.join(missing)}", setup_command())
    else:
        shown = ("onnxruntime", "av", "numpy")
        yield Finding("packages", OK, ", ".join(f"{n} {_version(n)}" for n in shown))
    for module, without in OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            todo = install_command(EXTRA_OF[module]) if module in EXTRA_OF else ""
            yield Finding("optional", NOTE, f"{module} is not installed: {without}", todo)
        else:
            yield Finding("optional", OK, f"{module} {_version(module)}".rstrip())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def check_ros() -> Iterator[Finding]:
    """ROS, the package's messages and its programs, imported in another process."""
    from reactdiff_ros.launching.live_graph import executable
    from reactdiff_ros.launching.table import load_table

    for module, what in (("rclpy", "ROS 2"), ("reactdiff_ros.msg", "messages")):
        problem = import_problem(module)
        if problem:
            yield Finding("ros", ERROR, f"{what} cannot be imported ({problem})", ros_command())
            return
    yield Finding("ros", OK, f"{os.environ.get('ROS_DISTRO', '?')}, domain {os.environ.get('ROS_DOMAIN_ID') or 0}")
    try:
        nodes = [executable(node.name) for node in load_table().nodes]
        yield Finding("nodes", OK, f"{len(nodes)} programs in {nodes[0].parent}")
    except ReactdiffError as error:
        yield failed("nodes", error, ros_command())
    if shutil.which("ros2") is None:
        todo = "use 'reactdiff' instead; 'python examples/gesture.py nod' shows how to send messages"
        yield Finding("ros2", NOTE, "the command ros2 is not installed: ROS 2 from PyPI does not include it", todo)


def check_weights() -> Iterator[Finding]:
    """The shipped model, by the hashes of its manifest."""
    from reactdiff_ros.model.backends.weights import find_weights

    try:
        weights = find_weights()
        yield Finding("weights", OK, f"{weights.folder}, all files match the manifest")
    except WeightsError as error:
        todo = "install the package again, or 'make weights'"
        yield Finding("weights", ERROR, f"{error}; until then the policy is rules", todo)
    yield from _turn_network()
    yield from _speech_engine()


def _turn_network() -> Iterator[Finding]:
    """smart-turn's network, which turn_node works without."""
    from reactdiff_ros.turns.smart_turn import INSTALL, find_network

    path = find_network("auto")
    if path is None:
        yield Finding("turns", NOTE, "smart-turn's network is not installed: ends of turns are found later", INSTALL)
    else:
        yield Finding("turns", OK, f"{path}")


def _speech_engine() -> Iterator[Finding]:
    """What `speech:=auto` speaks with, which the listener works without."""
    from reactdiff_ros.speech.engines import find_engine

    try:
        name, command = find_engine()
        yield Finding("speech", OK, f"{name} ({command[3]})")
    except MissingExtraError as error:
        yield Finding("speech", NOTE, f"{error.what}: the robot cannot speak", error.todo)


def check_gpu() -> Iterator[Finding]:
    """What can compute the model: GPU, ONNX Runtime, and TensorRT if there is a GPU."""
    gpu = _gpu()
    yield gpu
    providers = ask_python(
        "import onnxruntime as o; print(o.__version__ + ': ' + ', '.join(p.replace('ExecutionProvider', '')"
        " for p in o.get_available_providers()))"
    )
    missing = Finding("backend", ERROR, "onnxruntime cannot be imported", setup_command())
    yield Finding("backend", OK, f"onnxruntime {providers}") if providers else missing
    if gpu.level != OK or not providers:
        return
    version = ask_python("import tensorrt; print(tensorrt.__version__)")
    if version and ask_python("import polygraphy; print(polygraphy.__version__)"):
        yield Finding("tensorrt", OK, f"TensorRT {version}")
        return
    what = "neither TensorRT nor ONNX Runtime with CUDA: the GPU is not used"
    if version:
        what = "NVIDIA's Polygraphy is not installed"
    elif "CUDA" in providers:
        what = "TensorRT is not installed: the GPU is used through ONNX Runtime"
    yield Finding("tensorrt", NOTE, what, "pip install -r requirements/tensorrt.txt; see docs/gpu.md")


def _gpu() -> Finding:
    name = _text(BOARD).rstrip("\0")
    installed = shutil.which("nvidia-smi") is not None
    answer = ask(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]) if installed else None
    lines = [line for line in answer.stdout.splitlines() if line.strip()] if answer is not None else []
    if answer is not None and answer.returncode == 0 and lines:
        return Finding("gpu", OK, "; ".join(lines))
    if "jetson" in name.lower() or "nvidia" in name.lower():
        return Finding("gpu", OK, name)
    if not installed:
        return Finding("gpu", NOTE, "no NVIDIA GPU: the model runs on the CPU, which is enough")
    problem = "no answer within 5 s" if answer is None else answer.stderr.strip() or "".join(lines[:1]) or "it failed"
    todo = "restart the machine or reinstall the driver; until then: reactdiff listen --backend onnxruntime"
    return Finding("gpu", ERROR, f"nvidia-smi: {problem.splitlines()[0]}", todo)


# Devices

DEV: Final = Path("/dev")
KINDS: Final = {
    "video": ("video*",),
    "audio": ("snd/pcm*", "snd/control*"),
    "dialout": ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyTHS*"),
    "i2c": ("i2c-*",),
}
"""Devices by the group that usually owns them."""
INTRUDERS: Final = {"ModemManager": "sudo systemctl mask --now ModemManager", "brltty": "sudo apt-get remove brltty"}
"""Programs that open serial ports to look for modems and Braille displays, and the command that ends them."""
SLOW_FTDI_MS: Final = 4
"""An FTDI adapter with a larger latency timer delays each servo's answer."""


def check_camera() -> Iterator[Finding]:
    """Webcams."""
    from reactdiff_ros.launching.devices import cameras

    found = cameras()
    if not found:
        todo = "connect a webcam; in a container: --device /dev/video0"
        yield Finding("camera", NOTE, "no webcam: 'reactdiff listen' plays the demo speaker", todo)
    for camera in found:
        ok = Finding("camera", OK, f"/dev/video{camera.index}: {camera.name}")
        yield Finding("camera", ERROR, camera.problem) if camera.problem else ok


def check_microphone() -> Iterator[Finding]:
    """Microphones."""
    from reactdiff_ros.launching.devices import MicrophoneQuestion

    if importlib.util.find_spec("sounddevice") is None:  # which check_packages says
        return
    answer = MicrophoneQuestion().answer()
    if answer.problem:
        todo = "systemctl --user restart pipewire pulseaudio" if "did not answer" in answer.problem else ""
        yield Finding("microphone", ERROR, answer.problem, todo)
    elif answer.default is None:
        todo = "connect a microphone; in a container: --device /dev/snd"
        yield Finding("microphone", NOTE, "no microphone: the listener reacts to the picture alone", todo)
    else:
        yield Finding("microphone", OK, f"{answer.default} ({len(answer.inputs)} inputs)")


def check_groups() -> Iterator[Finding]:
    """Permission to open the devices."""
    found = {kind: _devices(DEV, patterns) for kind, patterns in KINDS.items()}
    for kind, devices in found.items():
        closed = next((path for path in devices if not os.access(path, os.R_OK | os.W_OK)), None)
        if closed is not None:
            group, user = kind, getpass.getuser()
            with suppress(OSError, KeyError):
                group = closed.group()
            sentence = f"{user} may not open {closed}, which belongs to the group {group}"
            todo = f"sudo usermod -aG {group} {user}, then log in again"
            if not closed.stat().st_mode & stat.S_IRGRP:
                todo = f"sudo chmod g+rw {closed}, or {todo}"
            yield Finding("groups", ERROR, sentence, todo)
        elif devices:
            yield Finding("groups", OK, f"{kind}: {', '.join(map(str, devices[:4]))} can be opened")
    if not any(found.values()):
        yield Finding("groups", NOTE, f"no camera, sound card, serial port or I2C bus in {DEV}")


def check_serial(
    dev: Path = DEV, proc: Path = Path("/proc"), sys: Path = Path("/sys"), locks: Path = Path("/run/lock")
) -> Iterator[Finding]:
    """Serial ports of servos: their permanent names, and other programs that use them."""
    ports = _devices(dev, KINDS["dialout"])
    names = {os.path.realpath(path): path for path in _devices(dev, ("serial/by-id/*",))}
    for port in ports:
        known = names.get(os.path.realpath(port))
        permanent = f", permanent name {known}" if known else ""
        words = _text(locks / f"LCK..{port.name}").split()
        holder = _text(proc / words[0] / "comm") if words else ""
        used = f", in use by process {words[0]} ({holder})" if holder else ""
        yield Finding("serial", NOTE if used else OK, f"{port}{permanent}{used}")
        timer = sys / "bus/usb-serial/devices" / port.name / "latency_timer"
        delay = _text(timer)
        if delay.isdigit() and int(delay) > SLOW_FTDI_MS:
            todo = f"echo 1 | sudo tee {timer}"
            yield Finding("serial", NOTE, f"{port} delays answers by up to {delay} ms", todo)
    running = {_text(path) for path in proc.glob("[0-9]*/comm")} if ports else set()
    for program in sorted(INTRUDERS.keys() & running):
        yield Finding("serial", NOTE, f"{program} is running and may open a servo port", INTRUDERS[program])


def check_robot() -> Iterator[Finding]:
    """The robot of the lab's settings: its profile, its ports, its calibration."""
    from reactdiff_ros.actuation.robot.profile import load_profile
    from reactdiff_ros.launching.configuration import effective, lab_settings

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
    """What the robot of a profile lacks. `calibration`: its file, "" = in the user's configuration."""
    from reactdiff_ros.actuation.robot.calibration import calibrated_joints, calibration_path, load_calibration
    from reactdiff_ros.settings import written_path

    complete = True
    for name, driver in profile.drivers.items():
        port = getattr(driver, "port", None)
        if isinstance(port, str) and not Path(port).exists():
            complete = False
            todo = f"connect it and switch it on, or find its port: reactdiff robot calibrate {robot}"
            yield Finding("robot", ERROR, f"{profile.name}: {port} of the driver {name} does not exist", todo)
    try:
        path = written_path(calibration) if calibration else calibration_path(profile.name)
        missing = [joint for joint in calibrated_joints(profile) if joint not in load_calibration(path)]
    except ReactdiffError as error:
        yield failed("robot", error)
        return
    if missing:
        shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        sentence = f"{profile.name}: {path} has no calibration of {shown}: these joints are not armed"
        elsewhere = f" --output {shlex.quote(str(path))}" if calibration else ""
        yield Finding("robot", ERROR, sentence, f"reactdiff robot calibrate {robot}{elsewhere}")
    elif complete:
        yield Finding("robot", OK, f"{profile.name}, {len(profile.joints)} joints")


def _devices(dev: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in dev.glob(pattern))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


# DDS

RANGES: Final = ("OFF", "LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")
PROFILES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "CYCLONEDDS_URI")
HIGHEST_DOMAIN: Final = 101
"""Ports of higher domains are among those that Linux gives to other programs."""
GROUP: Final = "239.255.0.1"
"""Multicast group of DDS discovery."""
SHM: Final = Path("/dev/shm")
SHM_NEEDED: Final = 64_000_000
"""Two segments of 16 MB for pictures, and those of the other nodes."""
SHM_FREE: Final = 32_000_000
SEGMENTS: Final = ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*")


def check_dds() -> Iterator[Finding]:
    """The environment variables of DDS."""
    environment = os.environ
    found = [*_dds_variables(environment), *(p for v in PROFILES for p in _dds_profile(v, environment.get(v, "")))]
    yield from found
    if not any(finding.level == ERROR for finding in found):
        middleware = environment.get("RMW_IMPLEMENTATION") or "default middleware"
        others = {"ROS_STATIC_PEERS": "peers", "ROS_DISCOVERY_SERVER": "discovery server"}
        reach = "".join(f", {what} {environment[name]}" for name, what in others.items() if environment.get(name))
        text = "'reactdiff listen' uses the network only with --lan"
        yield Finding("dds", OK, f"{middleware}, domain {environment.get('ROS_DOMAIN_ID') or 0}{reach}; {text}")


def _dds_variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    if not domain.isdecimal() or int(domain) > 232:
        yield Finding("dds", ERROR, f"ROS_DOMAIN_ID is {domain!r}, not 0 to {HIGHEST_DOMAIN}", "export ROS_DOMAIN_ID=0")
    elif int(domain) > HIGHEST_DOMAIN:
        sentence = f"ROS_DOMAIN_ID {domain}: other programs may use its ports"
        yield Finding("dds", NOTE, sentence, f"set ROS_DOMAIN_ID to a number from 0 to {HIGHEST_DOMAIN}")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if reach and reach.upper() not in RANGES:
        sentence = f"ROS_AUTOMATIC_DISCOVERY_RANGE is {reach!r}, not one of {', '.join(RANGES)}"
        yield Finding("dds", ERROR, sentence, "unset ROS_AUTOMATIC_DISCOVERY_RANGE")
    if environment.get("ROS_LOCALHOST_ONLY") == "1" and environment.get("ROS_DISTRO") != "humble":
        sentence = "ROS_LOCALHOST_ONLY=1 overrides the discovery range: --lan has no effect"
        yield Finding("dds", NOTE, sentence, "unset ROS_LOCALHOST_ONLY")
    wanted = environment.get("RMW_IMPLEMENTATION", "")
    prefixes = [Path(p) for p in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    index = "share/ament_index/resource_index/rmw_typesupport"
    found = {path.name for prefix in prefixes for path in (prefix / index).glob("rmw_*")} - {"rmw_implementation"}
    if wanted and found and wanted not in found:
        package = f"ros-{environment.get('ROS_DISTRO', '<distro>')}-{wanted.replace('_', '-')}"
        sentence = f"RMW_IMPLEMENTATION is {wanted}, but only {', '.join(sorted(found))} is installed"
        todo = f"unset RMW_IMPLEMENTATION, or: sudo apt-get install {package}"
        yield Finding("dds", ERROR, sentence, todo)


def _dds_profile(variable: str, value: str) -> Iterator[Finding]:
    if not value or value.lstrip().startswith("<"):
        return
    path = Path(value.removeprefix("file://"))
    try:
        ET.parse(path)
    except OSError as error:
        yield Finding("dds", ERROR, f"{variable}: {path}: {error.strerror}", f"unset {variable}")
    except ET.ParseError as error:
        yield Finding("dds", ERROR, f"{variable}: {path} is not XML: {error}", f"correct it, or unset {variable}")
    else:
        yield Finding("dds", NOTE, f"{variable} names {path}: it replaces the DDS profiles of this package")


def check_multicast() -> Iterator[Finding]:
    """Whether DDS discovery by multicast works on this machine and over its network."""
    peers = "name them: export ROS_STATIC_PEERS='192.168.1.20;192.168.1.21'"
    loopback = ("on this machine", "Fast DDS does not need it, Cyclone DDS does", "sudo ip link set lo multicast on")
    network = ("over the network", "--lan does not discover other machines", peers)
    for address, (where, without, todo) in (("127.0.0.1", loopback), ("0.0.0.0", network)):
        problem = multicast_problem(address)
        broken = Finding("multicast", NOTE, f"does not work {where} ({problem}): {without}", todo)
        yield broken if problem else Finding("multicast", OK, f"works {where}")


def multicast_problem(interface: str, timeout_s: float = 0.5) -> str:
    """Why a packet to DDS's group over the interface of this address does not come back; "": it does."""
    word = os.urandom(8)
    kind = (socket.AF_INET, socket.SOCK_DGRAM)
    try:
        with socket.socket(*kind) as receiver, socket.socket(*kind) as sender:
            receiver.bind(("", 0))
            receiver.settimeout(timeout_s)
            place = socket.inet_aton(interface)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + place)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, place)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("b", 0))  # not into the network
            sender.sendto(word, (GROUP, receiver.getsockname()[1]))
            return "" if receiver.recv(64) == word else "another program answered"
    except TimeoutError:
        return f"nothing received within {timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)


def check_shared_memory(folder: Path = SHM, proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Space in shared memory, and files that killed programs left there."""
    try:
        space = os.statvfs(folder)
    except OSError as error:
        todo = "in a container: --ipc host; else export FASTDDS_BUILTIN_TRANSPORTS=UDPv4"
        yield Finding("memory", ERROR, f"{folder}: {error.strerror}", todo)
        return
    total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    size = f"{free / 1e6:.0f} of {total / 1e6:.0f} MB free in {folder}"
    todo = f"sudo mount -o remount,size=512M {folder}; in a container: --shm-size 512m or --ipc host"
    if total and total < SHM_NEEDED:
        yield Finding("memory", NOTE, f"{size}: raw pictures may be lost, compressed ones are not", todo)
    elif total and free < SHM_FREE:
        yield Finding("memory", ERROR, f"{size}: too little for DDS", todo)
    else:
        yield Finding("memory", OK, size)
    left = stale_segments(folder, proc)
    if left:
        used = sum(path.stat().st_size for path in left if path.exists())
        sentence = f"{len(left)} files ({used / 1e6:.1f} MB) of Fast DDS that no program uses, such as {left[0].name}"
        patterns = " ".join(f"{folder}/{pattern}" for pattern in SEGMENTS)
        yield Finding("memory", NOTE, sentence, f"end all your ROS programs, then: rm -f {patterns}")


def stale_segments(folder: Path, proc: Path) -> list[Path]:
    """Files of Fast DDS that belong to this user, are not mapped by any process and not locked."""
    mine = [p for pattern in SEGMENTS for p in folder.glob(pattern) if p.is_file() and p.stat().st_uid == os.getuid()]
    mapped: set[str] = set()
    for maps in proc.glob("[0-9]*/maps") if mine else ():
        with suppress(OSError), maps.open(errors="replace") as lines:
            mapped.update(line.split()[-1] for line in lines if f"{folder}/" in line)
    # The mutex and the locks of a port belong to the port.
    used = {_port_of(path) for path in mine if str(path) in mapped or _locked(path)}
    return sorted(path for path in mine if _port_of(path) not in used)


def _port_of(path: Path) -> str:
    return re.sub(r"^sem\.|_(?:mutex|el|sl)$", "", path.name)


def _locked(path: Path) -> bool:
    if path.name.endswith(("_el", "_sl")):
        import fcntl  # not on Windows, which has no such files

        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


# Clocks

OFF_S: Final = 0.02
"""Half a frame of the model: a smaller offset changes nothing that we measure."""
CHRONY: Final = "sudo apt-get install chrony"


def check_clock() -> Iterator[Finding]:
    """Whether the clock is synchronised, as far as systemd knows."""
    answer = ask(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    state = answer.stdout.strip() if answer is not None and answer.returncode == 0 else ""
    what = "not synchronised" if state else "timedatectl does not report whether it is synchronised"
    note = Finding("clock", NOTE, f"{what}, which matters only with two or more computers", CHRONY)
    yield Finding("clock", OK, "synchronised") if state == "yes" else note


def check_peer(host: str, ask: Callable[[str], tuple[float, float]] | None = None) -> Iterator[Finding]:
    """The offset of another machine's clock, by its NTP server."""
    try:
        offset_s, round_trip_s = (ask or clock_offset)(host)
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        todo = f"on {host}: {CHRONY}, add 'allow' to /etc/chrony/chrony.conf, and open UDP port {NTP_PORT}"
        yield Finding("clock", ERROR, f"the clock of {host} cannot be read ({reason})", todo)
        return
    sentence = f"{host} is {1e3 * abs(offset_s):.1f} ms {'ahead' if offset_s > 0 else 'behind'}"
    sentence += f", +/- {500 * round_trip_s:.1f} ms"
    if abs(offset_s) - round_trip_s / 2 > OFF_S:
        todo = f"on this machine: {CHRONY}, and add 'server {host} iburst' to /etc/chrony/chrony.conf"
        yield Finding("clock", ERROR, f"{sentence}: the age of frames is wrong by that", todo)
    else:
        yield Finding("clock", OK, sentence)


# Files, port, disk

LOGS_BYTES: Final = 200_000_000
RECORDING_BYTES: Final = 2_000_000_000
"""Pictures and sound of some ten minutes."""


def check_settings() -> Iterator[Finding]:
    """The lab's own settings."""
    from reactdiff_ros.launching.configuration import effective, lab_settings, settings_path

    try:
        lab = lab_settings({})
        effective({}, lab)
    except ConfigError as error:
        yield failed("settings", error, "reactdiff config show")
        return
    defaults = f"defaults: {settings_path()} does not exist" if settings_path() else "defaults: REACTDIFF_CONFIG=none"
    yield Finding("settings", OK, ", ".join(map(str, lab.files)) or defaults)


def check_files() -> Iterator[Finding]:
    """The user's own styles and calibrations."""
    from reactdiff_ros.actuation.robot.calibration import calibration_path, load_calibration
    from reactdiff_ros.styles import load_styles, user_styles_path

    def checked(name: str, path: Path, load: Callable[[Path], Sized], todo: str) -> Finding:
        try:
            return Finding(name, OK, f"{len(load(path))} in {path}")
        except ReactdiffError as error:
            return failed(name, error, todo)

    if (styles := user_styles_path()).exists():
        yield checked("styles", styles, load_styles, f"correct {styles}, or move it away")
    for path in sorted(calibration_path("any").parent.glob("*.json")):
        yield checked("calibration", path, load_calibration, f"reactdiff robot calibrate {path.stem}")


def check_port() -> Iterator[Finding]:
    """The port of the page, as set in the lab's settings."""
    from reactdiff_ros.launching.configuration import lab_settings
    from reactdiff_ros.launching.table import load_table

    port = int(load_table().node("avatar_node").parameter("port").default)
    with suppress(ReactdiffError):  # reported by check_settings
        own = lab_settings({}).parameters.get("avatar_node", {}).get("port")
        port = int(own.value) if own is not None else port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            yield Finding("port", OK, f"{port} is free")
        except OSError:
            todo = f"ss -ltnp 'sport = :{port}' shows the program; or: reactdiff listen --port {port + 100}"
            yield Finding("port", NOTE, f"{port} is in use: the page takes the next free one", todo)


def check_listener() -> Iterator[Finding]:
    """Whether a listener is running."""
    from reactdiff_ros.launching.live_graph import Claim, domain_of

    try:
        Claim(domain_of(os.environ), "").release()
        yield Finding("listener", OK, "none is running in this domain")
    except ReactdiffError as error:
        yield Finding("listener", NOTE, str(error))


def check_disk() -> Iterator[Finding]:
    """Space for logs and recordings."""
    from reactdiff_ros.launching.live_graph import state_folder

    yield disk_finding(state_folder(), LOGS_BYTES, "logs", "free 2 GB, or set XDG_CACHE_HOME to another disk")
    recordings = Path("~/reactdiff_recordings").expanduser()
    yield disk_finding(recordings, RECORDING_BYTES, "recordings", "free some, or record_to:=/another/disk/x")


def disk_finding(folder: Path, needed: int, what: str, todo: str) -> Finding:
    """Whether a folder, existing or not, has `needed` bytes and can be written."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        level = ERROR if what == "logs" else NOTE
        return Finding("disk", level, f"{free // 10**6} MB free in {existing} for {what}", todo)
    if not os.access(existing, os.W_OK):
        return Finding("disk", ERROR, f"{existing} cannot be written: no {what}", f"sudo chown $USER {existing}")
    return Finding("disk", OK, f"{free / 1e9:.1f} GB free in {existing} for {what}")


CHECKS: Final[tuple[Check, ...]] = (
    check_python, check_packages, check_ros, check_dds, check_multicast, check_shared_memory, check_clock,
    check_settings, check_files, check_groups, check_camera, check_microphone, check_serial, check_robot,
    check_weights, check_gpu, check_port, check_listener, check_disk,
)  # fmt: skip
