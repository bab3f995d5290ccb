"""Two machines and the cable between them: network namespaces joined by a bridge in a third one. Needs root."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import ReactdiffError

_NEWNET: Final = 0x40000000
"""CLONE_NEWNET of sched.h."""
_NAMED: Final = Path("/run/netns")
_PARTS: Final = ("switch", "robot", "far")


class TwoMachines:
    """The calling thread, and all that it starts, is on the robot's machine until the end. A context manager.

    Raises:
        ReactdiffError: on entering, the namespaces cannot be made.
    """

    def __init__(self) -> None:
        self._names = {part: f"rdf{os.getpid()}{part}" for part in _PARTS}
        self._stack = ExitStack()
        self.far = (shutil.which("ip") or "ip", "netns", "exec", self._names["far"])
        """Words before a command that is to run on the far machine."""

    def __enter__(self) -> TwoMachines:
        with ExitStack() as stack:
            for name in self._names.values():
                _ip("netns", "add", name)
                stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
                _ip("-n", name, "link", "set", "lo", "up")
            switch = self._names["switch"]
            _ip("-n", switch, "link", "add", "lan", "type", "bridge")
            _ip("-n", switch, "link", "set", "lan", "up")
            for i, part in enumerate(("robot", "far"), 1):
                there, port = self._names[part], _port(part)
                peer = ("type", "veth", "peer", "name", "eth0", "netns", there)
                _ip("-n", switch, "link", "add", port, *peer)
                _ip("-n", switch, "link", "set", port, "master", "lan")
                _ip("-n", switch, "link", "set", port, "up")
                _ip("-n", there, "addr", "add", f"10.213.8.{i}/24", "dev", "eth0")
                _ip("-n", there, "link", "set", "eth0", "up")
            before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(_return_to, before)
            with (_NAMED / self._names["robot"]).open() as robot:
                _enter(robot.fileno())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut(self) -> None:
        """Pull the far machine's cable."""
        _ip("-n", self._names["switch"], "link", "set", _port("far"), "down")

    def heal(self) -> None:
        """Put it back."""
        _ip("-n", self._names["switch"], "link", "set", _port("far"), "up")


def _port(part: str) -> str:
    return f"to_{part}"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        where = f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        raise ReactdiffError("network namespaces cannot be made", where=where)


def _enter(descriptor: int) -> None:
    """Let this thread be in the network namespace of an open file. (os.setns came with Python 3.12.)"""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET):
        raise ReactdiffError("a network namespace cannot be entered", where=os.strerror(ctypes.get_errno()))


def _return_to(descriptor: int) -> None:
    try:
        _enter(descriptor)
    finally:
        os.close(descriptor)
