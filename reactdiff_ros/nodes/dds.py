"""Settings of Fast DDS for this package's participants. Other middlewares do not look at them."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

from reactdiff_ros.resources import share_path

_VARIABLES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The name up to Fast DDS 2 and that of Fast DDS 3."""
DISCOVERY, PICTURES = "fastdds_discovery.xml", "fastdds_pictures.xml"


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
    if alone:
        target.setdefault(TRANSPORTS, UDP)
    folder = share_path("config") / "dds"
    ours = {str(folder / name) for name in (DISCOVERY, PICTURES)}
    if any(target.get(name) and target[name] not in ours for name in _VARIABLES):
        return
    path = folder / (PICTURES if pictures else DISCOVERY)
    if path.is_file():
        target.update(dict.fromkeys(_VARIABLES, str(path)))
