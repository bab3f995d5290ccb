"""Checks of devices and their permissions, the lab's robot, DDS, shared memory and clocks."""

from __future__ import annotations

import ctypes
import fcntl
import getpass
import grp
import os
import shlex
import socket
import stat
import struct
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.doctor.software import ERROR, NOTE, OK, Finding, failed

if TYPE_CHECKING:
    from reactdiff_ros.actuation.profile import Profile

# Devices

DEV: Final = Path("/dev")
KINDS: Final = {
    "video": ("video*",),
    "audio": ("snd/pcm*", "snd/control*"),
    "dialout": ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyTHS*"),
    "i2c": ("i2c-*",),
}
"""Devices by the group that usually owns them."""
SERIAL_GRABBERS: Final = {
    "ModemManager": "sudo systemctl mask --now ModemManager",
    "brltty": "sudo apt-get remove brltty",
}
"""Programs that open serial ports to look for modems and Braille displays, with what stops them."""
SLOW_FTDI_MS: Final = 4
"""An FTDI adapter with a longer latency timer delays the answer of every servo by it."""


@dataclass(frozen=True)
class User:
    """Whose permissions are checked."""

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
            yield Finding("camera", ERROR, camera.problem, "see the line 'groups'")
        else:
            yield Finding("camera", OK, f"/dev/video{camera.index}: {camera.name}")


def check_microphone() -> Iterator[Finding]:
    """Microphones."""
    from reactdiff_ros.launching.devices import MicrophoneQuestion

    answer = MicrophoneQuestion().answer()
    if answer.problem:
        hangs = "did not answer" in answer.problem
        todo = "systemctl --user restart pipewire pulseaudio" if hangs else "sudo apt-get install libportaudio2"
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
    may_open = may_open or (lambda path: os.access(path, os.R_OK | os.W_OK))
    found = {kind: _devices(dev, patterns) for kind, patterns in KINDS.items()}
    for kind, devices in found.items():
        closed = [path for path in devices if not may_open(path)]
        if closed:
            yield _closed(kind, closed[0], user or this_user())
        elif devices:
            yield Finding("groups", OK, f"{kind}: {', '.join(map(str, devices[:4]))} can be opened")
    if not any(found.values()):
        yield Finding("groups", NOTE, f"no camera, sound card, serial port or I2C bus in {dev}")


def _closed(kind: str, path: Path, user: User) -> Finding:
    try:
        status = path.stat()
        gid, group = status.st_gid, grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        todo = f"sudo usermod -aG {kind} {user.name}"
        return Finding("groups", ERROR, f"{path} cannot be opened by {user.name}", todo)
    if gid in user.groups or not status.st_mode & stat.S_IRGRP:
        return Finding("groups", ERROR, f"{path} is closed to its group {group}", f"sudo chmod g+rw {path}")
    if user.member(gid):
        sentence = f"{user.name} is in the group {group}, but not in this session: {path} stays closed"
        return Finding("groups", ERROR, sentence, f"log in again, or: newgrp {group}")
    sentence = f"{path} is for the group {group}, and {user.name} is not in it"
    return Finding("groups", ERROR, sentence, f"sudo usermod -aG {group} {user.name}, then log in again")


def check_serial(
    dev: Path = DEV, proc: Path = Path("/proc"), sys: Path = Path("/sys"), locks: Path = Path("/run/lock")
) -> Iterator[Finding]:
    """Serial ports of servos: their permanent names, and who else uses them."""
    ports = _devices(dev, KINDS["dialout"])
    names = {os.path.realpath(path): path for path in dev.glob("serial/by-id/*")}
    for port in ports:
        known = names.get(os.path.realpath(port))
        permanent = f", always {known}" if known else ""
        pid = next(iter(_text(locks / f"LCK..{port.name}").split()), "")
        running = pid.isdigit() and (proc / pid).is_dir()
        holder = f", taken by process {pid} ({_text(proc / pid / 'comm') or '?'})" if running else ""
        yield Finding("serial", NOTE if holder else OK, f"{port}{permanent}{holder}")
        timer = sys / "bus/usb-serial/devices" / port.name / "latency_timer"
        waits = _text(timer)
        if waits.isdigit() and int(waits) > SLOW_FTDI_MS:
            yield Finding("serial", NOTE, f"{port} delays answers by {waits} ms", f"echo 1 | sudo tee {timer}")
    if not ports:
        yield Finding("serial", OK, "no serial ports: a face on a screen needs none")
        return
    for program in sorted(SERIAL_GRABBERS.keys() & {_text(path) for path in proc.glob("[0-9]*/comm")}):
        yield Finding("serial", NOTE, f"{program} runs and may take a servo port", SERIAL_GRABBERS[program])


def _devices(dev: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in dev.glob(pattern))


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""


