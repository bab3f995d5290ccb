"""Several listeners of each simulated speaker: different people, each coupled to the speaker."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from reactdiff_ros.cli import simulated as simulate_listeners
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulated import Listeners, listeners_of
from reactdiff_ros.evaluation.metrics.coupling import coupling, cross_coupling
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.style import style_of
from reactdiff_ros.simulator.dyads import Dyads, simulate

SEED, WORLDS, FRAMES, EACH = 5, 60, 1000, 3


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(SEED, WORLDS, FRAMES, prior="natural")


@pytest.fixture(scope="module")
def listeners(dyads: Dyads) -> Listeners:
    return listeners_of(dyads, SEED, EACH, "natural")


def test_the_first_listener_is_the_dyad_s_own(dyads: Dyads, listeners: Listeners) -> None:
    own = (dyads.listener, dyads.activity, dyads.controls, dyads.temperament.traits, dyads.style, dyads.style_given)
    for f, value in zip(fields(listeners), own, strict=True):
        assert np.array_equal(getattr(listeners, f.name)[:, 0], value), f.name


def test_the_same_seed_the_same_bits_however_many_there_are(dyads: Dyads, listeners: Listeners) -> None:
    again, fewer, other = (listeners_of(dyads, *a, "natural") for a in ((SEED, EACH), (SEED, 2), (SEED + 1, 2)))
    for f in fields(listeners):
        value = getattr(listeners, f.name)
        assert np.array_equal(value, getattr(again, f.name)), f.name
        assert np.array_equal(value[:, :2], getattr(fewer, f.name)), f.name
    assert not np.array_equal(listeners.coefficients[:, 1], other.coefficients[:, 1])
    assert not np.array_equal(listeners.traits[:, 1], other.traits[:, 1])


def test_listeners_of_one_speaker_are_different_people(listeners: Listeners) -> None:
    smile = smile_curve(listeners.coefficients)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (listeners.traits[:, a] != listeners.traits[:, b]).all()
        assert abs(np.corrcoef(listeners.traits[:, a].ravel(), listeners.traits[:, b].ravel())[0, 1]) < 0.1
        for name in ("attitude", "responsiveness", "nodding"):
            of_all = listeners.controls[..., CONTROL_NAMES.index(name)]
            assert np.abs(of_all[:, a] - of_all[:, b]).mean() > 0.08, name
        # They smile at one speaker, and yet each in a way of its own.
        assert np.diag(cross_coupling(smile[:, a], smile[:, b], range(1))).mean() < 0.4


def test_each_listener_is_coupled_to_its_own_speaker(dyads: Dyads, listeners: Listeners) -> None:
    there = dyads.stimulus.seen.mean(1) > 0.9
    for number in range(EACH):
        cross = cross_coupling(dyads.stimulus.smile[there], smile_curve(listeners.coefficients[there, number]))
        strangers = (cross.sum() - np.trace(cross)) / (cross.size - len(cross))
        assert coupling(cross) > 0.1
        assert abs(strangers) < 0.03


def test_two_worlds_share_their_listeners_and_styles_are_the_other_world_s(listeners: Listeners) -> None:
    half = WORLDS // 2
    for number in range(EACH):
        assert np.array_equal(listeners.traits[:half, number], listeners.traits[half:, number])
        assert np.array_equal(listeners.controls[:half, number], listeners.controls[half:, number])
        values, given = style_of(listeners.coefficients[:, number])
        assert np.array_equal(listeners.style_given[:half, number], given[half:])
        assert np.array_equal(listeners.style[half:, number], values[:half] * given[:half])
    odd = listeners_of(simulate(3, 5, 300), 3, 2, "wide")
    assert odd.style_given[:4, 1].any()
    assert not odd.style_given[4].any()


def test_what_does_not_fit_into_memory_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate_listeners.psutil, "virtual_memory", lambda: SimpleNamespace(available=4e6))
    few = ["dev", "simulate", "--dyads", "2", "--seconds", "20"]
    assert main([*few, "--listeners", "2"]) == 0
    assert main([*few, "--listeners", "20"]) == 1
    said = capfd.readouterr().err
    assert "of memory" in said
    assert "2 dyads, 20 listeners of each, 500 frames" in said
