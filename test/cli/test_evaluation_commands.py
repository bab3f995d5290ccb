"""What the commands of evaluation share, and `report`, `compare`, `evaluate arrays` and `bench record`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import pytest
from small_result import small_result

from reactdiff_ros.cli import evaluation as options
from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.results import Study, write_result
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.simulator.dyads import simulator_hash
from tools.speed.metrics import example_set

Out = pytest.CaptureFixture[str]


def test_what_is_given_arrives(tmp_path: Path, capsys: Out) -> None:
    seen: list[tuple[options.Run, str]] = []

    @click.command()
    @click.argument("name")
    @options.evaluation(output=options.PLOTS)
    def verb(run: options.Run, name: str) -> None:
        """A verb."""
        seen.append((run, name))
        print("a library talks")
        run.result["name"] = name

    def call(*arguments: str) -> dict[str, str]:
        verb.main([*arguments], standalone_mode=False)
        lines = capsys.readouterr().out.split("a library talks\n")[-1].splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    assert call("a") == {"name": "a", "simulator": simulator_hash()}
    run, _ = seen[-1]
    assert (run.steps, run.guidance, run.hop_s, run.seed, run.output, run.voices) == (None, None, None, 0, None, None)
    assert run.workers >= 1
    call("b", "--steps", "4", "--guidance", "2", "--hop-s", "0.32", "--seed", "7", "--workers", "3", "--output", "x")
    run, name = seen[-1]
    assert (name, run.seed, run.workers, run.output) == ("b", 7, 3, Path("x"))
    how = run.sampling()
    assert (how.steps, how.guidance, how.hop) == (4, 2.0, 8)


STUDIES = "reactdiff_ros.evaluation.studies"
RESULTS = {
    "simulator": (["evaluate", "simulator", "--systems", "model"], f"{STUDIES}.simulator.evaluate"),
    "dyads": (["evaluate", "dyads", "--folder", "calls", "--system", "model"], f"{STUDIES}.dyads.evaluate_dyads"),
    "behaviour": (["evaluate", "behaviour"], f"{STUDIES}.behaviour.evaluate_behaviour"),
    "streams": (["evaluate", "streams"], f"{STUDIES}.sampling.evaluate_streams"),
    "sessions": (["evaluate", "sessions"], f"{STUDIES}.sessions.evaluate_sessions"),
    "controls": (["evaluate", "controls"], f"{STUDIES}.controls.evaluate_controls"),
    "ablations": (["evaluate", "ablations", "resource/models/live"], f"{STUDIES}.sampling.evaluate_ablations"),
    "response": (["bench", "response"], f"{STUDIES}.controls.bench_response"),
}
"""Every command with a `Run`, and the study that it would take minutes over."""


class Calls:
    """Recorded calls of nobody."""

    recordings: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    frames = 0
    left_out: ClassVar[dict[str, str]] = {}


def result_of(name: str, *more: str, capfd: Out, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The JSON of a command whose study is replaced."""
    arguments, study = RESULTS[name]
    figures: dict[str, Any] = {"figure": 1.0, "model": {"note": "none"}, "bands": {}}
    monkeypatch.setattr(study, lambda *_, **__: Study(figures))
    monkeypatch.setattr(f"{STUDIES}.dyads.read_calls", lambda folder: Calls())
    assert main([*arguments, *more, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_says_what_it_rests_on(name: str, capfd: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    report = result_of(name, "--guidance", "2", "--hop-s", "0.32", capfd=capfd, monkeypatch=monkeypatch)
    shipped = find_weights()
    assert report["figure"] == 1.0
    assert report["simulator"] == simulator_hash()
    nods = None if shipped.nods is None else shipped.nods.digest
    weights = {"name": shipped.name, "digest": shipped.digest, "trained_on": shipped.simulator, "nods": nods}
    assert report["weights"] == weights
    assert (report["sampling"]["guidance"], report["sampling"]["hop"]) == (2.0, 8)
    assert report.get("voices") == (None if name == "dyads" else {"kind": "parametric"})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_result(small_result(2, 40.0), tmp_path_factory.mktemp("run") / "run.npz")


def test_report_writes_the_page_beside_the_result(result: Path, capsys: Out) -> None:
    before = result.read_bytes()
    assert main(["report", str(result), "--no-faces", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    page = Path(report["page"])
    assert page == result.with_suffix(".html")
    assert (len(page.read_bytes()), report["items"]) == (report["bytes"], 2)
    assert result.read_bytes() == before
    assert main(["report", str(result), "--no-faces"]) == 1
    assert re.search(r"already exists .*--force", capsys.readouterr().err)
    page.write_text("mine")
    assert main(["report", str(result), "--no-faces", "--force"]) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_compare_prints_one_object(result: Path, capsys: Out) -> None:
    assert main(["compare", str(result), str(result), "--system-b", "shuffled", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["items"] == {"a": 2, "b": 2, "matched": 2}
    assert report["figures"]["FRC"]["verdict"] == "worse"
    assert report["figures"]["FRC"]["how"] == "paired"
    assert report["figures"]["FRDvs"]["verdict"] == "none"


def arrays(path: Path, **change: object) -> Path:
    made, real, heard = example_set(3, 2, 3, 2, 70)
    data = {
        "prediction": made, "listener": real.reshape(4, 70, 25), "speaker": heard,
        "neighbour": np.array([[1, 1, 0, 0], [0, 0, 1, 1]]), **change,
    }  # fmt: skip
    np.savez(path, **{name: values for name, values in data.items() if values is not None})
    return path


def test_arrays_prints_one_object(tmp_path: Path, capfd: Out) -> None:
    pytest.importorskip("numba")
    path = arrays(tmp_path / "a.npz")
    before = path.read_bytes()
    assert main(["evaluate", "arrays", str(path), "--compat", "react2024", "--json", "--workers", "2"]) == 0
    found = json.loads(capfd.readouterr().out)
    names = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_first")
    assert all(isinstance(found[name], float) for name in names)
    assert set(found["seconds"]) == set(names) - {"FRSyn_first"}
    assert found["compat"] == "react2024"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"neighbour": None}, "no array named neighbour"),
        ({"prediction": np.zeros((2, 3, 70, 24))}, "is not (speakers, predictions, frames, 25)"),
        ({"speaker": np.full((2, 70, 25), np.nan)}, "not numbers"),
        ({"listener": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    ],
)
def test_bad_arrays_are_one_sentence(tmp_path: Path, capfd: Out, change: dict[str, object], sentence: str) -> None:
    path = arrays(tmp_path / "a.npz", **change)
    assert main(["evaluate", "arrays", str(path)]) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reactdiff:")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "a.npz" in lines[0]
