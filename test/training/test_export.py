"""Exported graphs give what torch gives, for any batch; an error leaves the old files."""

from __future__ import annotations

import json
import resource
import shutil

import numpy as np
import pytest
import torch
from random_model import random_model

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.plan.solvers import sample
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.weights import FORMAT, find_weights, sha256
from reactdiff_ros.training import export as module
from reactdiff_ros.training.config import TrainConfig
from reactdiff_ros.training.export import export, export_model
from reactdiff_ros.training.nets import MASKED
from reactdiff_ros.training.run import write_checkpoint


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def networks(random_weights):
    return Networks(find_weights(random_weights))


def test_files_and_manifest(random_weights):
    manifest = json.loads((random_weights / "manifest.json").read_text())
    assert manifest["format"] == FORMAT
    assert manifest["simulator"] == "none"
    assert set(manifest["files"]) == {f.name for f in random_weights.iterdir()} - {"manifest.json"}
    assert all(sha256(random_weights / name) == digest for name, digest in manifest["files"].items())
    assert {f.stat().st_mode & 0o777 for f in random_weights.iterdir()} <= {0o644, 0o664}


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3])
def test_autoencoder(model, networks, count):
    rng = np.random.default_rng(0)
    listener = rng.standard_normal((count, 20, 58)).astype(np.float32)
    latents = rng.standard_normal((count, 17, model.shape.latent)).astype(np.float32)
    np.testing.assert_allclose(
        networks.latents(listener), model.vae.encode(torch.from_numpy(listener))[:, VAE_CONTEXT:], atol=1e-4
    )
    np.testing.assert_allclose(
        networks.decode(latents), model.vae.decode(torch.from_numpy(latents))[:, VAE_CONTEXT:], atol=1e-4
    )
    np.testing.assert_allclose(
        networks.attributes(latents), model.vae.attributes(torch.from_numpy(latents))[:, VAE_CONTEXT:], atol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize(("count", "candidates", "frames"), [(1, 1, 4), (3, 2, 16)])
@pytest.mark.parametrize("guidance", [1.0, 1.7])
def test_a_drawn_stretch_is_what_torch_draws(model, networks, count, candidates, frames, guidance):
    s, recall = model.shape, 5
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    speaker, past, told = normal(count, s.speech, s.width), normal(count, s.past, s.latent), normal(count, s.conditions)
    noise = normal(count, candidates, frames, s.latent)
    missing = (rng.random((count, s.speech)) < 0.3).astype(np.float32)
    drawn = networks.sample(speaker, missing, past, told, noise, steps=4, guidance=guidance, recall=recall)

    context = model.denoiser.context(*(torch.from_numpy(a) for a in (speaker, past, told)))
    mask = torch.zeros(count, candidates, 1 + s.speech + s.past)
    mask[:, :, 1 : 1 + s.speech] = MASKED * torch.from_numpy(missing)[:, None]
    mask[:, :, 1 + s.speech : -recall] = MASKED
    blind = mask.clone()
    blind[:, :, 1 : 1 + s.speech] = MASKED

    def velocity(z, angle):
        level = torch.full(z.shape[:2], angle)
        seeing, not_seeing = (model.denoiser.velocity(z, level, context, m) for m in (mask, blind))
        return not_seeing + guidance * (seeing - not_seeing)

    expected = model.vae.accumulate(sample(velocity, torch.from_numpy(noise), 4), torch.from_numpy(past)[:, None])
    np.testing.assert_allclose(drawn, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("graph", ["encoder", "denoiser", "vae_decoder"])
def test_half_precision_gives_nearly_the_same(random_weights, graph):
    import onnx
    import onnxruntime as ort

    rng = np.random.default_rng(0)
    sizes = {"speakers": 2, "listeners": 2, "stretches": 3, "frames": 7}
    pair = [random_weights / f"{graph}.onnx", random_weights / f"{graph}.fp16.onnx"]
    sessions = [ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in pair]
    inputs = {
        i.name: rng.standard_normal([sizes.get(n, n) for n in i.shape]).astype(np.float32)
        for i in sessions[0].get_inputs()
    }
    assert [i.type for i in sessions[1].get_inputs()] == ["tensor(float)"] * len(inputs)
    half = onnx.load(str(pair[1]))
    assert {t.data_type for t in half.graph.initializer if len(t.dims) == 2} == {10}
    for exact, rounded in zip(*(session.run(None, inputs) for session in sessions), strict=True):
        assert 0 < np.abs(exact - rounded).max() < 1e-2 * max(1.0, np.abs(exact).max())


def checkpoint_of(model, path):
    config = TrainConfig(shape=model.shape, steps=1).as_dict()
    states = {name: model.state_dict() for name in ("model", "average")}
    write_checkpoint(path, {"config": config, "simulator": "none", "step": 1, "vae_step": 1, **states})
    return path


CARD = (
    "---\nlicense: apache-2.0\n---\n\n<!-- Generated by `reactdiff dev docs evidence`: do not edit. -->\n\n"
    "Of `{}`: 0.849\n"
)


@pytest.fixture
def shipped(random_weights, tmp_path):
    """Weights with a head for nods, a card of figures, a licence and what somebody keeps with them."""
    folder = tmp_path / "live"
    shutil.copytree(random_weights, folder)
    digest = find_weights(folder).digest
    (folder / "nods.json").write_text(json.dumps({"weights": digest, "sha256": "0"}))
    (folder / "nods.npz").write_bytes(b"nods")
    (folder / "README.md").write_text(CARD.format(digest))
    (folder / "LICENSE.md").write_text("Apache License")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def too_large(write):
    """Beyond 1000 bytes the system refuses: what safetensors and onnx make of it."""

    def limited(*args, **kwargs):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            return write(*args, **kwargs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def unfinished(*_, **__):
    raise RuntimeError("the graph cannot be serialised\nframe #0")


@pytest.mark.parametrize("at", ["graphs", "halves", "safetensors", "check", "onnx"])
def test_an_export_that_fails_is_a_sentence_and_leaves_what_was_there(model, shipped, tmp_path, monkeypatch, at):
    import onnx
    import safetensors.torch

    writers = {
        "graphs": (module, "export_graphs"), "halves": (onnx, "save"), "check": (module, "write_check"),
        "safetensors": (safetensors.torch, "save_file"), "onnx": (torch.onnx, "export"),
    }  # fmt: skip
    place, name = writers[at]
    checkpoint = checkpoint_of(model, tmp_path / "run" / "checkpoint.pt")
    before = contents(shipped)
    monkeypatch.setattr(place, name, unfinished if at == "onnx" else too_large(getattr(place, name)))
    with pytest.raises(ReactdiffError, match="the weights cannot be written") as caught:
        export(checkpoint, shipped)
    assert str(shipped) in str(caught.value)
    assert ("the graph cannot be serialised" if at == "onnx" else "File too large") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(shipped) == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "live"}


def test_other_weights_come_without_the_head_and_the_figures_of_those_before(model, shipped):
    before = contents(shipped)
    files = export_model(model, shipped, name="mine", facts={"simulator": "0123456789abcdef"})
    weights = find_weights(shipped)
    assert weights.nods is None
    assert set(before) - set(contents(shipped)) == {"nods.json", "nods.npz"}
    assert [(shipped / name).read_text() for name in ("LICENSE.md", "notes/mine.txt")] == ["Apache License", "mine"]
    card = (shipped / "README.md").read_text()
    assert card.startswith(
        "---\nlicense: apache-2.0\n---\n\n<!-- Generated by `reactdiff dev export`: do not edit. -->\n"
    )
    assert f"Digest of the manifest `{weights.digest}`, hash of the simulator `0123456789abcdef`." in card
    assert "not measured yet" in card
    assert "`make evidence`" in card
    assert "0.849" not in card
    assert shipped / "README.md" in files
    assert all(file.is_file() for file in files)
    export_model(model, shipped, name="again", facts={"simulator": "0123456789abcdef"})
    card = (shipped / "README.md").read_text()
    assert f"`{find_weights(shipped).digest}`" in card
    assert f"`{weights.digest}`" not in card


def test_the_same_weights_keep_their_head_and_their_card(model, shipped):
    before = contents(shipped)
    for _ in range(3):  # they are the same every time
        files = export_model(model, shipped, name="random", facts={"simulator": "none"})
        assert contents(shipped) == before
        assert shipped / "README.md" not in files


def test_settings_of_another_version_are_a_sentence(model, tmp_path):
    path = checkpoint_of(model, tmp_path / "checkpoint.pt")
    state = torch.load(path, weights_only=True)
    state["config"]["shape"]["of_another_version"] = 1
    torch.save(state, path)
    with pytest.raises(ReactdiffError, match="settings in the checkpoint are not this version's") as caught:
        export(path, tmp_path / "out")
    assert str(path) in str(caught.value)
