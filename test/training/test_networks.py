"""The networks: causal, streaming equals the batch pass, masks and groups hold; losses see only what was measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_model import random_model

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.runtime import KeyCache, Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.latents import GROUPS, LATENT_COUNT, PARTS
from reactdiff_ros.training.config import Shape
from reactdiff_ros.training.export import check_features
from reactdiff_ros.training.nets import MASKED, EncoderStep, ListenerVae


@pytest.fixture(scope="module")
def model():
    return random_model()


def inputs(shape: Shape, count=3, stretches=2, frames=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    context = (
        torch.randn(count, shape.far + shape.speech, shape.width, generator=g),
        torch.randn(count, shape.memory + shape.past, shape.latent, generator=g),
        torch.randn(count, shape.conditions, generator=g),
    )
    z = torch.randn(count, stretches, frames, shape.latent, generator=g)
    angle = 1.5 * torch.rand(count, stretches, generator=g)
    return context, z, angle, torch.zeros(count, stretches, shape.context)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 4, 16])
def test_stretches_that_share_a_context_do_not_see_each_other(model, frames):
    context, z, angle, mask = inputs(model.shape, frames=frames)
    mask[:, 1, 3:9] = MASKED
    shared = model.denoiser.context(*context)
    together = model.denoiser.velocity(z, angle, shared, mask)
    assert together.shape == z.shape
    for i in range(3):
        for j in range(2):
            alone = model.denoiser.velocity(
                z[i : i + 1, j : j + 1], angle[i : i + 1, j : j + 1], tuple(c[i : i + 1] for c in shared),
                mask[i : i + 1, j : j + 1],
            )  # fmt: skip
            torch.testing.assert_close(alone[0, 0], together[i, j], atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("part", ["speaker", "past"])
def test_masked_context_is_not_seen(model, part):
    shape = model.shape
    (speaker, past, conditions), z, angle, mask = inputs(shape)
    first = 1 if part == "speaker" else 1 + shape.far + shape.speech
    mask[:, :, first : first + 5] = MASKED

    def velocity(change):
        s, p = speaker.clone(), past.clone()
        (s if part == "speaker" else p)[:, change] += 2
        return model.denoiser.velocity(z, angle, model.denoiser.context(s, p, conditions), mask)

    base = model.denoiser.velocity(z, angle, model.denoiser.context(speaker, past, conditions), mask)
    torch.testing.assert_close(velocity(slice(0, 5)), base, atol=1e-6, rtol=1e-6)
    assert (velocity(slice(5, 6)) - base).abs().max() > 1e-4


FRAMES = 70


@pytest.fixture(scope="module")
def stream():
    return tuple(torch.from_numpy(a)[None] for a in check_features(FRAMES))


def test_streaming_equals_the_batch_pass(model, stream):
    """Two speakers at once, longer than the encoder looks back, with the cache that the runtime uses."""
    features, observed = (torch.cat([x, x.flip(1)]) for x in stream)
    assert model.shape.reach < FRAMES
    step, cache = EncoderStep(model.encoder), KeyCache(model.shape.as_dict(), 2)
    with torch.no_grad():
        whole = model.encoder(features, observed)
        for t in range(FRAMES):
            past, mask = (torch.from_numpy(a) for a in cache.past())
            token, new = step(features[:, t], observed[:, t], past, mask)
            cache.push(new.numpy())
            torch.testing.assert_close(token, whole[:, t], atol=1e-5, rtol=1e-4)


def test_the_exported_graph_streams_the_same(model, stream, random_weights):
    networks = Networks(find_weights(random_weights))
    cache = networks.new_cache()
    with torch.no_grad():
        whole = model.encoder(*stream)[0].numpy()
    features, observed = (x[0].numpy() for x in stream)
    for t in range(FRAMES):
        token, new = networks.encode(features[t : t + 1], observed[t : t + 1], cache.past())
        cache.push(new)
        np.testing.assert_allclose(token[0], whole[t], atol=1e-4)


def test_the_encoder_is_causal(model, stream):
    features, observed = stream
    other = features.clone()
    other[:, 40:] += 1
    with torch.no_grad():
        a, b = model.encoder(features, observed), model.encoder(other, observed)
    torch.testing.assert_close(a[:, :40], b[:, :40], atol=1e-6, rtol=1e-6)
    assert (a[:, 40:] - b[:, 40:]).abs().amin(-1).max() > 1e-6


def test_it_looks_back_as_far_as_it_says_and_no_further(model, stream):
    features, observed = stream
    reach = model.shape.reach

    def change(age):
        other = features.clone()
        other[:, FRAMES - 1 - age] += 3
        with torch.no_grad():
            return (model.encoder(features, observed) - model.encoder(other, observed))[:, -1].abs().max()

    assert change(reach) > 0
    assert change(reach + 1) == 0


@pytest.fixture(scope="module")
def vae():
    return random_model().vae


def faces(frames=40, batch=1):
    return torch.randn(batch, frames, COEFFICIENT_COUNT, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("head", ["decode", "attributes"])
def test_the_autoencoder_is_causal(vae, head):
    face = faces()
    later = face.clone()
    later[:, 25:] += 1
    a, b = vae.encode(face), vae.encode(later)
    torch.testing.assert_close(a[:, :25], b[:, :25], atol=1e-6, rtol=1e-6)
    decode = getattr(vae, head)
    torch.testing.assert_close(decode(a)[:, :25], decode(b)[:, :25], atol=1e-6, rtol=1e-6)
    assert (decode(a)[:, 25] - decode(b)[:, 25]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("group", GROUPS, ids=[g.name for g in GROUPS])
def test_a_group_depends_on_itself_alone(vae, group):
    face = faces()
    other = face.clone()
    other[..., list(group.coefficients)] += 1
    moved = (vae.encode(face) - vae.encode(other)).abs().amax((0, 1))
    assert (moved[group.latents] > 1e-4).all()
    moved[group.latents] = 0
    assert moved.max() == 0
    latents = torch.randn(1, 20, LATENT_COUNT)
    changed = latents.clone()
    changed[..., group.latents] += 1
    out = (vae.decode(latents) - vae.decode(changed)).abs().amax((0, 1))
    assert (out[list(group.coefficients)] > 1e-5).all()
    out[list(group.coefficients)] = 0
    assert out.max() == 0


@torch.no_grad()
def test_what_the_denoiser_draws_has_an_inverse_and_unit_size():
    vae = ListenerVae(Shape(vae_width=4))
    t = torch.arange(400)[None, :, None] * 0.04
    mean = torch.sin(2 * torch.pi * 0.4 * t + torch.arange(LATENT_COUNT)) + 0.01 * torch.randn(3, 400, LATENT_COUNT)
    vae.set_whitening(mean)
    latents = vae.whiten(mean)
    before, after = latents[:, 100:106], latents[:, 106:122]
    drawn = vae.emphasise(after, before)
    torch.testing.assert_close(vae.accumulate(drawn, before), after, atol=1e-4, rtol=1e-4)
    assert 0.5 < vae.emphasise(latents[:, 2:], latents[:, :2]).std() < 1.5
    many = vae.accumulate(drawn[:, None].expand(-1, 2, -1, -1), before[:, None])
    torch.testing.assert_close(many[:, 1], after, atol=1e-4, rtol=1e-4)


def test_networks_trained_without_emphasis_still_load():
    vae = ListenerVae(Shape(vae_width=4))
    state = {k: v for k, v in vae.state_dict().items() if k not in PARTS}
    other = ListenerVae(Shape(vae_width=4))
    other.set_whitening(torch.randn(2, 50, LATENT_COUNT))
    other.load_state_dict(state)
    latents = torch.randn(1, 8, LATENT_COUNT)
    torch.testing.assert_close(other.emphasise(latents[:, 2:], latents[:, :2]), latents[:, 2:])
