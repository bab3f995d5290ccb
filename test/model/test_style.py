"""The style vector: what it measures, on clips of 10 to 60 s, and what it leaves open."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.model.diffusion.conditions import STYLE_NAMES
from reactdiff_ros.model.style import LIMIT, style_of

AT = {name: i for i, name in enumerate(STYLE_NAMES)}


def stream(places: Any, every_s: float, curve: Callable[[np.ndarray], Any], seconds: float = 60.0) -> np.ndarray:
    """A face (1, T, 58) in which places follow a curve of the seconds since the last multiple of `every_s`."""
    out = np.zeros((1, round(seconds * 25), COEFFICIENT_COUNT), dtype=np.float32)
    out[0, :, places] = curve(np.arange(out.shape[1]) / 25 % every_s)
    return out


def smiling(every_s: float, length_s: float, size: float = 0.6, seconds: float = 60.0) -> np.ndarray:
    def curve(t: np.ndarray) -> np.ndarray:
        return size * np.clip(np.minimum(t / 0.4, (length_s - t) / 0.4), 0, 1)

    return stream(list(SMILE), every_s, curve, seconds)


def nodding(every_s: float, degrees: float) -> np.ndarray:
    bow = np.radians(degrees) / 2
    return stream(HEAD_PITCH, every_s, lambda t: np.where(t < 1.2, bow * (1 - np.cos(2 * np.pi * t / 0.6)), 0))


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        ("smile_share", [smiling(10, length) for length in (1.5, 3, 6)]),
        ("smile_rate", [smiling(every, 1.5) for every in (15, 8, 4)]),
        ("smile_size", [smiling(8, 3, size) for size in (0.4, 0.5, 0.65)]),
        ("smile_speed", [smiling(8, 3, size) for size in (0.3, 0.5, 0.8)]),
        ("nod_rate", [nodding(every, 6) for every in (20, 10, 5)]),
        ("nod_size", [nodding(6, size) for size in (4, 6, 9)]),
        ("head_motion", [nodding(6, size) for size in (2, 4, 8)]),
        ("brow_rate", [stream(INDEX["browInnerUp"], every, lambda t: 0.9 * (t < 1)) for every in (30, 12, 5)]),
    ],
)
def test_each_statistic_grows_with_what_it_measures(name: str, streams: list[np.ndarray]) -> None:
    values = [float(style_of(s)[0][0, AT[name]]) for s in streams]
    assert all(a < b - 0.1 for a, b in pairwise(values)), values


def test_what_was_not_observed_or_did_not_happen_is_left_open() -> None:
    values, known = style_of(smiling(5, 0, seconds=30))
    assert (values[0, [AT["smile_share"], AT["smile_speed"], AT["head_motion"], AT["smile_rate"]]] < -0.8).all()
    assert known[0].tolist() == [1, 1, 0, 1, 1, 0, 1, 1], "a still face has no size of smiles or nods"
    observed = np.zeros(COEFFICIENT_COUNT, dtype=bool)
    observed[list(SMILE)] = True
    values, known = style_of(smiling(5, 2, seconds=30), observed)
    assert known[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert not values[0, 4:].any()


@given(
    hnp.arrays(
        np.float32, (2, 150, 6), elements=st.floats(-10, 10, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
    )
)
def test_wild_streams_give_finite_styles(values: np.ndarray) -> None:
    wild = np.zeros((2, 150, COEFFICIENT_COUNT), dtype=np.float32)
    wild[..., [*SMILE, INDEX["browInnerUp"], HEAD_PITCH, HEAD_PITCH + 1, HEAD_PITCH + 2]] = values
    style, known = style_of(wild)
    assert np.isfinite(style).all()
    assert np.abs(style).max() <= LIMIT
    assert set(np.unique(known)) <= {0.0, 1.0}
