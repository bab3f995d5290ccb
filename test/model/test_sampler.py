import numpy as np
import pytest

from reactdiff_ros.model.sampler import LAST_ANGLE, NoiseTape, angles, multistep, smooth


def gaussian_velocity(deviation):
    """The exact velocity of data N(0, deviation^2) on the trigonometric path."""

    def velocity(z, angle):
        c, s = np.cos(angle), np.sin(angle)
        variance = deviation**2 * c * c + s * s
        return z * c * s * (1 - deviation**2) / variance

    return velocity


@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("steps", [5, 6, 8])
def test_variance_of_a_gaussian_survives_few_steps(deviation, steps):
    noise = np.random.default_rng(0).standard_normal(20000)
    out = multistep(gaussian_velocity(deviation), noise, angles(steps))
    assert out.std() == pytest.approx(deviation * noise.std(), rel=0.05)
    if deviation == 1.0:
        assert out.var() == pytest.approx(noise.var(), rel=0.02)


def test_second_order():
    def error(steps):
        schedule = np.linspace(np.pi / 2, 1e-4, steps)
        return abs(multistep(gaussian_velocity(0.5), np.ones(1), schedule.tolist())[0] - 0.5)

    assert error(32) / error(64) > 3
    assert error(64) / error(128) > 3


def test_smoothing_keeps_a_nod_and_a_constant():
    t = np.arange(100) / 25
    nod = np.sin(2 * np.pi * 2 * t)[None, :, None]
    assert smooth(nod).shape == (1, 96, 1)
    assert np.abs(smooth(nod)).max() > 0.85
    np.testing.assert_allclose(smooth(np.ones((2, 20, 3))), 1)
    assert smooth(np.random.default_rng(0).standard_normal((1, 5000, 1))).std() < 0.6


def test_schedule_ends_clean():
    schedule = angles(6)
    assert schedule[0] == pytest.approx(np.pi / 2)
    assert schedule[-1] == LAST_ANGLE
    assert (np.diff(schedule) < 0).all()
    with pytest.raises(ValueError, match="at least 2"):
        angles(0)


def test_tape_is_indexed_by_absolute_frame():
    tape = NoiseTape(3, 24)
    long = tape.frames(10**9, 16, 0)
    again = NoiseTape(3, 24).frames(10**9 + 4, 12, 0)
    np.testing.assert_array_equal(long[4:], again)
    assert not np.array_equal(long, tape.frames(10**9, 16, 1))
    assert not np.array_equal(long, NoiseTape(4, 24).frames(10**9, 16, 0))


def test_tape_is_unit_noise_and_forgets():
    tape = NoiseTape(0, 24)
    values = np.concatenate([tape.frames(i, 1, 0) for i in range(3000)])
    assert values.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.06
    assert len(tape._cache) <= 513
    np.testing.assert_array_equal(NoiseTape(0, 24).frames(2999, 1, 0)[0], values[2999])
