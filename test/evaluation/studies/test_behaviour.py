"""Behaviour of the simulator's own listener: it anticipates by precursors alone, relies on the speaker, is itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.studies import behaviour
from reactdiff_ros.evaluation.studies.behaviour import (
    MAPS,
    BehaviourReport,
    attention_maps,
    derangement,
    evaluate_behaviour,
    paired_less_shuffled,
    read_fusion,
    smile_coupling,
)
from reactdiff_ros.model.tokens import featurize
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate


@pytest.fixture(scope="module")
def simulator() -> BehaviourReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "EXPECTED_OF", 4)
        return evaluate_behaviour(StreamListener("simulator"), items=24, seconds=24)


def test_without_precursors_nobody_smiles_at_once(simulator: BehaviourReport) -> None:
    bins = simulator.figures["lags"]["responsive"]["without_precursors"]["bins"]
    assert bins["within_200_ms"]["excess"] < bins["within_200_ms"]["chance_high"] + 0.08
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]


def test_simulated_listeners_stand_beside(simulator: BehaviourReport) -> None:
    beside = simulator.figures["lags_of_simulated_listeners"]
    bins = beside["responsive"]["without_precursors"]["bins"]
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]
    idle = evaluate_behaviour(StreamListener("idle"), items=8, seconds=8)
    assert idle.figures["lags"]["responsive"] != idle.figures["lags_of_simulated_listeners"]["responsive"]
    assert set(beside) == set(idle.figures["lags"])


def test_it_relies_on_the_speaker_and_an_idle_face_does_not(simulator: BehaviourReport) -> None:
    assert simulator.figures["reliance"]["face"]["low"] > 0
    idle = evaluate_behaviour(StreamListener("idle"), items=8, seconds=8)
    assert idle.figures["reliance"]["smile"]["reliance"] == 0
    assert idle.figures["realism"]["classifier"]["auc"] > 0.9
    assert all(b["share"] == 0 for b in idle.figures["lags"]["natural"]["with_precursors"]["bins"].values())


def test_it_is_as_near_to_itself_as_the_floor(simulator: BehaviourReport) -> None:
    realism = simulator.figures["realism"]
    assert realism["frechet"]["distance"] == pytest.approx(realism["frechet"]["floor"], rel=0.5)
    assert abs(realism["classifier"]["auc"] - 0.5) < 0.15
    assert np.isfinite(realism["classifier_floor"]["auc"])


def slow(seed: int, shape: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(shape[0], shape[1] + 40)).cumsum(1)
    out = noise[:, 40:] - noise[:, :-40]
    return np.clip(0.4 + 0.2 * out / out.std(), 0, 1)


def test_who_follows_relies_and_who_does_not_does_not() -> None:
    speaker = slow(0, (40, 800))
    streams = np.zeros((2, 40, 800, 58))
    other = speaker[derangement(40)]
    for k, source in enumerate((speaker, other)):
        late = np.roll(source, 20, axis=1)[..., None]
        streams[k][..., list(SMILE)] = 0.5 * late + 0.5 * slow(1, (40, 800))[..., None]
    told = paired_less_shuffled(smile_coupling(speaker, streams[0]), smile_coupling(speaker, streams[1]), 0)
    assert told["low"] > 0.2
    ignores = slow(2, (40, 800))
    same = np.zeros((40, 800, 58))
    same[..., list(SMILE)] = ignores[..., None]
    null = paired_less_shuffled(smile_coupling(speaker, same), smile_coupling(speaker, same), 0)
    assert null["reliance"] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    return write_random_weights(tmp_path_factory.mktemp("weights"))


def test_it_is_the_attention_of_the_networks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from random_model import random_model

    from reactdiff_ros.training import nets

    features, observed = featurize(simulate(4, 4, 40).speaker)
    x, o = features[:, 20:].reshape(-1, features.shape[-1]), observed[:, 20:].reshape(-1, observed.shape[-1])
    seen: list[np.ndarray] = []

    def attend(q, k, v, mask=None):  # type: ignore[no-untyped-def]
        share = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask, dim=-1)
        seen.append(share.mean(1)[:, 0].numpy())
        return share @ v

    monkeypatch.setattr(nets, "attend", attend)
    with torch.no_grad():
        random_model().encoder.fuse(torch.from_numpy(x), torch.from_numpy(o))
    maps = attention_maps(read_fusion(find_weights(folder)), x.astype(float), o.astype(float))
    for name, wanted in zip(MAPS, seen, strict=True):
        np.testing.assert_allclose(maps[name], wanted, atol=2e-3)  # tensors are shipped in half precision
        np.testing.assert_allclose(maps[name].sum(-1), 1, atol=1e-6)
