"""Robots with a computer of their own: a websocket held by a thread, joints by name, torque of all at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Driver, Fault, Reading
from reactdiff_ros.actuation.drivers.serial_port import DeviceLock
from reactdiff_ros.errors import DeviceError

RETRY_S: Final = 0.5
CONNECT_S: Final = 2.0
SEND_S: Final = 0.5
"""A message that does not leave within this time: the other side has stopped reading, the line is given up."""
MESSAGE_BYTES: Final = 1 << 20
_T = TypeVar("_T")


class Link:
    """Connections to one host, made again whenever they end, until `close`.

    Args:
        urls: websockets by name, all to be open at once.
        on_open: called on the thread with each websocket's name when it opened; returns a message to begin with.
        on_message: called on the thread with the name and every JSON object that comes; other messages, and those that
            it raises for, are counted.
        least_s: the least time between two sendings on a websocket; what comes sooner waits, and the newest wins.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        *,
        on_message: Callable[[str, dict[str, Any]], None],
        on_open: Callable[[str], dict[str, Any] | None] = lambda name: None,
        least_s: float = 0.0,
    ) -> None:
        self._least_s = least_s
        self._urls, self._on_message, self._on_open = dict(urls), on_message, on_open
        self._slots: dict[str, dict[str, str]] = {name: {} for name in urls}
        self._lock = threading.Lock()
        self._wakes = {name: asyncio.Event() for name in urls}
        self._open: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closing = False
        self._changed = threading.Condition()
        self.problem = ""
        """Why it is not connected, in the words of the system."""
        self.malformed = 0
        self.lost = 0
        """How often a websocket that was open has ended: one that is back may be of a robot that has restarted."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="robot link", daemon=True)
        self._thread.start()
        self._tasks = [asyncio.run_coroutine_threadsafe(self._hold(name), self._loop) for name in urls]

    @property
    def connected(self) -> bool:
        """Whether all websockets are open."""
        return len(self._open) == len(self._urls)

    def wait(self, timeout_s: float = CONNECT_S, ready: Callable[[], bool] | None = None) -> bool:
        """Wait until all are open (or `ready`); False after the timeout."""
        with self._changed:
            return self._changed.wait_for(ready or (lambda: self.connected), timeout_s)

    def send(self, name: str, kind: str, message: Mapping[str, Any]) -> None:
        """Send soon; what waits of the same kind is replaced. Never waits, never raises."""
        text = json.dumps(message, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self._slots[name][kind] = text
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wakes[name].set)

    def request(self, method: str, url: str, timeout_s: float) -> dict[str, Any] | str:
        """An HTTP request, waited for: the JSON object of the answer, or one line that says what is wrong."""

        async def ask() -> dict[str, Any] | str:
            limit = aiohttp.ClientTimeout(total=timeout_s)
            async with self._its_session().request(method, url, timeout=limit) as answer:
                if answer.status != 200:
                    return f"it answers {answer.status} {answer.reason}"
                body = await answer.json(content_type=None)
                return body if isinstance(body, dict) else "it answers in another language than expected"

        try:
            return self._run(ask(), timeout_s + 1.0)
        except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError, TimeoutError, RuntimeError) as error:
            return _line(error)

    def close(self) -> None:
        """End the connections and the thread. Twice is fine."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError, RuntimeError):
            self._run(self._end(), 3.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(3.0)
        if not self._thread.is_alive():
            self._loop.close()

    # On the thread.

    def _run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _its_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _hold(self, name: str) -> None:
        while not self._closing:
            try:
                limit = aiohttp.ClientWSTimeout(ws_close=1.0)
                connecting = self._its_session().ws_connect(
                    self._urls[name], timeout=limit, heartbeat=2.0, max_msg_size=MESSAGE_BYTES
                )
                socket = await asyncio.wait_for(connecting, CONNECT_S)
                try:
                    await self._speak(name, socket)
                finally:
                    self._gone(name)
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(socket.close(), 1.0)
            except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError) as error:
                self.problem = _line(error)
            await asyncio.sleep(RETRY_S)

    async def _speak(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        with self._lock:
            self._slots[name].clear()  # what was to be sent before it was lost is old
        first = self._on_open(name)
        if first is not None:
            await asyncio.wait_for(socket.send_json(first), SEND_S)
        with self._changed:
            self._open[name] = socket
            self._changed.notify_all()
        sender = asyncio.ensure_future(self._send(name, socket))
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self.malformed += 1
                    continue
                self._understand(name, message.data)
            self.problem = "it ended the connection"
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    def _understand(self, name: str, text: str) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self.malformed += 1
            return
        try:
            self._on_message(name, value)
        except Exception:  # whatever the other side says, the line is held
            self.malformed += 1
            return
        with self._changed:
            self._changed.notify_all()

    async def _send(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        wake, sent_s = self._wakes[name], -math.inf
        try:
            while True:
                await wake.wait()
                await asyncio.sleep(sent_s + self._least_s - self._loop.time())
                wake.clear()
                with self._lock:
                    texts = list(self._slots[name].values())
                    self._slots[name].clear()
                for text in texts:
                    await asyncio.wait_for(socket.send_str(text), SEND_S)
                sent_s = self._loop.time()
        except (ConnectionError, RuntimeError, asyncio.TimeoutError):
            self._gone(name)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 1.0)

    def _gone(self, name: str) -> None:
        with self._changed:
            self.lost += self._open.pop(name, None) is not None
            self._changed.notify_all()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for socket in list(self._open.values()):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 1.0)
        await asyncio.sleep(0)
        if self._session is not None:
            await self._session.close()


