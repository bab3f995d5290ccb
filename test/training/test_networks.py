"""The networks: causal, streaming equals the batch pass, masks and groups hold; losses see only what was measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_model import random_model

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.latents import GROUPS, LATENT_COUNT, PARTS
from reactdiff_ros.training.config import Shape
from reactdiff_ros.training.export import check_features
from reactdiff_ros.training.nets import MASKED, EncoderStep, ListenerVae


@pytest.fixture(scope="module")
def model():
    return random_model()


def inputs(shape: Shape, frames=4):
    count, stretches, g = 3, 2, torch.Generator().manual_seed(0)
    context = (
        torch.randn(count, shape.far + shape.speech, shape.width, generator=g),
        torch.randn(count, shape.memory + shape.past, shape.latent, generator=g),
        torch.randn(count, shape.conditions, generator=g),
    )
    z = torch.randn(count, stretches, frames, shape.latent, generator=g)
    angle = 1.5 * torch.rand(count, stretches, generator=g)
    return context, z, angle, torch.zeros(count, stretches, shape.context)


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


def test_the_exported_graph_streams_what_the_batch_pass_gives(model, stream, random_weights):
    """Two speakers at once, longer than the encoder looks back, with the cache that the runtime uses."""
    features, observed = (torch.cat([x, x.flip(1)]) for x in stream)
    networks = Networks(find_weights(random_weights))
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


@pytest.fixture(scope="module")
def vae(model):
    return model.vae


def faces():
    return torch.randn(1, 40, COEFFICIENT_COUNT, generator=torch.Generator().manual_seed(0))


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
    coefficients = list(group.coefficients)
    for net, values, own, of in (
        (vae.encode, faces(), coefficients, group.latents),
        (vae.decode, torch.randn(1, 20, LATENT_COUNT), group.latents, coefficients),
    ):
        other = values.clone()
        other[..., own] += 1
        moved = (net(values) - net(other)).abs().amax((0, 1))
        assert (moved[of] > 1e-5).all()
        moved[of] = 0
        assert moved.max() == 0


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
