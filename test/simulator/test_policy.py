"""What a listener knows from noisy perception: causal, bounded, and near enough to the truth."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import index
from reactdiff_ros.evaluation.metrics.coupling import coupling, cross_coupling
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import draw_temperaments


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(5, 120, 600, prior="natural")


@pytest.fixture(scope="module")
def known(dyads: Dyads) -> Stimulus:
    return perceive(dyads.speaker)


def cut(batch: SpeakerBatch, frames: int) -> SpeakerBatch:
    return SpeakerBatch(**{f.name: getattr(batch, f.name)[:, :frames] for f in fields(batch)})


@pytest.mark.parametrize("t", [1, 77, 300])
def test_nothing_reads_ahead(dyads: Dyads, known: Stimulus, t: int) -> None:
    early = perceive(cut(dyads.speaker, t))
    for f in fields(known):
        assert np.array_equal(getattr(early, f.name), getattr(known, f.name)[:, :t]), f.name


def test_everything_is_within_bounds(known: Stimulus) -> None:
    for f in fields(known):
        values = getattr(known, f.name)
        assert values.dtype == np.float32, f.name
        assert np.isfinite(values).all(), f.name
        assert values.min() >= 0, f.name
        assert values.max() <= 1, f.name


@pytest.mark.parametrize(
    ("field", "least"),
    [("seen", 0.9), ("heard", 0.99), ("speech", 0.85), ("smile", 0.8), ("brighten", 0.4), ("laugh", 0.3),
     ("brow_up", 0.55), ("frown", 0.5), ("sad", 0.5), ("contact", 0.5), ("phrase_end", 0.6), ("held", 0.35)],
)  # fmt: skip
def test_the_truth_is_recovered(dyads: Dyads, known: Stimulus, field: str, least: float) -> None:
    devices = (dyads.speaker.camera.mean(1) > 0.9) & (dyads.speaker.microphone.mean(1) > 0.9)
    rows = slice(None) if field in {"seen", "heard"} else devices
    truth, read = getattr(dyads.stimulus, field)[rows], getattr(known, field)[rows]
    lags = (np.corrcoef(truth[:, : 600 - lag].ravel(), read[:, lag:].ravel())[0, 1] for lag in (0, 2, 4, 6))
    assert max(lags) > least


def test_malformed_perception_is_unobserved_and_not_spread(dyads: Dyads) -> None:
    broken = cut(dyads.speaker, 100)
    for f in fields(broken):
        values = getattr(broken, f.name).copy()
        if values.dtype != bool:
            values[:, 30:60] = np.nan
        broken = replace(broken, **{f.name: values})
    known = perceive(broken)
    assert all(np.isfinite(getattr(known, f.name)).all() for f in fields(known))


def test_the_real_calls_couple_as_people_do() -> None:
    """The listener on the public calls' smiles, cheeks and gaze; no constant was fitted to them."""
    folder = Path(os.environ.get("REACTDIFF_CLIPS") or Path(__file__).resolve().parents[3] / "shared" / "clips")
    if not (folder / "dyads").is_dir():
        pytest.skip(f"the recordings of pairs are not here ({folder / 'dyads'}); set REACTDIFF_CLIPS")
    from reactdiff_ros.datasets.dyads import read_dyads
    from reactdiff_ros.datasets.recording import stack

    calls = read_dyads(folder / "dyads")
    speaker, _, _ = stack(calls, 2500)
    made = listen(perceive(speaker), draw_temperaments(3, len(calls)), 3)
    smile = speaker.coefficients[..., index("mouthSmileLeft")[0]]
    cross = cross_coupling(smile, smile_curve(made.coefficients))
    assert 0.08 < coupling(cross) < 0.30
    assert abs(float(cross[~np.eye(len(cross), dtype=bool)].mean())) < 0.05
