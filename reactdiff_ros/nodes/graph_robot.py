"""The robot of a running graph, from outside: what the actuator says, and its services."""

from __future__ import annotations

import time
from typing import Any

from ..errors import ReactdiffError
from .graph_watch import GraphWatch
from .interfaces import interface, qos_profile
from .table import load_table

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
        return self._ask(kind, "enable", kind.Request(data=wanted), "the robot cannot be enabled")

    def reset(self) -> str:
        """Clear a stop, as a person would who has seen why; what the actuator answers. Raises as `enable` does."""
        kind = interface("std_srvs/srv/Trigger", "srv")
        return self._ask(kind, "reset", kind.Request(), "the robot cannot be reset")

    def _ask(self, kind: Any, service: str, request: Any, refused: str) -> str:
        client = self._watch.node.create_client(kind, f"{NODE}/{service}")
        try:
            until_s = time.monotonic() + ASK_S
            while not client.service_is_ready() and time.monotonic() < until_s:
                self._watch.spin(0.05)
            answer = client.call_async(request)
            while not answer.done() and time.monotonic() < until_s:
                self._watch.spin(0.05)
            if not answer.done():
                raise ReactdiffError("the robot's actuator does not answer", where=NODE)
            if not answer.result().success:
                raise ReactdiffError(refused, where=NODE, todo=answer.result().message)
            return str(answer.result().message)
        finally:
            self._watch.node.destroy_client(client)
