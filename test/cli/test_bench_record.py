"""`bench record`: what it keeps and reports; its figures make a page with a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.bench import machine, model, reference
from reactdiff_ros.evaluation.bench.reference import COMPILED, EAGER, ONNX, OURS, PAPER, Case, Plan


def pair(p50: float) -> dict[str, float]:
    return {"p50": p50, "p99": 2 * p50, "min": p50, "n": 10}


def row(sweep: str, value: int, plan_ms: float, backend: str = "onnxruntime") -> dict[str, Any]:
    usual = {"steps": 8, "candidates": 1, "listeners": 1, "frames": 16}
    return {
        "backend": backend, "precision": "fp32", "sweep": sweep, **usual, sweep: value, "plan_ms": pair(plan_ms),
        "encoder_frame_ms": pair(0.25), "plans_per_s": 1e3 / plan_ms, "times_real_time": 160 / plan_ms,
        "rss_mb": 150.0, "gpu_mb": None,
    }  # fmt: skip


def rows_of(*_: Any, **__: Any) -> dict[str, Any]:
    sweeps = {"steps": (4, 8), "candidates": (1, 4), "listeners": (1, 16), "frames": (4, 16)}
    rows = [row(sweep, value, 5.0 + value) for sweep, values in sweeps.items() for value in values]
    seen = [{"backend": "onnxruntime", "precision": "fp32", "frames_seen": n, "encoder_frame_ms": pair(0.3)}
            for n in (1, 25)]  # fmt: skip
    return {"rows": rows, "seen": seen, "absent": {"tensorrt fp16": "TensorRT is missing"}}


def head(*_: Any, **__: Any) -> dict[str, Any]:
    return {"weights": "live@abc", "threads": 1, "plan_ms": {}}


def reference_figures() -> dict[str, Any]:
    ten, clip = Case(PAPER, ONNX, 20, 10), Case(OURS, ONNX, 8, 10, clip=True)
    seconds = {
        Case(PAPER, EAGER, 20): 8.0, Case(PAPER, COMPILED, 20): 4.0, Case(PAPER, ONNX, 20): 2.0, ten: 20.0,
        Case(OURS, EAGER, 20): 0.1, Case(OURS, ONNX, 20): 0.04, Case(OURS, ONNX, 8): 0.02, clip: 5.0,
    }  # fmt: skip
    times = {case: [{"encode": 0.0, "steps": s, "decode": 0.0}] for case, s in seconds.items()}
    found = reference.ratios_and_parts(Plan(), times, {ONNX: ten}, clip)
    found["paper"]["parameters"] = {"total": 542_000_000}
    found["ours"] |= {"parameters": {"encoder": 500_000, "denoiser": 1_000_000}, "weights": "live@abc"}
    return found | {"threads": 2, "torch": "2", "onnxruntime": "1", "load_before": 0.1, "notes": ["random weights"]}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benches that take no time."""
    monkeypatch.setattr(model, "bench_model", head)
    monkeypatch.setattr(model, "bench_rows", rows_of)
    monkeypatch.setattr(reference, "bench_reference", lambda *_, **__: reference_figures())


def test_figures_of_other_benches_and_machines_are_kept(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "figures.json"
    assert main(["bench", "record", "--what", "model", "--output", str(output)]) == 0
    known = json.loads(output.read_text())
    assert known["live"] == known["reference"] == []
    known["other"] = [{"what": "x", "measured": "1", "asked": "", "date": "", "command": "reactdiff doctor"}]
    output.write_text(json.dumps(known))
    assert main(["bench", "record", "--what", "model", "--what", "reference", "--output", str(output)]) == 0
    here = machine.hardware()
    monkeypatch.setattr(machine, "hardware", lambda: here | {"gpu": "NVIDIA H200"})
    assert main(["bench", "record", "--what", "model", "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    assert [entry["hardware"]["gpu"] for entry in found["model"]] == [here["gpu"], "NVIDIA H200"]
    assert found["other"] == known["other"]
    assert found["reference"][0]["result"]["ratios"]["eager_same_steps"] == pytest.approx(80.0)


def test_without_torch_the_reference_is_left_out(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(reference, "bench_reference", missing)
    output = tmp_path / "figures.json"
    assert main(["bench", "record", "--what", "reference", "--output", str(output)]) == 0
    assert "torch is not installed" in capfd.readouterr().err
    assert json.loads(output.read_text())["reference"] == []


def test_the_figures_make_a_page_with_a_picture(
    measured: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    assert main(["bench", "record", "--what", "model", "--what", "reference", "--output", str(figures)]) == 0
    assert main(["dev", "docs", "benchmarks", str(figures), "--output", str(page)]) == 0
    text = page.read_text()
    assert "| a generated second, same number of steps, both in torch eager | 80 | 50 |" in text
    assert "| paper, 20 steps, 10 samples | ONNX Runtime FP32 | 1000 |" in text
    assert "542 M in the paper's model, 1.5 M in ours" in text
    assert "| onnxruntime | fp32 | 16 listeners | 21 / 42 | 0.25 / 0.5 | 47.6 | 7.62 | 150 | none |" in text
    assert "- tensorrt fp16: TensorRT is missing\n" in text
    assert (tmp_path / "images" / "benchmarks_cost_0.png").read_bytes().startswith(b"\x89PNG")
    assert "The running graph" not in text


def test_a_file_that_holds_no_figures_is_not_written_over(
    measured: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "figures.json"
    output.write_text('{"live": [')
    assert main(["bench", "record", "--what", "model", "--output", str(output)]) == 1
    assert "the existing file holds no figures" in capfd.readouterr().err
    assert output.read_text() == '{"live": ['


def test_a_folder_that_cannot_be_made_is_reported_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(model, "bench_model", lambda *_, **__: pytest.fail("it measures"))
    assert main(["bench", "record", "--what", "model", "--output", str(tmp_path / "file" / "x.json")]) == 1
    assert "the figures cannot be written" in capfd.readouterr().err
