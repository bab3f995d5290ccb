"""A file is there as a whole or as it was before: after an error, a full disk and a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.whole_file import whole_path, write_arrays, write_whole

BEGIN = "import os, resource, signal, sys; from pathlib import Path; from reactdiff_ros.whole_file import *\n"
KILLED = """
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
FULL = """
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_arrays(Path(sys.argv[1]), {"x": np.random.default_rng(0).random(5000), "y": np.zeros(3)})
except OSError as error:
    print(error.strerror)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    """A file that is there."""
    path = tmp_path / "x"
    path.write_text("old")
    return path


def test_an_error_or_a_full_disk_leaves_what_was_there_and_nothing_else(path):
    def interrupted() -> None:
        with whole_path(path, private=True) as part:
            assert part.stat().st_mode & 0o077 == 0
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    run = subprocess.run([sys.executable, "-c", BEGIN + FULL, str(path)], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("File too large\n", "")
    assert (path.read_text(), names(path.parent)) == ("old", ["x"])


def test_a_kill_leaves_what_was_there_and_the_next_one_is_written(path):
    assert subprocess.run([sys.executable, "-c", BEGIN + KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"
    with whole_path(path.parent / "folder" / "y") as part:
        part.write_text("first")
        assert names(path.parent / "folder") != ["y"]
    assert (path.parent / "folder" / "y").read_text() == "first"


def test_a_link_stays_one_and_what_is_no_plain_file_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "styles.yaml", tmp_path / "link"
    link.symlink_to(target)
    for text in ("first", "second"):  # it leads to nothing yet, then to a file
        write_whole(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="not a plain file"):
            write_whole(tmp_path / name, "x")
    assert (names(tmp_path), names(target.parent)) == (["folder", "link", "pipe"], ["styles.yaml"])


def test_arrays_are_those_of_an_npz_and_the_same_bytes_twice(tmp_path):
    arrays = {"x": np.arange(6.0).reshape(2, 3), "about": np.array("ü"), "none": np.zeros((0, 2), bool)}
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file.files == list(arrays)
        for name, values in arrays.items():
            assert file[name].dtype == values.dtype
            np.testing.assert_array_equal(file[name], values)
