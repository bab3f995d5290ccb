"""simulate, train and export from the command line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main

TORCH = importlib.util.find_spec("torch") is not None


def test_simulate_writes_the_same_dyads_for_the_same_seed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.npz", tmp_path / "new" / "b.npz"]
    for file in files:
        arguments = ["simulate", "--dyads", "3", "--seconds", "4", "--seed", "5", "--output", str(file), "--json"]
        assert main(arguments) == 0
        answer = json.loads(capfd.readouterr().out)
        assert (answer["dyads"], answer["frames"], answer["seed"]) == (3, 100, 5)
    first, second = (dict(np.load(file)) for file in files)
    assert first["listener"].shape == (3, 100, 58)
    assert first["speaker_coefficients"].shape == (3, 100, 58)
    assert np.isfinite(first["listener"]).all()
    assert all(np.array_equal(first[k], second[k], equal_nan=first[k].dtype.kind == "f") for k in first)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["simulate", "--dyads", "1", "--seconds", "1", "--output", str(tmp_path / "file" / "x.npz")]
    assert main(arguments) == 1
    assert "the dyads cannot be written" in capfd.readouterr().err


@pytest.mark.skipif(TORCH, reason="torch is installed here")
def test_without_torch_train_and_export_name_the_extra(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["train", "--output", str(tmp_path)], ["export", "x.pt", "--output", str(tmp_path)]):
        assert main(arguments) == 3
        assert "requirements/train.txt" in capfd.readouterr().err


@pytest.mark.skipif(not TORCH, reason="torch is not installed (requirements/train.txt)")
def test_train_and_export_make_weights(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = ["train", "--output", str(run), "--steps", "1", "--vae-steps", "1", "--batch", "2", "--json"]
    assert main(arguments) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["step"] == 1
    weights = tmp_path / "weights"
    assert main(["export", answer["checkpoint"], "--output", str(weights), "--json"]) == 0
    assert "model.safetensors" in json.loads(capfd.readouterr().out)["files"]


@pytest.mark.skipif(not TORCH, reason="torch is not installed (requirements/train.txt)")
def test_a_checkpoint_that_is_none_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "checkpoint.pt"
    bad.write_bytes(b"no checkpoint")
    assert main(["export", str(bad), "--output", str(tmp_path / "out")]) == 1
    err = capfd.readouterr().err
    assert err.startswith("reactdiff: ")
    assert "Traceback" not in err
