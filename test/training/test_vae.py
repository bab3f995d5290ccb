"""The listener's autoencoder: causal without delay, block-diagonal, whitening with an inverse."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from random_model import random_model  # noqa: E402

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, SMILE  # noqa: E402
from reactdiff_ros.model.plan.latents import (  # noqa: E402
    GROUPS,
    LATENT_COUNT,
    PARTS,
)
from reactdiff_ros.training.shape import Shape  # noqa: E402
from reactdiff_ros.training.vae import VAE_CONTEXT, ListenerVae  # noqa: E402


@pytest.fixture(scope="module")
def vae():
    return random_model().vae


def faces(frames=40, batch=1):
    return torch.randn(batch, frames, COEFFICIENT_COUNT, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_one_latent_a_frame_and_two_heads(vae):
    latents = vae.encode(faces(11, 3))
    assert latents.shape == (3, 11, LATENT_COUNT)
    assert vae.decode(latents).shape == (3, 11, COEFFICIENT_COUNT)
    attributes = vae.attributes(latents)
    assert attributes.shape == (3, 11, 25)
    assert attributes[..., :15].min() >= 0
    assert attributes[..., :15].max() <= 1
    assert attributes[..., 15:17].abs().max() <= 1
    torch.testing.assert_close(attributes[..., 17:].sum(-1), torch.ones(3, 11))


@torch.no_grad()
@pytest.mark.parametrize("head", ["decode", "attributes"])
def test_causal(vae, head):
    face = faces()
    later = face.clone()
    later[:, 25:] += 1
    a, b = vae.encode(face), vae.encode(later)
    torch.testing.assert_close(a[:, :25], b[:, :25], atol=1e-6, rtol=1e-6)
    decode = getattr(vae, head)
    torch.testing.assert_close(decode(a)[:, :25], decode(b)[:, :25], atol=1e-6, rtol=1e-6)
    assert (decode(a)[:, 25] - decode(b)[:, 25]).abs().max() > 1e-3


@torch.no_grad()
def test_the_context_is_enough(vae):
    face = faces()
    whole = vae.encode(face)
    torch.testing.assert_close(
        whole[:, 20:], vae.encode(face[:, 20 - VAE_CONTEXT :])[:, VAE_CONTEXT:], atol=1e-5, rtol=1e-5
    )
    decoded = vae.decode(whole)
    torch.testing.assert_close(
        decoded[:, 20:], vae.decode(whole[:, 20 - VAE_CONTEXT :])[:, VAE_CONTEXT:], atol=1e-5, rtol=1e-5
    )


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


def test_an_unobserved_group_trains_no_latent(vae):
    """Gradients of a loss on smiles reach the weights of that group only."""
    vae.zero_grad()
    vae.decode(vae.encode(faces()))[..., list(SMILE)].square().sum().backward()
    smile = next(g for g in GROUPS if g.name == "smile")
    rows = vae.encode_net.last.weight.grad[:LATENT_COUNT].abs().sum(1)
    assert (rows[smile.latents] > 0).all()
    rows[smile.latents] = 0
    assert rows.max() == 0
    vae.zero_grad()


@torch.no_grad()
def test_whitening_and_its_inverse():
    vae = ListenerVae(Shape(vae_width=4))
    mean = 3.0 + torch.randn(4, 200, LATENT_COUNT) * torch.linspace(0.0, 2.0, LATENT_COUNT)
    vae.set_whitening(mean)
    white = vae.whiten(mean)
    torch.testing.assert_close(vae.unwhiten(white), mean, atol=1e-5, rtol=1e-5)
    assert white.mean((0, 1)).abs().max() < 1e-4
    deviation = white.std((0, 1))
    torch.testing.assert_close(deviation[4:], torch.ones(LATENT_COUNT - 4), atol=0.02, rtol=0.02)
    assert deviation[0] < 0.1  # a closed latent stays small
    face = faces()
    torch.testing.assert_close(
        vae.decode(vae.encode(face)), vae.decode_raw(vae.posterior(face)[0]), atol=1e-5, rtol=1e-5
    )


def test_no_delay_once_trained():
    """Trained a little, an impulse at t comes out at t: 0 frames of delay."""
    torch.manual_seed(0)
    vae = ListenerVae(Shape(vae_width=12))
    optimizer = torch.optim.Adam([*vae.encode_net.parameters(), *vae.decode_net.parameters()], lr=5e-3)
    for _ in range(250):
        x = torch.randn(8, 32, 2)[..., [i % 2 for i in range(COEFFICIENT_COUNT)]] * (torch.rand(8, 32, 1) < 0.3)
        loss = (vae.decode_raw(vae.posterior(x)[0]) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    still = torch.zeros(1, 30, COEFFICIENT_COUNT)
    impulse = still.clone()
    impulse[:, 15] = 1.0
    with torch.no_grad():
        response = (vae.decode(vae.encode(impulse)) - vae.decode(vae.encode(still))).abs()[0]
    assert response[:15].max() < 1e-6
    for name in ("mouthSmileLeft", "browInnerUp", "headPitch", "jawOpen"):
        assert response[:, INDEX[name]].argmax() == 15
        assert response[15, INDEX[name]] > 0.5


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
