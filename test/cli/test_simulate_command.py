"""reactdiff dev simulate: statistics beside people's, and pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulated import HUMAN
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.plots import new_axes, save_figure


def test_statistics_and_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "dev",
        "simulate",
        "--dyads",
        "12",
        "--seconds",
        "20",
        "--seed",
        "2",
        "--plots",
        str(tmp_path / "p"),
        "--json",
    ]
    assert main(arguments) == 0
    out, told = capfd.readouterr()
    answer = json.loads(out)
    assert set(answer["statistics"]) == set(answer["human"]) == set(HUMAN)
    assert all(np.isfinite(value) for value in answer["statistics"].values())
    assert answer["prior"] == "natural"
    assert "output" not in answer
    for path in answer["plots"]:
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "people: 8.4" in told


def test_without_precursors_and_with_the_wide_prior(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.npz"
    arguments = ["dev", "simulate", "--dyads", "4", "--seconds", "8", "--prior", "wide", "--no-precursors"]
    assert main([*arguments, "--output", str(file), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["prior"] == "wide"
    made = np.load(file)
    assert not made["stimulus_brighten"].any()
    assert made["controls"].shape == (4, 6)
    assert made["style"].shape == made["style_given"].shape == (4, 8)


def test_pictures_that_cannot_be_written_are_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["dev", "simulate", "--dyads", "2", "--seconds", "4", "--plots", str(tmp_path / "file" / "p")]) == 1
    assert "a picture cannot be written" in capfd.readouterr().err


def test_a_picture_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, axes = new_axes()
    axes[0, 0].plot([0, 1])
    path = save_figure(figure, tmp_path / "pictures" / "line.png")
    before = path.read_bytes()
    assert before[:8] == b"\x89PNG\r\n\x1a\n"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    axes[0, 0].plot([1, 0])
    with pytest.raises(ReactdiffError, match="No space left"):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["line.png"]


def test_arrays_that_cannot_be_written_are_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "pipe", tmp_path / "file" / "x.npz"):
        assert main(["dev", "simulate", "--dyads", "1", "--seconds", "2", "--output", str(output)]) == 1
        assert "the dyads cannot be written" in capfd.readouterr().err
