"""Networks, training and export; needs torch (requirements/train.txt)."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")

from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.model.runtime import VAE_CONTEXT as RUNTIME_CONTEXT  # noqa: E402
from reactdiff_ros.model.runtime import Networks  # noqa: E402
from reactdiff_ros.model.weights import find_weights  # noqa: E402
from reactdiff_ros.training.evaluate import RollOut, describe, roll_out  # noqa: E402
from reactdiff_ros.training.export import check_features, export, load_model  # noqa: E402
from reactdiff_ros.training.nets import VAE_CONTEXT, EncoderStep, Model, Shape  # noqa: E402
from reactdiff_ros.training.simulator import simulate  # noqa: E402
from reactdiff_ros.training.train import TrainConfig, Trainer  # noqa: E402

SMALL = Shape(
    stream_width=16, width=32, heads=2, encoder_layers=2, window=12, latent=8, vae_width=16, denoiser_layers=2
)
CONFIG = TrainConfig(
    steps=4, vae_steps=3, batch=3, plans=2, frames=60, worlds=6, world_frames=120, pool_steps=2, shape=SMALL
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    trainer = Trainer(CONFIG, folder)
    list(trainer.run())
    return trainer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(SMALL).eval()


def test_streaming_encoder_equals_batch(model):
    features, observed = (torch.from_numpy(a) for a in check_features(40))
    step = EncoderStep(model.encoder)
    cache = torch.zeros(SMALL.encoder_layers, 2, SMALL.heads, SMALL.window - 1, SMALL.width // SMALL.heads)
    with torch.no_grad():
        whole = model.encoder(features[None], observed[None])[0]
        for i in range(40):
            filled = torch.arange(SMALL.window - 1) >= SMALL.window - 1 - i
            mask = torch.where(filled, 0.0, -1e4)
            token, cache = step(features[i : i + 1], observed[i : i + 1], cache, mask)
            torch.testing.assert_close(token[0], whole[i], atol=1e-5, rtol=1e-4)


def test_encoder_and_autoencoder_are_causal(model):
    features, observed = (torch.from_numpy(a)[None] for a in check_features(40))
    other = features.clone()
    other[:, 25:] += 1
    face = torch.randn(1, 40, 58)
    later = face.clone()
    later[:, 25:] += 1
    with torch.no_grad():
        torch.testing.assert_close(
            model.encoder(features, observed)[:, :25], model.encoder(other, observed)[:, :25], atol=0, rtol=0
        )
        a, b = model.vae.encode(face), model.vae.encode(later)
        torch.testing.assert_close(a[:, :25], b[:, :25], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(model.vae.decode(a)[:, :25], model.vae.decode(b)[:, :25], atol=1e-6, rtol=1e-6)


def test_context_of_the_autoencoder_is_enough(model):
    assert VAE_CONTEXT == RUNTIME_CONTEXT
    face = torch.randn(1, 40, 58)
    with torch.no_grad():
        whole = model.vae.encode(face)[:, 20:]
        part = model.vae.encode(face[:, 20 - VAE_CONTEXT :])[:, VAE_CONTEXT:]
    torch.testing.assert_close(whole, part, atol=1e-5, rtol=1e-5)


def test_unobserved_streams_are_really_masked(model):
    features, observed = (torch.from_numpy(a) for a in check_features(3))
    observed[:] = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    other = features.clone()
    other[:, -20:] += 3
    with torch.no_grad():
        torch.testing.assert_close(model.encoder.fuse(features, observed), model.encoder.fuse(other, observed))
        nothing = model.encoder.fuse(features, torch.zeros_like(observed))
    assert torch.isfinite(nothing).all()


def test_resumed_training_gives_the_same_networks(trained, tmp_path):
    half = Trainer(CONFIG, tmp_path)
    list(half.run(stop=lambda: half.step >= 2))
    again = Trainer(CONFIG, tmp_path)
    again.resume()
    assert again.step == 2
    list(again.run())
    for a, b in zip(again.model.state_dict().values(), trained.model.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_resume_without_a_checkpoint(tmp_path):
    with pytest.raises(ReactdiffError, match="cannot be read"):
        Trainer(CONFIG, tmp_path / "none").resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(ReactdiffError):
        Trainer(CONFIG, tmp_path).resume()


def test_export_runs_like_torch(trained, tmp_path):
    files = export(trained.checkpoint, tmp_path / "out", name="small")
    assert {f.suffix for f in files} == {".onnx", ".safetensors", ".json"}
    networks = Networks(find_weights(tmp_path / "out"))
    model, _ = load_model(trained.checkpoint)
    record = json.loads((tmp_path / "out" / "check.json").read_text())
    features, observed = check_features(record["frames"])
    cache = networks.empty_cache()
    for i in range(record["frames"]):
        token, cache = networks.encode(features[i], observed[i], cache, min(i, SMALL.window - 1))
    np.testing.assert_allclose(token[:16], record["tokens"][str(record["frames"] - 1)], atol=1e-4)
    rng = np.random.default_rng(0)
    speaker = rng.standard_normal((SMALL.speech, SMALL.width)).astype(np.float32)
    past = rng.standard_normal((SMALL.past, SMALL.latent)).astype(np.float32)
    controls = np.zeros(2 * SMALL.controls + SMALL.max_lead, dtype=np.float32)
    noise = rng.standard_normal((3, SMALL.horizon, SMALL.latent)).astype(np.float32)
    missing = np.zeros(SMALL.speech, dtype=np.float32)
    how = {"steps": 4, "guidance": 1.5, "recall": 4}
    together = networks.sample(speaker, missing, past, controls, noise, **how)
    alone = [networks.sample(speaker, missing, past, controls, n[None], **how)[0] for n in noise]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert networks.coefficients(past, together).shape == (3, SMALL.horizon, 58)
    context = model.denoiser.context(*(torch.from_numpy(a)[None] for a in (speaker, past, controls)))
    with torch.no_grad():
        v = model.denoiser.velocity(torch.from_numpy(noise), torch.full((3,), 0.5), context, torch.zeros(3, 33))
    run = networks._sessions["denoiser"].run
    onnx_keys, onnx_values, style = networks._sessions["context"].run(
        None, {"speaker": speaker[None], "past": past[None], "controls": controls[None]}
    )
    got = run(
        None,
        {
            "z": noise, "angle": np.full(3, 0.5, np.float32), "keys": onnx_keys, "values": onnx_values, "style": style,
            "mask": np.zeros((3, 33), np.float32),
        },
    )[0]  # fmt: skip
    np.testing.assert_allclose(got, v.numpy(), atol=1e-4)


def test_roll_out_and_figures(trained):
    model, _ = load_model(trained.checkpoint)
    dyads = simulate(1, 6, 60)
    face = roll_out(model, dyads, RollOut(steps=2))
    assert face.shape == dyads.listener.shape
    assert np.isfinite(face).all()
    figures = describe(dyads, dyads.listener)
    assert figures["pitch_deviation_rad"] > 0
