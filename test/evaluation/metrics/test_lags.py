"""Lags of reciprocal smiles: found in their bin, and chance is taken off."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.events import answer_lags, onset_lags, smile_onsets


def smiles(rng: np.random.Generator, rows: int, frames: int, every: int = 250) -> list[np.ndarray]:
    return [np.sort(rng.integers(100, frames - 100, frames // every)) for _ in range(rows)]


def curve(onsets: list[np.ndarray], frames: int) -> np.ndarray:
    out = np.zeros((len(onsets), frames))
    shape = np.concatenate([np.linspace(0, 0.5, 13), np.full(25, 0.5), np.linspace(0.5, 0, 25)])
    for row, starts in enumerate(onsets):
        for start in starts:
            part = out[row, start : start + len(shape)]
            np.maximum(part, shape[: len(part)], out=part)
    return out


def test_onsets_are_where_the_rise_begins() -> None:
    found = smile_onsets(curve([np.array([100, 300])], 500))[0]
    assert np.abs(found - [100, 300]).max() <= 2


@pytest.mark.parametrize(("lag_s", "bin_"), [(-0.6, 0), (0.0, 1), (0.6, 2), (1.6, 3)])
def test_an_answer_falls_into_its_bin_and_chance_is_taken_off(lag_s: float, bin_: int) -> None:
    rng = np.random.default_rng(1)
    frames = 5000
    speaker = smiles(rng, 12, frames)
    answers = [np.sort(s[rng.random(len(s)) < 0.5] + round(lag_s * 25)) for s in speaker]
    own = smiles(rng, 12, frames, 400)
    listener = curve([np.sort(np.concatenate(p)) for p in zip(answers, own, strict=True)], frames)
    lags = onset_lags(curve(speaker, frames), listener, rng)
    excess = lags.observed - lags.chance
    assert excess[bin_] == pytest.approx(0.45, abs=0.12)
    assert excess[bin_] > lags.high[bin_]
    assert all(excess[i] < 0.08 for i in range(4) if i != bin_)


def test_a_mirror_with_a_delay_has_that_delay_however_often_the_speaker_smiles():
    t = np.arange(1500) / 25.0
    speaker = np.clip(np.sin(2 * np.pi * t / 1.1), 0, 1)[None]  # the nearest onset lies before, as often as not
    listener = np.roll(speaker, 16, axis=1)
    assert np.median(answer_lags(speaker, listener)) == pytest.approx(0.64, abs=0.05)
    assert len(answer_lags(speaker, np.zeros_like(speaker))) == 0
