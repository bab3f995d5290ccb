"""Does things to a running graph: signals, bad input, load. Everything is undone by what its call returns."""

from __future__ import annotations

import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.evaluation.faults import hardware
from reactdiff_ros.evaluation.faults.account import Said
from reactdiff_ros.evaluation.faults.catalogue import Undo
from reactdiff_ros.evaluation.faults.inputs import PictureFault, SoundFault
from reactdiff_ros.evaluation.faults.pages import Pages
from reactdiff_ros.evaluation.faults.setting import Network, Setting
from reactdiff_ros.launching.live_graph import LiveGraph, executable
from reactdiff_ros.settings import RANGES

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
    from reactdiff_ros.evaluation.graph.fault_bench import FaultBench

SHOUT_S: Final = 0.04
SLOW: Final = 20
"""A slow process runs in one of so many steps."""
RELOAD_S: Final = 1.2
"""A page is reloaded so often."""
CHUNK: Final = bytes(1 << 20)
_HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: cmVhY3RkaWZmX3Jvcy4uLg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class GraphLab:
    """The `catalogue.Lab` of a graph. `step` must be called while a fault lasts.

    Args:
        graph: the running nodes.
        bench: between them.
        weights: the folder that reaction_node loads the model from; a copy, for it is damaged.
        setting: where the graph runs.
        robot: its servos, where there are some.
    """

    def __init__(
        self, graph: LiveGraph, bench: FaultBench, weights: Path, setting: Setting, robot: EmulatedRobot | None
    ) -> None:
        self._graph, self._bench, self._weights = graph, bench, weights
        self._setting, self._robot = setting, robot
        self.findings: list[str] = []
        """What a fault itself found wrong when it was undone."""
        self._work: Callable[[], None] | None = None
        self._due_s = 0.0

    def step(self) -> None:
        """Do what a fault does again and again."""
        now = time.monotonic()
        if self._work is not None and now >= self._due_s:
            self._due_s = now + SHOUT_S
            self._work()

    def kill(self, node: str) -> Undo:
        """SIGKILL."""
        os.kill(self._graph.supervisor.pids()[node], signal.SIGKILL)
        return _nothing

    def stop(self, node: str) -> Undo:
        """SIGSTOP; undone by SIGCONT, if it is still the same process."""
        pid = self._graph.supervisor.pids()[node]
        os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            if self._graph.supervisor.pids().get(node) == pid:
                os.kill(pid, signal.SIGCONT)

        return go_on

    def pictures(self, fault: PictureFault) -> Undo:
        """What perception sees."""
        self._bench.picture_fault = fault

        def undo() -> None:
            self._bench.picture_fault = None

        return undo

    def sound(self, fault: SoundFault) -> Undo:
        """What perception hears."""
        self._bench.sound_fault = fault

        def undo() -> None:
            self._bench.sound_fault = None

        return undo

    def shout(self, value: float) -> Undo:
        """Messages with this value in every number, on every topic of numbers."""
        from reactdiff_ros.evaluation.graph.fault_bench import SHOUTS

        def work() -> None:
            for topic in SHOUTS:
                self._bench.shout(topic, value)

        def undo() -> None:
            self._work = None
            self._bench.hush()

        self._work = work
        return undo

    def busy(self, processes: int) -> Undo:
        """Processes that compute for nothing."""
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]

        def undo() -> None:
            for loop in loops:
                loop.kill()
                loop.wait()

        return undo

    def half_open(self, sockets: int) -> Undo:
        """Websockets of the page that never read."""
        where = urlsplit(self._graph.url or "")
        opened: list[socket.socket] = []
        for _ in range(sockets):
            with suppress(OSError):
                opened.append(socket.create_connection((where.hostname or "127.0.0.1", where.port or 80), timeout=1.0))
                opened[-1].sendall(_HANDSHAKE.format(host=where.netloc).encode())

        def undo() -> None:
            for one in opened:
                one.close()

        return undo

    def pages(self, count: int, *, reload: bool = False) -> Undo:
        """So many open pages, opened anew again and again."""
        opened = Pages(self._graph.url or "", count, RELOAD_S if reload else math.inf)
        return lambda: self.findings.extend(opened.close())

    def cut_network(self) -> Undo:
        """No way between the two machines."""
        assert isinstance(self._setting, Network)
        self._setting.machines.cut()
        return self._setting.machines.heal

    def fill_disk(self) -> Undo:
        """Not a byte is left on the disk."""
        assert self._setting.folder is not None
        path, before = self._setting.folder / "fill", self._graph.supervisor.pids()
        with path.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(CHUNK):
                pass

        def undo() -> None:
            path.unlink()
            died = [name for name, pid in before.items() if self._graph.supervisor.pids().get(name) != pid]
            self.findings += [f"{name} died of it" for name in died]

        return undo

    def stop_clock(self) -> Undo:
        """Simulated time stands still."""
        clock = self._bench.clock
        assert clock is not None
        clock.pause()
        return clock.go_on

    def loop_bag(self, seconds: float) -> Undo:
        """Simulated time jumps back by so much, and so do the stamps of all that is played."""
        assert self._bench.clock is not None
        self._bench.clock.jump(-seconds)
        return _nothing

    def servo(self, failure: hardware.Failure) -> Undo:
        """One servo of the bus fails."""
        return self._robot_does(
            partial(hardware.fail, failure=failure, wrong=True), partial(hardware.fail, failure=failure, wrong=False)
        )

    def board(self) -> Undo:
        """The hardware is deaf and mute."""
        return self._robot_does(partial(hardware.hush, wrong=True), partial(hardware.hush, wrong=False))

    def cable(self) -> Undo:
        """The servos' cable is pulled; undone: put back."""
        return self._robot_does(partial(hardware.cable, plugged=False), partial(hardware.cable, plugged=True))

    def _robot_does(self, begin: Callable[[Rig], None], end: Callable[[Rig], None]) -> Undo:
        robot = self._robot
        assert robot is not None
        robot.do(begin)
        return lambda: robot.do(end)

    def slow(self, node: str) -> Undo:
        """A twentieth of the processor's time, for a process."""
        pid, count = self._graph.supervisor.pids()[node], 0

        def work() -> None:
            nonlocal count
            count += 1
            if self._graph.supervisor.pids().get(node) == pid and count % SLOW in (0, 1):
                os.kill(pid, signal.SIGSTOP if count % SLOW else signal.SIGCONT)

        def undo() -> None:
            self._work = None
            if self._graph.supervisor.pids().get(node) == pid:
                os.kill(pid, signal.SIGCONT)

        self._work = work
        return undo

    def starve(self, node: str) -> Undo:
        """No more memory for a process than it has: its address space may not grow."""
        pid = self._graph.supervisor.pids()[node]
        has = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.prlimit(pid, resource.RLIMIT_AS, (has, resource.getrlimit(resource.RLIMIT_AS)[1]))

        def undo() -> None:
            with suppress(ProcessLookupError):  # it may have died of it
                resource.prlimit(pid, resource.RLIMIT_AS, before)

        return undo

    def control_edges(self) -> Undo:
        """Every control at the ends of its range in turn."""
        high = False

        def work() -> None:
            nonlocal high
            high = not high
            self._bench.control({name: ends[high] for name, ends in RANGES.items()})

        def undo() -> None:
            self._work = None
            self._bench.control({}, style="natural")

        self._work = work
        return undo

    def cut_weights(self) -> Undo:
        """A network of the model cut in half, and the node that loads it killed; undone: whole again."""
        network = self._weights / "denoiser.onnx"
        whole = network.read_bytes()
        network.write_bytes(whole[: len(whole) // 2])
        self.kill("reaction_node")

        def undo() -> None:
            network.write_bytes(whole)

        return undo

    def second(self, node: str) -> Undo:
        """A second instance of a node, which must refuse to start."""
        command = [str(executable(node)), "--ros-args", "-r", f"__ns:={self._graph.options.namespace or '/'}"]
        twin = subprocess.Popen(
            command, env=self._graph.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

        def undo() -> None:
            if twin.poll() is None:  # never waited for: meanwhile nobody would hear the face
                twin.kill()
            lines = twin.communicate()[1].splitlines()
            # Lines of the log begin with their level in brackets.
            sentence = next((line for line in reversed(lines) if line.strip() and not line.startswith("[")), "")
            if twin.returncode == 2 and sentence:
                self._bench.trace.said.append(Said(time.time_ns(), "", 2, sentence))

        return undo


def _nothing() -> None:
    """What happened once has no end."""
