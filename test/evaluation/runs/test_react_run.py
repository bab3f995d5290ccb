"""`evaluate react` on generated sets in the layouts of REACT and MARS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, mars, react, react_neighbours

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.results import read_result

pytest.importorskip("numba")
ROWS = {
    "rules", "shuffled", "ground_truth", "mime", "random", "mean_sequence", "mean_frame", "nearest_neighbour",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = react(tmp_path_factory.mktemp("react"), frames=101, sound=False)
    react_neighbours(folder)
    (folder / "names.txt").write_text("\n".join(FACEVERSE_ORDER))
    return folder


def evaluated(capsys: pytest.CaptureFixture[str], data: Path, *more: str, code: int = 0) -> tuple[dict[str, Any], str]:
    arguments = ["evaluate", "react", "--data", str(data), "--listener", "rules", "--streams", "2", "--no-voice"]
    names = ["--expression-names", str(data / "names.txt")] if (data / "names.txt").exists() else []
    assert main([*arguments, *names, "--cuts", "0", "--json", *more]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out) if captured.out else {}, captured.err


def test_a_split_beside_all_baselines(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "result.npz"
    report, _ = evaluated(capsys, data, "--output", str(output), "--cuts", "2")
    table = report["systems"]
    assert set(table) == ROWS
    assert report["recordings"] == 8
    assert report["compat"] == "react2024"
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["ground_truth"]["FRC"] > table["mime"]["FRC"] > table["random"]["FRC"]
    assert table["random"]["FRVar"] == pytest.approx(1 / 12, rel=0.05)
    assert table["random"]["FRDvs"] == pytest.approx(1 / 6, rel=0.05)
    assert table["rules"]["FRDvs_low"] < table["rules"]["FRDvs"] < table["rules"]["FRDvs_high"]
    assert table["mean_frame"]["FRC"] == 0
    assert table["mean_frame"]["FRVar"] == pytest.approx(0, abs=1e-9)
    assert 0 <= table["random"]["FRSyn"] <= 49
    assert abs(table["mime"]["FRSyn_ms"] - 1e3 * report["settings"]["mime_lag_s"]) < 200
    assert abs(table["mime"]["response_lag_ms"] - 1e3 * report["settings"]["mime_lag_s"]) < 200
    assert table["rules"]["causal"] is True
    result = read_result(output)
    assert result.info.kind == "react"
    assert result.subject is not None
    assert result.subject.name == "rules"
    assert {s.role for s in result.systems} == {"listener", "baseline", "control", "reference"}
    assert len(result.items) == 8
    np.testing.assert_allclose(result.system("rules").values["FRC"].mean(), table["rules"]["FRC"])
    # The generated list has three pairs of people.
    assert len({item.group for item in result.items}) == 3


def test_an_ended_run_goes_on_and_a_changed_file_is_done_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = react(tmp_path / "data", frames=61, sound=False, splits=("val",))
    react_neighbours(folder)
    kept = tmp_path / "kept"
    first, error = evaluated(capsys, folder, "--run", str(kept))
    assert first["kept_parts"] == 0
    assert "no train split" in error
    parts = sorted(kept.glob("listen-*.npz"))
    assert len(parts) == 8
    parts[3].unlink()
    again, error = evaluated(capsys, folder, "--run", str(kept))
    assert again["kept_parts"] == 7
    assert "reusing 7 stored parts of 8" in error
    assert again["systems"]["mime"] == first["systems"]["mime"]
    assert again["systems"]["rules"]["FRC"] == first["systems"]["rules"]["FRC"]
    clip = next((folder / "val" / "Emotion").rglob("*.npy"))
    values = np.load(clip)
    np.save(clip, values[:, ::-1])
    _, error = evaluated(capsys, folder, "--run", str(kept))
    assert f"is done again: it was measured with another {clip.name}" in error


def test_a_clip_that_cannot_be_read_is_a_sentence_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = react(tmp_path, frames=61, sound=False, splits=("val",))
    react_neighbours(folder)
    broken = next((folder / "val" / "3D_FV_files").rglob("RECOLA/group-1/P25/1.npy"))
    broken.write_bytes(b"not an array")
    report, error = evaluated(capsys, folder, code=1)
    assert (report["recordings"], len(report["failed"])) == (6, 2)  # once as the speaker, once as the listener
    assert "cannot be read as a NumPy file" in error
    assert broken.read_bytes() == b"not an array"


def test_a_missing_neighbour_matrix_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = react(tmp_path, frames=61, sound=False, splits=("val",))
    _, error = evaluated(capsys, folder, code=1)
    assert "neighbour matrix" in error
    assert "--own-targets" in error
    report, _ = evaluated(capsys, folder, "--own-targets")
    assert report["settings"]["own_targets"] is True
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)


def test_mars_at_its_own_rate_and_of_any_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mars(mars(tmp_path, split="train"), split="val")
    report, _ = evaluated(capsys, folder)
    assert report["compat"] == "mars"
    assert report["recordings"] == 8
    assert set(report["systems"]) == ROWS
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert report["systems"]["ground_truth"]["FRC"] == 2  # forced, as the challenge does


def test_the_model_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mars(tmp_path / "data", split="val")
    output = tmp_path / "model.npz"
    report, _ = evaluated(capsys, folder, "--listener", "model", "--output", str(output))
    assert report["recordings"] == 8
    assert not report["failed"]
    result = read_result(output)
    shown = result.system("model")
    assert shown.role == "listener"
    assert np.isfinite(shown.values["FRC"]).all()
    assert len(shown.compute_s) > 0
    faces = list(shown.streams.values())
    assert len(faces) == 8
    assert all(np.isfinite(face).all() and face.shape[1] == 58 for face in faces)
    assert max(face.std(0).max() for face in faces) > 1e-3
    assert len({face.tobytes() for face in faces}) == 8
