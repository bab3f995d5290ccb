"""Where a fault is injected: an ordinary graph, or one on two machines, in simulated time, or with a small disk."""

from __future__ import annotations

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
from reactdiff_ros.evaluation.faults.network import TwoMachines
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.launching.supervisor import NodeCommand

DISK_MB: Final = 192
SOURCE: Final = "clip_node"
FOLLOWS_CLOCK: Final = "use_sim_time:=true"


class Setting:
    """An ordinary graph: one machine, real time. A context manager; the others say what is special about them.

    Raises:
        NotHereError: on entering, where this machine or account cannot have it.
    """

    robot: ClassVar[bool] = True
    """Whether the robot takes part."""
    clock: ClassVar[bool] = False
    """Whether the harness gives the time."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.folder: Path | None = None
        """Where the run's files go; None: where temporary ones do."""

    def __enter__(self) -> Setting:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def options(self, options: LiveOptions) -> LiveOptions:
        """What to run."""
        return options

    def environment(self) -> dict[str, str]:
        """What the nodes' environment has beside the usual."""
        return {}

    def command(self, node: NodeCommand) -> NodeCommand:
        """How a node is started."""
        return node


class NotHereError(ReactdiffError):
    """A setting that is not to be had on this machine, or with this account: its faults are left out."""


class Network(Setting):
    """Two machines: reaction_node is on the one with the GPU, all else on the robot's."""

    def __enter__(self) -> Network:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise NotHereError("two machines are network namespaces, which need root and the tool ip (iproute2)")
        try:
            self.machines = self.stack.enter_context(TwoMachines())
        except ReactdiffError as error:
            raise NotHereError(str(error)) from error
        return self

    def options(self, options: LiveOptions) -> LiveOptions:
        """They find each other over the network."""
        return replace(options, lan=True)

    def environment(self) -> dict[str, str]:
        """As between real machines: no shared memory."""
        return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}

    def command(self, node: NodeCommand) -> NodeCommand:
        """The reaction_node starts on the far machine, where a supervisor of its own would hear it all the time."""
        if node.name != "reaction_node":
            return node
        return replace(node, command=(*self.machines.far, *node.command), silent_s=math.inf)


class SimulatedTime(Setting):
    """A bag is played: the harness gives the time, and what it passes on is stamped by it."""

    robot: ClassVar[bool] = False
    clock: ClassVar[bool] = True

    def options(self, options: LiveOptions) -> LiveOptions:
        """All nodes follow /clock."""
        return replace(options, arguments={**options.arguments, "use_sim_time": "true"})

    def command(self, node: NodeCommand) -> NodeCommand:
        """But for the one that plays, whose stamps are shifted on the way."""
        if node.name != SOURCE:
            return node
        words = list(node.command)
        at = words.index(FOLLOWS_CLOCK)
        del words[at - 1 : at + 1]  # with the -p before it
        return replace(node, command=tuple(words))


class SmallDisk(Setting):
    """A session is recorded on a disk of DISK_MB, on which logs and the model's weights lie as well."""

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


SETTINGS: Final[dict[str, Callable[[], Setting]]] = {
    "": Setting,
    "network": Network,
    "clock": SimulatedTime,
    "disk": SmallDisk,
}
