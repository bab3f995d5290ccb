"""Faces that a test publishes, the robot's at the rate of the real ones, and the speaker's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.coefficients import INDEX, SMILE
from reactdiff_ros.messages import fill_expression, fill_speaker
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame, Voice


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


def somebody(now_ns: int, *, smile: float = 0.0, speaking: bool = False, face: bool = True, heard: bool = True) -> Any:
    """A frame of somebody 1 m away, as its message."""
    values = np.zeros(58, np.float32)
    values[list(SMILE)] = smile * face
    confidence, position_m = np.full(58, 0.9 * face, np.float32), np.array([0, 0, 1], np.float32) if face else None
    voice = Voice(0.9 if speaking else 0.05, speaking, np.zeros(26, np.float32), 120.0 if speaking else 0.0, -30, 0, 0)
    return fill_speaker(
        msg.SpeakerFrame(),
        SpeakerFrame(
            now_ns, now_ns, now_ns if heard else None, 1 if face else -1, face, face, values, confidence, 1.0, None,
            position_m, None, voice if heard else None,
        ),
    )  # fmt: skip
