"""What several test files of this folder share; rclpy is imported by those that use it alone."""

import pytest


@pytest.fixture
def domain():
    """A ROS domain that nobody else uses during the test."""
    from ros_harness import free_domain

    domain, claim = free_domain()
    with claim:
        yield domain


@pytest.fixture
def graph(tmp_path):
    """A graph of one test."""
    from ros_harness import RosGraph

    with RosGraph(tmp_path) as graph:
        yield graph
