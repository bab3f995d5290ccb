"""`evaluate react` on generated sets in the layouts of REACT and MARS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, mars, react, react_neighbours

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


@pytest.fixture
def evaluated(reactdiff):
    """The report on a set, and its errors."""

    def call(data: Path, *more: object, code: int = 0) -> tuple[dict[str, Any], str]:
        arguments = ["evaluate", "react", "--data", data, "--listener", "rules", "--streams", 2, "--no-voice"]
        names = ["--expression-names", data / "names.txt"] if (data / "names.txt").exists() else []
        found: tuple[dict[str, Any], str] = reactdiff(*arguments, *names, "--cuts", 0, "--json", *more, code=code)
        return found

    return call


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A val split alone, of short clips, without a neighbour matrix."""
    return react(tmp_path / "data", frames=61, sound=False, splits=("val",))


def test_a_split_beside_all_baselines(data: Path, tmp_path: Path, evaluated) -> None:
    output = tmp_path / "result.npz"
    report, _ = evaluated(data, "--output", output, "--cuts", 2)
    table = report["systems"]
    assert set(table) == ROWS
    assert (report["recordings"], report["compat"]) == (8, "react2024")
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["ground_truth"]["FRC"] > table["mime"]["FRC"] > table["random"]["FRC"]
    assert table["random"]["FRVar"] == pytest.approx(1 / 12, rel=0.05)
    assert table["random"]["FRDvs"] == pytest.approx(1 / 6, rel=0.05)
    assert table["rules"]["FRDvs_low"] < table["rules"]["FRDvs"] < table["rules"]["FRDvs_high"]
    assert table["mean_frame"]["FRC"] == 0
    assert table["mean_frame"]["FRVar"] == pytest.approx(0, abs=1e-9)
    assert 0 <= table["random"]["FRSyn"] <= 49
    for lag in ("FRSyn_ms", "response_lag_ms"):
        assert abs(table["mime"][lag] - 1e3 * report["settings"]["mime_lag_s"]) < 200
    assert table["rules"]["causal"] is True
    result = read_result(output)
    assert result.info.kind == "react"
    assert result.subject is not None
    assert result.subject.name == "rules"
    assert {s.role for s in result.systems} == {"listener", "baseline", "control", "reference"}
    np.testing.assert_allclose(result.system("rules").values["FRC"].mean(), table["rules"]["FRC"])
    # The generated list has three pairs of people.
    assert (len(result.items), len({item.group for item in result.items})) == (8, 3)


def test_an_ended_run_goes_on_and_a_changed_file_is_done_anew(small: Path, tmp_path: Path, evaluated) -> None:
    react_neighbours(small)
    kept = tmp_path / "kept"
    first, error = evaluated(small, "--run", kept)
    assert first["kept_parts"] == 0
    assert "no train split" in error
    sorted(kept.glob("listen-*.npz"))[3].unlink()
    again, error = evaluated(small, "--run", kept)
    assert again["kept_parts"] == 7
    assert "reusing 7 stored parts of 8" in error
    assert again["systems"]["mime"] == first["systems"]["mime"]
    assert again["systems"]["rules"]["FRC"] == first["systems"]["rules"]["FRC"]
    clip = next((small / "val" / "Emotion").rglob("*.npy"))
    np.save(clip, np.load(clip)[:, ::-1])
    assert f"is done again: it was measured with another {clip.name}" in evaluated(small, "--run", kept)[1]


def test_a_clip_that_cannot_be_read_is_a_sentence_and_the_rest_goes_on(small: Path, evaluated) -> None:
    react_neighbours(small)
    broken = next((small / "val" / "3D_FV_files").rglob("RECOLA/group-1/P25/1.npy"))
    broken.write_bytes(b"not an array")
    report, error = evaluated(small, code=1)
    assert (report["recordings"], len(report["failed"])) == (6, 2)  # once as the speaker, once as the listener
    assert "cannot be read as a NumPy file" in error
    assert broken.read_bytes() == b"not an array"


def test_a_missing_neighbour_matrix_is_a_sentence(small: Path, evaluated) -> None:
    _, error = evaluated(small, code=1)
    assert "neighbour matrix" in error
    assert "--own-targets" in error
    report, _ = evaluated(small, "--own-targets")
    assert report["settings"]["own_targets"] is True
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)


def test_mars_at_its_own_rate_and_of_any_length_and_the_model_listens(
    tmp_path: Path, any_weights: Path, evaluated
) -> None:
    folder, output = mars(mars(tmp_path, split="train"), split="val"), tmp_path / "model.npz"
    report, _ = evaluated(folder, "--listener", "model", "--model", any_weights, "--output", output)
    assert (report["compat"], report["recordings"], report["failed"]) == ("mars", 8, {})
    assert set(report["systems"]) == {*ROWS, "model"}
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert report["systems"]["ground_truth"]["FRC"] == 2  # forced, as the challenge does
    shown = read_result(output).system("model")
    assert shown.role == "listener"
    assert np.isfinite(shown.values["FRC"]).all()
    assert len(shown.compute_s) > 0
    faces = list(shown.streams.values())
    assert all(np.isfinite(face).all() and face.shape[1] == 58 for face in faces)
    assert max(face.std(0).max() for face in faces) > 1e-3
    assert len({face.tobytes() for face in faces}) == 8
