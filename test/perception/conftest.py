"""What several test files of this folder share."""

import pytest

from reactdiff_ros.perception.nets import FaceNets


@pytest.fixture(scope="session")
def nets() -> FaceNets:
    """The shipped networks."""
    return FaceNets()
