"""The denoiser: stretches of any length that share a context, masks, conditions, and its export."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from random_model import random_model  # noqa: E402

from reactdiff_ros.training.layers import MASKED, attend  # noqa: E402
from reactdiff_ros.training.shape import Shape  # noqa: E402


@pytest.fixture(scope="module")
def model():
    return random_model()


def inputs(shape: Shape, count=3, stretches=2, frames=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    context = (
        torch.randn(count, shape.speech, shape.width, generator=g),
        torch.randn(count, shape.past, shape.latent, generator=g),
        torch.randn(count, shape.conditions, generator=g),
    )
    z = torch.randn(count, stretches, frames, shape.latent, generator=g)
    angle = 1.5 * torch.rand(count, stretches, generator=g)
    return context, z, angle, torch.zeros(count, stretches, 1 + shape.speech + shape.past)


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
    first = 1 if part == "speaker" else 1 + shape.speech
    mask[:, :, first : first + 5] = MASKED

    def velocity(change):
        s, p = speaker.clone(), past.clone()
        (s if part == "speaker" else p)[:, change] += 2
        return model.denoiser.velocity(z, angle, model.denoiser.context(s, p, conditions), mask)

    base = model.denoiser.velocity(z, angle, model.denoiser.context(speaker, past, conditions), mask)
    torch.testing.assert_close(velocity(slice(0, 5)), base, atol=1e-6, rtol=1e-6)
    assert (velocity(slice(5, 6)) - base).abs().max() > 1e-4


@torch.no_grad()
def test_conditions_and_level_act(model):
    context, z, angle, mask = inputs(model.shape)
    base = model.denoiser.velocity(z, angle, model.denoiser.context(*context), mask)
    told = model.denoiser.context(context[0], context[1], context[2] + 1)
    assert (model.denoiser.velocity(z, angle, told, mask) - base).abs().max() > 1e-4
    later = model.denoiser.velocity(z, angle * 0.5, model.denoiser.context(*context), mask)
    assert (later - base).abs().max() > 1e-4


@torch.no_grad()
def test_fused_attention_is_the_plain_one(monkeypatch):
    q, k, v = (torch.randn(2, 4, n, 8) for n in (3, 5, 5))
    mask = torch.where(torch.rand(2, 1, 3, 5) < 0.3, MASKED, 0.0)
    fused = attend(q, k, v, mask), attend(q, k, v)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    for a, b in zip(fused, (attend(q, k, v, mask), attend(q, k, v)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_half_precision_on_a_cpu_is_not_fused(monkeypatch):
    q, k, v = (torch.randn(2, 4, n, 8, requires_grad=True) for n in (3, 5, 5))
    exact = attend(q, k, v)
    monkeypatch.delattr(torch.nn.functional, "scaled_dot_product_attention")
    rounded = attend(q.bfloat16(), k.bfloat16(), v.bfloat16())
    rounded.float().sum().backward()
    torch.testing.assert_close(rounded.float(), exact, atol=0.03, rtol=0.03)
    assert torch.isfinite(q.grad).all()
    with pytest.raises(AttributeError):
        attend(q, k, v)


def test_the_live_preset_is_small():
    from reactdiff_ros.training.nets import Model

    counts = Model(Shape()).count()
    assert sum(counts.values()) < 8_000_000
    assert min(counts.values()) > 100_000


def test_shape_tells_what_the_encoder_sees():
    assert Shape().reach * 0.04 > 10.0
    assert Shape(window=3, dilation=2, encoder_layers=3).reach == 2 * (1 + 2 + 4)
    assert all(type(v) is int for v in Shape().as_dict().values())


def test_noise_draws_give_gradients_to_the_shared_context(model):
    context, z, angle, mask = inputs(model.shape)
    keys, values, told = model.denoiser.context(*context)
    assert np.prod(keys.shape) > 0
    model.denoiser.velocity(z, angle, (keys, values, told), mask).square().mean().backward()
    assert model.denoiser.from_speaker.weight.grad.abs().max() > 0
    assert model.denoiser.from_conditions[0].weight.grad.abs().max() > 0
    model.denoiser.zero_grad()
