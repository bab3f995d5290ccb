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
from reactdiff_ros.simulator.dynamics import Onsets
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.motion import BoolArray
from reactdiff_ros.simulator.policy import _switched, perceive
from reactdiff_ros.simulator.senses import THRESHOLDS
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import draw_temperaments
from reactdiff_ros.types import FloatArray


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(5, 200, 600, prior="natural")


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
    [("seen", 0.9), ("heard", 0.99), ("speech", 0.85), ("smile", 0.87), ("brighten", 0.5), ("laugh", 0.35),
     ("brow_up", 0.65), ("frown", 0.45), ("sad", 0.6), ("contact", 0.55), ("phrase_end", 0.65), ("held", 0.4),
     ("nod", 0.4), ("cue", 0.18)],
)  # fmt: skip
def test_the_truth_is_recovered(dyads: Dyads, known: Stimulus, field: str, least: float) -> None:
    devices = (dyads.speaker.camera.mean(1) > 0.9) & (dyads.speaker.microphone.mean(1) > 0.9)
    rows = slice(None) if field in {"seen", "heard"} else devices
    truth, read = getattr(dyads.stimulus, field)[rows], getattr(known, field)[rows]
    lags = (np.corrcoef(truth[:, : 600 - lag].ravel(), read[:, lag:].ravel())[0, 1] for lag in (0, 2, 4, 6))
    assert max(lags) > least


def begins(signal: FloatArray, name: str) -> BoolArray:
    """(B, T) where a listener takes the event for begun; a smile at .15."""
    onsets = Onsets(np.array([{**THRESHOLDS, "smile": 0.15}[name]], np.float32), signal[None, :, 0])
    return np.stack([onsets.step(signal[None, :, t])[0] for t in range(signal.shape[1])], axis=1)


def found(true: BoolArray, read: BoolArray) -> int:
    """How many true onsets are read within -0.12 to 1 s, one to one."""
    count = 0
    for own, theirs in zip(true, read, strict=True):
        left = np.flatnonzero(theirs).tolist()
        for t in np.flatnonzero(own):
            match = next((u for u in left if -3 <= u - t <= 25), None)
            if match is not None:
                left.remove(match)
                count += 1
    return count


@pytest.mark.parametrize(
    ("field", "lowest", "highest", "score"),
    [("smile", 0.8, 1.25, 0.8), ("laugh", 0.45, 1.4, 0.33), ("nod", 0.7, 1.35, 0.38), ("cue", 0.5, 1.3, 0.27),
     ("doubt", 0.4, 1.7, 0.3), ("frown", 0.6, 1.6, 0.45), ("brighten", 0.8, 1.25, 0.65), ("brow_up", 0.5, 1.2, 0.6)],
)  # fmt: skip
def test_events_are_read_about_as_often_as_they_happen(
    dyads: Dyads, known: Stimulus, field: str, lowest: float, highest: float, score: float
) -> None:
    """Rates over the true ones, and F1: speech, sway and noise of landmarks are not taken for events."""
    devices = (dyads.speaker.camera.mean(1) > 0.9) & (dyads.speaker.microphone.mean(1) > 0.9)
    true, read = (begins(getattr(of, field)[devices], field) for of in (dyads.stimulus, known))
    assert lowest <= read.sum() / true.sum() <= highest
    assert 2 * found(true, read) / (true.sum() + read.sum()) > score


def test_what_trembles_without_laughing_is_no_laugh(dyads: Dyads, known: Stimulus) -> None:
    """Coughs shake the head and burst in the voice, without a smile; amusement shakes a smiling head in silence."""
    coughs = dyads.truth.burst & ~dyads.truth.laughing
    shown = begins(known.laugh, "laugh")
    for imitation in (coughs, dyads.truth.hush):
        assert imitation.mean() > 0.002
        assert shown[imitation].mean() < 0.4 * shown[dyads.truth.laughing].mean()


def test_a_smile_switches_with_hysteresis_and_needs_no_cheeks(dyads: Dyads) -> None:
    plain = cut(dyads.speaker, 300)
    confidence = plain.confidence.copy()
    confidence[..., index("cheekSquintLeft", "cheekSquintRight")] = 0.0
    read = perceive(replace(plain, confidence=confidence)).smile
    truth = dyads.stimulus.smile[:, :300]
    seen = dyads.stimulus.seen[:, :300] > 0
    assert np.corrcoef(read[:, 4:][seen[:, 4:]], truth[:, :-4][seen[:, 4:]])[0, 1] > 0.75
    held = _switched(np.array([[0.0, 0.1, 0.2, 0.1, 0.05, 0.1]], np.float32), on=0.18, off=0.08)
    assert held.tolist() == [[False, False, True, True, False, False]]


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
    from reactdiff_ros.recordings.datasets.dyads import read_dyads
    from reactdiff_ros.recordings.datasets.recording import stack

    calls = read_dyads(folder / "dyads")
    speaker, _, _ = stack(calls, 2500)
    made = listen(perceive(speaker), draw_temperaments(3, len(calls)), 3)
    smile = speaker.coefficients[..., index("mouthSmileLeft")[0]]
    cross = cross_coupling(smile, smile_curve(made.coefficients))
    assert 0.08 < coupling(cross) < 0.30
    assert abs(float(cross[~np.eye(len(cross), dtype=bool)].mean())) < 0.05
