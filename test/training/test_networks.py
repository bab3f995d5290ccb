"""The networks and their graphs: causal, streamed as in a batch, as in torch; exported whole or not at all."""

import copy
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from random_model import random_model

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.backends.weights import FORMAT, find_weights, sha256
from reactdiff_ros.model.diffusion.latents import GROUPS, LATENT_COUNT
from reactdiff_ros.model.diffusion.memory import tokens
from reactdiff_ros.model.diffusion.solvers import sample
from reactdiff_ros.training.config import Shape, TrainConfig
from reactdiff_ros.training.export import check_features, export, export_model
from reactdiff_ros.training.nets import MASKED, EncoderStep
from reactdiff_ros.training.run import FORMAT as CHECKPOINTS
from reactdiff_ros.training.run import save_state


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def networks(random_weights):
    return Networks(find_weights(random_weights))


def inputs(shape: Shape, frames=4):
    """Of three listeners with two stretches each: what the context is of, z, its angle and a mask of nothing."""
    torch.manual_seed(0)
    heard, own = (shape.far + shape.speech, shape.width), (shape.memory + shape.past, shape.latent)
    context = [torch.randn(3, *size) for size in (heard, own, (shape.conditions,))]
    z = torch.randn(3, 2, frames, shape.latent)
    return context, z, 1.5 * torch.rand(3, 2), torch.zeros(3, 2, shape.context)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 16])
