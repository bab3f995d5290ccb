"""Furhat over its realtime websocket: parameters of the projected face by name, and the pose of the head.

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

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Fault
from reactdiff_ros.actuation.drivers.network import Link, NetworkRobot
from reactdiff_ros.actuation.profile import FurhatDriver

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

    def _connect(self) -> Link:
        self._access = None
        return Link({"events": self._url}, on_message=self._on_message, on_open=self._on_open, least_s=self._least_s)

    def _on_open(self, _name: str) -> dict[str, Any]:
        self._access = None
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
        link.send("events", "config", {"type": "request.face.config", "microexpressions": not on})
        if not on:
            link.send("events", "reset", {"type": "request.face.reset"})
        return ""

    def _send(self, link: Link) -> None:
        # Clamped once more: rounding may take a value beyond a limit that has more digits.
        told = {self._names[j]: self.axes[j].clamped(round(p, DIGITS)) for j, p in self._told.items()}
        params = {name: value for name, value in told.items() if name not in HEAD}
        if params:
            link.send("events", "params", {"type": "request.face.params", "params": params})
        now_s = self._clock()
        if any(name in told for name in HEAD) and now_s - self._head_s >= HEAD_EVERY_S - 1e-6:
            self._head_s = now_s
            pose = {part: 0.0 - told.get(name, 0.0) for name, part in HEAD.items()}
            link.send("events", "headpose", {"type": "request.face.headpose", **pose, "relative": False})
