"""The journal of a long run survives whatever ends the process that writes it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation.soak.journal import KILLED, journal, read_journal

MINUTE: dict[str, Any] = {"seconds": 60.0, "processes": {}}


def test_legs_follow_each_other_and_say_how_they_ended(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.jsonl"
    assert read_journal(path) == []
    with journal(path, {"seed": 1}) as writer:
        writer.add(MINUTE)
        writer.add(MINUTE)
        writer.end("stopped")

    def fail() -> None:
        with journal(path, {"seed": 2}) as writer:
            writer.add(MINUTE)
            raise ZeroDivisionError("of no use")

    with pytest.raises(ZeroDivisionError):
        fail()
    one, two = read_journal(path)
    assert (one.number, one.begun, one.seconds, one.ended) == (1, {"seed": 1}, 120.0, "stopped")
    assert (two.number, two.begun, two.seconds, two.ended) == (2, {"seed": 2}, 60.0, "of no use")


def test_a_kill_loses_nothing_that_was_added(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from reactdiff_ros.evaluation.soak.journal import journal\n"
        f"with journal(Path(sys.argv[1]), {{}}) as writer:\n    writer.add({MINUTE!r})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (leg,) = read_journal(path)
    assert (leg.seconds, leg.ended) == (60.0, KILLED)


def test_half_a_line_is_passed_by_and_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with journal(path, {}) as writer:
        writer.add(MINUTE)
    with path.open("a") as file:
        file.write('{"leg": 1, "minute": {"sec')
    assert [leg.seconds for leg in read_journal(path)] == [60.0]
    with journal(path, {}) as writer:
        writer.add(MINUTE)
    assert [leg.seconds for leg in read_journal(path)] == [60.0, 60.0]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    with journal(path, {}) as writer:
        writer.add(MINUTE)
        monkeypatch.setattr(os, "write", _fills(os.write))
        with pytest.raises(ReactdiffError, match=r"No space left.*x\.jsonl.*goes on"):
            writer.add(MINUTE)
        monkeypatch.undo()
    (leg,) = read_journal(path)
    assert leg.seconds == 60.0
    assert path.read_bytes().endswith(b"\n")


def _fills(write: Any) -> Any:
    """A disk with room for twenty bytes more."""
    left = 20

    def some(descriptor: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = write(descriptor, data[:left])
        left -= written
        return written

    return some


def test_what_is_no_number_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with journal(path, {}) as writer:
        writer.add({**MINUTE, "times": [float("nan"), {"a": float("inf")}, 1.0]})
    assert read_journal(path)[0].minutes[0]["times"] == [None, {"a": None}, 1.0]


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with (
        journal(path, {}) as writer,
        pytest.raises(ReactdiffError, match="another long run"),
        journal(path, {}),
    ):
        pass
    del writer


@pytest.mark.parametrize(
    "text", ["no json\n", '{"leg": 1, "minute": {"seconds": 1, "processes": {}}}\n', "[1]\n", "1\n"]
)
def test_what_is_no_journal_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(MediaError, match="no journal"):
        read_journal(path)
    with pytest.raises(MediaError, match="no journal"), journal(path, {}):
        pass
    assert path.read_text() == text


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="cannot be written"), journal(tmp_path / "file" / "x.jsonl", {}):
        pass
