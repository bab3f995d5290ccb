"""What the commands of evaluation share, and `report`, `compare`, `evaluate arrays`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_result import small_result

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.results import Study, write_result
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.simulator.dyads import simulator_hash
from tools.speed.metrics import example_set

Out = pytest.CaptureFixture[str]
STUDIES = "reactdiff_ros.evaluation.studies"
RESULTS = {
    "simulator.evaluate": ["evaluate", "simulator", "--systems", "model"],
    "dyads.evaluate_dyads": ["evaluate", "dyads", "--folder", "calls", "--system", "model"],
    "behaviour.evaluate_behaviour": ["evaluate", "behaviour"],
    "sampling.evaluate_streams": ["evaluate", "streams"],
    "sessions.evaluate_sessions": ["evaluate", "sessions"],
    "controls.evaluate_controls": ["evaluate", "controls"],
    "sampling.evaluate_ablations": ["evaluate", "ablations", "resource/models/live"],
    "controls.bench_response": ["bench", "response"],
}
"""Every command with a `Run`, by the study that it would take minutes over."""


@pytest.mark.parametrize("study", RESULTS)
def test_every_result_says_what_it_rests_on(study: str, capfd: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: dict[str, Any] = {"figure": 1.0, "model": {"note": "none"}, "bands": {}}
    nobody = SimpleNamespace(recordings=(), pairs=(), frames=0, left_out={})
    monkeypatch.setattr(f"{STUDIES}.{study}", lambda *_, **__: Study(figures))
    monkeypatch.setattr(f"{STUDIES}.dyads.read_calls", lambda folder: nobody)
    how = ["--steps", "4", "--guidance", "2", "--hop-s", "0.32", "--json"]
    assert main([*RESULTS[study], *(how[2:] if "ablations" in study else how)]) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["figure"], report["simulator"]) == (1.0, simulator_hash())
    shipped = find_weights()
    nods = None if shipped.nods is None else shipped.nods.digest
    weights = {"name": shipped.name, "digest": shipped.digest, "trained_on": shipped.simulator, "nods": nods}
    assert report["weights"] == weights
    assert (report["sampling"]["guidance"], report["sampling"]["hop"]) == (2.0, 8)
    assert "ablations" in study or report["sampling"]["steps"] == 4
    assert report.get("voices") == (None if "dyads" in study else {"kind": "parametric"})


def test_report_writes_the_page_beside_the_result_and_compare_one_object(tmp_path: Path, capsys: Out) -> None:
    result = write_result(small_result(2, 40.0), tmp_path / "run.npz")
    before = result.read_bytes()
    words = ["report", str(result), "--no-faces"]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    page = result.with_suffix(".html")
    assert (report["page"], report["bytes"], report["items"]) == (str(page), page.stat().st_size, 2)
    assert main(words) == 1
    assert re.search(r"already exists .*--force", capsys.readouterr().err)
    assert main([*words, "--force"]) == 0
    capsys.readouterr()
    assert main(["compare", str(result), str(result), "--system-b", "shuffled", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["items"] == {"a": 2, "b": 2, "matched": 2}
    assert (report["figures"]["FRC"]["verdict"], report["figures"]["FRC"]["how"]) == ("worse", "paired")
    assert result.read_bytes() == before


def arrays(path: Path, **change: object) -> Path:
    made, real, heard = example_set(3, 2, 3, 2, 70)
    data = {
        "prediction": made, "listener": real.reshape(4, 70, 25), "speaker": heard,
        "neighbour": np.array([[1, 1, 0, 0], [0, 0, 1, 1]]), **change,
    }  # fmt: skip
    np.savez(path, **{name: values for name, values in data.items() if values is not None})
    return path


def test_arrays_prints_one_object_and_bad_ones_are_one_sentence(tmp_path: Path, capfd: Out) -> None:
    pytest.importorskip("numba")
    path = arrays(tmp_path / "a.npz")
    assert main(["evaluate", "arrays", str(path), "--compat", "react2024", "--json", "--workers", "2"]) == 0
    found = json.loads(capfd.readouterr().out)
    names = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_first")
    assert all(isinstance(found[name], float) for name in names)
    assert found["compat"] == "react2024"
    assert main(["evaluate", "arrays", str(arrays(path, listener=np.array([{"a": 1}], dtype=object)))]) == 1
    (line,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("reactdiff:"))
    assert "Python objects" in line
    assert "a.npz" in line
