"""Robots with a computer of their own: Reachy Mini, Furhat.

Reachy Mini over its daemon's websocket: the head's pose and two antennas.

After reachy-mini 1.13.0: targets go to `/api/move/ws/set_target` as `{"target_head_pose": {x, y, z, roll, pitch, yaw},
"target_antennas": [right, left]}` in m and rad, the state comes from `/api/state/ws/full`, torque is
`POST /api/motors/set_mode/enabled|disabled`. Pose axes are REP-103's: x forward, y to its left, z up, the rotation
Rz(yaw) Ry(pitch) Rx(roll): pitch down, yaw to its left and tilt to its right are positive, as in the coefficients.

The daemon keeps the last target for ever: there is no watchdog. It clamps what the platform's legs cannot reach.
Torque is of all motors at once: a single joint that is released is no longer commanded, but holds.

Furhat over its realtime websocket: parameters of the projected face by name, and the pose of the head.

After furhat-realtime-api 0.1.3 and the makers' examples (github.com/FurhatRobotics/realtime-api-examples):
`ws://HOST:9000/v1/events`, JSON events. First `request.auth` (with `key` where the robot asks for one), answered by
`response.auth` with `access`. Then `request.face.params` {params: {NAME: 0..1}}, at most every 20 ms, and
`request.face.headpose` {yaw, pitch, roll in degrees, relative}, at most every 100 ms, as in those examples. Signs of
the head after the same examples, which send the negated angles of the face's own axes: yaw to its own right, pitch
up, roll to its own left. Joints of this driver have our signs (pitch down, yaw to its own left, roll to its own
right); they are negated here. No Furhat was there to look at.

Nothing is measured, and a Furhat that hears nothing more keeps its face.

The websocket is held by a thread; torque is of all joints at once.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Driver, Fault, Reading
from reactdiff_ros.actuation.drivers.serial_port import DeviceLock
from reactdiff_ros.errors import DeviceError, reason_of

RETRY_S: Final = 0.5
CONNECT_S: Final = 2.0
SEND_S: Final = 0.5
"""A message that does not leave within this time: the other side has stopped reading, the line is given up."""
SWALLOWED_S: Final = 0.1
"""A sender that is not done after this time has not heard that it is cancelled."""
MESSAGE_BYTES: Final = 1 << 20
_T = TypeVar("_T")


class Link:
    """Connections to one host, made again whenever they end, until `close`.

    Args:
        urls: websockets by name, all to be open at once.
        on_open: called on the thread with each websocket's name when it opened; returns a message to begin with.
        on_message: called on the thread with the name and every JSON object that comes; what else comes is ignored.
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

    def wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready`, which is asked when something has changed; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(ready, timeout_s)

    def send(self, name: str, kind: str, message: Mapping[str, Any]) -> None:
        """Send soon; what waits of the same kind is replaced. Never waits, never raises."""
        text = json.dumps(message, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self._slots[name][kind] = text
        with suppress(RuntimeError):
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
        with suppress(asyncio.TimeoutError, TimeoutError, RuntimeError):
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
                    await self._hang_up(name, socket)
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
                with suppress(Exception):  # whatever the other side says, the line is held
                    value = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else None
                    if isinstance(value, dict):
                        self._on_message(name, value)
                with self._changed:
                    self._changed.notify_all()
            self.problem = "it ended the connection"
        finally:
            while not sender.done():  # before Python 3.12, wait_for swallows a cancellation that comes as its work ends
                sender.cancel()
                await asyncio.wait([sender], timeout=SWALLOWED_S)

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
            await self._hang_up(name, socket)

    async def _hang_up(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        with self._changed:
            self.lost += self._open.pop(name, None) is not None
            self._changed.notify_all()
        with suppress(Exception):
            await asyncio.wait_for(socket.close(), 1.0)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for name, socket in list(self._open.items()):
            await self._hang_up(name, socket)
        await asyncio.sleep(0)
        if self._session is not None:
            await self._session.close()


def _line(error: BaseException) -> str:
    late = isinstance(error, (asyncio.TimeoutError, TimeoutError))
    return "it does not answer in time" if late else reason_of(error)


class NetworkRobot(Driver):
    """See `driver.Driver`. Joints have names on the robot in place of ids; no calibration: the robot has its own.

    `open` waits for up to `CONNECT_S`, the first `arm` and the last `release` for up to 2 s, everything else for
    nothing. A line that is lost is made again by itself; the joints then have to be armed again.

    Args:
        config: of the profile, with `host` and `port`.
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
        lock_folder: for the lock file: one program a robot.
        least_s: the least time between two commands, s.
    """

    title: str
    """Of the robot, for sentences."""

    def __init__(
        self,
        config: Any,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        lock_folder: Path | None = None,
        least_s: float = 0.0,
    ) -> None:
        super().__init__(axes, clock)
        self._least_s, self._folder = least_s, lock_folder
        self._address = config.host, config.port
        self._host = f"{f'[{config.host}]' if ':' in config.host else config.host}:{config.port}"
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

    def _ready(self) -> bool:
        """Whether the line is there and the robot has let us in."""
        return self._link is not None and self._link.connected

    @abstractmethod
    def _send(self, link: Link) -> None:
        """Send what is in `_goal`; never waits."""

    def _robot_fault(self) -> Fault | None:
        """What is wrong with the whole robot while the line is there."""
        return None

    @abstractmethod
    def _torque(self, link: Link, on: bool) -> str:
        """Let it take commands or not; empty, or why that did not work. May wait for a second."""

    # The interface.

    def open(self) -> None:
        """Connect; see `Driver.open`."""
        host, port = self._address
        if self._link is not None:
            return
        self._lock = DeviceLock(f"/dev/{self.title.replace(' ', '_').lower()}-{host}-{port}", self._folder)
        self._link, self._lost = self._connect(), 0
        if not self._link.wait(self._ready, CONNECT_S):
            reason = self._refusal() or self._link.problem or "it does not answer in time"
            self.close()
            raise DeviceError(f"{self.title} cannot be reached, {reason}", where=f"{host}:{port}", todo=self._todo())

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
        if self.feedback and measured is None:
            return Fault("sensor", f"{self.title} does not say where it is")
        start = measured.position if measured is not None and measured.position is not None else position
        if not math.isfinite(start):
            return Fault("refused", "its position is unknown")
        fault = self._begin_at(joint, start if self.feedback else self.axes[joint].clamped(start))
        if fault is not None:
            return fault
        self._goal[joint] = self._clamped(joint, start)
        if self._others:
            self._others, self._holding = False, set()
        self._holding.add(joint)  # it may get torque although the answer says otherwise, or does not come
        if not self._armed:
            readings = {joint: self.reading(joint) for joint in self.axes}
            self._goal |= {j: r.position for j, r in readings.items() if r is not None and r.position is not None}
            self._send(link)
            refused = self._torque(link, True)
            if refused:
                return Fault("refused", f"{self.title} does not take commands, {refused}")
        self._armed.add(joint)
        return None

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions of armed joints; the newest wins when the line is slow."""
        found = {j: self._clamped(j, p) for j, p in self._accepted(positions).items()}
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
        return Fault("refused", f"{self.title} does not let go, {refused}") if refused else None

    def _refusal(self) -> str:
        """Why the robot did not let us in."""
        return ""

    def _todo(self) -> str:
        return "see whether it is on, and check host and port"

    def _gone(self) -> Fault:
        problem = self._link.problem if self._link is not None else ""
        return Fault("gone", f"{self.title} is gone{f', {problem}' if problem else ''}: is it on, and in the network?")

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


POSE: Final = ("x", "y", "z", "roll", "pitch", "yaw")
ANTENNAS: Final = ("antenna.right", "antenna.left")
STATE_HZ: Final = 50
STALE_S: Final = 0.5
"""A state older than this is none."""
SETTLED_S: Final = 0.5
"""After torque was switched, states on their way may be older than that for this long."""
REFUSED_S: Final = 1.0
"""How long an error of the daemon counts after it came."""
ANSWER_S: Final = 1.0


class ReachyMini(NetworkRobot):
    """One Reachy Mini; see `NetworkRobot` and `driver.Driver`."""

    title = "Reachy Mini"
    feedback = True

    def __init__(self, config: Any, axes: Mapping[str, Axis], clock: Clock, **options: Any) -> None:
        super().__init__(config, axes, clock, **options)
        self._base = f"{self._host}/api"
        self._state: tuple[float, dict[str, float]] | None = None
        self._mode = ""
        self._switched_s = -math.inf
        self._error: tuple[float, str] | None = None

    def _connect(self) -> Link:
        query = f"frequency={STATE_HZ}&with_control_mode=true&with_head_pose=true&with_antenna_positions=true"
        urls = {
            "target": f"ws://{self._base}/move/ws/set_target",
            "state": f"ws://{self._base}/state/ws/full?{query}",
        }
        self._state, self._error = None, None
        return Link(urls, on_message=self._on_message, least_s=self._least_s)

    def _ready(self) -> bool:
        return super()._ready() and self._state is not None

    def _todo(self) -> str:
        return "start reachy-mini-daemon on it, and check host and port"

    def _on_message(self, name: str, message: dict[str, Any]) -> None:
        if name == "target":
            self._error = (self._clock(), str(message.get("detail", ""))[:200].replace("\n", " "))
            return
        positions = _positions(message)
        if positions:
            self._state = (self._clock(), positions)
            if self._state[0] - self._switched_s > SETTLED_S:
                self._mode = str(message.get("control_mode", ""))

    def _fresh(self) -> tuple[float, dict[str, float]] | None:
        """When the newest state came, and its positions by name; None: that is too long ago."""
        return self._state if self._state is not None and self._clock() - self._state[0] <= STALE_S else None

    def _robot_fault(self) -> Fault | None:
        if self._fresh() is None:
            return Fault("no_answer", "its daemon says nothing of where it is: see the daemon's log")
        if self._error is not None and self._clock() - self._error[0] < REFUSED_S:
            return Fault("refused", f"its daemon refuses what it is sent: {self._error[1]}")
        if self._armed and self._mode and self._mode != "enabled":
            return Fault("refused", f"another program set its motors to {self._mode}: arm again")
        return None

    def reading(self, joint: str) -> Reading | None:
        """The newest state, while it is fresh."""
        state = self._fresh()
        return None if state is None else Reading(state[0], state[1][self.axes[joint].name])

    def holding(self, joint: str) -> bool | None:
        """What the daemon reports of all motors: everything but `disabled` is torque."""
        return self._mode != "disabled" if self._mode and self._fresh() is not None else None

    def _torque(self, link: Link, on: bool) -> str:
        mode = "enabled" if on else "disabled"
        answer = link.request("POST", f"http://{self._base}/motors/set_mode/{mode}", ANSWER_S)
        if isinstance(answer, str):
            return answer
        self._mode, self._switched_s = mode, self._clock()
        return ""

    def _send(self, link: Link) -> None:
        goal = {self.axes[joint].name: position for joint, position in self._goal.items()}
        pose = {part: goal.get(f"head.{part}", 0.0) for part in POSE}
        message: dict[str, Any] = {"target_head_pose": pose}
        if any(name in goal for name in ANTENNAS):
            message["target_antennas"] = [goal.get(name, 0.0) for name in ANTENNAS]
        link.send("target", "pose", message)


def _positions(message: Mapping[str, Any]) -> dict[str, float]:
    """Positions by name of a state; empty when it is not one."""
    pose, antennas = message.get("head_pose"), message.get("antennas_position")
    if not isinstance(pose, dict) or not isinstance(antennas, list) or len(antennas) != 2:
        return {}
    found = {f"head.{part}": pose.get(part) for part in POSE} | dict(zip(ANTENNAS, antennas, strict=True))
    numbers = {name: float(v) for name, v in found.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return numbers if len(numbers) == len(found) and all(map(math.isfinite, numbers.values())) else {}


HEAD: Final = {"head.yaw": "yaw", "head.pitch": "pitch", "head.roll": "roll"}
HEAD_EVERY_S: Final = 0.04
"""Poses of the head are sent at most as often as a listener moves it on its own."""
DIGITS: Final = 4


class FurhatRobot(NetworkRobot):
    """One Furhat; see `NetworkRobot` and `driver.Driver`.

    While joints are armed its own microexpressions are off; the face is reset when the last one is released. Its key
    is read from the environment variable REACTDIFF_FURHAT_KEY.
    """

    title = "Furhat"
    feedback = False

    def __init__(self, config: Any, axes: Mapping[str, Axis], clock: Clock, **options: Any) -> None:
        super().__init__(config, axes, clock, **options)
        self._key = os.environ.get("REACTDIFF_FURHAT_KEY", "")
        self._access: bool | None = None
        self._head_s = float("-inf")
        self._pose: dict[str, float] = {}
        """The last pose of the head that was sent: a head at rest is not sent again, so it begins to move at once."""

    def _connect(self) -> Link:
        self._access = None
        url = f"ws://{self._host}/v1/events"
        return Link({"events": url}, on_message=self._on_message, on_open=self._on_open, least_s=self._least_s)

    def _on_open(self, _name: str) -> dict[str, Any]:
        self._access, self._pose = None, {}
        return {"type": "request.auth", **({"key": self._key} if self._key else {})}

    def _on_message(self, _name: str, message: dict[str, Any]) -> None:
        if message.get("type") == "response.auth":
            self._access = message.get("access") is True

    def _ready(self) -> bool:
        return super()._ready() and self._access is True

    def _refusal(self) -> str:
        return "it does not let us in" if self._access is False else ""

    def _todo(self) -> str:
        if self._access is False:
            return "put the key of its realtime API into REACTDIFF_FURHAT_KEY"
        return "switch its realtime API on, and check host and port"

    def _torque(self, link: Link, on: bool) -> str:
        self._pose = {}
        link.send("events", "config", {"type": "request.face.config", "microexpressions": not on})
        if not on:
            link.send("events", "reset", {"type": "request.face.reset"})
        return ""

    def _send(self, link: Link) -> None:
        # Clamped once more: rounding may take a value beyond a limit that has more digits.
        goal = {self.axes[j].name: self.axes[j].clamped(round(p, DIGITS)) for j, p in self._goal.items()}
        params = {name: value for name, value in goal.items() if name not in HEAD}
        if params:
            link.send("events", "params", {"type": "request.face.params", "params": params})
        now_s = self._clock()
        pose = {part: 0.0 - goal.get(name, 0.0) for name, part in HEAD.items() if HEAD.keys() & goal.keys()}
        if pose != self._pose and now_s - self._head_s >= HEAD_EVERY_S - 1e-6:
            self._head_s, self._pose = now_s, pose
            link.send("events", "headpose", {"type": "request.face.headpose", **pose, "relative": False})
