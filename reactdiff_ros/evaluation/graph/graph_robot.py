"""The robot of a running graph, from outside: what the actuator says, and its services."""

from __future__ import annotations

import time
from typing import Any

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.nodes.graph_watch import GraphWatch

NODE, STATE = "actuator_node", "actuator/state"
ASK_S = 20.0


class GraphRobot:
    """Hears `actuator/state` through a watch, and asks the actuator.

    Args:
        watch: of the graph.
    """

    def __init__(self, watch: GraphWatch) -> None:
        self._watch = watch
        self.states: list[Any] = []
        """ActuatorState, in the order in which they came."""
        spec = load_table().node(NODE).topic(STATE, "publishers")
        qos = qos_profile(load_table().qos[spec.qos])
        watch.tap(interface(spec.type, "msg"), STATE, lambda message, _info: self.states.append(message), qos)

    def enable(self, wanted: bool = True) -> str:
        """Give the robot torque, or take it; what the actuator answers.

        Raises:
            ReactdiffError: it refuses, or does not answer.
        """
        kind = interface("std_srvs/srv/SetBool", "srv")
        refused = f"the robot cannot be {'enabled' if wanted else 'disabled'}"
        return _ask(self._watch, kind, "enable", kind.Request(data=wanted), refused, ASK_S)

    def reset(self) -> str:
        """As `ask_to_reset`."""
        return ask_to_reset(self._watch, ASK_S)


def ask_to_reset(watch: GraphWatch, seconds: float) -> str:
    """Clear a stop of the robot, as a person would who has seen why; what the actuator answers.

    Raises:
        ReactdiffError: it refuses, or does not answer within `seconds`.
    """
    kind = interface("std_srvs/srv/Trigger", "srv")
    return _ask(watch, kind, "reset", kind.Request(), "the robot cannot be reset", seconds)


def _ask(watch: GraphWatch, kind: Any, service: str, request: Any, refused: str, seconds: float) -> str:
    client = watch.node.create_client(kind, f"{NODE}/{service}")
    try:
        until_s = time.monotonic() + seconds
        while not client.service_is_ready() and time.monotonic() < until_s:
            watch.spin(0.05)
        answer = client.call_async(request)
        while not answer.done() and time.monotonic() < until_s:
            watch.spin(0.05)
        if not answer.done():
            raise ReactdiffError("the robot's actuator does not answer", where=NODE)
        if not answer.result().success:
            raise ReactdiffError(refused, where=NODE, todo=answer.result().message)
        return str(answer.result().message)
    finally:
        watch.node.destroy_client(client)
