"""What networks draw and read: latents, noise, solvers on known answers, memory of oneself, and the style vector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.model.diffusion.latents import LATENT_COUNT, ORDER, accumulate, emphasise, feedback, responses
from reactdiff_ros.model.diffusion.memory import at_rest, lasting, remembered, traced
from reactdiff_ros.model.diffusion.sampler import NoiseTape, Sampling
from reactdiff_ros.model.diffusion.solvers import sample
from reactdiff_ros.model.style import LIMIT, measured_style, style_of


@pytest.mark.parametrize("frames", [1, 2, 3, 16])
def test_the_inverse_of_the_pre_emphasis_is_exact(frames):
    latents = np.random.default_rng(0).standard_normal((3, ORDER + frames, LATENT_COUNT)).astype(np.float32)
    step = np.linspace(0.1, 0.5, LATENT_COUNT).astype(np.float32)
    coefficients = feedback() + np.array([0.0, 0.1, -0.2, 0.1], dtype=np.float32)[:, None]
    y = emphasise(latents, coefficients, step)
    assert y.shape == (3, frames, LATENT_COUNT)
    back = accumulate(y, latents[:, :ORDER], step, responses(coefficients, frames))
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


def gaussian_velocity(deviation, mean=0.0):
    """The exact velocity of data N(mean, deviation^2) on the trigonometric path."""

    def velocity(z, angle):
        c, s = np.cos(angle), np.sin(angle)
        away = (z - c * mean) / (deviation**2 * c * c + s * s)
        return c * s * away - s * (mean + deviation**2 * c * away)

    return velocity


@pytest.mark.parametrize("deviation", [0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6])
def test_many_steps_and_the_6_that_were_searched_for_keep_every_variance_and_any_number_the_mean(deviation):
    """All is linear: of noise 1 the solver makes the deviation."""
    for steps in (6, 32):
        assert (sample(gaussian_velocity(deviation), 1.0, steps) / deviation) ** 2 == pytest.approx(1, abs=0.05)
    for steps in (1, 3, Sampling().steps, 13):
        assert sample(gaussian_velocity(deviation, mean=1.7), 0.0, steps) == pytest.approx(1.7, abs=1e-6)


def test_what_a_listener_remembers_of_itself_frame_by_frame_is_that_of_the_whole_stream_also_in_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
    latents = np.random.default_rng(3).standard_normal((2, 90, 5)).astype(np.float32)
    start = at_rest(np.linspace(-1, 1, 5).astype(np.float32), 2)
    before, whole = start.copy(), traced(latents, start)
    np.testing.assert_array_equal(whole[:, 0], start)
    np.testing.assert_allclose(remembered(start, latents[:, :60]), whole[:, 60], atol=1e-5)
    there = remembered(torch.from_numpy(start), torch.from_numpy(latents[:, :60]))
    np.testing.assert_allclose(there.numpy(), whole[:, 60], atol=1e-5)
    held = remembered(start, np.repeat(latents[:, :1], 60, axis=1))
    np.testing.assert_allclose(lasting(start, latents[:, 0], np.full(2, 2.4, np.float32)), held, atol=1e-5)
    np.testing.assert_array_equal(start, before)
    noise = latents[0].astype(float)
    drawn = sample(gaussian_velocity(0.7), torch.from_numpy(noise), 5)
    np.testing.assert_allclose(drawn.numpy(), sample(gaussian_velocity(0.7), noise, 5), atol=1e-12)


def minute(*, smile: float, smile_s: float, nod_deg: float, every_s: float) -> np.ndarray:
    """A face (1, T, 58) that smiles so much and long, nods twice and raises the brows, each every so many seconds."""
    t, out = np.arange(1500) / 25 % every_s, np.zeros((1, 1500, COEFFICIENT_COUNT), dtype=np.float32)
    out[0, :, SMILE] = smile * np.clip(np.minimum(t / 0.4, (smile_s - t) / 0.4), 0, 1)
    out[0, :, HEAD_PITCH] = np.radians(nod_deg) / 2 * (1 - np.cos(2 * np.pi * t / 0.6)) * (t < 1.2)
    out[0, :, INDEX["browInnerUp"]] = 0.9 * (t < 1)
    return out


STYLES = {
    "seldom and little": (
        minute(smile=0.4, smile_s=2, nod_deg=6, every_s=10),
        [-0.870, -0.342, -0.814, -1.678, 0.986, -0.081, -1.273, 1.190],
    ),
    "often and much": (
        minute(smile=0.65, smile_s=4, nod_deg=8, every_s=6),
        [1.114, 0.457, 1.557, 0.139, 1.591, 0.878, 0.667, 1.801],
    ),
    "no smile and no nod that has a size": (
        minute(smile=0, smile_s=2, nod_deg=0, every_s=12), [-2.391, -3, 0, -3, -2.432, 0, -3, 0.976],
    ),
}  # fmt: skip
"""Of smiles: share, rate, size and speed; of nods: rate and size; motion of the head, and rate of raised brows."""


@pytest.mark.parametrize("name", STYLES)
def test_style_is_measured_as_shares_rates_and_sizes_and_what_was_not_observed_is_left_open(name: str) -> None:
    face, style = STYLES[name]
    smiles = np.isin(np.arange(COEFFICIENT_COUNT), SMILE)
    measured = measured_style(face), measured_style(face, smiles)
    for expected, (values, known) in zip((style, [*style[:4], 0, 0, 0, 0]), measured, strict=True):
        assert values[0] == pytest.approx(expected, abs=1e-3)
        assert known[0].tolist() == [float(value != 0) for value in expected]


def test_a_short_clip_says_less_of_a_person_than_a_long_one() -> None:
    ten = [0.09, 0.05, 0.05, 0.08, 0.08, 0.04, 0.38, 0.04]
    three_minutes = [0.63, 0.49, 0.46, 0.61, 0.61, 0.43, 0.92, 0.44]
    for seconds, of_each in ((10, ten), (180, three_minutes)):
        shown = np.resize(STYLES["often and much"][0][0], (1, seconds * 25, COEFFICIENT_COUNT))
        assert style_of(shown)[0][0] == pytest.approx(measured_style(shown)[0][0] * of_each, abs=0.02)


@given(
    hnp.arrays(
        np.float32, (2, 150, 6), elements=st.floats(-10, 10, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
    )
)
def test_wild_streams_give_finite_styles(values: np.ndarray) -> None:
    wild = np.zeros((2, 150, COEFFICIENT_COUNT), dtype=np.float32)
    wild[..., [*SMILE, INDEX["browInnerUp"], HEAD_PITCH, HEAD_PITCH + 1, HEAD_PITCH + 2]] = values
    style, known = measured_style(wild)
    assert np.isfinite(style).all()
    assert np.abs(style).max() <= LIMIT
    assert set(np.unique(known)) <= {0.0, 1.0}
