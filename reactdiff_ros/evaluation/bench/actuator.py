"""How evenly the actuator commands, and how soon after the face: in the real graph, before emulated servos."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
from reactdiff_ros.evaluation.bench.live_run import ACTIVE_S, bench_graph
from reactdiff_ros.evaluation.graph.graph_robot import GraphRobot
from reactdiff_ros.launching.live_graph import LiveOptions, wanted_nodes
from reactdiff_ros.nodes.graph_watch import watch_graph

READY_S: Final = 30.0
WARM_UP_S: Final = 6.0
"""The node's own figures are over the last 5 to 10 s."""
JITTER_MS: Final = 5.0
LATENCY_MS: Final = 15.0
"""What is asked for: 99th percentiles at 50 Hz with model and page running."""


@dataclass(frozen=True, slots=True)
class ActuatorRun:
    """What to run: the graph's arguments name the profile with the emulated ports."""

    options: LiveOptions
    robot: EmulatedRobot
    seconds: float


def bench_actuator(
    run: ActuatorRun, folder: Path, say: Callable[[str], None], stopped: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Start the graph, enable the robot, count for `seconds`, stop.

    Returns:
        jitter_p99_ms: of commands after they were due, worst of the node's windows of 500 commands;
        latency_p99_median_ms and latency_p99_ms: from the stamp of an expression to the end of the command that follows
        it first, median and worst of the node's windows of 5 s; emulator_interval_p99_ms: what intervals between
        commands, as the emulated servo got them, were off the period, scheduling of the emulator included.

    Raises:
        ReactdiffError: the graph was not active in a minute, or the robot could not be enabled.
    """
    load = os.getloadavg()[0]
    with bench_graph(run.options, say, folder) as graph:

        def until(condition: Callable[[], Any], limit_s: float) -> bool:
            end_s = time.monotonic() + limit_s
            while not condition():
                if stopped():
                    raise ReactdiffError("the bench was stopped")
                if time.monotonic() > end_s:
                    return False
                graph.step(0.05)
            return True

        graph.start(wanted_nodes(run.options))
        robot = GraphRobot(watch_graph(graph))
        if not until(graph.active, ACTIVE_S):
            raise ReactdiffError(f"the graph was not active within {ACTIVE_S:g} s")
        if not until(lambda: robot.states and not robot.states[-1].obstacles, READY_S):
            why = "; ".join(robot.states[-1].obstacles) if robot.states else "it says nothing"
            raise ReactdiffError("the robot does not become ready", where="actuator_node", todo=why)
        say(f"the robot: {robot.enable()}")
        if not until(lambda: robot.states[-1].state == "following", READY_S):
            raise ReactdiffError("the robot does not follow", where="actuator_node", todo=robot.states[-1].message)
        until(lambda: False, WARM_UP_S)
        first, since_s = len(robot.states), time.monotonic()
        stalls = int(robot.states[-1].stalls)
        until(lambda: False, run.seconds)
        counted = robot.states[first:]
        with suppress(ReactdiffError):  # one that has stopped is let go at the end of the graph
            robot.enable(False)
    times = [t for t in run.robot.times() if since_s <= t <= since_s + run.seconds]
    return _figures(run, counted, times) | {
        "seconds": run.seconds,
        "load_before": load,
        "cores": os.cpu_count(),
        "stalls": int(counted[-1].stalls) - stalls if counted else None,
    }


def _figures(run: ActuatorRun, states: list[Any], times: list[float]) -> dict[str, Any]:
    if not states or len(times) < 3:
        raise ReactdiffError("the actuator did not command while it was counted", where="actuator_node")
    period_s = 1.0 / run.robot.profile.rate_hz
    jitter = [float(s.jitter_p99) for s in states if math.isfinite(s.jitter_p99)]
    latency = [float(s.latency_p99) for s in states if math.isfinite(s.latency_p99)]
    off_ms = 1000.0 * np.abs(np.diff(times) - period_s)
    worst_jitter_ms, worst_latency_ms = max(jitter, default=math.nan), max(latency, default=math.nan)
    return {
        "robot": run.robot.profile.name,
        "profile_rate_hz": run.robot.profile.rate_hz,
        "rate_hz": (len(times) - 1) / (times[-1] - times[0]),
        "jitter_p99_ms": worst_jitter_ms,
        "latency_p99_median_ms": float(np.median(latency)) if latency else math.nan,
        "latency_p99_ms": worst_latency_ms,
        "emulator_interval_p99_ms": float(np.percentile(off_ms, 99)),
        "following_share": float(np.mean([s.state == "following" for s in states])),
        "asked_jitter_p99_ms": JITTER_MS,
        "asked_latency_p99_ms": LATENCY_MS,
        "held": worst_jitter_ms <= JITTER_MS and worst_latency_ms <= LATENCY_MS,
    }
