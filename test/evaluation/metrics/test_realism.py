"""Realism: like cannot be told from like, unlike can, and the distances are the textbook's."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.spectra import (
    frechet,
    frechet_distance,
    two_sample_auc,
)
from reactdiff_ros.simulator.dyads import simulate


@pytest.fixture(scope="module")
def draws() -> list[np.ndarray]:
    return [simulate(seed, 60, 500, prior="natural").listener for seed in (1, 2, 3)]


def test_two_draws_of_one_simulator_cannot_be_told_apart(draws: list[np.ndarray]) -> None:
    told = frechet_distance(draws[1], draws[0], draws[2])
    assert 0.3 < told["distance"] / told["floor"] < 3
    assert two_sample_auc(draws[1], draws[0], 0)["auc"] == pytest.approx(0.5, abs=0.1)


def test_a_damped_and_a_jittery_face_are_told(draws: list[np.ndarray]) -> None:
    damped = 0.6 * draws[1]
    jittery = draws[1] + np.random.default_rng(0).normal(0, 0.02, draws[1].shape)
    for fake in (damped, jittery):
        told = frechet_distance(fake, draws[0], draws[2])
        assert told["distance"] > 1.3 * told["floor"]
        assert two_sample_auc(fake, draws[0], 0)["auc"] > 0.7


def test_frechet_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200_000, 2)), rng.normal(1, 2, (200_000, 2))
    assert frechet(a, b) == pytest.approx(2 + 2, rel=0.03)  # mean 1 apart and deviation 1 apart, twice
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
