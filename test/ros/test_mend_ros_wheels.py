"""The ROS wheels of this environment are mended where they were built for an old C library."""

import sys
from pathlib import Path

import pytest
from loaded_files import loaded

pytest.importorskip("elftools", reason="pyelftools is not installed: it comes with the ROS wheels")

pytestmark = pytest.mark.ros


def test_this_environment_is_mended():
    library, mend = Path(sys.prefix, "lib", "libfastrtps.so.2.14"), loaded("scripts/mend_ros_wheels.py")
    if not library.is_file():
        pytest.skip("ROS 2 is not from wheels here")
    content = library.read_bytes()
    seconds = [int.from_bytes(content[place + 2 : place + 10], "little") for place in mend._places(library)]
    assert seconds == [mend.FINITE_S] * 2
