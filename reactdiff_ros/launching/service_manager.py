"""What a service manager is told (sd_notify): that the listener, or a node alone, is ready, and that it still turns.

The protocol is a datagram of lines to the socket that NOTIFY_SOCKET names; without it nothing is said.
"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

_SHARE: Final = 3
"""Signs of life within the time after which the service would be killed."""


class ServiceManager:
    """systemd, or another one that speaks its protocol. Nodes that are started later do not inherit its socket.

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
        self._say(f"READY=1\nSTATUS={' '.join(sentence.split())}")

    def stopping(self) -> None:
        """It ends, as it was told."""
        self._say("STOPPING=1")

    def alive(self, now_s: float) -> None:
        """The main loop turns; said as often as the manager asked for. `now_s` of a clock that never jumps."""
        if self._every_s and now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            manager.sendto(text.encode(), address)
