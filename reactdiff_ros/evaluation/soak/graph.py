"""Hours in real time through the real graph of processes, on a clip in a loop. Latencies: `bench.live`.

The graph, the wait until it is active and the latencies are those of the live bench. Two pages show the face: one stays
open, one is opened anew every ten seconds. With a robot, its servos are emulated in a process of their own and follow.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.live import DEADLINE_NS, EXPRESSION, TAIL_NS, answers, gaps_over
from reactdiff_ros.evaluation.bench.live_run import WARM_UP_S, Spin, bench_graph, dropped, family
from reactdiff_ros.evaluation.faults.pages import Pages
from reactdiff_ros.evaluation.faults.robot import emulated
from reactdiff_ros.evaluation.faults.servos import FOLLOWING
from reactdiff_ros.evaluation.soak.long_run import LongRun, OpenLeg
from reactdiff_ros.evaluation.soak.measures import apart_ms, behaviour, counted, footprint, lip_lag_ms, rounded
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, wanted_nodes

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.graph.soak_recorder import SoakRecorder
    from reactdiff_ros.nodes.graph_watch import GraphWatch

SUPERVISOR: Final = "supervisor"
"""The process that started the nodes; it measures, too."""
FOLLOWS_S: Final = 60.0
PAGE_S: Final = 30.0
RELOAD_S: Final = 10.0


def run_graph(options: LiveOptions, robot: str, run: LongRun) -> bool:
    """Go on with a run until its journal holds so much real time.

    Args:
        options: with a clip that is looped.
        robot: profile whose servos are emulated; "" for none.
        run: its time is real; whether it is stopped is asked several times a second.

    Returns:
        Whether it is complete.

    Raises:
        MediaError: the file is no journal.
        ReactdiffError: the graph does not start, the robot does not follow, or the journal cannot be written.
    """

    def work(leg: OpenLeg) -> None:
        with suppress(_StoppedError), _running(options, robot, run) as running:
            while not leg.complete:
                leg.add(running.minute(run.every_s, leg.tell))

    return run.go_on(work)


class _StoppedError(Exception):
    """The user wants no more."""


@contextmanager
def _running(options: LiveOptions, robot: str, run: LongRun) -> Iterator[_Running]:
    """The active graph, warm; at the end no process is left."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactdiff-soak-")))
        if robot:
            servos, options = emulated(robot, options, folder)
            stack.callback(servos.close)
        graph = stack.enter_context(bench_graph(options, run.say, folder / "log"))

        def asked() -> bool:
            if run.stopped():
                raise _StoppedError
            return False

        spin = Spin(graph, asked)
        graph.start(wanted_nodes(graph.options))
        from reactdiff_ros.evaluation.graph.soak_recorder import SoakRecorder
        from reactdiff_ros.nodes.graph_watch import watch_graph

        watch = watch_graph(graph)
        recorder = SoakRecorder(watch)
        spin.until_seen(lambda: recorder.face_seen, run.say)
        if spin.until(lambda: graph.url is not None, PAGE_S):
            for reload_s in (math.inf, RELOAD_S):
                stack.callback(Pages(str(graph.url), 1, reload_s).close)
        servant = _Robot(graph, watch, spin) if robot else None
        spin.on(WARM_UP_S)
        yield _Running(graph, spin, recorder, servant)


class _Robot:
    """The emulated robot, which is to follow the face.

    Raises:
        ReactdiffError: it does not within FOLLOWS_S.
    """

    def __init__(self, graph: LiveGraph, watch: GraphWatch, spin: Spin) -> None:
        from reactdiff_ros.evaluation.graph.graph_robot import GraphRobot

        self._robot, self._spin = GraphRobot(watch), spin
        end_s = time.monotonic() + FOLLOWS_S
        while not self._follows():
            if time.monotonic() > end_s:
                raise ReactdiffError("the robot does not follow", where="actuator_node", todo=self._refused)
            self.look_after()
            spin.on(1.0)
        self._robot.states.clear()

    _refused = ""

    def _follows(self) -> bool:
        return bool(self._robot.states) and self._robot.states[-1].state == FOLLOWING

    def look_after(self) -> None:
        """Ask one that does not follow to do so, as a person would; a stop is cleared."""
        if self._follows():
            return
        try:
            if self._robot.states and self._robot.states[-1].state == "stopped":
                self._robot.reset()
            self._robot.enable()
        except ReactdiffError as error:
            self._refused = str(error)

    def counts(self) -> dict[str, float]:
        """Since the last call: the share of the reports that tell that it follows, and how often it stopped."""
        states = [report.state for report in self._robot.states]
        del self._robot.states[:-1]
        stops = sum(a != "stopped" and b == "stopped" for a, b in pairwise(states))
        return {"robot_follows": round(states.count(FOLLOWING) / max(len(states), 1), 4), "robot_stops": stops}


