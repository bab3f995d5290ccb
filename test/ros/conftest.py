"""What several test files of this folder share; rclpy is imported by those that use it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain that nobody else uses during the test."""
    from ros_harness import free_domain

    domain, claim = free_domain()
    with claim:
        yield domain


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    """A graph of one test."""
    from ros_harness import RosGraph

    with RosGraph(tmp_path) as graph:
        yield graph
