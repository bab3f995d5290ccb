"""What a run starts with: a checkpoint, a run's folder, exported weights, the shipped ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_run import config

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("accelerate", reason="accelerate is not installed (requirements/train.txt)")
pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")

from random_model import SIZES  # noqa: E402

from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.resources import resource_path  # noqa: E402
from reactdiff_ros.training.checkpoints import read_checkpoint  # noqa: E402
from reactdiff_ros.training.export import TENSORS, check_features, export  # noqa: E402
from reactdiff_ros.training.history import runs_of  # noqa: E402
from reactdiff_ros.training.nets import Model  # noqa: E402
from reactdiff_ros.training.shape import Shape  # noqa: E402
from reactdiff_ros.training.starting import load_networks, read_start  # noqa: E402
from reactdiff_ros.training.train import Trainer  # noqa: E402

LIVE = resource_path(Path("models") / "live")


@torch.no_grad()
def test_the_shipped_weights_are_the_networks_that_they_were_exported_from() -> None:
    start = read_start(Path("live"))
    model = Model(start.shape)
    load_networks(model, start.shape, start.networks, "live")
    record = json.loads((LIVE / "check.json").read_text(encoding="utf-8"))
    features, observed = (torch.from_numpy(a)[None] for a in check_features(record["frames"]))
    tokens = model.eval().encoder(features, observed)[0]
    for frame, values in record["tokens"].items():
        np.testing.assert_allclose(tokens[int(frame), :16], values, atol=0.02)  # they are kept in half precision
    assert start.runs == json.loads((LIVE / "manifest.json").read_text(encoding="utf-8"))["training"]
    assert start.facts["autoencoder"]


def test_a_run_goes_on_from_exported_weights_and_tells_their_runs(tmp_path: Path) -> None:
    base = Trainer(config(steps=2), tmp_path / "base")
    list(base.run())
    export(base.checkpoint, tmp_path / "weights")
    tuned = Trainer(config(steps=2, seed=5, start_from=str(tmp_path / "weights")), tmp_path / "tuned")
    tuned.begin_with(read_start(tmp_path / "weights"))
    for name, value in tuned.model.state_dict().items():
        if not name.startswith("aux."):
            torch.testing.assert_close(value, base.average.state_dict()[name], atol=2e-3, rtol=2e-3)
    list(tuned.run())
    shutil.rmtree(tmp_path / "weights")  # or others are exported into it
    runs = runs_of(read_checkpoint(tuned.checkpoint))
    assert [(run["settings"].get("seed", 0), run["from"], run["known"]) for run in runs] == [
        (0, False, True),
        (5, True, True),
    ]
    again = Trainer(config(steps=2), tmp_path / "tuned")
    again.resume()
    assert again.before == tuned.before


def test_the_folder_of_a_run_is_its_checkpoint(tmp_path: Path) -> None:
    base = Trainer(config(steps=1), tmp_path)
    list(base.run())
    assert read_start(tmp_path).networks.keys() == read_start(base.checkpoint).networks.keys()


def test_weights_that_do_not_tell_their_runs_say_so(random_weights: Path, tmp_path: Path) -> None:
    tuned = Trainer(config(shape=Shape(**SIZES), start_from=str(random_weights)), tmp_path)
    tuned.begin_with(read_start(random_weights))
    tuned.save()
    assert [(run["from"], run["known"]) for run in runs_of(read_checkpoint(tuned.checkpoint))] == [(True, False)]


def test_weights_without_their_networks_are_one_sentence(random_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(random_weights, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"][TENSORS]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / TENSORS).unlink()
    with pytest.raises(ReactdiffError, match="hold no networks to train on") as caught:
        read_start(folder)
    assert str(folder) in str(caught.value)
    with pytest.raises(ReactdiffError, match="weights are missing"):
        read_start(tmp_path)
    with pytest.raises(ReactdiffError, match="no checkpoint"):
        read_start(tmp_path / "gone")