def check_robot() -> Iterator[Finding]:
    """The robot of the lab's settings: its profile, the ports that it names, its calibration."""
    from reactdiff_ros.actuation.profile import load_profile
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
    yield from robot_findings(robot, profile, str(found.parameters["actuator_node"]["calibration"].value))


def robot_findings(robot: str, profile: Profile, calibration: str) -> Iterator[Finding]:
    """What the robot of a profile lacks. `calibration`: its file, "" = the user's own folder."""
    from reactdiff_ros.actuation.calibration import calibrated_joints, calibration_path, load_calibration
    from reactdiff_ros.settings import written_path

    complete = True
    for name, driver in profile.drivers.items():
        port = getattr(driver, "port", None)
        if isinstance(port, str) and not Path(port).exists():
            complete = False
            todo = f"plug it in and switch it on; another port: reactdiff robot calibrate {robot} finds it"
            yield Finding("robot", ERROR, f"{profile.name}: {port} of the driver {name} is missing", todo)
    try:
        path = written_path(calibration) if calibration else calibration_path(profile.name)
        missing = [joint for joint in calibrated_joints(profile) if joint not in load_calibration(path)]
    except ReactdiffError as error:
        yield failed("robot", error, f"reactdiff robot calibrate {robot}")
        return
    if missing:
        shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        sentence = f"{profile.name}: no calibration of {shown} in {path}: these joints are not armed"
        elsewhere = f" --output {shlex.quote(str(path))}" if calibration else ""
        yield Finding("robot", ERROR, sentence, f"reactdiff robot calibrate {robot}{elsewhere}")
    elif complete:
        yield Finding("robot", OK, f"{profile.name}, {len(profile.joints)} joints")


# DDS

RANGES: Final = ("OFF", "LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")
PROFILES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
HIGHEST_DOMAIN: Final = 101
"""Ports of higher domains are among those that Linux gives to other programs."""
GROUP: Final = "239.255.0.1"
"""DDS's multicast group for discovery."""
SHM: Final = Path("/dev/shm")
SHM_NEEDED: Final = 64_000_000
"""Two segments of 16 MB for pictures, and those of the other nodes."""
SHM_FREE: Final = 32_000_000
SEGMENTS: Final = ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*")


