"""A file is there as a whole or as it was before: after an error, a full disk, a kill, and beside another writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reactdiff_ros.whole_file import whole_file, write_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from reactdiff_ros.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_is_written_with_its_folders_and_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ü.txt"
    write_whole(path, "first ü\n")
    write_whole(path, "second ü\n")
    assert path.read_text(encoding="utf-8") == "second ü\n"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


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


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "x"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
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


def test_a_long_name_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, "there")
    assert path.read_text() == "there"
