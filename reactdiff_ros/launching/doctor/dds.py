"""`reactdiff doctor`: settings of DDS, multicast, shared memory and what killed programs left in it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Finding

RANGES: Final = ("OFF", "LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")
PROFILES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
HIGHEST_DOMAIN: Final = 101
"""Ports of higher domains lie among those that Linux gives to other programs."""
GROUP: Final = "239.255.0.1"
"""Where DDS looks for others."""
SHM: Final = Path("/dev/shm")
SHM_NEEDED: Final = 64_000_000
"""Two segments of 16 MB for pictures, and those of the other nodes."""
SHM_FREE: Final = 32_000_000
SEGMENTS: Final = ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*")


def check_dds(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """What the environment tells DDS."""
    environment = os.environ if environment is None else environment
    before = list(_problems(environment))
    yield from before
    if not any(finding.level == ERROR for finding in before):
        middleware = environment.get("RMW_IMPLEMENTATION") or "the default middleware"
        yield Finding("dds", OK, f"{middleware}, domain {environment.get('ROS_DOMAIN_ID') or 0}, {_reach(environment)}")


def _reach(environment: Mapping[str, str]) -> str:
    peers = environment.get("ROS_STATIC_PEERS", "")
    server = environment.get("ROS_DISCOVERY_SERVER", "")
    also = (f", peers {peers}" if peers else "") + (f", discovery server {server}" if server else "")
    return f"reactdiff listen stays on this machine without --lan{also}"


def _problems(environment: Mapping[str, str]) -> Iterator[Finding]:
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    if not domain.isdecimal() or int(domain) > 232:
        yield Finding("dds", ERROR, f"ROS_DOMAIN_ID is {domain!r}, not 0 to {HIGHEST_DOMAIN}", "export ROS_DOMAIN_ID=0")
    elif int(domain) > HIGHEST_DOMAIN:
        sentence = f"ROS_DOMAIN_ID {domain}: its ports may be taken by other programs"
        yield Finding("dds", NOTE, sentence, f"export ROS_DOMAIN_ID to one of 0 to {HIGHEST_DOMAIN}")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if reach and reach.upper() not in RANGES:
        sentence = f"ROS_AUTOMATIC_DISCOVERY_RANGE is {reach!r}, none of {', '.join(RANGES)}"
        yield Finding("dds", ERROR, sentence, "unset ROS_AUTOMATIC_DISCOVERY_RANGE")
    if environment.get("ROS_LOCALHOST_ONLY") == "1" and environment.get("ROS_DISTRO") != "humble":
        sentence = "ROS_LOCALHOST_ONLY=1 overrides the discovery range: --lan finds nobody"
        yield Finding("dds", NOTE, sentence, "unset ROS_LOCALHOST_ONLY")
    yield from _middleware(environment)
    for variable in (*PROFILES, "CYCLONEDDS_URI"):
        yield from _profile(variable, environment.get(variable, ""))
    first, second = (environment.get(variable) for variable in PROFILES)
    if first and second and first != second:
        sentence = f"{PROFILES[0]} and {PROFILES[1]} name two files: which one counts depends on the version"
        yield Finding("dds", NOTE, sentence, f'export {PROFILES[0]}="${PROFILES[1]}"')


def _middleware(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = environment.get("RMW_IMPLEMENTATION", "")
    prefixes = [Path(p) for p in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    index = "share/ament_index/resource_index/rmw_typesupport"
    found = {path.name for prefix in prefixes for path in (prefix / index).glob("rmw_*")} - {"rmw_implementation"}
    if wanted and found and wanted not in found:
        package = f"ros-{environment.get('ROS_DISTRO', '<distro>')}-{wanted.replace('_', '-')}"
        todo = f"unset RMW_IMPLEMENTATION, or: sudo apt-get install {package}"
        yield Finding("dds", ERROR, f"RMW_IMPLEMENTATION is {wanted}, and there is {', '.join(sorted(found))}", todo)


def _profile(variable: str, value: str) -> Iterator[Finding]:
    if not value or value.lstrip().startswith("<"):
        return
    path = Path(value.removeprefix("file://"))
    try:
        ET.parse(path)
    except OSError as error:
        yield Finding("dds", ERROR, f"{variable}: {path}: {error.strerror}", f"unset {variable}")
    except ET.ParseError as error:
        yield Finding("dds", ERROR, f"{variable}: {path} is not XML: {error}", f"mend it, or unset {variable}")
    else:
        yield Finding("dds", NOTE, f"{variable} names {path}: it takes the place of this package's own profiles")


def check_multicast(hears: Callable[[str], str] | None = None) -> Iterator[Finding]:
    """Whether DDS's multicast comes back, on this machine alone and over its network."""
    hears = hears or multicast_problem
    problem = hears("127.0.0.1")
    if problem:
        sentence = f"none on loopback ({problem}); Fast DDS does without, Cyclone DDS does not"
        yield Finding("multicast", NOTE, sentence, "sudo ip link set lo multicast on")
    else:
        yield Finding("multicast", OK, "comes back on loopback")
    problem = hears("0.0.0.0")
    if problem:
        sentence = f"none over the network ({problem}): with --lan other machines are not found by themselves"
        yield Finding("multicast", NOTE, sentence, "name them: export ROS_STATIC_PEERS='192.168.1.20;192.168.1.21'")
    else:
        yield Finding("multicast", OK, "comes back over the network's interface")


