"""The shipped autoencoder on simulated listeners that it has not met: exact, in use, without delay, in face units."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX
from reactdiff_ros.model.plan.latents import GROUPS, LATENT_COUNT
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.types import FloatArray

LEAD = 2 * VAE_CONTEXT
"""Frames that encoder and decoder look back, without which they say nothing."""


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(find_weights())


@pytest.fixture(scope="module")
def faces() -> FloatArray:
    return simulate(purpose_seed("validate", 117), 16, 500).listener


@pytest.fixture(scope="module")
def latents(networks: Networks, faces: FloatArray) -> FloatArray:
    return networks.latents(faces)


def explained(decoded: FloatArray, faces: FloatArray, columns: tuple[int, ...]) -> float:
    """Share of the variance of these coefficients that is there after decoding."""
    true = faces[:, LEAD:, list(columns)]
    error = np.square(decoded[..., list(columns)] - true).sum()
    return float(1 - error / np.square(true - true.mean((0, 1))).sum())


def test_every_group_comes_back_in_the_units_of_a_face(
    networks: Networks, faces: FloatArray, latents: FloatArray
) -> None:
    decoded = networks.decode(latents)
    assert decoded.shape == faces[:, LEAD:].shape
    for group in GROUPS:
        assert explained(decoded, faces, group.coefficients) > 0.95, group.name
        moving = [i for i in group.coefficients if faces[:, LEAD:, i].std() > 0.01]
        spread = decoded[..., moving].std((0, 1)) / faces[:, LEAD:, moving].std((0, 1))
        assert spread.min() > 0.9, group.name
        assert spread.max() < 1.1, group.name
    still = np.zeros((1, LEAD + 20, COEFFICIENT_COUNT), np.float32)
    assert np.abs(networks.decode(networks.latents(still))).max() < 0.1


def test_no_group_of_latents_has_collapsed(networks: Networks, faces: FloatArray, latents: FloatArray) -> None:
    """Each group's latents move, and a face decoded without them has lost the group, and the group alone."""
    assert latents.shape[-1] == LATENT_COUNT
    for group in GROUPS:
        assert (latents[..., group.latents].var((0, 1)) > 0.01).any(), group.name
        silent = latents.copy()
        silent[..., group.latents] = latents[..., group.latents].mean((0, 1))
        decoded = networks.decode(silent)
        assert explained(decoded, faces, group.coefficients) < 0.3, group.name
        others = tuple(i for other in GROUPS if other is not group for i in other.coefficients)
        assert explained(decoded, faces, others) > 0.95, group.name


def test_an_impulse_comes_out_at_its_frame(networks: Networks) -> None:
    still = np.zeros((1, LEAD + 30, COEFFICIENT_COUNT), np.float32)
    at = LEAD + 15
    for name, size in (("mouthSmileLeft", 0.6), ("browInnerUp", 0.6), ("eyeBlinkLeft", 1.0), ("headPitch", 0.1)):
        struck = still.copy()
        struck[0, at, INDEX[name]] = size
        moved = networks.decode(networks.latents(struck)) - networks.decode(networks.latents(still))
        response = np.abs(moved[0, :, INDEX[name]])
        assert response[: at - LEAD].max() < 1e-5, name
        assert response.argmax() == at - LEAD, name
