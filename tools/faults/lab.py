"""Injects faults into a running graph: signals, bad input, load, servos. Each call returns what ends its fault."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.emulators.servos import Servo
from reactdiff_ros.actuation.robot.profile import DynamixelDriver, MaestroDriver, Profile
from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
from reactdiff_ros.launching.live_graph import LiveGraph, executable
from reactdiff_ros.settings import RANGES
from tools.faults.account import Report
from tools.faults.inputs import PictureFault, SoundFault
from tools.faults.places import Network, Place

if TYPE_CHECKING:
    import aiohttp

    from tools.faults.relay import Relay

Undo = Callable[[], object]
REPEAT_S: Final = 0.04
SLOW: Final = 20
"""A slow process runs in one of this many steps."""
RELOAD_S: Final = 1.2
"""A page is reloaded after this time."""
CHUNK: Final = bytes(1 << 20)
FACE_S: Final = 1.0
"""An opened page shows a face within this time."""
PAGE_STEP_S: Final = 0.1
PROBE_S: Final = 0.05
ANSWER_S: Final = 0.25
_HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: cmVhY3RkaWZmX3Jvcy4uLg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
Failure = Literal["mute", "bad_checksum", "overload", "hot"]
"""Of a servo on a bus: flags of `emulators.servos.Failing`."""


class GraphLab:
    """Injects the faults of the catalogue. `step` must be called while a fault lasts.

    Args:
        graph: the running nodes.
        relay: between the devices and perception.
        weights: the folder that reaction_node loads the model from; a copy, as it is damaged.
        place: where the graph runs.
        robot: its emulated servos, if it has any.
    """

    def __init__(
        self, graph: LiveGraph, relay: Relay, weights: Path, place: Place, robot: EmulatedRobot | None
    ) -> None:
        self._graph, self._relay, self._weights = graph, relay, weights
        self._place, self._robot = place, robot
        self.findings: list[str] = []
        """Violations that a fault itself found when it was ended."""
        self._work: Callable[[], None] | None = None
        self._due_s = 0.0

    def step(self) -> None:
        """Do what a fault does repeatedly."""
        now = time.monotonic()
        if self._work is not None and now >= self._due_s:
            self._due_s = now + REPEAT_S
            self._work()

    def _repeat(self, work: Callable[[], None], end: Callable[[], None]) -> Undo:
        """Call `work` 25 times a second until undone, then `end`."""
        self._work = work

        def undo() -> None:
            self._work = None
            end()

        return undo

    def kill(self, node: str) -> Undo:
        """SIGKILL."""
        os.kill(self._graph.supervisor.pids()[node], signal.SIGKILL)
        return lambda: None

    def stop(self, node: str) -> Undo:
        """SIGSTOP; undone by SIGCONT, if it is still the same process."""
        pid = self._graph.supervisor.pids()[node]
        os.kill(pid, signal.SIGSTOP)
        return lambda: self._continue(node, pid)

    def _continue(self, node: str, pid: int) -> None:
        if self._graph.supervisor.pids().get(node) == pid:
            os.kill(pid, signal.SIGCONT)

    def slow(self, node: str) -> Undo:
        """A twentieth of the processor's time, for a process."""
        pid, steps = self._graph.supervisor.pids()[node], count(1)

        def work() -> None:
            step = next(steps) % SLOW
            if self._graph.supervisor.pids().get(node) == pid and step in (0, 1):
                os.kill(pid, signal.SIGSTOP if step else signal.SIGCONT)

        return self._repeat(work, lambda: self._continue(node, pid))

    def starve(self, node: str) -> Undo:
        """No more memory for a process than it has: its address space may not grow."""
        pid = self._graph.supervisor.pids()[node]
        has = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.prlimit(pid, resource.RLIMIT_AS, (has, resource.getrlimit(resource.RLIMIT_AS)[1]))

        def undo() -> None:
            with suppress(ProcessLookupError):  # it may have died of it
                resource.prlimit(pid, resource.RLIMIT_AS, before)

        return undo

    def pictures(self, fault: PictureFault) -> Undo:
        """Change the pictures that perception receives."""
        self._relay.picture_fault = fault
        return partial(setattr, self._relay, "picture_fault", None)

    def sound(self, fault: SoundFault) -> Undo:
        """Change the sound that perception receives."""
        self._relay.sound_fault = fault
        return partial(setattr, self._relay, "sound_fault", None)

    def shout(self, value: float) -> Undo:
        """Messages with this value in every floating-point field, on every topic of numbers."""
        return self._repeat(lambda: self._relay.shout(value), self._relay.hush)

    def control_edges(self) -> Undo:
        """Every control at the ends of its range in turn."""
        highs = cycle((True, False))

        def work() -> None:
            high = next(highs)
            self._relay.control({name: ends[high] for name, ends in RANGES.items()})

        return self._repeat(work, lambda: self._relay.control({}, style="natural"))

    def stop_clock(self) -> Undo:
        """Simulated time stops, as when a bag is paused."""
        assert self._relay.clock is not None
        self._relay.clock.pause()
        return self._relay.clock.resume

    def loop_bag(self, seconds: float) -> Undo:
        """Simulated time and the stamps of all that is played jump back."""
        assert self._relay.clock is not None
        self._relay.clock.jump(-seconds)
        return lambda: None

    def busy(self, processes: int) -> Undo:
        """Processes that compute for nothing."""
        loops = ExitStack()
        for _ in range(processes):
            loop = loops.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            loops.callback(loop.kill)
        return loops.close

    def half_open(self, sockets: int) -> Undo:
        """Websockets of the page that never read."""
        where = urlsplit(self._graph.url or "")
        address, opened = (where.hostname or "127.0.0.1", where.port or 80), ExitStack()
        for _ in range(sockets):
            with suppress(OSError):
                one = opened.enter_context(socket.create_connection(address, timeout=1.0))
                one.sendall(_HANDSHAKE.format(host=where.netloc).encode())
        return opened.close

    def pages(self, count: int, *, reload: bool = False) -> Undo:
        """Open pages; with `reload` each is closed and opened again and again."""
        opened = Pages(self._graph.url or "", count, RELOAD_S if reload else math.inf)
        return lambda: self.findings.extend(opened.close())

    def cut_network(self) -> Undo:
        """No connection between the machine of the robot and that of reaction_node."""
        assert isinstance(self._place, Network)
        self._place.cut()
        return self._place.heal

    def fill_disk(self) -> Undo:
        """No space is left where a session is recorded and logs are written."""
        assert self._place.folder is not None
        path, before = self._place.folder / "fill", self._graph.supervisor.pids()
        with path.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(CHUNK):
                pass

        def undo() -> None:
            path.unlink()
            died = [name for name, pid in before.items() if self._graph.supervisor.pids().get(name) != pid]
            self.findings += [f"{name} died of it" for name in died]

        return undo

    def cut_weights(self) -> Undo:
        """A network of the model cut in half, and the node that loads it killed; undone: whole again."""
        network = self._weights / "denoiser.onnx"
        whole = network.read_bytes()
        network.write_bytes(whole[: len(whole) // 2])
        self.kill("reaction_node")
        return partial(network.write_bytes, whole)

    def second(self, node: str) -> Undo:
        """A second instance of a node, which must refuse to start."""
        command = [str(executable(node)), "--ros-args", "-r", f"__ns:={self._graph.options.namespace or '/'}"]
        twin = subprocess.Popen(
            command, env=self._graph.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

        def undo() -> None:
            if twin.poll() is None:  # never waited for: meanwhile no one would listen to the face
                twin.kill()
            lines = twin.communicate()[1].splitlines()
            # Lines of the log begin with their level in brackets.
            sentence = next((line for line in reversed(lines) if line.strip() and not line.startswith("[")), "")
            if twin.returncode == 2 and sentence:
                self._relay.trace.reports.append(Report(time.time_ns(), "", 2, sentence))

        return undo

    def servo(self, failure: Failure) -> Undo:
        """One servo of the bus fails."""
        return self._robot_does(partial(fail, failure=failure))

    def hand(self) -> Undo:
        """A hand pushes one servo of the bus aside and holds it."""
        return self._robot_does(hold)

    def board(self) -> Undo:
        """The servos' board, or all servos of the bus, neither hear nor answer."""
        return self._robot_does(hush)

    def cable(self) -> Undo:
        """The servos' cable is pulled; undone: put back."""
        return self._robot_does(cable)

    def _robot_does(self, action: Callable[..., None]) -> Undo:
        robot = self._robot
        assert robot is not None
        robot.do(partial(action, wrong=True))
        return lambda: robot.do(partial(action, wrong=False))


# What is done to emulated servos, called in their process (`EmulatedRobot.do`).


@contextmanager
def _first_servo(rig: Rig) -> Iterator[Servo]:
    """The first servo of the first bus, while nothing is sent or answered there."""
    name, servo = next((n, s) for n, bus in rig.buses.items() for s in getattr(bus, "servos", {}).values())
    with rig.wires[name].lock:
        yield servo


def fail(rig: Rig, failure: Failure, wrong: bool) -> None:
    """Let the first servo of the first bus fail, or work again."""
    with _first_servo(rig) as servo:
        setattr(servo.failing, failure, wrong)


ASIDE: Final = 200
"""Counts of 4096 a turn: as far as no motion while listening goes."""


def hold(rig: Rig, wrong: bool) -> None:
    """Push the first servo of the first bus aside and hold it, or let go."""
    with _first_servo(rig) as servo:
        servo.motor.blocked = wrong
        servo.motor.position += ASIDE * wrong


def hush(rig: Rig, wrong: bool) -> None:
    """Let every board be deaf and mute, or work again; servos on a bus are mute."""
    for name, bus in rig.buses.items():
        with rig.wires[name].lock:
            if hasattr(bus, "silent"):
                bus.silent = wrong
            for servo in getattr(bus, "servos", {}).values():
                servo.failing.silent = wrong


def cable(rig: Rig, wrong: bool) -> None:
    """Pull all cables, or put them back."""
    for wire in rig.wires.values():
        (wire.pull if wrong else wire.plug)()


def expired(rig: Rig) -> list[float]:
    """When a watchdog of the hardware acted (steady clock, s)."""
    return sorted(at for bus in rig.buses.values() for at in getattr(bus, "expired_s", ()))


def watchdog_due_s(profile: Profile) -> float | None:
    """How long after the last command the hardware's watchdogs act; None: it has none."""
    if profile.host_loss.watchdog != "device":
        return None
    times = [d.timeout_s for d in profile.drivers.values() if isinstance(d, MaestroDriver)]
    times += [d.watchdog_s for d in profile.drivers.values() if isinstance(d, DynamixelDriver)]
    return max(times, default=None)


class Pages:
    """Open pages: websockets as a browser opens them, read by a thread.

    Args:
        url: of the page, "http://HOST:PORT/".
        count: how many.
        reload_s: each is closed and opened again after this time.
    """

    def __init__(self, url: str, count: int, reload_s: float = math.inf) -> None:
        self._url, self._count, self._reload_s = url.rstrip("/"), count, reload_s
        self._stop = threading.Event()
        self._opened = self._refused = self._without_face = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._open_all()), name="pages", daemon=True)
        self._thread.start()

    def close(self) -> list[str]:
        """Close them; returns sentences on what went wrong."""
        self._stop.set()
        self._thread.join(5.0)
        found = []
        if self._refused or not self._opened:
            found.append(f"{self._refused} of {self._opened} pages were refused")
        if self._without_face:
            found.append(f"{self._without_face} of {self._opened} pages showed no face for {FACE_S:g} s")
        return found

    async def _open_all(self) -> None:
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._page(session) for _ in range(self._count)))

    async def _page(self, session: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            self._opened += 1
            if not await self._read(session):
                self._refused += 1
                await asyncio.sleep(PAGE_STEP_S)

    async def _read(self, session: aiohttp.ClientSession) -> bool:
        """Open one page and read it until it is due to be closed; False: it was refused, or closed by the server."""
        import aiohttp

        begin_s, face = time.monotonic(), False
        try:
            page = await session.ws_connect(f"{self._url}/ws")
        except (aiohttp.ClientError, OSError):
            return self._stop.is_set()
        try:
            while not self._stop.is_set() and time.monotonic() - begin_s < self._reload_s:
                try:
                    message = await page.receive(timeout=PAGE_STEP_S)
                except asyncio.TimeoutError:
                    continue
                if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self._stop.is_set()
                face = face or message.type == aiohttp.WSMsgType.BINARY
        finally:
            with suppress(asyncio.TimeoutError):  # a page that is left does not wait for a farewell
                await asyncio.wait_for(page.close(), PAGE_STEP_S)
        self._without_face += not face and time.monotonic() - begin_s >= FACE_S
        return True


def repeated(work: Callable[[], None], seconds: float) -> Callable[[], None]:
    """Do `work` in a thread after every `seconds`, until the returned function is called."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            work()

    def close() -> None:
        stop.set()
        thread.join(2.0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return close


def page_is_fresh(url: str) -> bool:
    """Whether the page at `url` answers now that its face is fresh."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=ANSWER_S) as answer:
            return json.loads(answer.read(4096)).get("fresh") is True
    except (OSError, ValueError, http.client.HTTPException):  # 503 where it is not fresh
        return False
