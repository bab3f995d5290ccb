"""`reactdiff bench faults`: rows are kept as they are measured, and a run is resumed; the graph is stood in for."""

from __future__ import annotations

import json
import os

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.faults import groups

ROW = {
    "what": "made up", "load": 1.0, "asked": {"normal_after_s": 2.0, "face_dies": False}, "longest_gap_s": 0.02,
    "away_from_s": None, "away_to_s": None, "page_neutral_s": None, "normal_after_s": 0.0, "largest_step": 0.1,
    "step_over_gap": 0.0, "finite": True, "said": [], "replayed": 0, "violations": [],
}  # fmt: skip


@pytest.fixture
def graph(monkeypatch):
    """What is asked of the graph; it breaks down after `lasts` faults."""
    asked = {"names": [], "lasts": 99}

    def run(options, robot, faults, say, done, stopped):
        rows = [{"fault": fault.name, **ROW} for fault in faults[: asked["lasts"]]]
        asked["names"] = [fault.name for fault in faults]
        for row in rows:
            done(row)
        return {"faults": rows, "left_out": {"disk-full": "needs root"}, "within_bounds": len(rows) == len(faults)}

    monkeypatch.setattr(groups, "run_faults", run)
    return asked


def faults(*words: str) -> int:
    return main(["bench", "faults", *words])


def test_what_was_measured_is_kept_and_the_rest_resumed(graph, tmp_path, capsys):
    path = tmp_path / "figures" / "faults.json"
    three = [word for name in ("cpu", "pages", "camera-gone") for word in ("--only", name)]
    graph["lasts"] = 2
    assert faults(*three, "--output", str(path)) == 1
    assert {row["fault"] for row in json.loads(path.read_text())["faults"]} == {"cpu", "pages"}
    graph["lasts"] = 99
    capsys.readouterr()
    assert faults(*three, "--output", str(path), "--resume", "--json") == 0
    assert graph["names"] == ["camera-gone"]
    assert [row["fault"] for row in json.loads(path.read_text())["faults"]] == ["camera-gone", "cpu", "pages"]
    assert json.loads(capsys.readouterr().out)["left_out"] == {"disk-full": "needs root"}
    assert not list(path.parent.glob(".*"))


def test_resuming_needs_a_file(graph, capsys):
    assert faults("--resume") == 2
    assert "--output" in capsys.readouterr().err


def test_all_faults_are_named_whatever_they_need(capsys):
    assert faults("--list") == 0
    names = capsys.readouterr().out
    assert all(name in names for name in ("network-cut-30", "disk-full", "clock-stopped", "servo-hot", "page-reloaded"))


def test_figures_that_cannot_be_written_are_one_sentence(graph, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    graph["names"] = ["nothing ran"]
    assert faults("--only", "cpu", "--output", str(tmp_path / "file" / "x.json")) == 1
    assert "the figures cannot be written" in capsys.readouterr().err
    assert graph["names"] == ["nothing ran"]

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert faults("--only", "cpu", "--output", str(tmp_path / "x.json")) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
