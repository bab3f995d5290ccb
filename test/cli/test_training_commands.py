"""`reactdiff dev train`, `export`, `paper` and `simulate`, from the first step to weights, arrays and pictures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react, react_features

from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulate import listeners_of
from reactdiff_ros.model.style import style_of
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.types import FloatArray

Out = pytest.CaptureFixture[str]

TORCH = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "accelerate", "onnx")),
    reason="torch is not installed (requirements/train.txt)",
)
SMALL = ["--steps", "2", "--vae-steps", "1", "--decoder-steps", "1", "--batch", "2"]


def run(arguments: list[str], capfd: Out) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capfd.readouterr().out)
    return answer


@pytest.mark.slow
@TORCH
def test_train_resume_fine_tune_and_export_make_weights(tmp_path: Path, capfd: Out) -> None:
    base = run(["dev", "train", "--output", str(tmp_path / "run"), *SMALL], capfd)
    assert (base["step"], base["stopped"]) == (2, False)
    assert (tmp_path / "run" / "log.jsonl").exists()
    assert main(["dev", "train", "--output", str(tmp_path / "run"), *SMALL]) == 1
    assert "holds a run already" in capfd.readouterr().err
    longer = run(["dev", "train", "--output", str(tmp_path / "run"), "--resume", "--steps", "3"], capfd)
    assert longer["step"] == 3
    onward = ["--from", longer["checkpoint"], "--steps", "1", "--batch", "2", "--ablate", "voice"]
    tuned = ["dev", "train", "--output", str(tmp_path / "tuned")]
    assert run([*tuned, *onward], capfd)["step"] == 1
    weights = tmp_path / "weights"
    files = run(["dev", "export", longer["checkpoint"], "--output", str(weights)], capfd)["files"]
    assert "model.safetensors" in files
    Path(longer["checkpoint"]).unlink()  # a run needs what it began with no more
    assert run([*tuned, "--resume", "--steps", "2"], capfd)["step"] == 2


@TORCH
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "there is no checkpoint"),
        (["--from", "none.pt"], "there is no checkpoint"),
        (["--dyads", "none"], "the folder of dyads is not there"),
        (["--fold", "7/4"], "a fold is i/n"),
        (["--data", "noxi:none"], "a data set is KIND:DIR"),
        (["--data", "mars:none", "--no-sound"], "there is no folder with the train split (none/train)"),
        (["--data", "dualtalk:none", "--no-sound"], "a file is missing: the list of the train split"),
    ],
)
def test_what_train_cannot_do_is_a_sentence(arguments: list[str], sentence: str, tmp_path: Path, capfd: Out) -> None:
    assert main(["dev", "train", "--output", str(tmp_path / "run"), *SMALL, *arguments]) == 1
    err = capfd.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


@TORCH
@pytest.mark.slow
def test_public_sets_train_and_the_manifest_names_them(tmp_path: Path, capfd: Out) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(FACEVERSE_ORDER))
    clips = react(tmp_path / "react", frames=300, splits=("train",), sound=False)
    sets = ["--data", f"react:{clips}", "--expression-names", str(names), "--no-sound"]
    arguments = ["dev", "train", "--output", str(tmp_path / "run"), *SMALL, "--worlds", "4", *sets, "--json"]
    assert main(arguments) == 0
    captured = capfd.readouterr()
    assert "recorded people: 8 of react, each 12 s" in captured.err
    answer = json.loads(captured.out)
    assert answer["step"] == 2
    assert answer["facts"]["autoencoder"]["labelled_frames"] > 0
    run(["dev", "export", answer["checkpoint"], "--output", str(tmp_path / "weights")], capfd)
    manifest = json.loads((tmp_path / "weights" / "manifest.json").read_text())
    assert manifest["real"] is True
    assert manifest["training"][0]["data"] == ["expression_names", "react"]
    assert str(tmp_path) not in json.dumps(manifest)


# The published model

WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
SETTINGS = {
    **WIDTHS, "hidden": 16, "heads": 2, "latent": 16, "window": 10, "model_channels": 8, "channel_factors": [1, 2],
    "attention_at": [1], "residual_blocks": 1, "condition": 64, "sample_steps": 2, "hop": 5, "overlap": 3,
    "clip_frames": 20, "epochs": 1,
}  # fmt: skip


@TORCH
def test_train_and_sample_write_arrays_of_the_challenges_shape(tmp_path: Path, capfd: Out) -> None:
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

    out = ["--output", str(tmp_path / "out"), "--json"]
    sample = ["dev", "paper", "sample", answer["model"], "--data", str(data), *out]
    assert main([*sample, "--split", "val", "--frames", "30"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["shape"] == [8, 10, 30, 25]
    assert np.load(tmp_path / "out" / "attributes.npy").shape == (8, 10, 30, 25)
    assert main([*sample, "--split", "test"]) == 1
    assert "a file is missing: the list of the test split" in capfd.readouterr().err


def test_statistics_and_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dyads", "12", "--seconds", "20", "--seed", "2", "--plots", str(tmp_path / "p"), "--json"]
    assert main(["dev", "simulate", *arguments]) == 0
    out, error = capfd.readouterr()
    answer = json.loads(out)
    assert set(answer["statistics"]) == set(answer["human"])
    assert all(np.isfinite(value) for value in answer["statistics"].values())
    assert answer["prior"] == "natural"
    assert "output" not in answer
    for path in answer["plots"]:
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "smiles_per_minute" in error
    assert "(people: 3.7 to 12.7, 10th to 90th percentile of people)" in error


SEED, WORLDS, FRAMES, EACH = 5, 60, 1000, 3


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(SEED, WORLDS, FRAMES, prior="natural")


@pytest.fixture(scope="module")
def listeners(dyads: Dyads) -> dict[str, FloatArray]:
    return listeners_of(dyads, SEED, EACH, "natural")


def test_the_first_listener_is_the_dyad_s_own(dyads: Dyads, listeners: dict[str, FloatArray]) -> None:
    own = (dyads.listener, dyads.activity, dyads.controls, dyads.temperament.traits, dyads.style, dyads.style_given)
    for name, value in zip(listeners, own, strict=True):
        assert np.array_equal(listeners[name][:, 0], value), name


def test_the_same_seed_the_same_bits_however_many_there_are(dyads: Dyads, listeners: dict[str, FloatArray]) -> None:
    again, fewer, other = (listeners_of(dyads, *a, "natural") for a in ((SEED, EACH), (SEED, 2), (SEED + 1, 2)))
    for name, value in listeners.items():
        assert np.array_equal(value, again[name]), name
        assert np.array_equal(value[:, :2], fewer[name]), name
    assert not np.array_equal(listeners["listener"][:, 1], other["listener"][:, 1])
    assert not np.array_equal(listeners["traits"][:, 1], other["traits"][:, 1])


def test_two_worlds_share_their_listeners_and_styles_are_the_other_world_s(listeners: dict[str, FloatArray]) -> None:
    half = WORLDS // 2
    for number in range(EACH):
        assert np.array_equal(listeners["traits"][:half, number], listeners["traits"][half:, number])
        assert np.array_equal(listeners["controls"][:half, number], listeners["controls"][half:, number])
        values, given = style_of(listeners["listener"][:, number])
        assert np.array_equal(listeners["style_given"][:half, number], given[half:])
        assert np.array_equal(listeners["style"][half:, number], values[:half] * given[:half])
    odd = listeners_of(simulate(3, 5, 300), 3, 2, "wide")
    assert odd["style_given"][:4, 1].any()
    assert not odd["style_given"][4].any()
