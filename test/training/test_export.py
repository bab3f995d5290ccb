"""Exported graphs give what torch gives, for any batch; the manifest names every file."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")

from random_model import random_model  # noqa: E402

from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks  # noqa: E402
from reactdiff_ros.model.solvers import sample  # noqa: E402
from reactdiff_ros.model.weights import FORMAT, find_weights, sha256  # noqa: E402
from reactdiff_ros.training.export import export, load_model  # noqa: E402
from reactdiff_ros.training.layers import MASKED  # noqa: E402


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


def test_no_checkpoint(tmp_path):
    with pytest.raises(ReactdiffError, match="checkpoint"):
        load_model(tmp_path / "none.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(ReactdiffError, match="checkpoint"):
        export(tmp_path / "checkpoint.pt", tmp_path / "out")


def test_every_graph_tells_what_it_is(random_weights):
    import onnx

    manifest = json.loads((random_weights / "manifest.json").read_text())
    for path in random_weights.glob("*.onnx"):
        told = {p.key: p.value for p in onnx.load(str(path)).metadata_props}
        assert told["graph"] == path.stem
        assert told["format"] == str(FORMAT)
        assert json.loads(told["shape"]) == manifest["shape"]
        assert told["weights_sha256"] == manifest["files"]["model.safetensors"]
        assert set(json.loads(told["normalisation"])) == {"coefficients", "latents", "emphasis"}


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
