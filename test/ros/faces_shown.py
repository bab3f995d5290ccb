"""Faces that a test publishes, at the rate of the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.messages import fill_expression
from reactdiff_ros.types import ExpressionFrame


def show(graph: RosGraph, publish: Callable[[Any], None], seconds: float, coefficients: dict[str, float]) -> None:
    """Publish a face at 50 Hz, without bursts after a delay."""
    values = np.zeros(58, np.float32)
    for name, value in coefficients.items():
        values[INDEX[name]] = value
    due_s = time.monotonic()
    for _ in range(round(50 * seconds)):
        now_ns = graph.node.get_clock().now().nanoseconds
        frame = ExpressionFrame(now_ns, values, "listening", ("reaction",), None, None, None, None)
        publish(fill_expression(msg.ExpressionFrame(), frame))
        due_s = max(due_s + 0.02, time.monotonic())
        graph.spin(due_s - time.monotonic())


def show_on(graph: RosGraph, seconds: float, **coefficients: float) -> None:
    """As `show`, on the graph's own topic."""
    show(graph, lambda message: graph.publish("listener/expression", message), seconds, coefficients)


def show_until(graph: RosGraph, state: str) -> None:
    """A resting face, until the actuator says that it is in this state."""
    said = graph.received["actuator/state"]
    for _ in range(200):
        show_on(graph, 0.1)
        if said[-1:] and said[-1].state == state:
            return
    pytest.fail(f"not {state}: {said[-1:]}\n{graph.processes[0].log[-2000:]}")
