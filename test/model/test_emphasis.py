"""Pre-emphasis of latents: exact inverse, no delay, errors fade, slow motion keeps its size."""

import numpy as np
import pytest

from reactdiff_ros.model.emphasis import (
    FARTHEST,
    ORDER,
    accumulate,
    compress,
    emphasis_of,
    emphasise,
    expand,
    feedback,
    fit_companding,
    no_emphasis,
    responses,
)
from reactdiff_ros.model.groups import LATENT_COUNT

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


def _bursts(n: int = 40_000) -> np.ndarray:
    """At rest nearly always, and bursts of very different size in one frame of twelve; and a plain Gaussian."""
    rng = np.random.default_rng(3)
    resting = 0.02 * rng.standard_normal(n) - 0.1 + (rng.random(n) < 0.08) * rng.normal(0, 1.0, n) * rng.random(n) ** 2
    return np.stack([resting / resting.std(), rng.standard_normal(n)], axis=1)


def test_tails_are_bent_in_and_a_gaussian_is_left_alone():
    y = _bursts()
    c = fit_companding(y)
    z = compress(y, c)
    np.testing.assert_allclose(z.std(0), 1.0, atol=1e-3)
    kurtosis = (z**4).mean(0)
    assert (y[:, 0] ** 4).mean() > 60
    assert kurtosis[0] < 15
    assert c.bend[0] < 0.1
    assert c.bend[1] >= 2.5
    assert abs(kurtosis[1] - 3) < 0.3
    np.testing.assert_allclose(expand(z, c), y, atol=1e-4)


def test_noise_that_is_left_over_is_no_tremble_at_rest():
    y = _bursts()
    c = fit_companding(y)
    left = 0.1 * np.random.default_rng(0).standard_normal(y.shape)
    tremble = np.abs(expand(compress(y, c) + left, c) - y)
    resting = np.abs(y[:, 0] - c.middle[0]) < 0.1
    assert np.median(tremble[resting, 0]) < 0.35 * np.median(np.abs(left[:, 0]))


def test_what_is_drawn_far_out_stays_within_reach():
    c = fit_companding(_bursts())
    out = expand(np.array([[1e3, 1e3], [-1e3, -1e3]]), c)
    assert np.abs(out - c.middle).max() <= FARTHEST * (1 + 1e-4)


def test_no_emphasis_draws_the_latents_themselves():
    latents = np.random.default_rng(5).standard_normal((2, 9, LATENT_COUNT)).astype(np.float32)
    nothing = emphasis_of(no_emphasis(LATENT_COUNT))
    drawn = nothing.drawn(latents)
    np.testing.assert_allclose(drawn, latents[:, ORDER:], atol=1e-4)
    back = nothing.latents(drawn, latents[:, :ORDER], responses(nothing.feedback, 7))
    np.testing.assert_allclose(back, latents[:, ORDER:], atol=1e-4)
