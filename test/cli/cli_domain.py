"""A ROS domain for these tests that no other run of them on this machine uses at the same time."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_domain() -> int:
    """The first free one; held until this process ends. Clear of the bench's and of test/ros."""
    for domain in range(60, 71):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0reactdiff_ros-test-cli/{domain}")
        except OSError:
            claim.close()
            continue
        _held.append(claim)
        return domain
    raise RuntimeError("eleven runs of these tests at once are enough")