def _line(error: BaseException) -> str:
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return "it does not answer in time"
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__).splitlines()[0]


class NetworkRobot(Driver):
    """See `driver.Driver`. Joints have names on the robot in place of ids; no calibration: the robot has its own.

    `open` waits for up to `CONNECT_S`, the first `arm` and the last `release` for up to 2 s, everything else for
    nothing. A line that is lost is made again by itself; the joints then have to be armed again.

    Args:
        title: of the robot, for sentences.
        address: host and port, for sentences and for the lock.
        axes: the joints on it.
        names: their names on the robot.
        clock: seconds of a clock that only goes forward.
        lock_folder: for the lock file: one program a robot.
        least_s: the least time between two commands, s.
    """

    def __init__(
        self,
        title: str,
        address: tuple[str, int],
        axes: Mapping[str, Axis],
        names: Mapping[str, str],
        clock: Clock,
        lock_folder: Path | None = None,
        least_s: float = 0.0,
    ) -> None:
        super().__init__(axes, clock)
        self._least_s = least_s
        self._title, self._address, self._names = title, address, dict(names)
        self._folder = lock_folder
        self._lock: DeviceLock | None = None
        self._link: Link | None = None
        self._holding: set[str] = set(axes)
        """Joints to release before torque, which is of all at once, goes off: armed, stopped, or let go without an
        answer; all of them until one was armed."""
        self._others = True
        """Whether what may have torque has it from another program, or from a process before this one."""
        self._goal: dict[str, float] = {}
        """Newest position of each joint that was sent."""
        self._lost = 0
        """How often the line had been lost when it was last looked at."""

    # What each robot does in its own way.

    @abstractmethod
    def _connect(self) -> Link:
        """A line to it, not waited for."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether the line is there and the robot has let us in."""

    @abstractmethod
    def _send(self, link: Link) -> None:
        """Send what is in `_goal`; never waits."""

    @abstractmethod
    def _robot_fault(self) -> Fault | None:
        """What is wrong with the whole robot while the line is there."""

    @abstractmethod
    def _torque(self, link: Link, on: bool) -> str:
        """Let it take commands or not; empty, or why that did not work. May wait for a second."""

    # The interface.

    def open(self) -> None:
        """Connect; see `Driver.open`."""
        host, port = self._address
        if self._link is not None:
            return
        self._lock = DeviceLock(f"/dev/{self._title.replace(' ', '_').lower()}-{host}-{port}", self._folder)
        self._link, self._lost = self._connect(), 0
        if not self._link.wait(CONNECT_S, self._ready):
            reason = self._refusal() or self._link.problem or "it does not answer in time"
            self.close()
            raise DeviceError(f"{self._title} cannot be reached, {reason}", where=f"{host}:{port}", todo=self._todo())

    def close(self) -> None:
        """Give the line back; joints stay as they are. Twice is fine."""
        self._armed.clear()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def check(self) -> dict[str, Fault]:
        """Whether the line is there and the robot is well."""
        self._look()
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Look at the line; measurements come by themselves."""
        self._look()

    def reading(self, joint: str) -> Reading | None:
        """Nothing is measured, unless a robot says otherwise."""
        return None

    def holding(self, joint: str) -> bool | None:
        """For a robot that does not report it: False once all joints were let go, True for armed ones, else None."""
        return (True if joint in self._armed else None) if self._holding else False

    def arm(self, joint: str, position: float) -> Fault | None:
        """Let a joint take commands, from where it is measured, else from `position`. May wait for 2 s."""
        self._look()
        link = self._link
        if joint in self._faults or link is None:
            return self._faults.get(joint) or self._gone()
        measured = self.reading(joint)
        start = measured.position if measured is not None and measured.position is not None else position
        if self.feedback and measured is None:
            return Fault("sensor", f"{self._title} does not say where it is")
        if not math.isfinite(start):
            return Fault("refused", "its position is unknown")
        self._goal[joint] = self.axes[joint].clamped(start)
        if self._others:
            self._others, self._holding = False, set()
        self._holding.add(joint)  # it may get torque although the answer says otherwise, or does not come
        if not self._armed:
            self._goal |= self._measured()
            self._send(link)
            refused = self._torque(link, True)
            if refused:
                return Fault("refused", f"{self._title} does not take commands, {refused}")
        self._armed.add(joint)
        return None

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions of armed joints; the newest wins when the line is slow."""
        found = {j: self.axes[j].clamped(p) for j, p in positions.items() if j in self._armed and math.isfinite(p)}
        if not found or self._link is None:
            return
        if not self._ready() or self._link.lost != self._lost:
            self._look()
            return
        self._goal.update(found)
        self._send(self._link)

    def release(self, joint: str) -> None:
        """No more commands; when the last joint is released, torque goes off for all, which may take 2 s.

        Where that does not work the joints have a fault, and it is tried again when the joint is released again.
        """
        self._armed.discard(joint)
        if not self._holding and self.holding(joint) is not False:
            self._others, self._holding = True, set(self.axes)
        if self._holding == {joint}:
            fault = self._let_go()
            if fault is not None:
                self._faults = dict.fromkeys(self.axes, fault)
                return
        self._holding.discard(joint)

    # Inside.

    def _let_go(self) -> Fault | None:
        link = self._link
        if link is None or not self._ready():
            return self._gone()
        refused = self._torque(link, False)
        return Fault("refused", f"{self._title} does not let go, {refused}") if refused else None

    def _measured(self) -> dict[str, float]:
        """Where the joints are, as far as it is known."""
        readings = {joint: self.reading(joint) for joint in self.axes}
        return {j: r.position for j, r in readings.items() if r is not None and r.position is not None}

    def _refusal(self) -> str:
        """Why the robot did not let us in."""
        return ""

    def _todo(self) -> str:
        return "see whether it is on, and check host and port"

    def _gone(self) -> Fault:
        problem = self._link.problem if self._link is not None else ""
        return Fault("gone", f"{self._title} is gone{f', {problem}' if problem else ''}: is it on, and in the network?")

    def _look(self) -> None:
        # A line that was lost and is there again since the last look may be of a robot that has restarted.
        before, self._lost = self._lost, self._link.lost if self._link is not None else 0
        went = bool(self._armed) and self._lost != before
        fault = self._robot_fault() if self._link is not None and self._ready() and not went else self._gone()
        if fault is None:
            self._faults = {}
            return
        self._faults = dict.fromkeys(self.axes, fault)
        self._armed.clear()
