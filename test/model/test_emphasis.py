"""Pre-emphasis of latents: exact inverse, no delay, errors fade, slow motion keeps its size."""

import numpy as np
import pytest

from reactdiff_ros.model.plan.emphasis import (
    ORDER,
    accumulate,
    emphasis_of,
    emphasise,
    feedback,
    no_emphasis,
    responses,
)
from reactdiff_ros.model.plan.groups import LATENT_COUNT

C = feedback()
STEP = np.linspace(0.1, 0.5, LATENT_COUNT).astype(np.float32)


def sequence(frames, seed=0):
    return np.random.default_rng(seed).standard_normal((3, ORDER + frames, LATENT_COUNT)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 3, 16])
def test_the_inverse_is_exact(frames):
    latents = sequence(frames)
    y = emphasise(latents, C, STEP)
    assert y.shape == (3, frames, LATENT_COUNT)
    back = accumulate(y, latents[:, :ORDER], STEP, responses(C, frames))
    np.testing.assert_allclose(back, latents[:, ORDER:], atol=1e-4)


def test_stretch_by_stretch_is_the_same():
    latents = sequence(8)
    y = emphasise(latents, C, STEP)
    first = accumulate(y[:, :4], latents[:, :ORDER], STEP, responses(C, 4))
    second = accumulate(y[:, 4:], first[:, -ORDER:], STEP, responses(C, 4))
    np.testing.assert_allclose(np.concatenate([first, second], 1), latents[:, ORDER:], atol=1e-4)


def test_no_delay_and_causal():
    y = np.zeros((1, 10, LATENT_COUNT), dtype=np.float32)
    y[0, 4] = 1
    out = accumulate(y, np.zeros((1, ORDER, LATENT_COUNT), np.float32), STEP, responses(C, 10))[0]
    assert (out[:4] == 0).all()
    np.testing.assert_allclose(out[4], STEP)


def test_errors_fade_within_a_second():
    y = np.zeros((1, 25, LATENT_COUNT), dtype=np.float32)
    out = accumulate(y, np.ones((1, ORDER, LATENT_COUNT), np.float32), STEP, responses(C, 25))[0]
    assert np.abs(out[-1]).max() < 0.05


def test_fine_noise_comes_out_small_and_slow_motion_whole():
    """White noise of unit size: power above 6 Hz is a hundredth and less of what it was in smooth groups."""
    rng = np.random.default_rng(0)
    smooth = C[1] < 0
    t = np.arange(4000) / 25
    slow = np.sin(2 * np.pi * 0.3 * t)[None, :, None] * np.ones(LATENT_COUNT, dtype=np.float32)
    step = emphasise(slow, C, np.ones(LATENT_COUNT)).std((0, 1))
    noise = rng.standard_normal((1, 500, LATENT_COUNT)).astype(np.float32)
    out = accumulate(noise, np.zeros((1, ORDER, LATENT_COUNT)), step, responses(C, 500))[0, 50:]
    power = np.abs(np.fft.rfft(out * np.hanning(len(out))[:, None], axis=0)) ** 2
    plain = np.abs(np.fft.rfft(noise[0, 50:] * np.hanning(len(out))[:, None], axis=0)) ** 2
    fast = np.fft.rfftfreq(len(out), 1 / 25) > 6.5
    assert (power[fast].sum(0)[smooth] < 0.01 * plain[fast].sum(0)[smooth]).all()


def test_without_emphasis_it_is_nothing():
    latents = sequence(5)
    none, one = np.zeros_like(C), np.ones(LATENT_COUNT, np.float32)
    np.testing.assert_array_equal(emphasise(latents, none, one), latents[:, ORDER:])
    np.testing.assert_array_equal(
        accumulate(latents[:, ORDER:], latents[:, :ORDER], one, responses(none, 5)), latents[:, ORDER:]
    )


def test_no_emphasis_draws_the_latents_themselves():
    latents = np.random.default_rng(5).standard_normal((2, 9, LATENT_COUNT)).astype(np.float32)
    nothing = emphasis_of(no_emphasis(LATENT_COUNT))
    drawn = nothing.drawn(latents)
    np.testing.assert_allclose(drawn, latents[:, ORDER:], atol=1e-4)
    back = nothing.latents(drawn, latents[:, :ORDER], responses(nothing.feedback, 7))
    np.testing.assert_allclose(back, latents[:, ORDER:], atol=1e-4)
