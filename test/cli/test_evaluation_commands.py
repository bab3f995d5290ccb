"""What the commands of evaluation share, and `report`, `compare`, `evaluate arrays`."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from small_result import small_result

from reactdiff_ros.evaluation.results import Study, write_result
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.simulator.dyads import simulator_hash
from tools.speed.metrics import example_set

STUDIES = "reactdiff_ros.evaluation.studies"
RESULTS = {
    "simulator.evaluate": "evaluate simulator --systems model",
    "dyads.evaluate_dyads": "evaluate dyads --folder calls --system model",
    "behaviour.evaluate_behaviour": "evaluate behaviour",
    "sampling.evaluate_streams": "evaluate streams",
    "sessions.evaluate_sessions": "evaluate sessions",
    "controls.evaluate_controls": "evaluate controls",
    "sampling.evaluate_ablations": "evaluate ablations resource/models/live",
    "controls.bench_response": "bench response",
}
"""Every command with a `Run`, by the study that it would take minutes over."""


@pytest.mark.parametrize("study", RESULTS)
def test_every_result_says_what_it_rests_on(study, reactdiff, monkeypatch):
    figures = {"figure": 1.0, "model": {"note": "none"}, "bands": {}}
    no_calls = SimpleNamespace(recordings=(), pairs=(), frames=0, left_out={})
    monkeypatch.setattr(f"{STUDIES}.{study}", lambda *_, **__: Study(figures))
    monkeypatch.setattr(f"{STUDIES}.dyads.read_calls", lambda folder: no_calls)
    how = ["--steps", "4", "--guidance", "2", "--hop-s", "0.32", "--json"]
    report, _ = reactdiff(*RESULTS[study].split(), *(how[2:] if "ablations" in study else how))
    assert (report["figure"], report["simulator"]) == (1.0, simulator_hash())
    shipped, weights = find_weights(), report["weights"]
    assert (weights["digest"], weights["trained_on"]) == (shipped.digest, shipped.simulator)
    assert (report["sampling"]["guidance"], report["sampling"]["hop"]) == (2.0, 8)
    assert "ablations" in study or report["sampling"]["steps"] == 4
    assert report.get("voices") == (None if "dyads" in study else {"kind": "parametric"})


def test_report_writes_the_page_beside_the_result_and_compare_one_object(tmp_path, reactdiff):
    result = write_result(small_result(2, 40.0), tmp_path / "run.npz")
    before = result.read_bytes()
    words = ["report", result, "--no-faces"]
    report, _ = reactdiff(*words, "--json")
    page = result.with_suffix(".html")
    assert (report["page"], report["bytes"], report["items"]) == (str(page), page.stat().st_size, 2)
    assert re.search(r"already exists .*--force", reactdiff(*words, code=1)[1])
    reactdiff(*words, "--force")
    report, _ = reactdiff("compare", result, result, "--system-b", "shuffled", "--json")
    assert report["items"] == {"a": 2, "b": 2, "matched": 2}
    assert (report["figures"]["FRC"]["verdict"], report["figures"]["FRC"]["how"]) == ("worse", "paired")
    assert result.read_bytes() == before


def test_arrays_prints_one_object_and_bad_ones_are_one_sentence(tmp_path, reactdiff):
    pytest.importorskip("numba")
    path, (made, real, heard) = tmp_path / "a.npz", example_set(3, 2, 3, 2, 70)
    arrays = {"prediction": made, "listener": real.reshape(4, 70, 25), "speaker": heard}
    arrays["neighbour"] = np.array([[1, 1, 0, 0], [0, 0, 1, 1]])
    np.savez(path, **arrays)
    found, _ = reactdiff("evaluate", "arrays", path, "--compat", "react2024", "--json", "--workers", 2)
    names = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_first")
    assert all(isinstance(found[name], float) for name in names)
    assert found["compat"] == "react2024"
    np.savez(path, **{**arrays, "listener": np.array([{"a": 1}], dtype=object)})
    said = reactdiff("evaluate", "arrays", path, code=1)[1]
    (line,) = (line for line in said.splitlines() if line.startswith("reactdiff:"))
    assert "Python objects" in line
    assert "a.npz" in line
