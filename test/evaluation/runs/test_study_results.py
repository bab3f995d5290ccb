"""`evaluate simulator` and `evaluate dyads` write the same result file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.result_files import read_result

pytest.importorskip("numba")


def test_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "simulator.npz"
    arguments = ["evaluate", "simulator", "--items", "3", "--seconds", "4", "--systems", "oracle,shuffled,policy"]
    assert main([*arguments, "--output", str(output), "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["result"] == str(output)
    result = read_result(output)
    assert result.info.kind == "simulator"
    assert not result.info.people
    assert {s.name: s.role for s in result.systems} == {
        "oracle": "reference", "shuffled": "control", "policy": "baseline",
    }  # fmt: skip
    assert result.system("policy").values["FRC"].mean() == pytest.approx(told["policy"]["FRC"])
    assert result.system("policy").figures["FRDvs"].value == pytest.approx(told["policy"]["FRDvs"])
    assert main([*arguments, "--output", str(output)]) in (1, 2)


def test_dyads(tmp_path: Path, clips, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "calls"
    shutil.copytree(clips("dyads"), folder)
    output = tmp_path / "dyads.npz"
    arguments = ["evaluate", "dyads", "--folder", str(folder), "--permutations", "100"]
    arguments += ["--system", "real", "--system", "still", "--system", "random"]
    assert main([*arguments, "--output", str(output), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    result = read_result(output)
    assert result.info.people
    assert result.system("real").role == "reference"
    np.testing.assert_allclose(result.system("real").values["smile_coupling"].mean(), told["real"]["C"])
    assert result.system("still").figures["p"].value == told["still"]["p"]
    assert main([*arguments, "--output", str(output)]) == 1
    assert "the result file is there already" in capsys.readouterr().err
