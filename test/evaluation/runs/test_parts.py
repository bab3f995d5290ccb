"""Lists of parts: kept as they come, gone on with, done by processes and machines of which some die."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.parts import Keep, Part, PartResult, RunContext, do, work_off


def square(n: int, log: str = "") -> PartResult:
    """Notes each call in a file, so that a test sees what was done again."""
    if log:
        with Path(log).open("a") as file:
            file.write(f"{n}\n")
    if n == 13:
        raise ReactdiffError("thirteen is not done", where="13")
    if n == 99:
        raise ZeroDivisionError("a fault of the program")
    return PartResult({"n": n}, {"square": np.array([n * n])}, ("noted",) if n == 4 else ())


def die_once(n: int, marker: str) -> PartResult:
    """Ends its process the first time that number 2 is at hand."""
    path = Path(marker)
    if n == 2 and not path.exists():
        path.write_text(str(os.getpid()))
        os._exit(9)
    return PartResult({"n": n})


def parts(count: int, make: Any = square, **arguments: Any) -> list[Part]:
    return [Part(f"part-{n}", make, {"n": n, **arguments}, ()) for n in range(count)]


@pytest.fixture
def workers_find_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))


def test_every_result_is_kept_and_one_that_fails_is_a_sentence_and_alone_is_tried_again(tmp_path: Path) -> None:
    keep, log = Keep(tmp_path / "kept"), tmp_path / "log"
    said: list[str] = []
    wanted = parts(15, log=str(log))
    first, second = (work_off(wanted, RunContext(keep, log=said.append)) for _ in range(2))
    assert (first.kept, second.kept) == (0, 14)
    assert first.failed == {"part-13": "thirteen is not done (13)"}
    assert said[0] == "part-13: thirteen is not done (13)"
    assert log.read_text().split() == [*map(str, range(15)), "13"]
    made = keep.load(wanted[4])
    assert (made.facts, made.notes, made.arrays["square"].tolist()) == ({"n": 4}, ("noted",), [16])
    assert do(parts(100)[99]) == "ZeroDivisionError: a fault of the program"


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Keep(tmp_path)
    work_off(parts(2), RunContext(keep))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full)
        outcome = work_off(parts(4), RunContext(keep))
    assert len(outcome.failed) == 2
    assert all("No space left on device; run again to go on" in s for s in outcome.failed.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part-0.npz", "part-1.npz"]
    assert work_off(parts(4), RunContext(keep)).kept == 2


@pytest.mark.timeout(180)
def test_a_process_that_dies_loses_nothing(tmp_path: Path, workers_find_this_file: None) -> None:
    marker, keep = tmp_path / "died", Keep(tmp_path / "kept")
    wanted = parts(4, die_once, marker=str(marker))
    outcome = work_off(wanted, RunContext(keep, workers=2))
    assert marker.exists()
    assert not outcome.failed
    assert [keep.stale(part) for part in wanted] == [None] * 4


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_dask_worker_that_is_killed_loses_nothing(tmp_path: Path, workers_find_this_file: None) -> None:
    distributed = pytest.importorskip("distributed")
    keep, wanted = Keep(tmp_path / "kept"), parts(12, die_once, marker=str(tmp_path / "died"))
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(processes=True, **settings) as cluster:
        outcome = work_off(wanted, RunContext(keep, dask=cluster.scheduler_address))
    assert (tmp_path / "died").exists()
    assert not outcome.failed
    assert all(keep.load(p).facts["n"] == n for n, p in enumerate(wanted))


def test_a_scheduler_that_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("reactdiff_ros.evaluation.runs.parts.CONNECT_S", 0.3)
    with pytest.raises(ReactdiffError, match="the Dask scheduler cannot be reached"):
        work_off(parts(1), RunContext(Keep(tmp_path), dask="tcp://127.0.0.1:1"))
