"""Settings of Fast DDS for this package's participants. Other middlewares do not look at them."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Final

from reactdiff_ros.launching.dds_reach import ONLY, PEERS, RANGE
from reactdiff_ros.resources import share_path

_VARIABLES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The name up to Fast DDS 2 and that of Fast DDS 3."""
DISCOVERY, PICTURES, ALONE = "fastdds_discovery.xml", "fastdds_pictures.xml", "fastdds_alone.xml"
TRANSPORTS: Final = "FASTDDS_BUILTIN_TRANSPORTS"
UDP: Final = "UDPv4"


def use_profile(
    *, pictures: bool = False, alone: bool = False, environment: MutableMapping[str, str] | None = None
) -> None:
    """Choose the profile of this process; to be called before `rclpy.init`. A user's own profile stays.

    Every participant announces itself twice a second, where Fast DDS's own period is 3 s: a node that was started again
    is found by those that went on in a fraction of a second.

    Args:
        pictures: with a shared-memory segment that holds several pictures.
        alone: without shared memory. Whoever writes to the shared-memory port of a process that was killed waits for a
            third of a second, Fast DDS's check of its health; a face must not.
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
        # rmw_fastrtps gives shared memory to whoever stays on this machine; the profile says all else that it says.
        profile = ALONE
        target[RANGE] = "SYSTEM_DEFAULT"
        target.pop(ONLY, None)
    path = folder / profile
    if path.is_file():
        target.update(dict.fromkeys(_VARIABLES, str(path)))


def _stays_here(environment: Mapping[str, str]) -> bool:
    """Whether nobody beyond this machine is to be found; ROS_LOCALHOST_ONLY=1 goes before the range and the peers."""
    if environment.get(ONLY) == "1":
        return True
    return environment.get(RANGE) == "LOCALHOST" and not environment.get(PEERS)