def multicast_problem(interface: str, timeout_s: float = 0.5) -> str:
    """Why what is sent to DDS's group over the interface of this address does not come back; "": it does."""
    word = os.urandom(8)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as mouth:  # fmt: skip
            ear.bind(("", 0))
            ear.settimeout(timeout_s)
            place = socket.inet_aton(interface)
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + place)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, place)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("b", 0))  # not into the network
            mouth.sendto(word, (GROUP, ear.getsockname()[1]))
            return "" if ear.recv(64) == word else "another program answered"
    except TimeoutError:
        return f"nothing within {timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)


def check_shared_memory(folder: Path = SHM, proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Room in shared memory, and segments of programs that were killed."""
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
        yield Finding("memory", ERROR, f"{size}: DDS cannot make its segments", todo)
    else:
        yield Finding("memory", OK, size)
    left = stale_segments(folder, proc)
    if left:
        taken = sum(path.stat().st_size for path in left if path.exists())
        sentence = f"{len(left)} files ({taken / 1e6:.1f} MB) of Fast DDS that no program uses, such as {left[0].name}"
        patterns = " ".join(f"{folder}/{pattern}" for pattern in SEGMENTS)
        yield Finding("memory", NOTE, sentence, f"end all ROS programs of yours, then: rm -f {patterns}")


def stale_segments(folder: Path, proc: Path) -> list[Path]:
    """Files of Fast DDS that are this user's, which no process of this machine maps and whose lock nobody holds."""
    mine = [path for pattern in SEGMENTS for path in folder.glob(pattern) if _mine(path)]
    if not mine:
        return []
    mapped: set[str] = set()
    for maps in proc.glob("[0-9]*/maps"):
        with suppress(OSError), maps.open(errors="replace") as lines:
            mapped.update(line.split()[-1] for line in lines if f"{folder}/" in line)
    held = {path.name for path in mine if str(path) in mapped or _locked(path)}
    # A port's mutex and locks live and die with the port.
    stems = {_stem(name) for name in held}
    return sorted(path for path in mine if _stem(path.name) not in stems)


def _stem(name: str) -> str:
    return name.removeprefix("sem.").removesuffix("_mutex").removesuffix("_el").removesuffix("_sl")


def _mine(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file() and path.stat().st_uid == os.getuid()
    return False


def _locked(path: Path) -> bool:
    if not path.name.endswith(("_el", "_sl")):
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except OSError:
        return True
