"""Lists of parts: kept as they come, gone on with, done by processes and machines of which some die."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from run_tools import die_once, parts, square

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.parts import Keep, Part, RunContext, do, work_off


@pytest.fixture
def workers_find_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))


def done(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_every_result_is_kept_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    keep, log = Keep(tmp_path / "kept"), tmp_path / "log"
    wanted = parts(5, log=str(log))
    assert work_off(wanted, RunContext(keep)).kept == 0
    assert work_off(wanted, RunContext(keep)).kept == 5
    assert done(log) == [0, 1, 2, 3, 4]
    made = keep.load(wanted[4])
    assert (made.facts, made.notes, made.arrays["square"].tolist()) == ({"n": 4}, ("noted",), [16])


def test_one_that_fails_is_a_sentence_and_the_others_go_on(tmp_path: Path) -> None:
    log_lines: list[str] = []
    outcome = work_off(parts(15), RunContext(Keep(tmp_path), log=log_lines.append))
    assert outcome.failed == {"part-13": "thirteen is not done (13)"}
    assert log_lines == ["part-13: thirteen is not done (13)"]
    assert do(parts(100)[99]) == "ZeroDivisionError: a fault of the program"


def test_a_changed_setting_or_file_starts_that_part_anew_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    log, data = tmp_path / "log", tmp_path / "clip.mp4"
    data.write_text("before")
    context, wanted = RunContext(Keep(tmp_path / "kept"), log=said.append), parts(3, log=str(log), files=(str(data),))
    work_off(wanted, context)
    work_off([*wanted[:2], Part("part-2", square, {"n": 7}, ())], context)
    assert said[0] == "part-2 is done again: it was measured with another log, n, clip.mp4"
    assert said[1] == "reusing 2 stored parts of 3"
    data.write_text("other content")
    work_off(parts(3, log=str(log), files=(str(data),))[:1], context)
    assert said[2:] == ["part-0 is done again: it was measured with another clip.mp4"]
    assert done(log) == [0, 1, 2, 0]


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
def test_a_process_that_dies_loses_nothing(tmp_path: Path, workers_find_the_tools: None) -> None:
    marker, keep = tmp_path / "died", Keep(tmp_path / "kept")
    wanted = parts(4, die_once, marker=str(marker))
    outcome = work_off(wanted, RunContext(keep, workers=2))
    assert marker.exists()
    assert not outcome.failed
    assert [keep.stale(part) for part in wanted] == [None] * 4


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_dask_worker_that_is_killed_loses_nothing(tmp_path: Path, workers_find_the_tools: None) -> None:
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
