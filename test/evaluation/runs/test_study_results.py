"""`evaluate simulator` and `evaluate dyads` write the same result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.results import read_result

pytest.importorskip("numba")


def test_simulator(tmp_path: Path, reactdiff) -> None:
    arguments = ["--items", 3, "--seconds", 4, "--systems", "oracle,shuffled,policy", "--workers", 1]
    report, _ = reactdiff("evaluate", "simulator", *arguments, "--output", tmp_path / "out", "--json")
    assert [Path(p).stat().st_size > 1000 for p in report["plots"]] == [True, True]
    result = read_result(Path(report["result"]))
    assert (result.info.kind, result.info.people) == ("simulator", False)
    roles = {"oracle": "reference", "shuffled": "control", "policy": "baseline"}
    assert {s.name: s.role for s in result.systems} == roles
    policy = result.system("policy")
    assert policy.values["FRC"].mean() == pytest.approx(report["policy"]["FRC"])
    assert policy.figures["FRDvs"].value == pytest.approx(report["policy"]["FRDvs"])
    assert set(policy.streams) == {item.id for item in result.items}
    shown = policy.streams["speaker0001"]
    assert shown.shape == (100, 58)
    assert shown.std(0).max() > 0.01
    assert not np.array_equal(shown, result.system("oracle").streams["speaker0001"])
    assert len(build_page(result, with_faces=False)) > 10_000


def test_dyads(tmp_path: Path, clips, reactdiff) -> None:
    folder, output = tmp_path / "calls", tmp_path / "dyads.npz"
    folder.mkdir()
    pairs = sorted({path.name.split("_")[0] for path in clips("dyads").glob("*.csv")})
    for path in (path for pair in pairs[:4] for path in clips("dyads").glob(f"{pair}_*.csv")):
        (folder / path.name).symlink_to(path)
    systems = ("--system", "real", "--system", "still", "--system", "random")
    arguments = ["evaluate", "dyads", "--folder", folder, "--permutations", 100, *systems, "--output", output]
    report, _ = reactdiff(*arguments, "--json")
    result = read_result(output)
    assert result.info.people
    real = result.system("real")
    assert real.role == "reference"
    np.testing.assert_allclose(real.values["smile_coupling"].mean(), report["real"]["C"])
    assert len(real.streams) == 24
    assert np.isnan(next(iter(real.streams.values()))[:, HEAD_PITCH]).all()
    assert result.system("still").figures["p"].value == report["still"]["p"]
    page = build_page(replace(result, info=replace(result.info, subject="random")), with_faces=False)
    assert "Time lines" in page
    assert "NaN" not in page.split("<script")[0]
    assert "the result file already exists" in reactdiff(*arguments, code=1)[1]
