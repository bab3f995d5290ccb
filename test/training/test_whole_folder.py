"""New files take the places of old ones all at once: a process is killed at every moment of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from reactdiff_ros.training import whole_folder as module
from reactdiff_ros.training.whole_folder import exchange, whole_folder

LAST = "manifest.json"
OLD = {"a.onnx": "old a", "b.onnx": "old b", LAST: "old list", "nods.json": "old", "LICENSE.md": "free"}
NEW = {"a.onnx": "new a", "b.onnx": "new b", LAST: "new list", "LICENSE.md": "free"}


def lay_out(folder: Path) -> Path:
    """The old files, and what else people keep beside them."""
    (folder / "run").mkdir(parents=True)
    for name, text in OLD.items():
        (folder / name).write_text(text)
    (folder / "run" / "log.jsonl").write_text("{}")
    (folder / "link").symlink_to("LICENSE.md")
    return folder


def replace(folder: Path) -> None:
    with whole_folder(folder, LAST) as new:
        for name in ("a.onnx", LAST, "b.onnx"):
            (new.path / name).write_text(NEW[name])
        new.dropped.add("nods.json")


def texts(folder: Path) -> dict[str, str]:
    assert (folder / "run" / "log.jsonl").read_text() == "{}"
    assert os.readlink(folder / "link") == "LICENSE.md"
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}


def beside(folder: Path) -> list[str]:
    return [path.name for place in (folder, folder.parent) for path in place.iterdir() if path.name.endswith(".part")]


def no_exchange(one: Path, other: Path) -> None:
    raise OSError(22, "Invalid argument")


@pytest.fixture(params=["exchanged", "one by one"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the old files, on a file system that can exchange folders and on one that cannot."""
    folder = lay_out(tmp_path / "weights")
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    if request.param == "one by one":
        monkeypatch.setattr(module, "exchange", no_exchange)
    else:
        try:
            exchange(tmp_path / "one", tmp_path / "other")
        except OSError as error:
            pytest.skip(f"folders cannot be exchanged here: {error}")
    return folder


def test_new_files_take_the_places_of_the_old_and_the_others_stay(folder: Path) -> None:
    folder.chmod(0o750)
    replace(folder)
    assert texts(folder) == NEW
    assert folder.stat().st_mode & 0o777 == 0o750
    assert beside(folder) == []


def fail(folder: Path, error: BaseException) -> None:
    with whole_folder(folder, LAST) as new:
        (new.path / "a.onnx").write_text("half of it")
        raise error


@pytest.mark.parametrize("error", [OSError(28, os.strerror(28)), KeyboardInterrupt()])
def test_an_error_leaves_the_old_files(folder: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(folder, error)
    assert texts(folder) == OLD
    assert beside(folder) == []


def test_a_disk_that_does_not_take_the_last_of_it_leaves_the_old_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace(folder)
    assert texts(folder) == OLD
    assert beside(folder) == []


def killed_after(events: int, folder: Path) -> bool:
    """Replace in a child that kills itself at its so-many-th call of the system; whether it was still at it."""
    child = os.fork()
    if child == 0:
        left = iter(range(events))

        def count(event: str, _: object) -> None:
            if next(left, None) is None:
                signal.raise_signal(signal.SIGKILL)  # os.kill would be counted

        try:
            sys.addaudithook(count)
            replace(folder)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_at_any_moment_leaves_the_old_files_or_the_new(folder: Path) -> None:
    exchanged = module.exchange is exchange
    events, seen = 0, []
    while True:
        shutil.rmtree(folder)
        lay_out(folder)
        at_it = killed_after(events, folder)
        found = texts(folder)
        seen.append(found)
        if exchanged:
            assert found in (OLD, NEW), events
        else:  # a mixture is one that its list of files refuses
            assert found[LAST] == OLD[LAST] or {**found, "nods.json": ""} == {**NEW, "nods.json": ""}, events
            assert found.keys() >= NEW.keys()
        for part in folder.parent.glob(".*.part"):
            shutil.rmtree(part)
        if not at_it:
            break
        events += 1
    assert events > 20
    assert seen[0] == OLD
    assert seen[-1] == NEW


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "of" / "mine", LAST) as new:
        (new.path / LAST).write_text("1")
    assert [path.name for path in (tmp_path / "of" / "mine").iterdir()] == [LAST]
    assert (tmp_path / "of" / "mine").stat().st_mode == (tmp_path / "of").stat().st_mode
    assert beside(tmp_path / "of" / "mine") == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("mine")
    with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "weights", LAST):
        pass
    assert (tmp_path / "weights").read_text() == "mine"


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "weights")
    (tmp_path / "live").symlink_to("weights")
    replace(tmp_path / "live")
    assert os.readlink(tmp_path / "live") == "weights"
    assert texts(folder) == NEW


@pytest.mark.parametrize("why", ["a process is in it", "another user's"])
def test_a_folder_that_must_stay_itself_does(why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay_out(tmp_path / "weights")
    if why == "another user's":
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    else:
        monkeypatch.chdir(folder / "run")
    before = folder.stat().st_ino
    replace(folder)
    assert folder.stat().st_ino == before
    assert texts(folder) == NEW
    assert beside(folder) == []


def test_without_the_call_of_the_system_nothing_is_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: object())
    with pytest.raises(OSError, match="Function not implemented"):
        exchange(tmp_path, tmp_path)
    folder = lay_out(tmp_path / "weights")
    replace(folder)
    assert texts(folder) == NEW
