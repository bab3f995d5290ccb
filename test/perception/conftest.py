"""What several test files of this folder share."""

from __future__ import annotations

import pytest

from reactdiff_ros.perception.nets import FaceNets


@pytest.fixture(scope="session")
def nets() -> FaceNets:
    """The shipped networks."""
    return FaceNets()
