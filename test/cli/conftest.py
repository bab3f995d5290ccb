"""Where ROS is not installed, what needs it is skipped and says so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation" / "report"))  # small_result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("rclpy") is None:
        for item in items:
            if item.get_closest_marker("ros") is not None:
                item.add_marker(pytest.mark.skip(reason="ROS 2 (rclpy) is not installed"))