def test_stretches_that_share_a_context_do_not_see_each_other(model, frames):
    context, z, angle, mask = inputs(model.shape, frames=frames)
    mask[:, 1, 3:9] = MASKED
    shared = model.denoiser.context(*context)
    together = model.denoiser.velocity(z, angle, shared, mask)
    assert together.shape == z.shape
    for i, j in np.ndindex(3, 2):
        one, each = slice(i, i + 1), (slice(i, i + 1), slice(j, j + 1))
        alone = model.denoiser.velocity(z[each], angle[each], tuple(c[one] for c in shared), mask[each])
        torch.testing.assert_close(alone[0, 0], together[i, j], atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("part", [0, 1], ids=["speaker", "past"])
def test_masked_context_is_not_seen(model, part):
    context, z, angle, mask = inputs(model.shape)
    first = 1 + part * (model.shape.far + model.shape.speech)
    mask[:, :, first : first + 5] = MASKED

    def velocity(*changed):
        given = [values.clone() for values in context]
        given[part][:, slice(*changed)] += 2
        return model.denoiser.velocity(z, angle, model.denoiser.context(*given), mask)

    torch.testing.assert_close(velocity(0, 5), velocity(0, 0), atol=1e-6, rtol=1e-6)
    assert (velocity(5, 6) - velocity(0, 0)).abs().max() > 1e-4


FRAMES = 70


@pytest.fixture(scope="module")
def stream():
    return tuple(torch.from_numpy(a)[None] for a in check_features(FRAMES))


def test_the_exported_graph_streams_what_the_batch_pass_gives(model, stream, networks):
    """Two speakers at once, longer than the encoder looks back, with the cache that the runtime uses."""
    features, observed = (torch.cat([x, x.flip(1)]) for x in stream)
    cache, step = networks.new_cache(2), EncoderStep(model.encoder)
    with torch.no_grad():
        whole = model.encoder(features, observed)
        for t in range(FRAMES):
            past, mask = cache.past()
            token, new = networks.encode(features[:, t].numpy(), observed[:, t].numpy(), (past, mask))
            same, _ = step(features[:, t], observed[:, t], torch.from_numpy(past), torch.from_numpy(mask))
            cache.push(new)
            np.testing.assert_allclose(token, whole[:, t], atol=1e-4)
            torch.testing.assert_close(same, whole[:, t], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_frame_acts_as_far_ahead_as_the_encoder_looks_back_and_never_before(model, stream):
    features, observed = stream
    at, end = 10, 10 + model.shape.reach
    assert end + 1 < FRAMES
    other = features.clone()
    other[:, at] += 3
    moved = (model.encoder(features, observed) - model.encoder(other, observed))[0].abs().amax(-1)
    assert moved[:at].max() == moved[end + 1 :].max() == 0
    assert min(moved[at], moved[end]) > 0


@torch.no_grad()
def test_the_autoencoder_is_causal_and_each_of_its_groups_depends_on_itself_alone(model):
    torch.manual_seed(0)
    face = torch.randn(1, 40, COEFFICIENT_COUNT)
    later = face.clone()
    later[:, 25:] += 1
    a, b = model.vae.encode(face), model.vae.encode(later)
    for net in (torch.nn.Identity(), model.vae.decode, model.vae.attributes):
        torch.testing.assert_close(net(a)[:, :25], net(b)[:, :25], atol=1e-6, rtol=1e-6)
        assert (net(a)[:, 25] - net(b)[:, 25]).abs().max() > 1e-3
    for group in GROUPS:
        coefficients = list(group.coefficients)
        for net, values, own, of in (
            (model.vae.encode, face, coefficients, group.latents),
            (model.vae.decode, torch.randn(1, 20, LATENT_COUNT), group.latents, coefficients),
        ):
            other = values.clone()
            other[..., own] += 1
            moved = (net(values) - net(other)).abs().amax((0, 1))
            assert (moved[of] > 1e-5).all(), group.name
            moved[of] = 0
            assert moved.max() == 0, group.name


@torch.no_grad()
def test_the_autoencoder_s_graphs_are_its_networks(model, networks):
    torch.manual_seed(0)
    for name, net, width in (
        ("latents", model.vae.encode, COEFFICIENT_COUNT), ("decode", model.vae.decode, LATENT_COUNT),
        ("attributes", model.vae.attributes, LATENT_COUNT),
    ):  # fmt: skip
        values, graph = torch.randn(3, 20, width), getattr(networks, name)
        np.testing.assert_allclose(graph(values.numpy()), net(values)[:, VAE_CONTEXT:], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("count", "candidates", "frames", "guidance"), [(1, 1, 4, 1.7), (3, 2, 16, 1.0)])
def test_a_drawn_stretch_is_what_torch_draws(model, networks, count, candidates, frames, guidance):
    s, recall, rng = model.shape, 5, np.random.default_rng(0)
    heard = s.far + s.speech

    def normal(*shape):
        return rng.standard_normal((count, *shape)).astype(np.float32)

    speaker, past, conditions = normal(heard, s.width), normal(s.past, s.latent), normal(s.conditions)
    noise, state = normal(candidates, frames, s.latent), np.abs(normal(s.memory, s.latent))
    missing = (rng.random((count, heard)) < 0.3).astype(np.float32)
    how = {"memory": state, "steps": 4, "guidance": guidance, "recall": recall}
    drawn = networks.sample(speaker, missing, past, conditions, noise, **how)

    own = np.concatenate([tokens(state), past], axis=1)
    context = model.denoiser.context(*(torch.from_numpy(a) for a in (speaker, own, conditions)))
    mask = torch.zeros(count, candidates, s.context)
    mask[:, :, 1 : 1 + heard] = MASKED * torch.from_numpy(missing)[:, None]
    mask[:, :, 1 + heard + s.memory : -recall] = MASKED
    blind = mask.clone()
    blind[:, :, 1 : 1 + heard] = MASKED

    def velocity(z, angle):
        level = torch.full(z.shape[:2], angle)
        seeing, not_seeing = (model.denoiser.velocity(z, level, context, m) for m in (mask, blind))
        return not_seeing + guidance * (seeing - not_seeing)

    expected = model.vae.accumulate(sample(velocity, torch.from_numpy(noise), 4), torch.from_numpy(past)[:, None])
    np.testing.assert_allclose(drawn, expected.numpy(), atol=1e-3)


@pytest.fixture
def shipped(random_weights, tmp_path):
    """Weights with a head for nods, a card of figures, a licence and what somebody keeps with them."""
    folder = Path(shutil.copytree(random_weights, tmp_path / "live"))
    (folder / "nods.json").write_text(json.dumps({"encoder": find_weights(folder).encoder, "sha256": "0"}))
    generated = "<!-- Generated by `reactdiff dev docs evidence`: do not edit. -->"
    (folder / "README.md").write_text(f"---\nlicense: apache-2.0\n---\n\n{generated}\n\nMeasured: 0.849\n")
    for name in ("nods.npz", "LICENSE.md"):
        (folder / name).write_text("kept")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_that_fails_is_a_sentence_and_leaves_what_was_there(model, shipped, tmp_path, monkeypatch):
    def full(*_, **__):
        raise safetensors.SafetensorError("no space is left\non this disk")

    states = {name: model.state_dict() for name in ("model", "average")}
    facts = {"format": CHECKPOINTS, "simulator": "none", "step": 1, "vae_step": 1}
    checkpoint, before = tmp_path / "run" / "checkpoint.pt", contents(shipped)
    save_state(checkpoint, {**facts, "config": asdict(TrainConfig(shape=model.shape, steps=1)), **states})
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(ReactdiffError, match=r"the weights cannot be written .*live.*no space is left") as caught:
        export(checkpoint, shipped)
    assert "\n" not in str(caught.value)
    assert contents(shipped) == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "live"}


@pytest.mark.parametrize("part", ["denoiser", "encoder"])
def test_new_weights_keep_the_head_of_their_encoder_alone_and_no_figures_of_those_before(model, shipped, part):
    before, other = set(contents(shipped)), copy.deepcopy(model)
    with torch.no_grad():
        next(getattr(other, part).parameters()).add_(1.0)
    files = export_model(other, shipped, name="mine", facts={"simulator": "0123456789abcdef"})
    assert before - set(contents(shipped)) == ({"nods.json", "nods.npz"} if part == "encoder" else set())
    card = (shipped / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n---\n\n<!-- Generated by `reactdiff dev export`")
    assert "not measured yet" in card
    assert "0.849" not in card
    manifest = json.loads((shipped / "manifest.json").read_text())
    assert f"`{sha256(shipped / 'manifest.json')[:12]}`" in card
    assert manifest["format"] == FORMAT
    assert manifest["files"] == {f.name: sha256(f) for f in files if f.name not in ("manifest.json", "README.md")}
    assert {f.stat().st_mode & 0o777 for f in files} <= {0o644, 0o664}
