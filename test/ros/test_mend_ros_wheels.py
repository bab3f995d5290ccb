"""The ROS wheels are mended where they were built for an old C library; whatever is not as expected stays as it is."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("elftools", reason="pyelftools is not installed: it comes with the ROS wheels")
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def mend():
    spec = importlib.util.spec_from_file_location("mend_ros_wheels", ROOT / "scripts" / "mend_ros_wheels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_endless_waits_of_the_middleware_are_finite_here(mend):
    library = Path(sys.prefix, "lib", "libfastrtps.so.2.14")
    if not library.is_file():
        pytest.skip("ROS 2 is not from wheels here")
    content = library.read_bytes()
    waits = [int.from_bytes(content[place + 2 : place + 10], "little") for place in mend._places(library)]
    assert waits == [mend.FINITE_S] * 2
