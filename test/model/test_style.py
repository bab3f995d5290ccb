"""The style vector: what it measures, on clips of 10 to 60 s, and what it leaves open."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.model.diffusion.conditions import STYLE_NAMES
from reactdiff_ros.model.style import LIMIT, style_of

RATE = 25
AT = {name: i for i, name in enumerate(STYLE_NAMES)}


def face(seconds: float = 60.0) -> np.ndarray:
    return np.zeros((1, round(seconds * RATE), COEFFICIENT_COUNT), dtype=np.float32)


def smiling(seconds: float, every_s: float, length_s: float, size: float = 0.6) -> np.ndarray:
    out = face(seconds)
    time = np.arange(out.shape[1]) / RATE
    phase = time % every_s
    curve = np.clip(np.minimum(phase / 0.4, (length_s - phase) / 0.4), 0, 1)
    out[0, :, list(SMILE)] = size * curve
    return out


def nodding(seconds: float, every_s: float, degrees: float) -> np.ndarray:
    out = face(seconds)
    phase = (np.arange(out.shape[1]) / RATE) % every_s
    out[0, :, HEAD_PITCH] = np.where(phase < 1.2, np.radians(degrees) * 0.5 * (1 - np.cos(2 * np.pi * phase / 0.6)), 0)
    return out


def test_each_statistic_grows_with_what_it_measures() -> None:
    def at(streams: list[np.ndarray], name: str) -> list[float]:
        return [float(style_of(s)[0][0, AT[name]]) for s in streams]

    def grows(values: list[float]) -> bool:
        return all(a < b - 0.1 for a, b in pairwise(values))

    assert grows(at([smiling(60, 10, length) for length in (1.5, 3, 6)], "smile_share"))
    assert grows(at([smiling(60, every, 1.5) for every in (15, 8, 4)], "smile_rate"))
    assert grows(at([smiling(60, 8, 3, size) for size in (0.4, 0.5, 0.65)], "smile_size"))
    assert grows(at([smiling(60, 8, 3, size) for size in (0.3, 0.5, 0.8)], "smile_speed"))
    assert grows(at([nodding(60, every, 6) for every in (20, 10, 5)], "nod_rate"))
    assert grows(at([nodding(60, 6, size) for size in (4, 6, 9)], "nod_size"))
    assert grows(at([nodding(60, 6, size) for size in (2, 4, 8)], "head_motion"))
    raised = []
    for every in (30, 12, 5):
        out = face()
        out[0, (np.arange(out.shape[1]) / RATE) % every < 1.0, INDEX["browInnerUp"]] = 0.9
        raised.append(out)
    assert grows(at(raised, "brow_rate"))


@pytest.mark.parametrize("seconds", [10, 20, 40])
def test_short_clips_say_nearly_the_same(seconds: float) -> None:
    long = style_of(smiling(60, 5, 2))[0][0]
    short = style_of(smiling(seconds, 5, 2))[0][0]
    assert np.abs(long[:4] - short[:4]).max() < 0.6
    # No nod in ten seconds says less than none in a minute.
    assert long[AT["nod_rate"]] < short[AT["nod_rate"]] - 0.2 < -0.2


def test_a_still_face_is_far_down_and_has_no_size_of_smiles_or_nods() -> None:
    values, given = style_of(face(30))
    assert (values[0, [AT["smile_share"], AT["smile_speed"], AT["head_motion"], AT["smile_rate"]]] < -0.8).all()
    assert given[0].tolist() == [1, 1, 0, 1, 1, 0, 1, 1]
    assert values[0, AT["smile_size"]] == 0


def test_only_what_was_observed_is_given() -> None:
    observed = np.zeros(COEFFICIENT_COUNT, dtype=bool)
    observed[list(SMILE)] = True
    values, given = style_of(smiling(30, 5, 2), observed)
    assert given[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert not values[0, 4:].any()
    assert not style_of(smiling(30, 5, 2), np.zeros(COEFFICIENT_COUNT, dtype=bool))[1].any()


@given(
    hnp.arrays(
        np.float32, (2, 150, 6), elements=st.floats(-10, 10, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
    )
)
def test_wild_streams_give_finite_styles(values: np.ndarray) -> None:
    stream = np.zeros((2, 150, COEFFICIENT_COUNT), dtype=np.float32)
    stream[..., [*SMILE, INDEX["browInnerUp"], HEAD_PITCH, HEAD_PITCH + 1, HEAD_PITCH + 2]] = values
    style, known = style_of(stream)
    assert np.isfinite(style).all()
    assert np.abs(style).max() <= LIMIT
    assert set(np.unique(known)) <= {0.0, 1.0}
