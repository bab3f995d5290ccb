"""The robot that moves beside the screen face: what actuator_node says, and the pages' commands to it."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final, Protocol

from reactdiff_ros.avatar.access import checked_token
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE, RobotConsole, new_token
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError

from .interfaces import interface

ACTUATOR: Final = "actuator_node"
SILENT_NS: Final = 1 * NS
"""The actuator speaks ten times a second: after this time the page says that nothing is heard of it."""
READY_S: Final = 2.0
LOOK_S: Final = 0.02
_REQUESTS: Final = {
    "arm": ("enable", True),
    "disarm": ("enable", False),
    "reset": ("reset", None),
    "stop": ("software_stop", None),
}


class _Node(Protocol):
    def create_client(self, kind: Any, name: str) -> Any: ...
    def destroy_client(self, client: Any) -> Any: ...


def given_token() -> str:
    """The token of the environment; empty: there is none. Raises ConfigError if it could be guessed."""
    given = os.environ.get(TOKEN_VARIABLE, "").strip().lower()
    return checked_token(given, TOKEN_VARIABLE) if given else ""


class RobotWatch:
    """Knows the newest state of the actuator, and asks it for things.

    `heard`, `status` and `close` belong to the node's thread; `console` to the page's event loop. Commands need
    `token`; empty: a new one, which is printed when there is a robot.
    """

    def __init__(self, node: _Node, token: str = "") -> None:
        self._node = node
        self._switch, self._trigger = interface("std_srvs/srv/SetBool", "srv"), interface("std_srvs/srv/Trigger", "srv")
        kinds = {"enable": self._switch, "reset": self._trigger, "software_stop": self._trigger}
        self._clients = {name: node.create_client(kind, f"{ACTUATOR}/{name}") for name, kind in kinds.items()}
        self._token = token or new_token()
        self._told = bool(token)
        self._message: Any = None
        self._heard_ns = 0
        self.console = RobotConsole(self._ask, self._token)

    def heard(self, message: Any, now_ns: int) -> bool:
        """Take an ActuatorState; whether the page should be told at once."""
        if not self._told:
            self._told = True
            # Not through the log, which goes over the network and into recordings.
            print(f"To arm the robot from the page, type this token into its panel: {self._token}", flush=True)
        before, self._message = self._message, message
        self._heard_ns = now_ns
        return before is None or _news(before) != _news(message)

    def status(self, now_ns: int) -> dict[str, Any] | None:
        """What the page shows of the actuator; None: there has been none. One that has vanished may still have torque:
        the page goes on saying that nothing is heard of it, and a stop says to cut the power.
        """
        message = self._message
        if message is None:
            return None
        return {
            "robot": message.robot,
            "state": message.state,
            "armed": bool(message.armed),
            "software_stop": bool(message.software_stop),
            "torque": any(message.torque),
            "fault": message.fault,
            "message": message.message,
            "obstacles": list(message.obstacles),
            "joint_faults": {n: why for n, why in zip(message.joints, message.joint_fault, strict=False) if why},
            "silent": now_ns - self._heard_ns > SILENT_NS,
        }

    def close(self) -> None:
        """End the connections to the services."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients = {}

    async def _ask(self, what: str) -> tuple[bool, str]:
        """One request to the actuator and its answer. Raises DeviceError where the actuator is not there."""
        name, data = _REQUESTS[what]
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_S
        while (client := self._clients.get(name)) is None or not client.service_is_ready():
            if client is None or loop.time() > end:
                raise DeviceError("the actuator does not answer", where=ACTUATOR, todo="see whether it runs")
            await asyncio.sleep(LOOK_S)
        request = self._switch.Request(data=data) if data is not None else self._trigger.Request()
        answered: asyncio.Future[Any] = loop.create_future()

        def answer(future: Any) -> None:
            def hand_over() -> None:
                if not answered.done():
                    answered.set_result(future.result())

            if not loop.is_closed():
                loop.call_soon_threadsafe(hand_over)

        asked = client.call_async(request)
        asked.add_done_callback(answer)
        try:
            response = await answered
        finally:
            if not asked.done():
                client.remove_pending_request(asked)
        if response is None:
            raise DeviceError("the actuator gave no answer", where=ACTUATOR)
        while what == "stop" and response.success and not self._stopped():  # who asks gives up in time
            await asyncio.sleep(LOOK_S)
        return bool(response.success), str(response.message)

    def _stopped(self) -> bool:
        """Whether the actuator's state has the stop: an answer alone may mean that it is under way."""
        return self._message is not None and bool(self._message.software_stop)


def _news(message: Any) -> tuple[Any, ...]:
    return (
        message.robot,
        message.state,
        message.armed,
        message.software_stop,
        any(message.torque),
        message.fault,
        tuple(message.obstacles),
        tuple(message.joint_fault),
    )
