"""Robot measures on faces whose answers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, HEAD_PITCH, SMILE, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import robot_metrics
from reactdiff_ros.evaluation.metrics.robot import jerk, limits, on_grid


def times(frames: int, rate_hz: float = 25.0) -> np.ndarray:
    return 100.0 + np.arange(frames) / rate_hz


def smiling(onsets_s: tuple[float, ...], seconds: float = 60.0) -> np.ndarray:
    """A face that smiles for 2 s from each onset, in half a second."""
    face = np.zeros((round(seconds * 25), COEFFICIENT_COUNT))
    t = np.arange(len(face)) / 25
    for onset in onsets_s:
        rise = np.clip((t - onset) / 0.5, 0, 1) - np.clip((t - onset - 2.0) / 0.5, 0, 1)
        face[:, list(SMILE)] += 0.7 * rise[:, None]
    return face


def test_smiles_half_a_second_later_are_found_late_by_that() -> None:
    onsets = (4.0, 11.0, 19.0, 25.0, 33.0, 41.0, 50.0)
    speaker, listener = smiling(onsets), smiling(tuple(o + 0.6 for o in onsets))
    found = robot_metrics(listener, times(1500), speaker=speaker)
    assert found.response_lag is not None
    assert found.response_lag.median_s == pytest.approx(0.6, abs=0.05)
    assert found.response_lag.share_300_to_1000_ms == pytest.approx(1.0)
    assert found.response_lag.peak_ms == pytest.approx(600, abs=45)
    assert found.smile_coupling is not None
    assert found.smile_coupling > 0.5
    assert found.bands["smiles"].per_minute == pytest.approx(7.0)
    assert found.bands["smiles"].share_in_band == 1.0
    assert found.bands["blinks"].share_in_band == 0.0
    assert found.band_share == pytest.approx(1 / 3)
    assert json.dumps(found.as_dict())


def test_limits_count_bounds_but_not_rest_and_closed_lids() -> None:
    face = np.zeros((100, COEFFICIENT_COUNT))
    face[:, list(BLINK)] = 1.0
    assert limits(face) == (0.0, 0)
    face[10:20, HEAD_PITCH] = UPPER[HEAD_PITCH]
    face[50:55, HEAD_PITCH] = -UPPER[HEAD_PITCH]
    assert limits(face) == (pytest.approx(0.15), 2)


def test_a_cubic_has_a_known_jerk_and_a_jump_at_every_hop_is_seen() -> None:
    cubic = np.zeros((100, COEFFICIENT_COUNT))
    cubic[:, HEAD_PITCH] = (np.arange(100) / 25) ** 3 / 60
    assert jerk(cubic)["head rotation"] == pytest.approx(6 / 60 / 3, rel=1e-6)
    assert jerk(cubic)["smile"] == 0.0
    rng = np.random.default_rng(0)
    still = np.repeat(rng.random((100, COEFFICIENT_COUNT)), 4, 0)
    even = np.cumsum(rng.standard_normal((400, COEFFICIENT_COUNT)), 0) * 0.01
    seams = robot_metrics(still + 1e-3 * even, times(400)).hop_smoothness
    assert np.nanmean(list(seams.values())) > 1.2
    smooth = robot_metrics(even, times(400)).hop_smoothness
    assert np.nanmean(list(smooth.values())) == pytest.approx(1.0, abs=0.15)


def test_streams_of_another_rate_and_with_gaps_go_onto_the_grid() -> None:
    at = times(400, 50.0)
    face = np.repeat(np.sin(at)[:, None] * 0.1, COEFFICIENT_COUNT, 1)
    grid = times(150)
    assert on_grid(face, at, grid, "listener")[:, 3] == pytest.approx(0.1 * np.sin(grid), abs=1e-3)
    keep = (at < 102) | (at > 104)
    assert robot_metrics(face[keep], at[keep]).gap_share == pytest.approx(2 / 8, abs=0.02)


@pytest.mark.parametrize(
    ("stream", "at", "sentence"),
    [
        (np.zeros((100, 57)), times(100), "is not"),
        (np.zeros((100, 58)), times(100)[::-1], "do not rise"),
        (np.full((100, 58), np.nan), times(100), "not numbers"),
        (np.zeros((10, 58)), times(10), "2 s at least"),
    ],
)
def test_bad_streams_are_named(stream: np.ndarray, at: np.ndarray, sentence: str) -> None:
    with pytest.raises(ReactdiffError, match=sentence):
        robot_metrics(stream, at)
