"""`reactdiff dev train`, `export`, `paper` and `simulate`, from the first step to weights, arrays and pictures."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react, react_features

from reactdiff_ros.cli.simulate import listeners_of
from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
from reactdiff_ros.simulator.dyads import simulate, styles

LACKING = [name for name in ("torch", "accelerate", "onnx") if importlib.util.find_spec(name) is None]
TORCH = pytest.mark.skipif(LACKING != [], reason="torch is not installed (requirements/train.txt)")
SMALL = ["--steps", 2, "--vae-steps", 1, "--decoder-steps", 1, "--batch", 2, "--json"]


@pytest.mark.slow
@TORCH
def test_train_on_a_public_set_resume_fine_tune_and_export_make_weights(tmp_path, reactdiff):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(FACEVERSE_ORDER))
    clips = react(tmp_path / "react", frames=300, splits=("train",), sound=False)
    train, tuned = (["dev", "train", "--output", tmp_path / name] for name in ("run", "tuned"))
    sets = ["--data", f"react:{clips}", "--expression-names", names, "--no-sound"]
    base, _ = reactdiff(*train, *SMALL, "--worlds", 4, *sets)
    assert (base["step"], base["stopped"]) == (2, False)
    assert base["facts"]["autoencoder"]["labelled_frames"] > 0
    assert "holds a run already" in reactdiff(*train, *SMALL, code=1)[1]
    longer, _ = reactdiff(*train, "--resume", "--steps", 3, "--json")
    assert longer["step"] == 3
    onward = ["--from", longer["checkpoint"], "--steps", 1, "--batch", 2, "--ablate", "voice", "--json"]
    assert reactdiff(*tuned, *onward)[0]["step"] == 1
    exported, _ = reactdiff("dev", "export", longer["checkpoint"], "--output", tmp_path / "weights", "--json")
    assert "model.safetensors" in exported["files"]
    manifest = json.loads((tmp_path / "weights" / "manifest.json").read_text())
    assert (manifest["real"], manifest["training"][0]["data"]) == (True, ["expression_names", "react"])
    assert str(tmp_path) not in json.dumps(manifest)
    Path(longer["checkpoint"]).unlink()  # a run needs what it began with no more
    assert reactdiff(*tuned, "--resume", "--steps", 2, "--json")[0]["step"] == 2


@TORCH
def test_what_train_cannot_do_is_a_sentence(tmp_path, reactdiff):
    for arguments, sentence in (
        ("--resume", "there is no checkpoint"), ("--from none.pt", "there is no checkpoint"),
        ("--dyads none", "the folder of dyads is not there"), ("--fold 7/4", "a fold is i/n"),
        ("--data noxi:none", "a data set is KIND:DIR"),
        ("--data mars:none --no-sound", "there is no folder with the train split (none/train)"),
    ):  # fmt: skip
        said = reactdiff("dev", "train", "--output", tmp_path / "run", *SMALL, *arguments.split(), code=1)[1]
        assert sentence in said
        assert "Traceback" not in said


WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
SETTINGS = {
    **WIDTHS, "hidden": 16, "heads": 2, "latent": 16, "window": 10, "model_channels": 8, "channel_factors": [1, 2],
    "attention_at": [1], "residual_blocks": 1, "condition": 64, "sample_steps": 2, "hop": 5, "overlap": 3,
    "clip_frames": 20, "epochs": 1,
}  # fmt: skip


@TORCH
@pytest.mark.usefixtures("one_thread")
def test_the_published_model_trains_and_samples_arrays_of_the_challenges_shape(tmp_path, reactdiff):
    data = react(tmp_path / "react", frames=20, sound=False)
    react_features(data, WIDTHS, splits=("train", "val"), frames=20)
    (tmp_path / "tiny.json").write_text(json.dumps(SETTINGS))
    train = ["dev", "paper", "train", "--data", data, "--output", tmp_path / "run", "--protocol", "online"]
    train += ["--config", tmp_path / "tiny.json", "--batch", 4, "--json"]
    answer, _ = reactdiff(*train)
    assert (answer["step"], answer["stopped"], answer["config"]["protocol"]) == (4, False, "online")
    assert "holds a run already" in reactdiff(*train, code=1)[1]
    sample = ["dev", "paper", "sample", answer["model"], "--data", data, "--output", tmp_path / "out", "--split", "val"]
    assert reactdiff(*sample, "--frames", 30, "--json")[0]["shape"] == [8, 10, 30, 25]
    assert np.load(tmp_path / "out" / "attributes.npy").shape == (8, 10, 30, 25)


@TORCH
def test_the_graphs_of_the_published_model_that_is_timed_next_to_ours_are_its_networks(tmp_path):
    import torch

    from reactdiff_ros.training.paper.config import from_dict
    from reactdiff_ros.training.paper.networks import export_parts
    from tools.speed.windows import paper_inputs, paper_model

    config = from_dict(SETTINGS)
    model = paper_model(config)
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    graphs = {name: open_graph(path, 1) for name, path in export_parts(model, tmp_path).items()}
    given = paper_inputs(config, 3)
    condition = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    steps = np.full(3, 7, dtype=np.int64)
    found = graphs["denoise"]({"x": given["x"], "known": given["known"], "steps": steps, "condition": condition})[0]
    with torch.no_grad():
        wanted = model.denoiser(*(torch.from_numpy(a) for a in (given["x"], given["known"], steps, condition)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_simulated_dyads_have_statistics_and_pictures(tmp_path, reactdiff):
    answer, _ = reactdiff("dev", "simulate", "--dyads", 12, "--seconds", 20, "--plots", tmp_path / "p", "--json")
    assert set(answer["statistics"]) == set(answer["human"])
    assert all(np.isfinite(value) for value in answer["statistics"].values())
    assert {Path(path).read_bytes()[:8] for path in answer["plots"]} == {b"\x89PNG\r\n\x1a\n"}


def test_listeners_of_a_dyad_are_its_own_and_others_of_the_same_seed_and_worlds():
    dyads = simulate(5, 20, 1000, prior="natural")
    listeners, fewer, other = (listeners_of(dyads, *a, "natural") for a in ((5, 3), (5, 2), (6, 2)))
    style = styles(dyads.stimulus, dyads.temperament, 5)
    own = (dyads.listener, dyads.controls, dyads.temperament.traits, *style)
    for (name, values), first in zip(listeners.items(), own, strict=True):
        assert np.array_equal(values[:, 0], first), name
        assert np.array_equal(values[:, :2], fewer[name]), name
    assert not np.array_equal(listeners["listener"][:, 1], other["listener"][:, 1])
