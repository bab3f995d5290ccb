"""Where ROS is not installed, what needs it is skipped and says so."""

from __future__ import annotations

import importlib.util

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("rclpy") is None:
        for item in items:
            if item.get_closest_marker("ros") is not None:
                item.add_marker(pytest.mark.skip(reason="ROS 2 (rclpy) is not installed"))
