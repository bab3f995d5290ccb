"""Latents: groups of coefficients; pre-emphasis is an exact inverse without delay; noise tapes."""

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, SMILE
from reactdiff_ros.model.plan.latents import (
    GROUP_NAMES,
    GROUP_OF_LATENT,
    GROUPS,
    LATENT_COUNT,
    ORDER,
    accumulate,
    emphasis_of,
    emphasise,
    feedback,
    latents_observed,
    no_emphasis,
    responses,
)  # fmt: skip
from reactdiff_ros.model.plan.sampler import NoiseTape

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


def test_no_emphasis_draws_the_latents_themselves():
    latents = np.random.default_rng(5).standard_normal((2, 9, LATENT_COUNT)).astype(np.float32)
    nothing = emphasis_of(no_emphasis(LATENT_COUNT))
    drawn = nothing.drawn(latents)
    np.testing.assert_allclose(drawn, latents[:, ORDER:], atol=1e-4)
    back = nothing.latents(drawn, latents[:, :ORDER], responses(nothing.feedback, 7))
    np.testing.assert_allclose(back, latents[:, ORDER:], atol=1e-4)


def test_every_coefficient_and_every_latent_has_one_group():
    members = sorted(i for group in GROUPS for i in group.coefficients)
    assert members == list(range(COEFFICIENT_COUNT))
    latents = [i for group in GROUPS for i in range(LATENT_COUNT)[group.latents]]
    assert latents == list(range(LATENT_COUNT))
    assert all(GROUP_OF_LATENT[group.latents].tolist() == [i] * group.width for i, group in enumerate(GROUPS))


def test_a_group_is_observed_with_one_of_its_coefficients():
    observed = np.zeros((2, COEFFICIENT_COUNT), dtype=bool)
    observed[0, SMILE[0]] = True
    latents = latents_observed(observed)
    assert latents.shape == (2, LATENT_COUNT)
    assert {GROUP_NAMES[i] for i in GROUP_OF_LATENT[latents[0]]} == {"smile"}
    assert not latents[1].any()


def test_tape_is_indexed_by_absolute_frame():
    tape = NoiseTape(3, 24)
    long = tape.frames(10**9, 160, 0)
    np.testing.assert_array_equal(long[4:16], NoiseTape(3, 24).frames(10**9 + 4, 12, 0))
    np.testing.assert_array_equal(long[50:80], tape.frames(10**9 + 50, 30, 0))
    assert not np.array_equal(long, tape.frames(10**9, 160, 1))
    assert not np.array_equal(long, NoiseTape(4, 24).frames(10**9, 160, 0))


def test_tape_is_unit_noise_and_forgets():
    tape = NoiseTape(0, 24)
    values = np.concatenate([tape.frames(i, 1, i % 3) for i in range(6000)])
    assert abs(values.std() - 1) < 0.02
    assert abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.06
    assert len(tape._blocks) <= 33
    np.testing.assert_array_equal(NoiseTape(0, 24).frames(5999, 1, 2)[0], values[5999])
