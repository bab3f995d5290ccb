"""smart-turn: Whisper's features, where its file is looked for, and what a damaged one gives."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.turns.smart_turn import RATE_HZ, SmartTurn, find_network, log_mel


def noise(seconds, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(seconds * RATE_HZ).astype(np.float32)


def test_features_have_whispers_range_zeros_in_front_and_the_last_8_s():
    features = log_mel(noise(2))
    assert (features.shape, features.dtype) == ((80, 800), np.float32)
    assert features.max() - features.min() <= 2.0 + 1e-6  # eight powers of ten, divided by four
    assert features[:, 5:590].std(axis=1).max() < 1e-6
    assert features[:, 610:].std() > 0.05
    assert np.isfinite(log_mel(np.zeros(0, np.float32))).all()
    sound = noise(9, 1)
    assert np.array_equal(log_mel(sound), log_mel(sound[RATE_HZ:]))
    assert np.allclose(log_mel(0.5 * sound), log_mel(sound), atol=1e-3)  # loudness does not count


def test_features_are_those_that_the_network_was_made_for_and_it_answers_with_a_probability():
    network = find_network("auto") or pytest.skip("pipecat-ai is not installed (requirements/turns.txt)")
    spec = importlib.util.spec_from_file_location("w", network.parents[1] / "_whisper_features.py")
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    sound = noise(3, 2)
    padded = np.pad(sound, (5 * RATE_HZ, 0))
    assert np.abs(theirs.compute_whisper_log_mel_features(padded) - log_mel(sound)).max() < 1e-5
    assert 0.0 <= SmartTurn(network).probability(np.zeros(RATE_HZ, np.float32)) <= 1.0


def test_a_missing_or_damaged_file_is_one_sentence(tmp_path):
    assert find_network("none") is None
    with pytest.raises(WeightsError, match=r"turns\.txt"):
        find_network(str(tmp_path / "nowhere.onnx"))
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"bad\.onnx"):
        SmartTurn(find_network(str(bad)))
