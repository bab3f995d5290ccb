from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.results import write_result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation" / "report"))
from small_result import small_result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_result(small_result(2, 40.0), tmp_path_factory.mktemp("run") / "run.npz")


def test_report_writes_the_page_beside_the_result(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = run.read_bytes()
    assert main(["report", str(run), "--no-faces", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = Path(told["page"])
    assert page == run.with_suffix(".html")
    assert (len(page.read_bytes()), told["items"]) == (told["bytes"], 2)
    assert run.read_bytes() == before
    assert main(["report", str(run), "--no-faces"]) == 1
    assert "there already" in capsys.readouterr().err
    page.write_text("mine")
    assert main(["report", str(run), "--no-faces", "--overwrite"]) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_report_of_what_is_no_result_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK nothing")
    assert main(["report", str(tmp_path / "x.npz")]) == 1
    assert "no whole result file" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()
    assert main(["report", str(tmp_path / "none.npz")]) == 1


def test_a_page_that_cannot_be_written_is_a_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--no-faces", "-o", str(run / "page.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_compare_prints_one_object(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), str(run), "--system-b", "shuffled", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["items"] == {"a": 2, "b": 2, "matched": 2}
    assert told["figures"]["FRC"]["verdict"] == "worse"
    assert told["figures"]["FRC"]["how"] == "paired"
    assert told["figures"]["FRDvs"]["verdict"] == "none"


def test_compare_prints_a_table_and_names_what_is_missing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), str(run)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == [
        "figure",
        "A",
        "model",
        "B",
        "model",
        "B",
        "-",
        "A",
        "95",
        "%",
        "interval",
        "difference",
    ]
    assert all(line.endswith("none") for line in out.splitlines()[1:4])
    assert main(["compare", str(run), str(run), "--system-b", "nobody"]) == 1
    assert "name one of model, shuffled, mime, still" in capsys.readouterr().err
