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
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Fault, Reading
from reactdiff_ros.actuation.drivers.network import Link, NetworkRobot
from reactdiff_ros.actuation.profile import FurhatDriver, ReachyMiniDriver

POSE: Final = ("x", "y", "z", "roll", "pitch", "yaw")
ANTENNAS: Final = ("antenna.right", "antenna.left")
STATE_HZ: Final = 50
STALE_S: Final = 0.5
"""A state older than this is none."""
SETTLED_S: Final = 0.5
"""After torque was switched, states on their way may be older than that for this long."""
REFUSED_S: Final = 1.0
"""So long an error of the daemon counts after it came."""
ANSWER_S: Final = 1.0


class ReachyMini(NetworkRobot):
    """One Reachy Mini; see `NetworkRobot` and `driver.Driver`."""

    feedback = True

    def __init__(
        self,
        config: ReachyMiniDriver,
        axes: Mapping[str, Axis],
        names: Mapping[str, str],
        clock: Clock,
        **options: Any,
    ) -> None:
        super().__init__("Reachy Mini", (config.host, config.port), axes, names, clock, **options)
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._base = f"{host}:{config.port}/api"
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
        return self._link is not None and self._link.connected and self._state is not None

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

    def _robot_fault(self) -> Fault | None:
        now_s = self._clock()
        if self._state is None or now_s - self._state[0] > STALE_S:
            return Fault("no_answer", "its daemon says nothing of where it is: see the daemon's log")
        if self._error is not None and now_s - self._error[0] < REFUSED_S:
            return Fault("refused", f"its daemon refuses what it is sent: {self._error[1]}")
        if self._armed and self._mode and self._mode != "enabled":
            return Fault("refused", f"another program set its motors to {self._mode}: arm again")
        return None

    def reading(self, joint: str) -> Reading | None:
        """The newest state, while it is fresh."""
        if self._state is None or self._clock() - self._state[0] > STALE_S:
            return None
        time_s, positions = self._state
        position = positions.get(self._names[joint])
        return None if position is None else Reading(time_s, position)

    def holding(self, joint: str) -> bool | None:
        """What the daemon reports of all motors: everything but `disabled` is torque."""
        fresh = self._state is not None and self._clock() - self._state[0] <= STALE_S
        return self._mode != "disabled" if fresh and self._mode else None

    def _torque(self, link: Link, on: bool) -> str:
        mode = "enabled" if on else "disabled"
        answer = link.request("POST", f"http://{self._base}/motors/set_mode/{mode}", ANSWER_S)
        if isinstance(answer, str):
            return answer
        self._mode, self._switched_s = mode, self._clock()
        return ""

    def _send(self, link: Link) -> None:
        goal = {self._names[joint]: position for joint, position in self._goal.items()}
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
HEAD_EVERY_S: Final = 0.1
DIGITS: Final = 4


class FurhatRobot(NetworkRobot):
    """One Furhat; see `NetworkRobot` and `driver.Driver`.

    While joints are armed its own microexpressions are off; the face is reset when the last one is released.
    """

    feedback = False

    def __init__(
        self,
        config: FurhatDriver,
        axes: Mapping[str, Axis],
        names: Mapping[str, str],
        clock: Clock,
        *,
        key: str = "",
        **options: Any,
    ) -> None:
        super().__init__("Furhat", (config.host, config.port), axes, names, clock, **options)
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._url = f"ws://{host}:{config.port}/v1/events"
        self._key = key
        self._access: bool | None = None
        self._head_s = float("-inf")
        self._pose: dict[str, float] = {}
        """The last pose of the head that was sent: a head at rest is not sent again, so it begins to move at once."""

    def _connect(self) -> Link:
        self._access = None
        return Link({"events": self._url}, on_message=self._on_message, on_open=self._on_open, least_s=self._least_s)

    def _on_open(self, _name: str) -> dict[str, Any]:
        self._access, self._pose = None, {}
        return {"type": "request.auth", **({"key": self._key} if self._key else {})}

    def _on_message(self, _name: str, message: dict[str, Any]) -> None:
        if message.get("type") == "response.auth":
            self._access = message.get("access") is True

    def _ready(self) -> bool:
        return self._link is not None and self._link.connected and self._access is True

    def _refusal(self) -> str:
        return "it does not let us in" if self._access is False else ""

    def _todo(self) -> str:
        if self._access is False:
            return "put the key of its realtime API into REACTDIFF_FURHAT_KEY"
        return "switch its realtime API on, and check host and port"

    def _robot_fault(self) -> Fault | None:
        return None

    def _torque(self, link: Link, on: bool) -> str:
        self._pose = {}
        link.send("events", "config", {"type": "request.face.config", "microexpressions": not on})
        if not on:
            link.send("events", "reset", {"type": "request.face.reset"})
        return ""

    def _send(self, link: Link) -> None:
        # Clamped once more: rounding may take a value beyond a limit that has more digits.
        goal = {self._names[j]: self.axes[j].clamped(round(p, DIGITS)) for j, p in self._goal.items()}
        params = {name: value for name, value in goal.items() if name not in HEAD}
        if params:
            link.send("events", "params", {"type": "request.face.params", "params": params})
        now_s = self._clock()
        pose = {part: 0.0 - goal.get(name, 0.0) for name, part in HEAD.items() if HEAD.keys() & goal.keys()}
        if pose != self._pose and now_s - self._head_s >= HEAD_EVERY_S - 1e-6:
            self._head_s, self._pose = now_s, pose
            link.send("events", "headpose", {"type": "request.face.headpose", **pose, "relative": False})
