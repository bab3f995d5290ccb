"""How evenly the actuator commands, and how soon after the face: in the real graph, with emulated servos."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.graph import ACTUATOR, graph_run
from reactdiff_ros.launching.live_graph import LiveOptions

WARM_UP_S: Final = 6.0
"""The node's own figures are over the last 5 to 10 s."""
JITTER_MS: Final = 5.0
LATENCY_MS: Final = 15.0
"""Required 99th percentiles at 50 Hz with model and page running."""


def bench_actuator(
    options: LiveOptions,
    robot: str,
    seconds: float,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Start the graph, enable the robot, measure for `seconds`, stop.

    Args:
        options: what to run.
        robot: profile with servos, which are emulated.
        seconds: measured time.
        log: receives one sentence for every event that a user should know.
        stopped: asked several times a second; True ends the run.

    Returns:
        jitter_p99_ms: delay of commands after they were due, worst of the node's windows of 500 commands;
        latency_p99_median_ms and latency_p99_ms: from the stamp of an expression to the end of the first command that
        follows it, median and worst of the node's windows of 5 s; emulator_interval_p99_ms: deviation of the intervals
        between commands from the period, as received by the emulated servo (including the emulator's own scheduling).

    Raises:
        ReactdiffError: the graph is not active after a minute, or the robot does not follow.
    """
    load = os.getloadavg()[0]
    with graph_run(options, log, stopped, robot=robot) as run:
        run.start()
        run.until_active()
        run.until_robot_follows()
        run.run_for(WARM_UP_S)
        states = run.robot.states
        first, since_s, stalls = len(states), time.monotonic(), int(states[-1].stalls)
        run.run_for(seconds)
        assert run.servos is not None
        times = [t for t in run.servos.times() if since_s <= t <= since_s + seconds]
        profile, counted = run.servos.profile, states[first:]
        with suppress(ReactdiffError):  # a robot that has stopped is released at the end of the graph
            run.robot.enable(False)
    if not counted or len(times) < 3:
        raise ReactdiffError("the actuator sent no commands during the measurement", where=ACTUATOR)
    jitter = [float(s.jitter_p99) for s in counted if math.isfinite(s.jitter_p99)]
    latency = [float(s.latency_p99) for s in counted if math.isfinite(s.latency_p99)]
    worst_jitter_ms, worst_latency_ms = max(jitter, default=math.nan), max(latency, default=math.nan)
    return {
        "robot": profile.name,
        "profile_rate_hz": profile.rate_hz,
        "rate_hz": (len(times) - 1) / (times[-1] - times[0]),
        "jitter_p99_ms": worst_jitter_ms,
        "latency_p99_median_ms": float(np.median(latency)) if latency else math.nan,
        "latency_p99_ms": worst_latency_ms,
        "emulator_interval_p99_ms": 1e3 * float(np.percentile(np.abs(np.diff(times) - 1.0 / profile.rate_hz), 99)),
        "following_share": float(np.mean([s.state == "following" for s in counted])),
        "asked_jitter_p99_ms": JITTER_MS,
        "asked_latency_p99_ms": LATENCY_MS,
        "held": worst_jitter_ms <= JITTER_MS and worst_latency_ms <= LATENCY_MS,
        "seconds": seconds,
        "load_before": load,
        "cores": os.cpu_count(),
        "stalls": int(counted[-1].stalls) - stalls,
    }
