"""Each loss is zero for a perfect prediction, grows with the error, and knows nothing of what was not measured."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from reactdiff_ros.training.losses import (  # noqa: E402
    auxiliary_loss,
    cooccurrence_loss,
    gaussian_kl,
    masked_mean,
    motion_loss,
    velocity_loss,
)

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR)


def test_velocity_is_zero_for_a_perfect_prediction_and_blind_to_unknown_latents() -> None:
    wanted, known = random(3, 8, 5), torch.ones(3, 8, 5, dtype=torch.bool)
    assert velocity_loss(wanted, wanted, known) == 0
    known[..., 3:] = False
    wrong = wanted.clone()
    wrong[..., 3:] += 7
    assert velocity_loss(wrong, wanted, known) == 0
    wrong[..., 0] += 1
    assert velocity_loss(wrong, wanted, known) == pytest.approx(1 / 3)
    assert velocity_loss(wrong, wanted, known, torch.full((3, 8, 1), 2.0)) == pytest.approx(2 / 3)


def test_motion_sees_change_only_in_what_was_seen() -> None:
    wanted, scale = random(2, 6, 4), torch.tensor([1.0, 2.0, 1.0, 1.0])
    seen = torch.ones(2, 6, 4, dtype=torch.bool)
    assert [float(v) for v in motion_loss(wanted, wanted, scale, seen)] == [0, 0]
    assert all(float(v) < 1e-10 for v in motion_loss(wanted + 3, wanted, scale, seen))  # an offset is no motion
    jump = wanted.clone()
    jump[:, 3:, 1] += 1
    speed, acceleration = motion_loss(jump, wanted, scale, seen)
    assert speed == pytest.approx(0.25 / 20)
    assert acceleration == pytest.approx(2 * 0.25 / 16)
    seen[:, 3] = False
    assert all(float(v) < 1e-10 for v in motion_loss(jump, wanted, scale, seen))


def test_cooccurrence_compares_what_occurs_together() -> None:
    units = random(4, 5, 3).abs()
    assert cooccurrence_loss(units, units) == 0
    assert cooccurrence_loss(units.flip(0), units) < 1e-12  # when is another loss's business
    apart = units.clone()
    apart[..., 0] = apart[..., 0].flip(0)
    assert cooccurrence_loss(apart, units) > 1e-3
    assert cooccurrence_loss(torch.zeros_like(units), units) == pytest.approx(1.0)


def test_auxiliary_is_masked() -> None:
    wanted, seen = random(2, 7, 6), torch.zeros(2, 7, 6, dtype=torch.bool)
    assert auxiliary_loss(wanted + 1, wanted, seen) == 0
    seen[0] = True
    assert auxiliary_loss(wanted, wanted, seen) == 0
    assert auxiliary_loss(wanted + 1, wanted, seen) == pytest.approx(1.0)


def test_masked_mean_of_nothing_is_nothing() -> None:
    assert masked_mean(torch.ones(3), torch.zeros(3)) == 0


def test_divergence_of_a_unit_gaussian_is_zero_and_equals_the_integral() -> None:
    assert gaussian_kl(torch.zeros(2), torch.zeros(2)).abs().max() == 0
    mean, deviation = 0.7, 0.4
    x = np.linspace(-8, 8, 200001)
    p = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    q = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    integral = (
        np.trapezoid(p * np.log(np.maximum(p, 1e-300) / q), x)
        if hasattr(np, "trapezoid")
        else np.trapz(p * np.log(np.maximum(p, 1e-300) / q), x)
    )
    got = gaussian_kl(torch.tensor(mean), 2 * torch.log(torch.tensor(deviation)))
    assert float(got) == pytest.approx(float(integral), rel=1e-4)
