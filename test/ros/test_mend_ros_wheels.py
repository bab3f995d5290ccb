"""The ROS wheels are mended where they were built for an old C library; whatever is not as expected stays as it is."""

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


def unmended(mend, library):
    """As the wheel brings it."""
    content = bytearray(library.read_bytes())
    for place in mend._places(library):
        content[place + 2 : place + 10] = mend.WITHOUT_END
    library.write_bytes(content)


def test_this_environment_is_mended(mend, library):
    assert waits(mend, library) == [mend.FINITE_S] * 2


def test_endless_waits_become_finite_once_and_nothing_else_changes(mend, library):
    as_installed, mode = library.read_bytes(), library.stat().st_mode
    unmended(mend, library)
    assert library.read_bytes() != as_installed
    running = library.open("rb")  # whoever runs keeps the file that they opened
    assert mend.mend_endless_waits(library) == 2
    assert mend.mend_endless_waits(library) == 0
    assert (library.read_bytes(), library.stat().st_mode) == (as_installed, mode)
    with running:
        assert running.read() != as_installed
    assert list(library.parent.iterdir()) == [library]
