"""Listeners as functions: who they are, what they are told, and that the model runs as live."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.evaluation.listeners import (
    LISTENERS,
    ModelListens,
    listener_named,
    natural_conditions,
    style_conditions,
    temperaments,
    untold,
)
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate

FRAMES = 60


@pytest.mark.parametrize("name", [name for name in LISTENERS if name != "model"])
def test_every_listener_gives_streams(name: str) -> None:
    dyads = simulate(5, 2, FRAMES, prior="natural")
    listener = listener_named(name)
    first, second = (
        listener.run(dyads.speaker, natural_conditions(2), np.array([3, 4]), dyads.stimulus) for _ in range(2)
    )
    assert listener.name == name
    assert first.shape == (2, FRAMES, COEFFICIENT_COUNT)
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_what_is_told_reaches_the_temperament_and_the_rest_is_drawn() -> None:
    who = temperaments(untold(50), 0)
    assert who.control("responsiveness").std() > 0.02
    told = style_conditions("responsive", 50, nodding=0.5)
    assert told.controls[:, CONTROL_NAMES.index("nodding")].tolist() == [0.5] * 50
    assert temperaments(told, 0).control("responsiveness").min() > 0.9
    assert not told.real.any()


def test_the_model_runs_from_tokens_as_from_speakers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    model = ModelListens(find_weights(write_random_weights(tmp_path)), Sampling(steps=2))
    dyads = simulate(6, 3, FRAMES)
    out = model.run(dyads.speaker, natural_conditions(3), np.arange(3))
    assert out.shape == (3, FRAMES, COEFFICIENT_COUNT)
    again = model.run(dyads.speaker.take(np.array([1])), natural_conditions(1), np.array([1]))
    np.testing.assert_allclose(again[0], out[1], atol=1e-4)
    other = model.run(dyads.speaker, natural_conditions(3), np.arange(3) + 10)
    assert np.abs(other - out).max() > 1e-3
