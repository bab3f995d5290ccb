"""Latents and their pre-emphasis, solvers on known answers, and the memory of what was planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION, SMILE
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.head_mean import AXES, age_weights, head_mean
from reactdiff_ros.model.diffusion.latents import (
    GROUP_NAMES,
    GROUP_OF_LATENT,
    LATENT_COUNT,
    ORDER,
    accumulate,
    emphasise,
    feedback,
    latents_observed,
    responses,
)
from reactdiff_ros.model.diffusion.sampler import NoiseTape, Sampling, drawn_sides, ordinary
from reactdiff_ros.model.diffusion.solvers import ddim, dpm_solver_pp_2m, fitted_multistep, sample
from reactdiff_ros.model.plan.planner import OwnPast, Planner, blank_draft, draw_plan

C = feedback()
STEP = np.linspace(0.1, 0.5, LATENT_COUNT).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 3, 16])
def test_the_inverse_is_exact(frames):
    latents = np.random.default_rng(0).standard_normal((3, ORDER + frames, LATENT_COUNT)).astype(np.float32)
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


# Solvers


SHIPPED_STEPS = Sampling().steps


def gaussian_velocity(deviation, mean=0.0):
    """The exact velocity of data N(mean, deviation^2) on the trigonometric path."""

    def velocity(z, angle):
        c, s = np.cos(angle), np.sin(angle)
        away = (z - c * mean) / (deviation**2 * c * c + s * s)
        return c * s * away - s * (mean + deviation**2 * c * away)

    return velocity


def two_peaks_velocity(share, peaks, deviation):
    """The exact velocity of a rare event: N(peaks[1], .) with probability `share`, else N(peaks[0], .)."""

    def velocity(z, angle):
        c, s = np.cos(angle), np.sin(angle)
        variance = deviation**2 * c * c + s * s
        odds = np.log(share / (1 - share)) + ((z - c * peaks[0]) ** 2 - (z - c * peaks[1]) ** 2) / (2 * variance)
        weight = 1 / (1 + np.exp(-np.clip(odds, -60, 60)))
        one, two = (gaussian_velocity(deviation, peak)(z, angle) for peak in peaks)
        return weight * two + (1 - weight) * one

    return velocity


def test_the_shipped_steps_keep_mean_and_variance_of_a_unit_gaussian():
    noise = np.random.default_rng(0).standard_normal(20_000)
    out = sample(gaussian_velocity(1.0, mean=0.4), noise, SHIPPED_STEPS)
    assert out.var() == pytest.approx(noise.var(), rel=0.05)
    assert out.mean() == pytest.approx(0.4 + noise.mean(), abs=0.01)


@pytest.mark.parametrize("deviation", [0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6])
@pytest.mark.parametrize("steps", [6, 32])
def test_many_steps_and_the_6_that_were_searched_for_keep_every_variance(deviation, steps):
    """All is linear: of noise 1 the solver makes the deviation."""
    assert (sample(gaussian_velocity(deviation), 1.0, steps) / deviation) ** 2 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, SHIPPED_STEPS, 13])
def test_the_mean_of_the_data_is_exact(steps):
    assert sample(gaussian_velocity(0.5, mean=1.7), 0.0, steps) == pytest.approx(1.7, abs=1e-6)


def test_rare_events_keep_their_share_and_the_variance():
    noise = np.random.default_rng(1).standard_normal(40_000)
    share, peaks, deviation = 0.1, (-0.3, 2.7), 0.3
    out = sample(two_peaks_velocity(share, peaks, deviation), noise, SHIPPED_STEPS)
    assert (out > 1.2).mean() == pytest.approx(share, abs=0.006)
    assert out.var() == pytest.approx(deviation**2 + share * (1 - share) * 9.0, rel=0.1)


@pytest.mark.parametrize(("solver", "order"), [(ddim, 1), (fitted_multistep, 2), (dpm_solver_pp_2m, None)])
def test_every_solver_converges_to_the_data(solver, order):
    noise = np.random.default_rng(0).standard_normal(1000)
    out = solver(gaussian_velocity(0.6, mean=-1.0), noise, np.linspace(1.56, 1e-3, 2000).tolist())
    np.testing.assert_allclose(out, 0.6 * noise - 1.0, atol=0.03)

    def error(steps):
        schedule = np.linspace(np.pi / 2, 1e-5, steps).tolist()
        return abs(solver(gaussian_velocity(0.5), np.ones(1), schedule)[0] - 0.5)

    assert order is None or error(64) / error(128) > 0.85 * 2**order


def test_torch_gives_what_numpy_gives():
    torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
    noise = np.random.default_rng(0).standard_normal((3, 4))
    out = sample(gaussian_velocity(0.7), torch.from_numpy(noise), 5)
    np.testing.assert_allclose(out.numpy(), sample(gaussian_velocity(0.7), noise, 5), atol=1e-12)


# The planner


@pytest.fixture
def past():
    memory = OwnPast(np.full(3, 7.0, dtype=np.float32), 2, keep=16)
    memory.add(100, np.arange(2 * 16 * 3, dtype=np.float32).reshape(2, 16, 3), np.ones((2, 16, 58), dtype=np.float32))
    return memory


def test_what_was_planned_is_remembered_slot_by_slot_and_fades_after_its_end(past):
    assert past.latents(100, 16)[1, 2].tolist() == [54, 55, 56]
    np.testing.assert_array_equal(past.latents(95, 8)[:, :5], 7.0)
    np.testing.assert_array_equal(past.latents(95, 8)[:, 5:], past.latents(100, 3))
    assert (past.shown(90, 10) == 0).all()
    assert (past.shown(100, 16) == 1).all()
    faded = past.shown(114, 30)[0, :, 0]
    assert (np.diff(faded[1:]) < 0).all()
    assert faded[-1] < 0.01
    np.testing.assert_array_equal(past.latents(116, 5), 7.0)


def test_a_new_plan_takes_over_and_keeps_what_went_before(past):
    past.add(104, np.zeros((2, 16, 3), dtype=np.float32), np.full((2, 16, 58), 0.5, dtype=np.float32))
    assert past.shown(100, 8)[0, :, 0].tolist() == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert past.latents(100, 5)[1, :, 0].tolist() == [48, 51, 54, 57, 0]
    past.clear()
    assert (past.shown(100, 8) == 0).all()
    np.testing.assert_array_equal(past.latents(100, 8), 7.0)


@pytest.fixture(scope="module")
def networks(random_weights):
    return Networks(find_weights(random_weights))


def plan_of(planner, networks, slot, **more):
    s = networks.shape
    speaker = np.ones((1, len(networks.ages), s["width"]), dtype=np.float32)
    missing = np.zeros((1, len(networks.ages)), dtype=np.float32)
    return planner.plan(planner.draft(slot, speaker, missing, ordinary(1), lead=0, frames=16, **more))


def test_an_extreme_history_is_forgotten(networks):
    how = Sampling(steps=2, guidance=1.0, blend=False, recall=4)
    quiet, wild = Planner(networks, [0], how), Planner(networks, [0], how)
    wild.begin(0, np.ones((1, 30, 58), dtype=np.float32))
    start = None
    for slot in range(0, 2000, 16):  # the longest memory has a time constant of 400 frames
        apart = np.abs(plan_of(quiet, networks, slot).shown[0, 0] - plan_of(wild, networks, slot).shown[0, 0]).max()
        start = apart if start is None else start
    assert start > 0.01
    assert apart < 0.05 * start


def stream_of(planner):
    """The candidate that the planner's first listener follows."""
    return planner._choices[0].stream


