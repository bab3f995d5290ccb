"""Behaviour of the simulator's own listener: it anticipates by precursors alone, relies on the speaker, is itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.studies import behaviour
from reactdiff_ros.evaluation.studies.behaviour import MAPS, attention_maps, evaluate_behaviour, read_fusion
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.tokens import featurize
from reactdiff_ros.simulator.dyads import simulate


@pytest.fixture(scope="module")
def simulator() -> Study:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "EXPECTED_OF", 4)
        return evaluate_behaviour(StreamListener("simulator"), items=16, seconds=16)


def test_the_simulators_listener_is_itself(simulator: Study) -> None:
    """It anticipates by precursors alone, relies on the speaker, and is as near to itself as the floor."""
    bins = simulator.figures["lags"]["responsive"]["without_precursors"]["bins"]
    assert bins["within_200_ms"]["excess"] < bins["within_200_ms"]["chance_high"] + 0.08
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]
    assert simulator.figures["reliance"]["face"]["low"] > 0
    realism = simulator.figures["realism"]
    assert realism["frechet"]["distance"] == pytest.approx(realism["frechet"]["floor"], rel=0.5)
    assert abs(realism["classifier"]["auc"] - 0.5) < 0.15
    assert np.isfinite(realism["classifier_floor"]["auc"])


def test_an_idle_face_relies_on_nobody_and_is_told_from_people() -> None:
    idle = evaluate_behaviour(StreamListener("idle"), items=8, seconds=8)
    assert idle.figures["reliance"]["smile"]["reliance"] == 0
    assert idle.figures["realism"]["classifier"]["auc"] > 0.9
    assert all(b["share"] == 0 for b in idle.figures["lags"]["natural"]["with_precursors"]["bins"].values())


def test_it_is_the_attention_of_the_networks(random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from random_model import random_model

    from reactdiff_ros.training import nets

    features, observed = featurize(simulate(4, 4, 40).speaker)
    x, o = features[:, 20:].reshape(-1, features.shape[-1]), observed[:, 20:].reshape(-1, observed.shape[-1])
    seen: list[np.ndarray] = []

    def attend(q, k, v, mask=None):
        share = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask, dim=-1)
        seen.append(share.mean(1)[:, 0].numpy())
        return share @ v

    monkeypatch.setattr(nets, "attend", attend)
    with torch.no_grad():
        random_model().encoder.fuse(torch.from_numpy(x), torch.from_numpy(o))
    maps = attention_maps(read_fusion(find_weights(random_weights)), x.astype(float), o.astype(float))
    for name, wanted in zip(MAPS, seen, strict=True):
        np.testing.assert_allclose(maps[name], wanted, atol=2e-3)  # tensors are shipped in half precision
        np.testing.assert_allclose(maps[name].sum(-1), 1, atol=1e-6)
