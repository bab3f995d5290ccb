"""Whole sequences are what single frames give; small batches without free axes differ by rounding alone."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import condition_count
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.types import FloatArray


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(find_weights(""))


def given(speakers: int, frames: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(frames)
    features = rng.standard_normal((speakers, frames, FEATURE_COUNT)).astype(np.float32)
    return features, (rng.random((speakers, frames, STREAM_COUNT)) < 0.8).astype(np.float32)


def frame_by_frame(networks: Networks, features: FloatArray, observed: FloatArray) -> FloatArray:
    cache, tokens = networks.new_cache(len(features)), []
    for t in range(features.shape[1]):
        token, new = networks.encode(features[:, t], observed[:, t], cache.past())
        cache.push(new)
        tokens.append(token)
    return np.stack(tokens, axis=1)


@pytest.mark.parametrize(("speakers", "frames"), [(1, 1), (1, 8), (2, 50), (1, 351)])
def test_whole_sequences_are_those_of_single_frames(networks: Networks, speakers: int, frames: int) -> None:
    both = given(speakers, frames)
    made = networks.encode_sequence(*both)
    assert made.shape == (speakers, frames, networks.shape["width"])
    np.testing.assert_allclose(made, frame_by_frame(networks, *both), atol=1e-4)


@pytest.fixture(scope="module")
def backend() -> OnnxRuntimeCpu:
    return OnnxRuntimeCpu(find_weights(""))


@pytest.mark.parametrize(("listeners", "candidates", "guidance"), [(1, 1, 1.0), (1, 4, 1.0), (4, 1, 1.0), (1, 2, 3.0)])
def test_the_same_but_for_rounding(backend: OnnxRuntimeCpu, listeners: int, candidates: int, guidance: float) -> None:
    networks = Networks(find_weights(""), backend=backend)
    s = networks.shape
    rng = np.random.default_rng(5)
    given = (
        rng.normal(size=(listeners, len(networks.ages), s["width"])).astype(np.float32),
        (rng.random((listeners, len(networks.ages))) < 0.3).astype(np.float32),
        rng.normal(size=(listeners, s["past"], s["latent"])).astype(np.float32),
        np.zeros((listeners, condition_count(s["max_lead"])), np.float32),
        rng.normal(size=(listeners, candidates, 4, s["latent"])).astype(np.float32),
    )
    quick = networks.sample(*given, steps=8, guidance=guidance, recall=8)
    used = backend._fixed[listeners, candidates * (2 if guidance != 1.0 else 1), 4]
    assert all(isinstance(size, int) for size in used.get_inputs()[0].shape)
    general = backend._denoiser_for
    backend._denoiser_for = lambda *sizes: backend._sessions["denoiser"]  # type: ignore[method-assign]
    try:
        free = networks.sample(*given, steps=8, guidance=guidance, recall=8)
        np.testing.assert_allclose(quick, free, atol=1e-4 * guidance**2)  # guidance enlarges them, as 8 steps do
    finally:
        backend._denoiser_for = general  # type: ignore[method-assign]
