"""Faces that a test publishes at the rate of the real ones: the robot's, and the speaker's."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.coefficients import INDEX, SMILE
from reactdiff_ros.messages import fill, fill_speaker
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame, Voice


def show_each(
    graph: RosGraph, publish: Callable[[Any], None], seconds: float, face: Callable[[int], np.ndarray]
) -> list[int]:
    """Publish `face` of each number at 50 Hz, without bursts after a delay; the stamps."""
    stamps, due_s = list[int](), time.monotonic()
    for number in range(round(50 * seconds)):
        stamps.append(graph.node.get_clock().now().nanoseconds)
        frame = ExpressionFrame(stamps[-1], face(number), "listening", ("reaction",), None, None, None, None)
        publish(fill(msg.ExpressionFrame(), frame))
        due_s = max(due_s + 0.02, time.monotonic())
        graph.spin(due_s - time.monotonic())
    return stamps


def show(graph: RosGraph, publish: Callable[[Any], None], seconds: float, coefficients: dict[str, float]) -> None:
    """Publish a face at 50 Hz."""
    values = np.zeros(58, np.float32)
    for name, value in coefficients.items():
        values[INDEX[name]] = value
    show_each(graph, publish, seconds, lambda _: values)


def show_on(graph: RosGraph, seconds: float, **coefficients: float) -> None:
    """As `show`, on the graph's own topic."""
    show(graph, partial(graph.publish, "listener/expression"), seconds, coefficients)


def show_until(graph: RosGraph, state: str) -> None:
    """A resting face, until the actuator says that it is in this state."""
    said = graph.received["actuator/state"]
    for _ in range(200):
        show_on(graph, 0.1)
        if said[-1:] and said[-1].state == state:
            return
    pytest.fail(f"not {state}: {said[-1:]}\n{graph.processes[0].log[-2000:]}")


def somebody(now_ns: int, *, smile: float = 0.0, speaking: bool = False, face_of: np.ndarray | None = None) -> Any:
    """A frame of somebody 1 m away, as its message; `face_of`: all their coefficients."""
    values = np.zeros(58, np.float32) if face_of is None else face_of
    values[list(SMILE)] += smile
    voice = Voice(0.9 if speaking else 0.05, speaking, np.zeros(26, np.float32), 120.0 if speaking else 0.0, -30, 0, 0)
    weights, eyes = np.full(58, 0.9, np.float32), np.array([0, 0, 1], np.float32)
    frame = SpeakerFrame(now_ns, now_ns, now_ns, 1, True, True, values, weights, 1.0, None, eyes, None, voice)
    return fill_speaker(msg.SpeakerFrame(), frame)


def feed(graph: RosGraph, seconds: float, make: Callable[[int, float], Any] | None = None) -> None:
    """25 frames of somebody a second for so long; `make(now_ns, time_s)` gives each."""
    begin = time.monotonic()
    feed_until(graph, lambda: time.monotonic() - begin >= seconds, make, timeout_s=2 * seconds + 10.0)


def feed_until(
    graph: RosGraph, condition: Callable[[], Any], make: Callable[[int, float], Any] | None = None,
    topics: tuple[str, ...] = ("speaker/frame",), *, timeout_s: float = 60.0, what: str = "",
) -> None:  # fmt: skip
    """As `feed`, on these topics, until the condition holds; fails after the timeout."""
    begin = time.monotonic()
    while not condition():
        passed = time.monotonic() - begin
        if passed > timeout_s:
            logs = "\n".join(process.log[-1500:] for process in graph.processes)
            pytest.fail(f"{what or 'the condition'} not within {timeout_s:g} s\n{logs}")
        now_ns = graph.node.get_clock().now().nanoseconds
        message = somebody(now_ns) if make is None else make(now_ns, passed)
        for topic in topics:
            graph.publish(topic, message)
        graph.spin(0.04)
