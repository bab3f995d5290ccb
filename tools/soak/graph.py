"""Hours in real time through the real graph of processes, on a clip in a loop. Latencies: `bench.live`.

The graph, the wait until it is active and the latencies are those of the live bench. Two pages show the face: one stays
open, one is reloaded every ten seconds. With a robot, its servos are emulated in a separate process and follow.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX
from reactdiff_ros.evaluation.bench.graph import (
    FOLLOWING,
    GraphRecorder,
    GraphRobot,
    GraphRun,
    StoppedError,
    graph_run,
    spent_s,
)
from reactdiff_ros.evaluation.bench.live import (
    DEADLINE_NS,
    EXPRESSION,
    TAIL_NS,
    WARM_UP_S,
    Recording,
    answers,
    gaps_over,
)
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.messages import from_stamp
from reactdiff_ros.nodes.graph_watch import GraphWatch
from reactdiff_ros.types import FloatArray
from tools.faults.catalogue import robot_profile
from tools.faults.lab import Pages
from tools.soak.figures import apart_ms, behaviour, counted, footprint, lip_lag_ms, rounded
from tools.soak.journal import LongRun, OpenLeg

SUPERVISOR: Final = "supervisor"
"""The process that started the nodes; it also measures."""
PAGE_S: Final = 30.0
RELOAD_S: Final = 10.0
_JAW: Final = INDEX["jawOpen"]


def run_graph(options: LiveOptions, robot: str, run: LongRun) -> bool:
    """Resume a run until its journal holds this much real time.

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
        with suppress(StoppedError), _running(options, robot, run) as minutes:
            while not leg.complete:
                leg.add(minutes.next(run.every_s, leg.progress))

    clips = [Path(options.arguments["clip"]).name]
    given = {"seed": options.parameters.get("seed", 0)}
    given |= {"policy": options.arguments["policy"]} if "policy" in options.arguments else {}
    return run.resume(work, clips=clips, robot=robot, pages=2, **given)


@contextmanager
def _running(options: LiveOptions, robot: str, run: LongRun) -> Iterator[_Minutes]:
    """The active graph, warm; at the end no process is left."""
    with ExitStack() as stack:
        profile = robot_profile(robot) if robot else None
        graph = stack.enter_context(graph_run(options, run.log, run.stopped, robot=profile))
        graph.start()
        recorder = SoakRecorder(graph.watch)
        graph.until_face_seen(recorder)
        if graph.until(lambda: graph.graph.url, PAGE_S):
            for reload_s in (math.inf, RELOAD_S):
                stack.callback(Pages(str(graph.graph.url), 1, reload_s).close)
        if robot:
            graph.until_robot_follows()
            graph.robot.states.clear()
        graph.run_for(WARM_UP_S)
        yield _Minutes(graph, recorder)


class Heard(NamedTuple):
    """What is recorded of a SpeakerFrame that has a picture and sound."""

    published_ns: int
    picture_ns: int
    sound_ns: int
    loudness_dbfs: float
    jaw: float


class SoakRecorder(GraphRecorder):
    """Records into `recording`, `heard` and `faces` while `watch` spins."""

    def __init__(self, watch: GraphWatch) -> None:
        super().__init__(watch)
        self.heard: list[Heard] = []
        self.faces: list[tuple[int, FloatArray]] = []
        """(publication, coefficients), 50 a second."""

    def forget(self, before_ns: int) -> None:
        """Forget what was published before."""

        def recent(rows: list[Any]) -> list[Any]:
            return [row for row in rows if row[0] >= before_ns]

        old = self.recording
        published = {topic: [t for t in times if t >= before_ns] for topic, times in old.published.items()}
        kept = (recent(rows) for rows in (old.pictures, old.speaker, old.reactions, old.expressions))
        self.recording = Recording(published, *kept)
        self.heard, self.faces = recent(self.heard), recent(self.faces)

    def _speaker(self, message: Any, info: dict[str, Any]) -> None:
        super()._speaker(message, info)
        published_ns, picture_ns = self.recording.speaker[-1]
        sound_ns = from_stamp(message.sound_stamp)
        if picture_ns > 0 and sound_ns > 0:
            jaw = float(message.coefficients[_JAW])
            self.heard.append(Heard(published_ns, picture_ns, sound_ns, float(message.voice.loudness_dbfs), jaw))

    def _expression(self, message: Any, info: dict[str, Any]) -> None:
        super()._expression(message, info)
        self.faces.append((self.recording.expressions[-1][0], np.array(message.coefficients, dtype=np.float32)))


class _Minutes:
    """A running graph, minute by minute."""

    def __init__(self, run: GraphRun, recorder: SoakRecorder) -> None:
        self._run, self._recorder = run, recorder
        self._begin_ns, self._began_s = time.time_ns(), time.monotonic()
        self._cpu_s = run.cpu_s()

    def next(self, seconds: float, progress: Callable[[float], None]) -> dict[str, Any]:
        """The next `seconds`, as the journal's line; `progress` receives how many have passed."""
        begin_ns, begin_s = self._begin_ns, self._began_s
        while (left := begin_s + seconds - time.monotonic()) > 0:
            self._run.run_for(min(left, 1.0))
            progress(min(time.monotonic() - begin_s, seconds))
        self._begin_ns, self._began_s = begin_ns + int(seconds * NS), begin_s + seconds
        if self._run.servos is not None and not self._run.robot.follows():
            self._run.robot.ask_to_follow()  # as a person would
        self._run.run_for(TAIL_NS / NS)
        line = self._line(begin_ns, self._begin_ns, seconds)
        self._recorder.forget(self._begin_ns)
        return line

    def _line(self, begin_ns: int, end_ns: int, seconds: float) -> dict[str, Any]:
        recording, supervisor = self._recorder.recording, self._run.graph.supervisor
        captured = [s for _, s in recording.pictures if begin_ns <= s < end_ns]
        shown = sorted(t for t in recording.published[EXPRESSION] if begin_ns <= t < end_ns)
        heard = [h for h in self._recorder.heard if begin_ns <= h.published_ns < end_ns]
        faces = [values for t, values in self._recorder.faces if begin_ns <= t < end_ns][::2]
        pids = {**self._run.processes(), SUPERVISOR: [os.getpid()]}
        before, self._cpu_s = self._cpu_s, self._run.cpu_s()
        latency = answers(captured, [(p, s) for p, s, _ in recording.expressions])
        reaction = answers(captured, [(p, s) for p, _, s in recording.expressions])
        return {
            "at_s": round(end_ns / NS, 3),
            "seconds": seconds,
            "wall_s": seconds,
            "cpu_s": round(spent_s(before, self._cpu_s), 3),
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
                "dropped": sum(self._run.dropped().values()),
                "restarts": sum(supervisor.restarts(name) for name in supervisor.names()),
                **(_robot_counts(self._run.robot) if self._run.servos is not None else {}),
            },
        }  # fmt: skip


def _robot_counts(robot: GraphRobot) -> dict[str, float]:
    """Since the last call: the share of the reports in which it follows, and how often it stopped."""
    states = [report.state for report in robot.states]
    del robot.states[:-1]
    stops = sum(a != "stopped" and b == "stopped" for a, b in pairwise(states))
    return {"robot_follows": round(states.count(FOLLOWING) / max(len(states), 1), 4), "robot_stops": stops}