def test_candidates_share_the_past_and_not_the_noise(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=3))
    plans = plan_of(planner, networks, 0, all_candidates=True)
    assert plans.faces.shape == (1, 3, 16, 58)
    assert np.abs(plans.faces[0, 0] - plans.faces[0, 1]).max() > 0.01
    held = plan_of(planner, networks, 4)
    assert held.faces.shape[1] == 1
    assert stream_of(planner) == int(plans.chosen[0])
    everything = plan_of(planner, networks, 8, all_candidates=True)
    assert everything.faces.shape[1] == 3
    assert everything.chosen[0] == plans.chosen[0]


def test_fewer_candidates_leave_the_followed_one_in_force(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=4))
    slot, followed = 0, 0
    while followed < 2:  # until one of the later candidates is chosen
        plan_of(planner, networks, slot)
        followed = stream_of(planner)
        slot += 4
    planner.set_quality(1, 2)
    held = plan_of(planner, networks, slot, all_candidates=True)
    assert (held.faces.shape[1], held.chosen[0], stream_of(planner)) == (2, 1, followed)
    plan_of(planner, networks, slot + 20, all_candidates=True)
    last = stream_of(planner)
    assert last < 2
    planner.set_quality(1, 1)
    for i in range(1, 8):
        plan_of(planner, networks, slot + 20 + 4 * i)
        assert stream_of(planner) == last


def test_the_heads_mean_is_weighed_by_age_and_zero_of_nobody() -> None:
    ages = np.array([12, 8, 4, 3, 2, 1, 0])
    weights = age_weights(ages)
    assert weights.sum() == pytest.approx(1.0)
    per_frame = weights / [4, 4, 1, 1, 1, 1, 1]  # far tokens stand for the frames between them
    np.testing.assert_allclose(per_frame[1:] / per_frame[:-1], np.exp(np.array([4, 4, 1, 1, 1, 1]) / 15), rtol=1e-5)
    readout = np.ones((3, AXES), dtype=np.float32)
    speaker = np.ones((2, len(ages), 2), dtype=np.float32)
    missing = np.array([np.zeros(7), np.ones(7)], dtype=np.float32)
    np.testing.assert_allclose(head_mean(readout, ages, speaker, missing), [[3.0] * 3, [0.0] * 3], atol=1e-6)


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
