"""What a node's process needs of its machine: DDS profile, reach of DDS, realtime priority, service manager."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Final

from reactdiff_ros.resources import share_path

_VARIABLES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The name up to Fast DDS 2 and that of Fast DDS 3. Other middlewares ignore them."""
DISCOVERY, PICTURES, ALONE = "fastdds_discovery.xml", "fastdds_pictures.xml", "fastdds_alone.xml"
TRANSPORTS: Final = "FASTDDS_BUILTIN_TRANSPORTS"
UDP: Final = "UDPv4"
RANGE, ONLY, PEERS = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS"
CLOSED: Final = ("LOCALHOST", "OFF")
UNTIL_RANGES: Final = "humble"
"""The last distribution that knows ROS_LOCALHOST_ONLY alone."""

# Realtime priorities (SCHED_FIFO). The bus thread runs before the actuator's other threads, because one of them may
# hold Python's lock when a tick is due; both run before the node that makes the faces.
BUS: Final = 20
ACTUATOR: Final = 10
FACE: Final = 5
_SHARE: Final = 3
"""Signs of life within the time after which the service would be killed."""


def capture_address(environment: Mapping[str, str], namespace: str) -> str:
    """Where browser_node takes what the page's server hands over: an abstract socket for each listener."""
    return f"\0reactdiff_ros-capture/{environment.get('ROS_DOMAIN_ID') or '0'}{namespace.rstrip('/')}"


def peer_of(line: socket.socket) -> tuple[int, int]:
    """Process and user at the other end of a local socket. Raises OSError."""
    form = struct.Struct("3i")
    process, user, _ = form.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))
    return process, user


def use_profile(
    *, pictures: bool = False, alone: bool = False, environment: MutableMapping[str, str] | None = None
) -> None:
    """Choose the profile of this process; to be called before `rclpy.init`. A user's own profile stays.

    Every participant announces itself twice a second (Fast DDS's default: 3 s), so that a restarted node is found
    within a fraction of a second.

    Args:
        pictures: with a shared-memory segment that holds several pictures.
        alone: without shared memory. A writer to the shared-memory port of a killed process waits for a third of a
            second (Fast DDS's check of its health); a face must not.
        environment: to write to; the process's own.
    """
    target = os.environ if environment is None else environment
    folder = share_path("config") / "dds"
    ours = {str(folder / name) for name in (DISCOVERY, PICTURES, ALONE)}
    own = any(target.get(name) and target[name] not in ours for name in _VARIABLES)
    wants_other = target.get(TRANSPORTS, UDP) != UDP
    if alone:
        target.setdefault(TRANSPORTS, UDP)
    if own:
        return
    profile = PICTURES if pictures else DISCOVERY
    if alone and not wants_other and _stays_here(target):
        # For LOCALHOST rmw_fastrtps turns shared memory on; this profile has the rest of what LOCALHOST sets.
        profile = ALONE
        target[RANGE] = "SYSTEM_DEFAULT"
        target.pop(ONLY, None)
    path = folder / profile
    if path.is_file():
        target.update(dict.fromkeys(_VARIABLES, str(path)))


def _stays_here(environment: Mapping[str, str]) -> bool:
    """Whether only this machine is to be found; ROS_LOCALHOST_ONLY=1 overrides the range and the peers."""
    if environment.get(ONLY) == "1":
        return True
    return environment.get(RANGE) == "LOCALHOST" and not environment.get(PEERS)


def wider_than_this_machine(environment: Mapping[str, str]) -> str:
    """One sentence if other machines can command the robot; empty if they cannot.

    ROS_LOCALHOST_ONLY=1 overrides the range and the peers (rcl). With SROS 2 enforced only holders of a key are heard.
    """
    enforced = environment.get("ROS_SECURITY_STRATEGY") == "Enforce"
    if environment.get(ONLY) == "1" or (environment.get("ROS_SECURITY_ENABLE") == "true" and enforced):
        return ""
    if environment.get("ROS_DISTRO") == UNTIL_RANGES:
        return _reach_warning(f"{ONLY} is not 1", f"{ONLY}=1")
    reach, peers = environment.get(RANGE) or "not set", environment.get(PEERS, "")
    if reach not in CLOSED:
        return _reach_warning(f"{RANGE} is {reach}", f"{RANGE}=LOCALHOST")
    return _reach_warning(f"{PEERS} names {peers}", f"{PEERS} empty") if peers and reach != "OFF" else ""


def _reach_warning(why: str, todo: str) -> str:
    return f"other machines can move this robot ({why}): set {todo}, or use SROS 2 (docs/security.md)"


def prioritise(priority: int) -> bool:
    """Give this thread, and those that it starts, a realtime priority; False if the account may not have one."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True


class ServiceManager:
    """systemd, or another service manager with its protocol (sd_notify): a datagram of lines to NOTIFY_SOCKET.

    Nodes that are started later do not inherit the socket. Without NOTIFY_SOCKET nothing is sent.

    Args:
        environment: of this process; NOTIFY_SOCKET and WATCHDOG_USEC are taken out of it.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        every = environment.pop("WATCHDOG_USEC", "")
        environment.pop("WATCHDOG_PID", None)
        self._every_s = 1e-6 * int(every) / _SHARE if every.isdigit() and int(every) else 0.0
        self._next_s = 0.0

    def ready(self, sentence: str) -> None:
        """The face is there."""
        self._send(f"READY=1\nSTATUS={' '.join(sentence.split())}")

    def stopping(self) -> None:
        """The process ends as requested."""
        self._send("STOPPING=1")

    def alive(self, now_s: float) -> None:
        """The main loop runs; sent as often as the manager requested. `now_s` of a clock that never jumps."""
        if self._every_s and now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # "@" means the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            manager.sendto(text.encode(), address)
