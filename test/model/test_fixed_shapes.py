"""Small batches have sessions without free axes: quicker, and the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.model.runtime import SMALL, Networks
from reactdiff_ros.model.weights import find_weights


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(find_weights(""))


@pytest.mark.parametrize(("listeners", "candidates", "guidance"), [(1, 1, 1.0), (1, 4, 1.0), (4, 1, 1.0), (1, 2, 3.0)])
def test_the_same_bits(networks: Networks, listeners: int, candidates: int, guidance: float) -> None:
    s = networks.shape
    rng = np.random.default_rng(5)
    given = (
        rng.normal(size=(listeners, s["speech"], s["width"])).astype(np.float32),
        (rng.random((listeners, s["speech"])) < 0.3).astype(np.float32),
        rng.normal(size=(listeners, s["past"], s["latent"])).astype(np.float32),
        np.zeros((listeners, networks._sessions["context"].get_inputs()[2].shape[-1]), np.float32),
        rng.normal(size=(listeners, candidates, 4, s["latent"])).astype(np.float32),
    )
    quick = networks.sample(*given, steps=8, guidance=guidance, recall=8)
    used = networks._fixed[listeners, candidates * (2 if guidance != 1.0 else 1), 4]
    assert all(isinstance(size, int) for size in used.get_inputs()[0].shape)
    general = networks._denoiser_for
    networks._denoiser_for = lambda *sizes: networks._sessions["denoiser"]  # type: ignore[method-assign]
    try:
        np.testing.assert_array_equal(quick, networks.sample(*given, steps=8, guidance=guidance, recall=8))
    finally:
        networks._denoiser_for = general  # type: ignore[method-assign]


def test_large_batches_share_one_session(networks: Networks) -> None:
    assert networks._denoiser_for(SMALL, 2, 4) is networks._sessions["denoiser"]
    assert networks._denoiser_for(1, 1, 4) is networks._denoiser_for(1, 1, 4)
