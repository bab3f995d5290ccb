"""The ROS wheels of this environment are mended where they were built for an old C library."""

import importlib.util
import shutil
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


@pytest.fixture
def library(tmp_path):
    """A copy of the wheels' library."""
    installed = Path(sys.prefix, "lib", "libfastrtps.so.2.14")
    if not installed.is_file():
        pytest.skip("ROS 2 is not from wheels here")
    return Path(shutil.copy(installed, tmp_path))


def waits(mend, library):
    """The seconds that each function passes on."""
    content = library.read_bytes()
    return [int.from_bytes(content[place + 2 : place + 10], "little") for place in mend._places(library)]


def test_this_environment_is_mended(mend, library):
    assert waits(mend, library) == [mend.FINITE_S] * 2
