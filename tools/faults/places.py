"""Where a fault is injected: an ordinary graph, or one on two machines, in simulated time, or with a small disk."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.launching.supervisor import NodeCommand

DISK_MB: Final = 192
SOURCE: Final = "clip_node"
FOLLOWS_CLOCK: Final = "use_sim_time:=true"
_NEWNET: Final = 0x40000000
"""CLONE_NEWNET of sched.h."""
_NAMED: Final = Path("/run/netns")


class Place:
    """An ordinary graph: one machine, real time. A context manager; subclasses change what is special about them.

    Raises:
        NotHereError: on entering, if this machine or account cannot have it.
    """

    robot: ClassVar[bool] = True
    """Whether the robot takes part."""
    clock: ClassVar[bool] = False
    """Whether the harness publishes /clock."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.folder: Path | None = None
        """Where the run's files go; None: where temporary files go."""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def options(self, options: LiveOptions) -> LiveOptions:
        """What to run."""
        return options

    def environment(self) -> dict[str, str]:
        """Additional environment variables of the nodes."""
        return {}

    def command(self, node: NodeCommand) -> NodeCommand:
        """How a node is started."""
        return node


class NotHereError(ReactdiffError):
    """A place that this machine or account cannot have: its faults are left out."""


class Network(Place):
    """Two machines and the cable between them: reaction_node runs on the one with the GPU, all else on the robot's.

    They are network namespaces joined by a bridge in a third one. The calling thread, and all that it starts, is on the
    robot's machine until the end.
    """

    def __enter__(self) -> Network:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise NotHereError("two machines are network namespaces, which need root and the tool ip (iproute2)")
        self._names = {part: f"rdf{os.getpid()}{part}" for part in ("switch", "robot", "far")}
        self.far = (shutil.which("ip") or "ip", "netns", "exec", self._names["far"])
        """Words before a command that is to run on the far machine."""
        try:
            with ExitStack() as stack:
                self._join(stack)
                self.stack = stack.pop_all()
        except ReactdiffError as error:
            raise NotHereError(str(error)) from error
        return self

    def _join(self, stack: ExitStack) -> None:
        for name in self._names.values():
            _ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
            _ip("-n", name, "link", "set", "lo", "up")
        switch = self._names["switch"]
        _ip("-n", switch, "link", "add", "lan", "type", "bridge")
        _ip("-n", switch, "link", "set", "lan", "up")
        for i, part in enumerate(("robot", "far"), 1):
            name, port = self._names[part], f"to_{part}"
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", switch, "link", "set", port, "master", "lan")
            _ip("-n", switch, "link", "set", port, "up")
            _ip("-n", name, "addr", "add", f"10.213.8.{i}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        stack.callback(os.close, before)
        stack.callback(_enter, before)
        with (_NAMED / self._names["robot"]).open() as robot:
            _enter(robot.fileno())

    def options(self, options: LiveOptions) -> LiveOptions:
        """They discover each other over the network."""
        return replace(options, lan=True)

    def environment(self) -> dict[str, str]:
        """As between real machines: no shared memory."""
        return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}

    def command(self, node: NodeCommand) -> NodeCommand:
        """The reaction_node starts on the far machine, where another supervisor would hear it all the time."""
        if node.name != "reaction_node":
            return node
        return replace(node, command=(*self.far, *node.command), silent_s=math.inf)

    def cut(self) -> None:
        """Pull the far machine's cable."""
        _ip("-n", self._names["switch"], "link", "set", "to_far", "down")

    def heal(self) -> None:
        """Put it back."""
        _ip("-n", self._names["switch"], "link", "set", "to_far", "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        where = f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        raise ReactdiffError("network namespaces cannot be made", where=where)


def _enter(descriptor: int) -> None:
    """Move this thread into the network namespace of an open file. (os.setns came with Python 3.12.)"""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET):
        raise ReactdiffError("a network namespace cannot be entered", where=os.strerror(ctypes.get_errno()))


class SimulatedTime(Place):
    """As when a bag is played: the harness publishes /clock, and stamps what it passes on by it."""

    robot: ClassVar[bool] = False
    clock: ClassVar[bool] = True

    def options(self, options: LiveOptions) -> LiveOptions:
        """All nodes follow /clock."""
        return replace(options, arguments={**options.arguments, "use_sim_time": "true"})

    def command(self, node: NodeCommand) -> NodeCommand:
        """Except the one that plays, whose stamps are shifted on the way."""
        if node.name != SOURCE:
            return node
        words = list(node.command)
        at = words.index(FOLLOWS_CLOCK)
        del words[at - 1 : at + 1]  # with the -p before it
        return replace(node, command=tuple(words))


class SmallDisk(Place):
    """A session is recorded on a disk of DISK_MB, which also holds the logs and the model's weights."""

    robot: ClassVar[bool] = False

    def __enter__(self) -> SmallDisk:
        if os.geteuid() != 0:
            raise NotHereError("a small disk is a mounted tmpfs, which needs root")
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="reactdiff-disk-")))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "reactdiff", str(self.folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            self.stack.close()
            raise NotHereError("a small disk cannot be mounted", where=done.stderr.strip())
        self.stack.callback(subprocess.run, ["umount", "--lazy", str(self.folder)], check=False)
        return self

    def options(self, options: LiveOptions) -> LiveOptions:
        """Record, until the disk is really full."""
        recording = {"record": "true", "record_to": f"{self.folder}/bag", "consent": "of the bundled speaker"}
        parameters = {**options.parameters, "keep_free_mb": 10}
        return replace(options, arguments={**options.arguments, **recording}, parameters=parameters)


PLACES: Final[dict[str, Callable[[], Place]]] = {
    "": Place, "network": Network, "clock": SimulatedTime, "disk": SmallDisk,
}  # fmt: skip
