"""Latents and their pre-emphasis, solvers on known answers, what a listener remembers of itself, and the planner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.latents import (
    LATENT_COUNT,
    ORDER,
    accumulate,
    emphasise,
    feedback,
    responses,
)
from reactdiff_ros.model.diffusion.memory import at_rest, remembered, traced
from reactdiff_ros.model.diffusion.sampler import NoiseTape, Sampling, drawn_sides, ordinary
from reactdiff_ros.model.diffusion.solvers import sample
from reactdiff_ros.model.plan.planner import blank_draft, draw_plan

C = feedback()
STEP = np.linspace(0.1, 0.5, LATENT_COUNT).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 3, 16])
def test_the_inverse_is_exact(frames):
    latents = np.random.default_rng(0).standard_normal((3, ORDER + frames, LATENT_COUNT)).astype(np.float32)
    y = emphasise(latents, C, STEP)
    assert y.shape == (3, frames, LATENT_COUNT)
    back = accumulate(y, latents[:, :ORDER], STEP, responses(C, frames))
    np.testing.assert_allclose(back, latents[:, ORDER:], atol=1e-4)


def test_noise_is_of_unit_size_and_the_same_for_the_same_frame_wherever_one_begins():
    tape, last = NoiseTape(3, 24), 10**9 + 5999
    long = tape.frames(10**9, 160, 0)
    np.testing.assert_array_equal(long[50:80], tape.frames(10**9 + 50, 30, 0))
    np.testing.assert_array_equal(long[4:16], NoiseTape(3, 24).frames(10**9 + 4, 12, 0))
    assert not np.array_equal(long, tape.frames(10**9, 160, 1))
    assert not np.array_equal(long, NoiseTape(4, 24).frames(10**9, 160, 0))
    values = np.concatenate([tape.frames(10**9 + i, 1, i % 3) for i in range(6000)])
    assert abs(values.std() - 1) < 0.02
    assert abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.06
    np.testing.assert_array_equal(NoiseTape(3, 24).frames(last, 1, 2)[0], values[5999])


# Solvers


SHIPPED_STEPS = Sampling().steps


def gaussian_velocity(deviation, mean=0.0):
    """The exact velocity of data N(mean, deviation^2) on the trigonometric path."""

    def velocity(z, angle):
        c, s = np.cos(angle), np.sin(angle)
        away = (z - c * mean) / (deviation**2 * c * c + s * s)
        return c * s * away - s * (mean + deviation**2 * c * away)

    return velocity


@pytest.mark.parametrize("deviation", [0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6])
@pytest.mark.parametrize("steps", [6, 32])
def test_many_steps_and_the_6_that_were_searched_for_keep_every_variance(deviation, steps):
    """All is linear: of noise 1 the solver makes the deviation."""
    assert (sample(gaussian_velocity(deviation), 1.0, steps) / deviation) ** 2 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("steps", [1, 3, SHIPPED_STEPS, 13])
def test_the_mean_of_the_data_is_exact(steps):
    assert sample(gaussian_velocity(0.5, mean=1.7), 0.0, steps) == pytest.approx(1.7, abs=1e-6)


def test_torch_gives_what_numpy_gives():
    torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
    noise = np.random.default_rng(0).standard_normal((3, 4))
    out = sample(gaussian_velocity(0.7), torch.from_numpy(noise), 5)
    np.testing.assert_allclose(out.numpy(), sample(gaussian_velocity(0.7), noise, 5), atol=1e-12)


# What it remembers of itself

LATENTS = 5


def stream(frames: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, frames, LATENTS)).astype(np.float32)


def test_frame_by_frame_is_as_the_whole_stream_and_in_torch() -> None:
    torch = pytest.importorskip("torch")
    latents = stream(90)
    start = at_rest(np.linspace(-1, 1, LATENTS).astype(np.float32), 2)
    whole = traced(latents, start)
    np.testing.assert_array_equal(whole[:, 0], start)
    np.testing.assert_allclose(remembered(start, latents[:, :60]), whole[:, 60], atol=1e-5)
    there = remembered(torch.from_numpy(start), torch.from_numpy(latents[:, :60]))
    np.testing.assert_allclose(there.numpy(), whole[:, 60], atol=1e-5)
    np.testing.assert_array_equal(start, at_rest(np.linspace(-1, 1, LATENTS).astype(np.float32), 2))  # as it was


# The planner


@pytest.mark.parametrize(("guidance", "share"), [(0.0, 0.0), (1.0, 1.0), (3.0, 1.0)])
def test_a_plans_head_has_its_mean_on_the_listeners_side(guidance: float, share: float) -> None:
    weights, sides = find_weights(), drawn_sides(range(4))
    flat = np.zeros_like(weights.head_mean)
    moved = flat + np.eye(len(flat), dtype=np.float32)[-1:].T * [[0.1, 0.2, 0.3]]
    noise = NoiseTape(1, LATENT_COUNT).frames(0, 4)
    noise = np.broadcast_to(noise, (len(sides), 1, *noise.shape))

    def faces(readout):
        networks = Networks(replace(weights, head_mean=readout))
        draft = blank_draft(networks, Sampling(steps=2, guidance=guidance), ordinary(len(sides)), noise)
        return draw_plan(networks, replace(draft, sides=sides, missing=0 * draft.missing)).faces

    more = faces(moved.astype(np.float32)) - faces(flat)
    wanted = share * np.array([0.1, 0.2, 0.3]) * sides[:, ROTATION]
    np.testing.assert_allclose(more[..., ROTATION], np.broadcast_to(wanted[:, None, None], (4, 1, 4, 3)), atol=1e-5)
    assert (np.delete(more, np.arange(COEFFICIENT_COUNT)[ROTATION], axis=-1) == 0).all()
