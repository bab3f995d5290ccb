"""Attacks on the socket of visitors: nodes stay, their memory is bounded, faces go on at 50 Hz, and it works after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import capture_attacks
import numpy as np
import psutil
import pytest
import websocket
from faces_shown import show_on
from ros_harness import NodeProcess, RosGraph

from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, TIME
from tools.programs import with_us

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(900)]
PICTURES = "camera/image_raw/compressed"
GROWTH_MB = 60.0
"""One node may grow by so much: buffers of a few large messages."""
MESSAGES = 100_000
SECONDS = 15.0
ATTACKS = {
    "fuzz": f"fuzz(URL, {MESSAGES})",
    "large": f"flood(URL, {SECONDS}, 4000, 4000)",
    "allowed": f"flood(URL, {SECONDS}, 1920, 1920, 60)",
    "slow reader": f"flood(URL, {SECONDS}, 640, 480, 200, read=False)",
    "silent": f"silent(URL, {SECONDS}, 40)",
}


class Watcher:
    """A page that notes when faces come."""

    def __init__(self, url: str) -> None:
        self.times: list[float] = []
        self._line = capture_attacks.connect(url, "ws", timeout=30)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                if isinstance(self._line.recv(), bytes):
                    self.times.append(time.monotonic())
        except (OSError, websocket.WebSocketException):
            pass

    def close(self) -> None:
        self._line.shutdown()
        self._thread.join()


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosGraph]:
    with RosGraph(tmp_path_factory.mktemp("attacks")) as graph:
        graph.listen(PICTURES)
        graph.start("avatar_node", port=18765)
        graph.start("browser_node")
        graph.start("perception_node")
        graph.wait_active("avatar_node", "browser_node", "perception_node")
        yield graph


def memory_mb(graph: RosGraph) -> dict[str, float]:
    return {p.name: psutil.Process(p.process.pid).memory_info().rss / 1e6 for p in graph.processes}


def attack(name: str, url: str) -> subprocess.Popen[str]:
    """In a process of its own, with nothing of ROS."""
    code = f"from capture_attacks import *; URL = {url!r}; {ATTACKS[name]}"
    folder = Path(capture_attacks.__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    command = with_us([sys.executable, "-c", code])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder.parents[1])


def visited(graph: RosGraph, url: str) -> None:
    """A visitor with good intentions is seen."""

    def seat() -> Any:
        line = capture_attacks.connect(url)
        said = json.loads(line.recv())
        return line if said == {"seat": True} else line.shutdown()

    line = graph.until(seat, 20.0, "the free seat")
    ping = REPLY.unpack(line.recv())
    line.send_binary(HEAD.pack(1, TIME, 0, ping[3], capture_attacks.now_ms()))
    graph.received[PICTURES].clear()
    picture = capture_attacks.jpeg(64, 48)

    def seen() -> bool:
        line.send_binary(HEAD.pack(1, PICTURE, 0, 0, capture_attacks.now_ms()) + picture)
        return len(graph.received[PICTURES]) > 2

    graph.until(seen, 20.0, "the visitor's pictures")
    line.shutdown()


@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_listener_outlives_it(graph: RosGraph, name: str, record_property: Any) -> None:
    avatar: NodeProcess = graph.processes[0]
    url = graph.page(avatar)
    visited(graph, url)
    watcher = Watcher(url)
    show_on(graph, 2.0)
    before, began = memory_mb(graph), len(watcher.times)
    running = attack(name, url)
    most = before
    while running.poll() is None:
        show_on(graph, 1.0)
        most = {node: max(most[node], mb) for node, mb in memory_mb(graph).items()}
    output = running.stdout.read().strip()
    gaps = np.diff(watcher.times[began:])
    watcher.close()
    grown = {node: round(most[node] - before[node], 1) for node in before}
    figures = {
        "output": output, "faces_hz": round(float(1 / gaps.mean()), 2),
        "gap_p99_ms": round(float(np.percentile(gaps, 99)) * 1e3),
        "gap_most_ms": round(float(gaps.max()) * 1e3), "grown_mb": grown, "seconds": round(float(gaps.sum()), 1),
    }  # fmt: skip
    print(f"{name}: {json.dumps(figures)}")
    record_property(name, figures)
    assert running.returncode == 0
    assert all(p.process.poll() is None for p in graph.processes)
    assert {n: graph.state(n) for n in ("avatar_node", "browser_node")} == dict.fromkeys(
        ("avatar_node", "browser_node"), "active"
    )
    assert max(grown["avatar_node"], grown["browser_node"]) < GROWTH_MB
    assert figures["faces_hz"] > 45
    visited(graph, url)
