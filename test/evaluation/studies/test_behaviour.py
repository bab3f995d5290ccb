"""Behaviour of the simulator's own listener: it anticipates by precursors alone, relies on the speaker, is itself."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.listeners import listener_named
from reactdiff_ros.evaluation.studies import behaviour
from reactdiff_ros.evaluation.studies.behaviour import BehaviourReport, evaluate_behaviour


@pytest.fixture(scope="module")
def simulator() -> BehaviourReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "EXPECTED_OF", 4)
        return evaluate_behaviour(listener_named("simulator"), items=24, seconds=24)


def test_without_precursors_nobody_smiles_at_once(simulator: BehaviourReport) -> None:
    bins = simulator.figures["lags"]["responsive"]["without_precursors"]["bins"]
    assert bins["within_200_ms"]["excess"] < bins["within_200_ms"]["chance_high"] + 0.08
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]


def test_simulated_listeners_stand_beside(simulator: BehaviourReport) -> None:
    beside = simulator.figures["lags_of_simulated_listeners"]
    bins = beside["responsive"]["without_precursors"]["bins"]
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]
    idle = evaluate_behaviour(listener_named("idle"), items=8, seconds=8)
    assert idle.figures["lags"]["responsive"] != idle.figures["lags_of_simulated_listeners"]["responsive"]
    assert set(beside) == set(idle.figures["lags"])


def test_it_relies_on_the_speaker_and_an_idle_face_does_not(simulator: BehaviourReport) -> None:
    assert simulator.figures["reliance"]["face"]["low"] > 0
    idle = evaluate_behaviour(listener_named("idle"), items=8, seconds=8)
    assert idle.figures["reliance"]["smile"]["reliance"] == 0
    assert idle.figures["realism"]["classifier"]["auc"] > 0.9
    assert all(b["share"] == 0 for b in idle.figures["lags"]["natural"]["with_precursors"]["bins"].values())


def test_it_is_as_near_to_itself_as_the_floor(simulator: BehaviourReport) -> None:
    realism = simulator.figures["realism"]
    assert realism["frechet"]["distance"] == pytest.approx(realism["frechet"]["floor"], rel=0.5)
    assert abs(realism["classifier"]["auc"] - 0.5) < 0.15
    assert np.isfinite(realism["classifier_floor"]["auc"])
