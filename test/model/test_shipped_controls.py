"""What ships obeys its controls: on the same speakers with the same noise, each moves what it names, step by step.

How far, with intervals and on more speakers, is measured by `reactdiff evaluate controls` (docs/evidence.md).
"""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.studies.controls import (
    MEASURES,
    SMILE,
    Runner,
    Trials,
    find_trials,
    lag_s,
    setting,
)
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.settings import RANGES
from reactdiff_ros.styles import Style
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

pytestmark = pytest.mark.timeout(600)  # on a busy machine
LISTENERS, SECONDS = 12, 8


@pytest.fixture(scope="module")
def shipped() -> StreamListener:
    return StreamListener("model", find_weights(""), Sampling())


@pytest.fixture(scope="module")
def runner(shipped: StreamListener) -> Runner:
    return Runner(shipped, 0, LISTENERS, round(SECONDS * REACTION_RATE_HZ), None)


@pytest.fixture(scope="module")
def ordinary(runner: Runner) -> FloatArray:
    return runner.faces(conditioning(Style()))


@pytest.mark.parametrize("name", list(MEASURES))
@pytest.mark.slow
def test_each_control_moves_what_it_names(runner: Runner, ordinary: FloatArray, name: str) -> None:
    low, high = RANGES[name]
    assert getattr(Style(), name) == (low + high) / 2
    title, of = MEASURES[name][0]
    faces = (runner.faces(setting(name, low)), ordinary, runner.faces(setting(name, high)))
    measured = [float(of(own).mean()) for own in faces]
    assert np.all(np.diff(measured) > 0), f"{title}: {measured}"


@pytest.fixture(scope="module")
def trials() -> Trials:
    return find_trials(0, "smile", 6)


def test_responsiveness_moves_the_answer_to_a_smile(shipped: StreamListener, trials: Trials) -> None:
    settings = [setting("responsiveness", value) for value in (0.0, 0.5, 1.0)]
    answers = [float(trials.paired(shipped, one, SMILE).smiles_more().mean()) for one in settings]
    assert np.all(np.diff(answers) > 0), answers


@pytest.mark.slow
def test_delay_moves_when_the_answer_comes(shipped: StreamListener, trials: Trials) -> None:
    pairs = (trials.paired(shipped, setting("delay_s", value), SMILE) for value in (0.0, 0.8))
    soon, late = (float(np.nanmean(lag_s(paired))) for paired in pairs)
    assert late - soon == pytest.approx(0.8, abs=0.25)
