"""Whole sequences are what single frames give."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import find_weights
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
