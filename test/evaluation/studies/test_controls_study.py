"""Sweeps of the controls: on the simulator's own listener, which obeys them by construction, every one rises."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, INDEX, SMILE
from reactdiff_ros.evaluation.listeners import ModelListens, SimulatorListens
from reactdiff_ros.evaluation.metrics.bootstrap import Sweep
from reactdiff_ros.evaluation.plots import plot_controls
from reactdiff_ros.evaluation.studies.controls import (
    STYLE_TIMES,
    STYLE_VALUES,
    evaluate_controls,
    evaluate_gains,
    head_speed,
    nods_per_minute,
    smile_share,
)
from reactdiff_ros.model.conditions import STYLE_NAMES
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.styles import EXPRESSION_CONTROLS, LISTENER_CONTROLS


def test_measures_count_what_they_say() -> None:
    faces = np.zeros((2, 1500, 58), np.float32)
    time_s = np.arange(1500) / 25.0
    faces[1][:, list(SMILE)] = (0.6 * (time_s % 6 < 2))[:, None]
    faces[1][:, HEAD_PITCH] = 0.05 * (1 - np.cos(2 * np.pi * 1.6 * time_s)) * (time_s % 10 < 1.25)
    assert smile_share(faces)[0] == 0.0
    assert smile_share(faces)[1] == pytest.approx(1 / 3, abs=0.03)
    assert nods_per_minute(faces).tolist() == [0.0, 6.0]
    assert head_speed(faces)[0] == 0.0
    assert 3.0 < head_speed(faces)[1] < 12.0


def test_a_sweep_is_paired_and_tells_what_does_not_rise() -> None:
    base = np.random.default_rng(0).normal(size=40)
    rising = Sweep("x", (0.0, 1.0), np.stack([base, base + 0.1])).figures()
    assert rising["monotonic"]
    assert rising["rise_low"] == pytest.approx(0.1), "the spread between streams is not in it"
    assert rising["rises"]
    flat = Sweep("x", (0.0, 1.0, 2.0), np.stack([base, base + 0.2, base + 0.1])).figures()
    assert not flat["monotonic"]
    assert not flat["rises"]
    empty = Sweep("x", (0.0, 1.0), np.full((2, 3), np.nan)).figures()
    assert not empty["monotonic"]
    assert not empty["rises"]


def test_a_rise_that_chance_could_make_is_none() -> None:
    """A tenth of the spread between ten streams: every step rises, and so it would on noise half of the time."""
    noise = np.random.default_rng(1).normal(size=(3, 10))
    noise -= noise.mean(1, keepdims=True)
    chance = Sweep("x", (0.0, 1.0, 2.0), noise + np.array([[0.0], [0.05], [0.1]])).figures()
    assert chance["monotonic"]
    assert chance["rise_low"] < 0.0 < chance["rise"]
    assert not chance["rises"]


def test_every_control_rises_on_the_simulators_listener(tmp_path) -> None:
    shares: list[float] = []
    figures = evaluate_controls(
        SimulatorListens(perceiving=False), seed=0, items=16, seconds=24.0, points=2, told=shares.append
    )
    assert set(figures["controls"]) == set(LISTENER_CONTROLS)
    assert figures["style"] == {}
    for name, parts in figures["controls"].items():
        assert parts[0]["rise_low"] > 0.0, name
    assert set(figures["gains"]) == set(EXPRESSION_CONTROLS)
    delay = figures["controls"]["delay_s"][0]["mean"]
    assert delay[-1] - delay[0] == pytest.approx(1.0, abs=0.25)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert plot_controls(figures, tmp_path / "controls.png").stat().st_size > 10_000


def test_entries_of_a_style_are_swept_for_the_model_on_more_speakers(tmp_path) -> None:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    model = ModelListens(find_weights(write_random_weights(tmp_path)), Sampling(steps=1))
    shares: list[float] = []
    figures = evaluate_controls(model, seed=0, items=1, seconds=6.0, points=2, workers=2, told=shares.append)
    assert tuple(figures["style"]) == STYLE_NAMES
    assert figures["style_items"] == STYLE_TIMES
    assert all(tuple(part["values"]) == STYLE_VALUES for part in figures["style"].values())
    assert set(figures["not_rising"]) <= {*LISTENER_CONTROLS, *EXPRESSION_CONTROLS, *STYLE_NAMES}
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def lively(seconds: float) -> np.ndarray:
    """Two listeners who smile, raise brows and turn their heads."""
    wave = 0.5 * (1 - np.cos(2 * np.pi * 0.4 * np.arange(round(seconds * 25)) / 25.0))
    faces = np.zeros((2, len(wave), 58), np.float32)
    faces[..., [*SMILE, INDEX["browInnerUp"]]] = 0.4 * wave[:, None]
    faces[..., HEAD_YAW] = 0.1 * wave
    return faces


def test_what_the_expression_does_to_a_plan_rises_with_its_controls() -> None:
    figures = evaluate_gains(lively(8.0), points=3, workers=2)
    assert all(part["rises"] for part in figures.values()), figures
    smile = figures["intensity"]["mean"]
    assert smile[0] < 1e-3
    assert smile[2] == pytest.approx(2 * smile[1], rel=0.1)


@pytest.mark.slow
def test_figures_do_not_depend_on_how_many_values_run_at_once() -> None:
    one, two = (
        evaluate_controls(SimulatorListens(perceiving=False), seed=1, items=4, seconds=12.0, points=3, workers=workers)
        for workers in (1, 2)
    )
    assert json.dumps(one) == json.dumps(two)
