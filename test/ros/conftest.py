"""What several test files of this folder share; rclpy is imported by those that use it alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    """A graph of one test; its nodes end cleanly, those excepted that the test kills by SIGKILL and waits for."""
    from ros_harness import RosGraph

    graph = RosGraph(tmp_path)
    yield graph
    killed = [process for process in graph.processes if process.process.returncode == -signal.SIGKILL]
    codes = dict(zip(graph.processes, graph.close(), strict=True))
    assert {process.name: code for process, code in codes.items() if code and process not in killed} == {}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]