def check_dds(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """What the environment sets for DDS."""
    given = os.environ if environment is None else environment
    problems = [*_domain_and_reach(given), *_middleware(given), *_dds_profiles(given)]
    yield from problems
    if not any(finding.level == ERROR for finding in problems):
        middleware, domain = given.get("RMW_IMPLEMENTATION") or "the default middleware", given.get("ROS_DOMAIN_ID")
        named = {"peers": given.get("ROS_STATIC_PEERS"), "discovery server": given.get("ROS_DISCOVERY_SERVER")}
        also = "".join(f", {what} {value}" for what, value in named.items() if value)
        reach = f"reactdiff listen stays on this machine without --lan{also}"
        yield Finding("dds", OK, f"{middleware}, domain {domain or 0}, {reach}")


def _domain_and_reach(given: Mapping[str, str]) -> Iterator[Finding]:
    domain, reach = given.get("ROS_DOMAIN_ID") or "0", given.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if not domain.isdecimal() or int(domain) > 232:
        yield Finding("dds", ERROR, f"ROS_DOMAIN_ID is {domain!r}, not 0 to {HIGHEST_DOMAIN}", "export ROS_DOMAIN_ID=0")
    elif int(domain) > HIGHEST_DOMAIN:
        sentence = f"ROS_DOMAIN_ID {domain}: its ports may be taken by other programs"
        yield Finding("dds", NOTE, sentence, f"export ROS_DOMAIN_ID to one of 0 to {HIGHEST_DOMAIN}")
    if reach and reach.upper() not in RANGES:
        sentence = f"ROS_AUTOMATIC_DISCOVERY_RANGE is {reach!r}, none of {', '.join(RANGES)}"
        yield Finding("dds", ERROR, sentence, "unset ROS_AUTOMATIC_DISCOVERY_RANGE")
    if given.get("ROS_LOCALHOST_ONLY") == "1" and given.get("ROS_DISTRO") != "humble":
        sentence = "ROS_LOCALHOST_ONLY=1 overrides the discovery range: --lan finds no other machine"
        yield Finding("dds", NOTE, sentence, "unset ROS_LOCALHOST_ONLY")


def _middleware(given: Mapping[str, str]) -> Iterator[Finding]:
    wanted = given.get("RMW_IMPLEMENTATION", "")
    prefixes = [Path(p) for p in given.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    index = "share/ament_index/resource_index/rmw_typesupport"
    found = {path.name for prefix in prefixes for path in (prefix / index).glob("rmw_*")} - {"rmw_implementation"}
    if wanted and found and wanted not in found:
        package = f"ros-{given.get('ROS_DISTRO', '<distro>')}-{wanted.replace('_', '-')}"
        todo = f"unset RMW_IMPLEMENTATION, or: sudo apt-get install {package}"
        sentence = f"RMW_IMPLEMENTATION is {wanted}, but only {', '.join(sorted(found))} is installed"
        yield Finding("dds", ERROR, sentence, todo)


def _dds_profiles(given: Mapping[str, str]) -> Iterator[Finding]:
    for variable in (*PROFILES, "CYCLONEDDS_URI"):
        value = given.get(variable, "")
        if not value or value.lstrip().startswith("<"):
            continue
        path = Path(value.removeprefix("file://"))
        try:
            ET.parse(path)
        except OSError as error:
            yield Finding("dds", ERROR, f"{variable}: {path}: {error.strerror}", f"unset {variable}")
        except ET.ParseError as error:
            yield Finding("dds", ERROR, f"{variable}: {path} is not XML: {error}", f"fix it, or unset {variable}")
        else:
            yield Finding("dds", NOTE, f"{variable} names {path}, which replaces this package's own profiles")
    first, second = (given.get(variable) for variable in PROFILES)
    if first and second and first != second:
        sentence = f"{PROFILES[0]} and {PROFILES[1]} name two files: which one counts depends on the version"
        yield Finding("dds", NOTE, sentence, f'export {PROFILES[0]}="${PROFILES[1]}"')


def check_multicast(problem_of: Callable[[str], str] | None = None) -> Iterator[Finding]:
    """Whether DDS's multicast arrives, on this machine alone and over its network."""
    for address, name, without, todo in (
        ("127.0.0.1", "loopback", "Fast DDS works without, Cyclone DDS does not", "sudo ip link set lo multicast on"),
        ("0.0.0.0", "the network's interface", "with --lan other machines are not found by themselves",
         "name them: export ROS_STATIC_PEERS='192.168.1.20;192.168.1.21'"),
    ):  # fmt: skip
        problem = (problem_of or multicast_problem)(address)
        if problem:
            yield Finding("multicast", NOTE, f"does not arrive on {name} ({problem}): {without}", todo)
        else:
            yield Finding("multicast", OK, f"arrives on {name}")


def multicast_problem(interface: str, timeout_s: float = 0.5) -> str:
    """Why a packet to DDS's group does not arrive over the interface of this address; "": it does."""
    word = os.urandom(8)
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    try:
        with receiver, sender:
            receiver.bind(("", 0))
            receiver.settimeout(timeout_s)
            place = socket.inet_aton(interface)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + place)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, place)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("b", 0))  # not into the network
            sender.sendto(word, (GROUP, receiver.getsockname()[1]))
            return "" if receiver.recv(64) == word else "another program answered"
    except TimeoutError:
        return f"nothing within {timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)


