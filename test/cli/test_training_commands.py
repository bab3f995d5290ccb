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
from reactdiff_ros.simulator.dyads import simulate

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
def test_train_on_a_public_set_resume_fine_tune_and_export_make_weights(tmp_path: Path, capfd: Out) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(FACEVERSE_ORDER))
    clips = react(tmp_path / "react", frames=300, splits=("train",), sound=False)
    train = ["dev", "train", "--output", str(tmp_path / "run")]
    sets = ["--data", f"react:{clips}", "--expression-names", str(names), "--no-sound"]
    base = run([*train, *SMALL, "--worlds", "4", *sets], capfd)
    assert (base["step"], base["stopped"]) == (2, False)
    assert base["facts"]["autoencoder"]["labelled_frames"] > 0
    assert main([*train, *SMALL]) == 1
    assert "holds a run already" in capfd.readouterr().err
    longer = run([*train, "--resume", "--steps", "3"], capfd)
    assert longer["step"] == 3
    onward = ["--from", longer["checkpoint"], "--steps", "1", "--batch", "2", "--ablate", "voice"]
    tuned = ["dev", "train", "--output", str(tmp_path / "tuned")]
    assert run([*tuned, *onward], capfd)["step"] == 1
    files = run(["dev", "export", longer["checkpoint"], "--output", str(tmp_path / "weights")], capfd)["files"]
    assert "model.safetensors" in files
    manifest = json.loads((tmp_path / "weights" / "manifest.json").read_text())
    assert (manifest["real"], manifest["training"][0]["data"]) == (True, ["expression_names", "react"])
    assert str(tmp_path) not in json.dumps(manifest)
    Path(longer["checkpoint"]).unlink()  # a run needs what it began with no more
    assert run([*tuned, "--resume", "--steps", "2"], capfd)["step"] == 2


@TORCH
def test_what_train_cannot_do_is_a_sentence(tmp_path: Path, capfd: Out) -> None:
    for arguments, sentence in (
        ("--resume", "there is no checkpoint"),
        ("--from none.pt", "there is no checkpoint"),
        ("--dyads none", "the folder of dyads is not there"),
        ("--fold 7/4", "a fold is i/n"),
        ("--data noxi:none", "a data set is KIND:DIR"),
        ("--data mars:none --no-sound", "there is no folder with the train split (none/train)"),
    ):
        assert main(["dev", "train", "--output", str(tmp_path / "run"), *SMALL, *arguments.split()]) == 1
        err = capfd.readouterr().err
        assert sentence in err
        assert "Traceback" not in err


WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
SETTINGS = {
    **WIDTHS, "hidden": 16, "heads": 2, "latent": 16, "window": 10, "model_channels": 8, "channel_factors": [1, 2],
    "attention_at": [1], "residual_blocks": 1, "condition": 64, "sample_steps": 2, "hop": 5, "overlap": 3,
    "clip_frames": 20, "epochs": 1,
}  # fmt: skip


@TORCH
@pytest.mark.usefixtures("one_thread")
def test_the_published_model_trains_and_samples_arrays_of_the_challenges_shape(tmp_path: Path, capfd: Out) -> None:
    splits = ("train", "val")
    data = react(tmp_path / "react", frames=20, splits=splits, sound=False)
    react_features(data, WIDTHS, splits=splits, frames=20)
    (tmp_path / "tiny.json").write_text(json.dumps(SETTINGS))
    train = ["dev", "paper", "train", "--data", str(data), "--output", str(tmp_path / "run"), "--protocol", "online"]
    train += ["--config", str(tmp_path / "tiny.json"), "--batch", "4"]
    answer = run(train, capfd)
    assert (answer["step"], answer["stopped"], answer["config"]["protocol"]) == (4, False, "online")
    assert main(train) == 1
    assert "holds a run already" in capfd.readouterr().err
    sample = ["dev", "paper", "sample", answer["model"], "--data", str(data), "--output", str(tmp_path / "out")]
    assert run([*sample, "--split", "val", "--frames", "30"], capfd)["shape"] == [8, 10, 30, 25]
    assert np.load(tmp_path / "out" / "attributes.npy").shape == (8, 10, 30, 25)
    assert main([*sample, "--split", "test"]) == 1
    assert "a file is missing: the list of the test split" in capfd.readouterr().err


def test_simulated_dyads_have_statistics_and_pictures(tmp_path: Path, capfd: Out) -> None:
    answer = run(["dev", "simulate", "--dyads", "12", "--seconds", "20", "--plots", str(tmp_path / "p")], capfd)
    assert set(answer["statistics"]) == set(answer["human"])
    assert all(np.isfinite(value) for value in answer["statistics"].values())
    assert answer["plots"]
    for path in answer["plots"]:
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_listeners_of_a_dyad_are_its_own_and_others_of_the_same_seed_and_worlds() -> None:
    seed, worlds, each = 5, 60, 3
    dyads = simulate(seed, worlds, 1000, prior="natural")
    listeners, again, fewer, other = (
        listeners_of(dyads, *a, "natural") for a in ((seed, each), (seed, each), (seed, 2), (seed + 1, 2))
    )
    own = (dyads.listener, dyads.activity, dyads.controls, dyads.temperament.traits, dyads.style, dyads.style_given)
    for (name, values), first in zip(listeners.items(), own, strict=True):
        assert np.array_equal(values[:, 0], first), name
        assert np.array_equal(values, again[name]), name
        assert np.array_equal(values[:, :2], fewer[name]), name
    assert not np.array_equal(listeners["listener"][:, 1], other["listener"][:, 1])
    half = worlds // 2  # two worlds share their listeners; the style of one is that of the other
    for name in ("traits", "controls"):
        assert np.array_equal(listeners[name][:half], listeners[name][half:])
    for number in range(each):
        values, given = style_of(listeners["listener"][:, number])
        assert np.array_equal(listeners["style_given"][:half, number], given[half:])
        assert np.array_equal(listeners["style"][half:, number], values[:half] * given[:half])
