"""A file is there as a whole or as it was before: after an error, a full disk, a kill, and next to another writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.whole_file import whole_file, whole_path, write_arrays, write_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from reactdiff_ros.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from reactdiff_ros.whole_file import write_arrays
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_arrays(Path(sys.argv[1]), {"x": np.random.default_rng(0).random(5000), "y": np.zeros(3)})
except OSError as error:
    print(error.strerror)
"""


def test_an_error_in_the_block_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "old"


def test_a_kill_leaves_what_was_there_and_the_next_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_two_that_write_it_at_once_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    with whole_file(path) as file:
        file.write(b"of one")
        file.flush()
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            write_whole(path, "of another process")
        assert path.read_text() == "of another process"
    assert path.read_text() == "of one"


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "styles.yaml", tmp_path / "styles.yaml"
    link.symlink_to(target)
    for text in ("first", "second"):  # it leads to nothing yet, then to a file
        write_whole(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    assert [p.name for p in target.parent.iterdir()] == ["styles.yaml"]


def test_what_is_no_plain_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="not a plain file"):
            write_whole(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


def test_arrays_are_those_of_an_npz_and_the_same_bytes_twice(tmp_path: Path) -> None:
    arrays = {"x": np.arange(6.0).reshape(2, 3), "about": np.array("ü"), "none": np.zeros((0, 2), bool)}
    write_arrays(tmp_path / "a.npz", arrays)
    write_arrays(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file.files == list(arrays)
        for name, values in arrays.items():
            assert file[name].dtype == values.dtype
            np.testing.assert_array_equal(file[name], values)


def test_arrays_on_a_full_disk_leave_what_was_there_and_say_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("old")
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("File too large\n", "")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_writer_that_takes_a_path_leaves_what_was_there_until_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    with whole_path(path, private=True) as part:
        assert part.stat().st_mode & 0o077 == 0
        part.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"

    def interrupted() -> None:
        with whole_path(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["x"]
