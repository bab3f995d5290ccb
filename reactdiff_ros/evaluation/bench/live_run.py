"""Runs the real graph on a clip, in its own ROS domain, and measures it. Definitions: `live_bench`."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.live import PICTURES, SPEAKER, TAIL_NS, summary
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, wanted_nodes

_KINDS = {
    "compressed": PICTURES,
    "raw": "camera/image_raw",
    "sound": "audio",
    "bytes": "audio",
    "samples": "audio",
    "frame": SPEAKER,
}
ACTIVE_S = 60.0
FACE_S = 5.0
WARM_UP_S = 3.0
DOMAINS = range(71, 91)
"""Below 102, DDS's ports stay clear of Linux's ephemeral ones."""


def bench_live(
    options: LiveOptions,
    seconds: float,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """One run: start, wait until the graph is active, a face was seen (or 5 s) and 3 s more, count, stop.

    Args:
        options: with a clip; the domain is chosen here when it is None.
        seconds: length of the counted window.
        say: told what the user should know meanwhile.
        stopped: asked several times a second; True ends the run.

    Raises:
        ReactdiffError: the graph did not become active in a minute, or the run was stopped.
    """
    load_before = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="reactdiff-bench-") as folder,
        bench_graph(options, say, Path(folder)) as graph,
    ):
        spin = Spin(graph, stopped)
        nodes = wanted_nodes(graph.options)
        graph.start(nodes)
        from reactdiff_ros.evaluation.graph.graph_recorder import GraphRecorder
        from reactdiff_ros.nodes.graph_watch import watch_graph

        recorder = GraphRecorder(watch_graph(graph))
        spin.until_seen(lambda: recorder.face_seen, say)
        spin.on(WARM_UP_S)
        drops = dropped(graph)
        cpu_s, began_s, begin_ns = _cpu_s(graph), time.monotonic(), time.time_ns()
        spin.on(seconds)
        wall_s, end_ns = time.monotonic() - began_s, time.time_ns()
        cpu_cores = (_cpu_s(graph) - cpu_s) / wall_s
        rss_mb = sum(_pss_bytes(process) for process in _processes(graph)) / 1e6
        spin.on(TAIL_NS / NS)
        after = dropped(graph)
        restarts = {n.name: graph.supervisor.restarts(n.name) for n in nodes if graph.supervisor.restarts(n.name)}
        if restarts:
            say(f"nodes were started again during the run: {restarts}")
        return summary(
            recorder.recording,
            begin_ns,
            min(end_ns, begin_ns + to_ns(wall_s)),
            dropped={topic: max(0, n - drops.get(topic, 0)) for topic, n in after.items()},
            cpu_cores=cpu_cores,
            rss_mb=rss_mb,
            load_before=load_before,
        )


class Spin:
    """Lets a graph run on, until something is the case or for a while.

    Args:
        graph: that listens.
        stopped: asked several times a second.

    Every method raises ReactdiffError when it is stopped.
    """

    def __init__(self, graph: LiveGraph, stopped: Callable[[], bool]) -> None:
        self._graph, self._stopped = graph, stopped

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Whether `condition` came true within the limit."""
        end = time.monotonic() + limit_s
        while not condition():
            if self._stopped():
                raise ReactdiffError("the bench was stopped")
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._graph.step(min(0.1, left))
        return True

    def on(self, seconds: float) -> None:
        """For so long."""
        self.until(lambda: False, seconds)

    def until_seen(self, face_seen: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Until every node is active and a face was seen; `say` is told when none was within FACE_S.

        Raises:
            ReactdiffError: a node is not active in a minute.
        """
        self.until_active()
        if not self.until(face_seen, FACE_S):
            say(f"no face was seen within {FACE_S:g} s: counting all the same")

    def until_active(self) -> None:
        """Raises ReactdiffError when a node is not active in a minute."""
        graph = self._graph
        if self.until(graph.active, ACTIVE_S):
            return
        waiting = [name for name in graph.supervisor.names() if not graph.supervisor.heard(name)] or [
            f"{r.name} ({r.values.get('state', '')}: {r.sentence})"
            for r in graph.reports.values()
            if r.values.get("state") != "active"
        ]
        raise ReactdiffError(f"the graph was not active within {ACTIVE_S:g} s", where=", ".join(waiting))


def bench_graph(options: LiveOptions, say: Callable[[str], None], folder: Path) -> LiveGraph:
    """A graph in the first domain in which no other listener runs."""
    if options.domain is not None:
        return LiveGraph(options, say, folder)
    problem: ReactdiffError | None = None
    for domain in DOMAINS:
        try:
            return LiveGraph(replace(options, domain=domain), say, folder)
        except ReactdiffError as error:
            problem = error
    assert problem is not None
    raise problem


def family(pid: int) -> list[psutil.Process]:
    """A process and what it started; nothing where it has ended."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _processes(graph: LiveGraph) -> list[psutil.Process]:
    return [process for pid in graph.supervisor.pids().values() for process in family(pid)]


def _cpu_s(graph: LiveGraph) -> float:
    """CPU time so far of all node processes and their children, those that ended included."""
    total = 0.0
    for process in _processes(graph):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            # Ended children count for their parent, living ones for themselves.
            total += times.children_user + times.children_system
    return total


def _pss_bytes(process: psutil.Process) -> int:
    """Proportional set size: shared pages count for each sharer in part (proc(5), smaps_rollup)."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def dropped(graph: LiveGraph) -> Mapping[str, int]:
    """What the nodes' diagnostics say that they dropped so far, by topic."""
    total: Counter[str] = Counter()
    for report in graph.reports.values():
        for key, value in report.values.items():
            if key.startswith("dropped ") and value.isdigit():
                # "audio (late)" is a drop of audio; a worker's kinds of items are named without their topic.
                topic = key.removeprefix("dropped ").split(" (")[0]
                total[_KINDS.get(topic, topic)] += int(value)
    return total
