"""`evaluate simulator` and `evaluate dyads` write the same result file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.results import read_result

pytest.importorskip("numba")


def test_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "simulator", "--items", "3", "--seconds", "4", "--systems", "oracle,shuffled,policy"]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--workers", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(p).stat().st_size > 1000 for p in report["plots"]] == [True, True]
    result = read_result(Path(report["result"]))
    assert result.info.kind == "simulator"
    assert not result.info.people
    assert {s.name: s.role for s in result.systems} == {
        "oracle": "reference", "shuffled": "control", "policy": "baseline",
    }  # fmt: skip
    assert result.system("policy").values["FRC"].mean() == pytest.approx(report["policy"]["FRC"])
    assert result.system("policy").figures["FRDvs"].value == pytest.approx(report["policy"]["FRDvs"])
    assert set(result.system("policy").streams) == {item.id for item in result.items}
    shown = result.system("policy").streams["speaker0001"]
    assert shown.shape == (100, 58)
    assert shown.std(0).max() > 0.01
    assert not np.array_equal(shown, result.system("oracle").streams["speaker0001"])
    assert len(build_page(result, with_faces=False)) > 10_000


def test_dyads(tmp_path: Path, clips, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "calls"
    shutil.copytree(clips("dyads"), folder)
    output = tmp_path / "dyads.npz"
    arguments = ["evaluate", "dyads", "--folder", str(folder), "--permutations", "100"]
    arguments += ["--system", "real", "--system", "still", "--system", "random"]
    assert main([*arguments, "--output", str(output), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    result = read_result(output)
    assert result.info.people
    assert result.system("real").role == "reference"
    np.testing.assert_allclose(result.system("real").values["smile_coupling"].mean(), report["real"]["C"])
    real = result.system("real").streams
    assert len(real) == 24
    assert np.isnan(next(iter(real.values()))[:, HEAD_PITCH]).all()
    subject = replace(result.info, subject="random")
    page = build_page(replace(result, info=subject), with_faces=False)
    assert "Time lines" in page
    assert "NaN" not in page.split("<script")[0]
    assert result.system("still").figures["p"].value == report["still"]["p"]
    assert main([*arguments, "--output", str(output)]) == 1
    assert "the result file already exists" in capsys.readouterr().err
