"""reactdiff dev paper: the published model on a lab's REACT data."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import react, react_features

from reactdiff_ros.cli.main import main

TORCH = all(importlib.util.find_spec(name) for name in ("torch", "accelerate", "onnx"))
WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
SETTINGS = {
    **WIDTHS, "hidden": 16, "heads": 2, "latent": 16, "window": 10, "model_channels": 8, "channel_factors": [1, 2],
    "attention_at": [1], "residual_blocks": 1, "condition": 64, "sample_steps": 2, "hop": 5, "overlap": 3,
    "clip_frames": 20, "epochs": 1,
}  # fmt: skip


@pytest.mark.skipif(TORCH, reason="torch is installed here")
def test_without_torch_the_extra_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["train", "--data", "x", "--output", "y"], ["sample", "m.pt", "--data", "x", "--output", "y"]):
        assert main(["dev", "paper", *arguments]) == 3
        assert "requirements/train.txt" in capfd.readouterr().err


@pytest.mark.skipif(not TORCH, reason="torch is not installed (requirements/train.txt)")
def test_train_and_sample_write_arrays_of_the_challenges_shape(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.set_num_threads(1)
    splits = ("train", "val")
    data = react(tmp_path / "react", frames=20, splits=splits, sound=False)
    react_features(data, WIDTHS, splits=splits, frames=20)
    (tmp_path / "tiny.json").write_text(json.dumps(SETTINGS))
    run = tmp_path / "run"
    train = ["dev", "paper", "train", "--data", str(data), "--output", str(run), "--json", "--protocol", "online"]
    assert main([*train, "--config", str(tmp_path / "tiny.json"), "--batch", "4"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["step"], answer["stopped"], answer["config"]["protocol"]) == (4, False, "online")

    assert main([*train, "--config", str(tmp_path / "tiny.json"), "--batch", "4"]) == 1
    assert "holds a run already" in capfd.readouterr().err

    sample = [
        "dev",
        "paper",
        "sample",
        answer["model"],
        "--data",
        str(data),
        "--output",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main([*sample, "--split", "val", "--frames", "30"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["shape"] == [8, 10, 30, 25]
    assert np.load(tmp_path / "out" / "attributes.npy").shape == (8, 10, 30, 25)
    assert main([*sample, "--split", "test"]) == 1
    assert "a file is missing: the list of the test split" in capfd.readouterr().err


@pytest.mark.skipif(not TORCH, reason="torch is not installed (requirements/train.txt)")
def test_wrong_settings_and_data_are_sentences(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train = ["dev", "paper", "train", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
    (tmp_path / "bad.json").write_text('{"widht": 3}')
    assert main([*train, "--config", str(tmp_path / "bad.json")]) == 1
    assert "paper.widht" in capfd.readouterr().err
    (tmp_path / "tiny.json").write_text(json.dumps(SETTINGS))
    assert main([*train, "--config", str(tmp_path / "tiny.json")]) == 1
    assert "list of the train split" in capfd.readouterr().err


@pytest.mark.skipif(not TORCH, reason="torch is not installed (requirements/train.txt)")
def test_a_checkpoint_that_does_not_fit_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    torch.set_num_threads(1)
    splits = ("train", "val")
    data = react(tmp_path / "react", frames=20, splits=splits, sound=False)
    react_features(data, WIDTHS, splits=splits, frames=20)
    (tmp_path / "tiny.json").write_text(json.dumps({**SETTINGS, "epochs": 2}))
    run = tmp_path / "run"
    train = [
        "dev",
        "paper",
        "train",
        "--data",
        str(data),
        "--output",
        str(run),
        "--config",
        str(tmp_path / "tiny.json"),
    ]
    assert main([*train, "--device", "cpu"]) == 0
    capfd.readouterr()
    good = torch.load(run / "checkpoint.pt", weights_only=True)
    name, average = next(iter(good["model"])), next(iter(good["average"]))
    changes: list[tuple[str, dict[str, Any]]] = [
        ("the weights do not fit", {"model": {k: v for k, v in good["model"].items() if k != name}}),
        ("the weights do not fit", {"model": {**good["model"], name: torch.zeros(1)}}),
        ("the weights do not fit", {"model": [1]}),
        ("does not fit this run", {"part": 1, "average": {}}),
        ("does not fit this run", {"part": 1, "average": {**good["average"], average: torch.zeros(3, 1, 2)}}),
        ("does not fit this run", {"part": 1, "average": None}),
        ("does not fit this run", {"part": 1, "optimiser": {"param_groups": []}}),
        ("does not fit this run", {"part": "one"}),
        ("the settings in the file do not fit", {"config": {**good["config"], "of_another_version": 1}}),
        ("the settings in the file do not fit", {"config": None}),
    ]
    for sentence, change in changes:
        torch.save({**good, **change}, run / "checkpoint.pt")
        assert main([*train, "--resume"]) == 1, change
        last = capfd.readouterr().err.splitlines()[-1]
        assert sentence in last
        assert str(run / "checkpoint.pt") in last
    fresh = dict(torch.load(run / "model.pt", weights_only=True))
    for change in ({"model": {}}, {"config": []}):
        torch.save({**fresh, **change}, run / "model.pt")
        sample = [
            "dev",
            "paper",
            "sample",
            str(run / "model.pt"),
            "--data",
            str(data),
            "--output",
            str(tmp_path / "out"),
        ]
        assert main(sample) == 1
        assert str(run / "model.pt") in capfd.readouterr().err.splitlines()[-1]