class _Running:
    """A graph, minute by minute."""

    def __init__(self, graph: LiveGraph, spin: Spin, recorder: SoakRecorder, robot: _Robot | None) -> None:
        self._graph, self._spin, self._recorder, self._robot = graph, spin, recorder, robot
        self._begin_ns = time.time_ns()
        self._began_s = time.monotonic()
        self._cpu: dict[int, float] = {}
        self._cpu_spent(self._pids())

    def minute(self, seconds: float, told: Callable[[float], None]) -> dict[str, Any]:
        """The next `seconds`, as the journal's line; `told` is given how many are over."""
        begin_ns, begin_s = self._begin_ns, self._began_s
        while (left := begin_s + seconds - time.monotonic()) > 0:
            self._spin.on(min(left, 1.0))
            told(min(time.monotonic() - begin_s, seconds))
        self._begin_ns, self._began_s = begin_ns + int(seconds * NS), begin_s + seconds
        if self._robot is not None:
            self._robot.look_after()
        self._spin.on(TAIL_NS / NS)
        line = self._line(begin_ns, self._begin_ns, seconds)
        self._recorder.forget(self._begin_ns)
        return line

    def _line(self, begin_ns: int, end_ns: int, seconds: float) -> dict[str, Any]:
        recording = self._recorder.recording
        captured = [s for _, s in recording.pictures if begin_ns <= s < end_ns]
        shown = sorted(t for t in recording.published[EXPRESSION] if begin_ns <= t < end_ns)
        heard = [h for h in self._recorder.heard if begin_ns <= h.published_ns < end_ns]
        faces = [values for t, values in self._recorder.faces if begin_ns <= t < end_ns][::2]
        pids = self._pids()
        latency = answers(captured, [(p, s) for p, s, _ in recording.expressions])
        reaction = answers(captured, [(p, s) for p, _, s in recording.expressions])
        return {
            "at_s": round(end_ns / NS, 3),
            "seconds": seconds,
            "wall_s": seconds,
            "cpu_s": round(self._cpu_spent(pids), 3),
            "load": round(os.getloadavg()[0], 2),
            "processes": {name: footprint(members) for name, members in pids.items()},
            "times": {"latency": counted(latency), "reaction": counted(reaction)},
            "apart_ms": apart_ms([h.picture_ns for h in heard], [h.sound_ns for h in heard]),
            "lip_lag_ms": lip_lag_ms([h.loudness_dbfs for h in heard], [h.jaw for h in heard]),
            "behaviour": behaviour(np.array(faces, dtype=np.float32).reshape(-1, COEFFICIENT_COUNT)),
            "counts": {
                "pictures": len(captured),
                "unanswered": len(captured) - len(latency),
                "faces": len(shown),
                "gaps": gaps_over(shown),
                "longest_gap_ms": rounded(max((b - a for a, b in pairwise(shown)), default=DEADLINE_NS) / 1e6, 1),
                "dropped": sum(dropped(self._graph).values()),
                "restarts": sum(self._graph.supervisor.restarts(n) for n in self._graph.supervisor.names()),
                **(self._robot.counts() if self._robot is not None else {}),
            },
        }  # fmt: skip

    def _pids(self) -> dict[str, list[int]]:
        """Of every node with what it started, and of this process."""
        pids = self._graph.supervisor.pids()
        nodes = {name: [process.pid for process in family(pid)] or [pid] for name, pid in pids.items()}
        return {**nodes, SUPERVISOR: [os.getpid()]}

    def _cpu_spent(self, pids: Mapping[str, list[int]]) -> float:
        """Processor time of the nodes since the last call."""
        now: dict[int, float] = {}
        for pid in (p for name, members in pids.items() if name != SUPERVISOR for p in members):
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                now[pid] = times.user + times.system
        before, self._cpu = self._cpu, now
        return sum(s - before.get(pid, 0.0) for pid, s in now.items())
