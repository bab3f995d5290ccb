"""Events are found where they are, with their length and size, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.evaluation.metrics.events import KINDS, answer_lags, nods, onset_lags, smiles
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.evaluation.studies.simulator import nod_chance, nod_match, nod_times


def nod(cycles: float, degrees: float, hz: float, at: int = 100, frames: int = 500) -> np.ndarray:
    pitch = np.zeros((1, frames))
    t = np.arange(round(cycles / hz * 25)) / 25
    pitch[0, at : at + len(t)] = np.radians(degrees) / 2 * (1 - np.cos(2 * np.pi * hz * t))
    return pitch


def test_a_smile_has_its_place_its_length_and_its_size() -> None:
    curve = np.zeros((2, 500))
    curve[1, 100:150] = 0.6
    found = smiles(curve)
    assert found.row.tolist() == [1]
    assert abs(int(found.start[0]) - 100) <= 3
    assert found.length_s[0] == pytest.approx(2.0, abs=0.1)
    assert found.size[0] == pytest.approx(0.6)
    assert found.per_minute().tolist() == [0.0, 3.0]
    assert found.share()[1] == pytest.approx(0.1, abs=0.01)
    assert found.active().sum() == found.end[0] - found.start[0]


@pytest.mark.parametrize(("cycles", "hz"), [(1, 1.5), (2, 1.5), (3, 2.1), (2, 3.0)])
def test_nods_of_people_are_found_once(cycles: int, hz: float) -> None:
    found = nods(nod(cycles, 5.2, hz))
    assert len(found) == 1
    assert abs(int(found.start[0]) - 100) <= 4
    assert found.length_s[0] == pytest.approx(cycles / hz, abs=0.3)
    assert np.degrees(found.size[0]) == pytest.approx(5.2, abs=1.5)


@pytest.mark.parametrize("hz", [1.2, 1.6, 2.1])
def test_nods_of_one_cycle_are_found_on_a_head_that_is_never_quite_still(hz: float) -> None:
    rng = np.random.default_rng(0)
    still = rng.normal(0.0, 0.002, (40, 500)) + np.cumsum(rng.normal(0.0, 4e-4, (40, 500)), axis=1)
    found = nods(still + nod(1, 4.8, hz, at=100) + nod(1, 4.8, hz, at=350))
    assert len(found) >= 70  # of 80
    assert np.abs(found.start - np.where(found.start < 225, 100, 350)).mean() < 2.0
    assert np.abs(found.length_s - 1 / hz).mean() < 0.15


def test_sway_a_tilt_to_a_new_place_and_noise_are_no_nods() -> None:
    t = np.arange(1500) / 25
    sway = np.radians(6) * np.sin(2 * np.pi * 0.3 * t)[None]
    step = np.radians(8) * (1 / (1 + np.exp(-(t - 20) * 8)))[None]
    noise = np.random.default_rng(0).normal(0, np.radians(0.3), (1, 1500))
    assert [len(nods(x)) for x in (sway, step, noise)] == [0, 0, 0]
    assert len(nods(sway + np.pad(nod(2, 6, 1.8), ((0, 0), (0, 1000))))) == 1


def test_blinks_brows_and_laughs() -> None:
    face = np.zeros((1, 500, 58), dtype=np.float32)
    face[0, 50:55, list(BLINK)] = 1.0
    face[0, 100:200, list(BLINK)] = 1.0  # shut eyes
    assert len(KINDS["blinks"](face)) == 1
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        face[0, 300:330, INDEX[name]] = 0.4
    assert KINDS["brow_raises"](face).start.tolist() == [300]
    assert len(KINDS["laughs"](face)) == 0
    face[0, 400:450, list(SMILE)] = 0.7
    face[0, 400:450, INDEX["jawOpen"]] = 0.3 + 0.3 * np.sin(np.arange(50) * 2 * np.pi * 5 / 25)
    assert len(KINDS["laughs"](face)) == 1


@given(hnp.arrays(np.float32, (2, 60, 58), elements=st.floats(-1, 1, width=32)))
def test_any_stream_gives_events_in_order_and_within_it(face: np.ndarray) -> None:
    face[..., HEAD_PITCH] *= 0.3
    for find in KINDS.values():
        found = find(face)
        assert np.all((found.start >= 0) & (found.start < found.end) & (found.end <= 60))
        same = found.row[1:] == found.row[:-1]
        assert np.all(found.start[1:][same] >= found.end[:-1][same] - 1)
        assert np.all(found.share() <= 1.02)


def smile_frames(rng: np.random.Generator, rows: int, frames: int, every: int = 250) -> list[np.ndarray]:
    return [np.sort(rng.integers(100, frames - 100, frames // every)) for _ in range(rows)]


def curve(onsets: list[np.ndarray], frames: int) -> np.ndarray:
    out = np.zeros((len(onsets), frames))
    shape = np.concatenate([np.linspace(0, 0.5, 13), np.full(25, 0.5), np.linspace(0.5, 0, 25)])
    for row, starts in enumerate(onsets):
        for start in starts:
            part = out[row, start : start + len(shape)]
            np.maximum(part, shape[: len(part)], out=part)
    return out


@pytest.mark.parametrize(("lag_s", "bin_"), [(-0.6, 0), (0.0, 1), (0.6, 2), (1.6, 3)])
def test_an_answer_falls_into_its_bin_and_chance_is_taken_off(lag_s: float, bin_: int) -> None:
    rng = np.random.default_rng(1)
    frames = 5000
    speaker = smile_frames(rng, 12, frames)
    answers = [np.sort(s[rng.random(len(s)) < 0.5] + round(lag_s * 25)) for s in speaker]
    own = smile_frames(rng, 12, frames, 400)
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


def test_the_same_head_agrees_fully_and_a_still_one_earns_nothing() -> None:
    heads = np.cumsum(np.random.default_rng(0).standard_normal((3, 100, 3)), 1)
    assert correlation(heads, heads) == pytest.approx(3.0, abs=1e-6)
    assert correlation(np.zeros((3, 100, 3)), heads) == 0.0
    own = nod_times(nod(2, 5.7, 1.667, at=100) + nod(2, 5.7, 1.667, at=300))
    still = nod_times(np.zeros((1, 500)))
    assert (nod_match(own, own), nod_match(still, own), nod_match(still, still)) == (1.0, 0.0, 0.0)


def test_nods_at_random_match_more_the_more_there_are_and_never_beyond_chance() -> None:
    rng = np.random.default_rng(0)

    def at_random(per_minute: float) -> list[np.ndarray]:
        return [np.sort(rng.uniform(0, 30, rng.poisson(per_minute / 2))) for _ in range(10)]

    match, beyond = {2.9: [], 7.7: []}, {2.9: [], 7.7: []}
    for _ in range(60):
        theirs = at_random(2.9)
        for rate in match:
            mine = at_random(rate)
            match[rate].append(nod_match(mine, theirs))
            beyond[rate].append(match[rate][-1] - nod_chance(mine, theirs, 30.0))
    assert np.mean(match[7.7]) > 1.3 * np.mean(match[2.9])
    for rate, rows in beyond.items():
        assert abs(np.mean(rows)) < min(3 * np.std(rows) / len(rows) ** 0.5, 0.05), rate
