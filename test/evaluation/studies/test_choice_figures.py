"""The choice among ten candidates shows what a single one would; networks with random weights."""

import numpy as np
import pytest

from reactdiff_ros.evaluation.studies.sampling import choice_figures
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights


def figures(random_weights, count=24, frames=240, candidates=10):
    networks = Networks(find_weights(random_weights))
    tokens = np.random.default_rng(0).standard_normal((3, frames, networks.shape["width"] + 1)).astype(np.float32)
    how = Sampling(steps=2, guidance=1.0, hop=16, block=16, smooth=False)
    return choice_figures(
        networks, tokens, ordinary(count), speaker_of=np.arange(count) % 3, seeds=np.arange(count), how=how,
        candidates=candidates,
    )  # fmt: skip


def test_the_choice_changes_neither_variance_nor_smiles(random_weights):
    found = figures(random_weights)
    assert found["variance"]
    for name, ratio in found["variance"].items():
        assert ratio == pytest.approx(1.0, abs=0.1), name
    assert np.isfinite(found["smile_share"]) == np.isfinite(found["smile_rate"])
    assert found["smile_mean"] == pytest.approx(1.0, abs=0.1)
    known = found["intervals"]
    assert known["smile_mean"]["low"] < found["smile_mean"] < known["smile_mean"]["high"]
    assert known["variance"].keys() == found["variance"].keys()
    for name, row in known["variance"].items():
        assert 0 < row["low"] < found["variance"][name] < row["high"] < 2, name


def test_a_choice_of_the_dullest_is_found_out(random_weights, monkeypatch):
    def dullest(plans, ranks):
        return np.argmin(plans[..., 43:45].mean((2, 3)), axis=1)

    monkeypatch.setattr("reactdiff_ros.model.plan.planner.ranked", dullest)
    assert figures(random_weights)["smile_mean"] < 0.9
