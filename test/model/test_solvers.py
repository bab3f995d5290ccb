import numpy as np
import pytest

from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.plan.solvers import angles, ddim, dpm_solver_pp_2m, fitted_multistep, sample

SHIPPED_STEPS = Sampling().steps
MANY_STEPS = 32
DEVIATIONS = (0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6)
"""Of the variance of Gaussians with DEVIATIONS: what the shipped steps leave. Known and told in docs/model.md."""


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


def share_left(deviation, steps):
    """Of a Gaussian's variance, without sampling: of the noise 1 the solver makes the deviation, for all is linear."""
    return (sample(gaussian_velocity(deviation), 1.0, steps) / deviation) ** 2


def test_the_shipped_steps_keep_mean_and_variance_of_a_unit_gaussian():
    noise = np.random.default_rng(0).standard_normal(20_000)
    out = sample(gaussian_velocity(1.0, mean=0.4), noise, SHIPPED_STEPS)
    assert out.var() == pytest.approx(noise.var(), rel=0.05)
    assert out.mean() == pytest.approx(0.4 + noise.mean(), abs=0.01)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("steps", [6, MANY_STEPS])
def test_many_steps_and_the_6_that_were_searched_for_keep_every_variance(deviation, steps):
    assert share_left(deviation, steps) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, SHIPPED_STEPS, 13])
def test_the_mean_of_the_data_is_exact(steps):
    assert sample(gaussian_velocity(0.5, mean=1.7), 0.0, steps) == pytest.approx(1.7, abs=1e-6)


def test_rare_events_keep_their_share_and_the_variance():
    noise = np.random.default_rng(1).standard_normal(40_000)
    share, peaks, deviation = 0.1, (-0.3, 2.7), 0.3
    out = sample(two_peaks_velocity(share, peaks, deviation), noise, SHIPPED_STEPS)
    assert (out > 1.2).mean() == pytest.approx(share, abs=0.006)
    assert out.var() == pytest.approx(deviation**2 + share * (1 - share) * 9.0, rel=0.1)


@pytest.mark.parametrize(("solver", "order"), [(ddim, 1), (fitted_multistep, 2)])
def test_order_of_convergence(solver, order):
    def error(steps):
        schedule = np.linspace(np.pi / 2, 1e-5, steps).tolist()
        return abs(solver(gaussian_velocity(0.5), np.ones(1), schedule)[0] - 0.5)

    assert error(64) / error(128) > 0.85 * 2**order


@pytest.mark.parametrize("solver", [ddim, dpm_solver_pp_2m, fitted_multistep])
def test_every_solver_converges_to_the_data(solver):
    noise = np.random.default_rng(0).standard_normal(1000)
    out = solver(gaussian_velocity(0.6, mean=-1.0), noise, np.linspace(1.56, 1e-3, 2000).tolist())
    np.testing.assert_allclose(out, 0.6 * noise - 1.0, atol=0.03)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 7, 8, 16])
def test_schedules_go_from_noise_to_nearly_clean(steps):
    schedule = angles(steps)
    assert len(schedule) == steps
    assert schedule[0] == pytest.approx(np.pi / 2)
    assert (np.diff(schedule) < 0).all()
    assert schedule[-1] > 0


def test_torch_gives_what_numpy_gives():
    torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
    noise = np.random.default_rng(0).standard_normal((3, 4))
    out = sample(gaussian_velocity(0.7), torch.from_numpy(noise), 5)
    np.testing.assert_allclose(out.numpy(), sample(gaussian_velocity(0.7), noise, 5), atol=1e-12)