def check_shared_memory(folder: Path = SHM, proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Free shared memory, and segments of programs that were killed."""
    try:
        room = os.statvfs(folder)
    except OSError as error:
        todo = "in a container: --ipc host; else export FASTDDS_BUILTIN_TRANSPORTS=UDPv4"
        yield Finding("memory", ERROR, f"{folder}: {error.strerror}", todo)
        return
    total, free = room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
    size = f"{free / 1e6:.0f} of {total / 1e6:.0f} MB free in {folder}"
    todo = f"sudo mount -o remount,size=512M {folder}; in a container: --shm-size 512m or --ipc host"
    if total and total < SHM_NEEDED:
        yield Finding("memory", NOTE, f"{size}: raw pictures get lost, compressed ones do not", todo)
    elif total and free < SHM_FREE:
        yield Finding("memory", ERROR, f"{size}: DDS cannot create its segments", todo)
    else:
        yield Finding("memory", OK, size)
    left = stale_segments(folder, proc)
    if left:
        megabytes = sum(path.stat().st_size for path in left if path.exists()) / 1e6
        sentence = f"{len(left)} files ({megabytes:.1f} MB) of Fast DDS that no program uses, such as {left[0].name}"
        patterns = " ".join(f"{folder}/{pattern}" for pattern in SEGMENTS)
        yield Finding("memory", NOTE, sentence, f"end all your ROS programs, then: rm -f {patterns}")


def stale_segments(folder: Path, proc: Path) -> list[Path]:
    """Files of Fast DDS of this user that no process of this machine maps, and whose lock is free."""
    mine = []
    for path in (path for pattern in SEGMENTS for path in folder.glob(pattern)):
        with suppress(OSError):
            if path.is_file() and path.stat().st_uid == os.getuid():
                mine.append(path)
    mapped: set[str] = set()
    for maps in proc.glob("[0-9]*/maps") if mine else ():
        with suppress(OSError), maps.open(errors="replace") as lines:
            mapped.update(line.split()[-1] for line in lines if f"{folder}/" in line)
    # A port's mutex and locks live and die with the port.
    held = {_port(path.name) for path in mine if str(path) in mapped or _locked(path)}
    return sorted(path for path in mine if _port(path.name) not in held)


def _port(name: str) -> str:
    return name.removeprefix("sem.").removesuffix("_mutex").removesuffix("_el").removesuffix("_sl")


def _locked(path: Path) -> bool:
    if not path.name.endswith(("_el", "_sl")):
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except OSError:
        return True


# Clocks

UNSYNCHRONISED: Final = 0x40
"""STA_UNSYNC of linux/timex.h."""
TIMEX: Final = struct.Struct("@I4x4li")
"""The head of its struct timex on 64 bits: modes, offset, frequency, largest error, estimated error (us), status."""
SNTP: Final = struct.Struct("!BB30xIIII")
"""RFC 4330: flags and stratum; at byte 32 the times of receipt and of transmission, s since 1900 and parts of 2^32."""
EPOCH_S: Final = 2_208_988_800
NTP_PORT: Final = 123
OFF_S: Final = 0.02
"""Half a frame of the model: a smaller error in the age of frames shows in nothing that we measure."""
TRIES: Final = 4
CHRONY: Final = "sudo apt-get install chrony"


def kernel_clock() -> tuple[bool, float] | None:
    """Whether the kernel's clock is synchronised, and its largest error, s; None: the kernel does not say."""
    buffer = ctypes.create_string_buffer(512)
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    _, _, _, largest_us, _, status = TIMEX.unpack_from(buffer)
    return not status & UNSYNCHRONISED, 1e-6 * float(largest_us)


def check_clock(clock: Callable[[], tuple[bool, float] | None] = kernel_clock) -> Iterator[Finding]:
    """Whether the clock is synchronised."""
    known = clock()
    if known is None:
        yield Finding("clock", NOTE, "the kernel does not report whether the clock is synchronised")
    elif known[0]:
        yield Finding("clock", OK, f"synchronised, wrong by {1e3 * known[1]:.0f} ms at most")
    else:
        yield Finding("clock", NOTE, "not synchronised, which matters only with several machines", CHRONY)


def check_clock_of(host: str) -> Iterator[Finding]:
    """How far the clock of another machine is from this one's, by its NTP server."""
    try:
        offset_s, took_s = clock_offset(host)
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        todo = f"on {host}: {CHRONY}, the line 'allow' into /etc/chrony/chrony.conf, and UDP port {NTP_PORT} open"
        yield Finding("clock", ERROR, f"{host}: its clock cannot be asked ({reason})", todo)
        return
    sentence = f"{host} is {1e3 * abs(offset_s):.1f} ms {'ahead' if offset_s > 0 else 'behind'}"
    sentence += f", to {500 * took_s:.1f} ms"
    if abs(offset_s) - took_s / 2 > OFF_S:
        todo = f"on this machine: {CHRONY}, and 'server {host} iburst' into /etc/chrony/chrony.conf"
        yield Finding("clock", ERROR, f"{sentence}: frames are taken for older or newer by that", todo)
    else:
        yield Finding("clock", OK, sentence)


def clock_offset(host: str, port: int = NTP_PORT, timeout_s: float = 1.0) -> tuple[float, float]:
    """(how far another machine's clock is ahead, how long the best answer took), both in s.

    Raises:
        OSError: the name is unknown, nothing answers, or what answers is no NTP server that knows the time.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    answers: list[tuple[float, float]] = []
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.settimeout(timeout_s)
        server.connect(address)
        for _ in range(TRIES):
            sent_s, start_s = time.time(), time.perf_counter()
            whole = int(sent_s)
            stamp = (whole + EPOCH_S) & 0xFFFFFFFF, int((sent_s - whole) * (1 << 32)) & 0xFFFFFFFF
            server.send(SNTP.pack(0x23, 0, 0, 0, *stamp))
            answer = server.recv(512)
            took_s = time.perf_counter() - start_s
            if len(answer) < SNTP.size:
                raise OSError("what answers is no NTP server")
            flags, stratum, *times = SNTP.unpack_from(answer)
            if flags & 7 != 4 or not 1 <= stratum <= 15:
                raise OSError("its NTP server does not know the time itself")
            received_s, replied_s = _seconds(*times[:2]), _seconds(*times[2:])
            # Half of the way there and back, without the time that the server had it.
            offset_s = ((received_s - sent_s) + (replied_s - (sent_s + took_s))) / 2
            answers.append((offset_s, max(took_s - (replied_s - received_s), 0.0)))
    return min(answers, key=lambda answer: answer[1])


def _seconds(whole: int, part: int) -> float:
    # The era of 1968 to 2104: the highest bit is 0 from 2036 on.
    return whole - EPOCH_S + (0 if whole & 0x80000000 else 1 << 32) + part / (1 << 32)
