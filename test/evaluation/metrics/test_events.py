"""Events are found where they are, with their length and size, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.evaluation.metrics.events import (
    KINDS,
    blinks,
    brow_raises,
    laughs,
    nods,
    smiles,
)


def still(frames: int = 500) -> np.ndarray:
    return np.zeros((1, frames, 58), dtype=np.float32)


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


def test_a_flicker_and_a_faint_smile_are_none() -> None:
    curve = np.zeros((1, 500))
    curve[0, 100:104] = 0.9
    curve[0, 200:300] = 0.25
    assert len(smiles(curve)) == 0


@pytest.mark.parametrize(("cycles", "hz"), [(1, 1.5), (2, 1.5), (3, 2.1), (2, 3.0)])
def test_nods_of_people_are_found_once(cycles: int, hz: float) -> None:
    found = nods(nod(cycles, 5.2, hz))
    assert len(found) == 1
    assert abs(int(found.start[0]) - 100) <= 4
    assert found.length_s[0] == pytest.approx(cycles / hz, abs=0.3)
    assert np.degrees(found.size[0]) == pytest.approx(5.2, abs=1.5)


def test_sway_a_tilt_to_a_new_place_and_noise_are_no_nods() -> None:
    t = np.arange(1500) / 25
    sway = np.radians(6) * np.sin(2 * np.pi * 0.3 * t)[None]
    step = np.radians(8) * (1 / (1 + np.exp(-(t - 20) * 8)))[None]
    noise = np.random.default_rng(0).normal(0, np.radians(0.3), (1, 1500))
    assert [len(nods(x)) for x in (sway, step, noise)] == [0, 0, 0]
    assert len(nods(sway + np.pad(nod(2, 6, 1.8), ((0, 0), (0, 1000))))) == 1


def test_blinks_brows_and_laughs() -> None:
    face = still()
    face[0, 50:55, list(BLINK)] = 1.0
    face[0, 100:200, list(BLINK)] = 1.0  # shut eyes
    assert len(blinks(face)) == 1
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        face[0, 300:330, INDEX[name]] = 0.4
    assert brow_raises(face).start.tolist() == [300]
    assert len(laughs(face)) == 0
    face[0, 400:450, list(SMILE)] = 0.7
    face[0, 400:450, INDEX["jawOpen"]] = 0.3 + 0.3 * np.sin(np.arange(50) * 2 * np.pi * 5 / 25)
    assert len(laughs(face)) == 1


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, (2, 60, 58), elements=st.floats(-1, 1, width=32)))
def test_any_stream_gives_events_in_order_and_within_it(face: np.ndarray) -> None:
    face[..., HEAD_PITCH] *= 0.3
    for find in KINDS.values():
        found = find(face)
        assert np.all((found.start >= 0) & (found.start < found.end) & (found.end <= 60))
        same = found.row[1:] == found.row[:-1]
        assert np.all(found.start[1:][same] >= found.end[:-1][same] - 1)
        assert np.all(found.share() <= 1.02)
