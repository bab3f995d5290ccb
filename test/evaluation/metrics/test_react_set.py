"""REACT's metrics of whole sets: the challenge's figures, the mended ones, and what bad arrays are told."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import evaluate_reactions
from reactdiff_ros.evaluation.bench.metrics import example_set

pytest.importorskip("numba")
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
EXPECTED = DATA / "react_metrics_expected.json"


def some(seed: int = 0) -> dict[str, np.ndarray]:
    made, real, heard = example_set(seed, 2, 3, 2, 80)
    return {
        "prediction": made, "listener": real.reshape(4, 80, 25), "speaker": heard,
        "neighbour": np.array([[1, 1, 0, 0], [0, 0, 1, 1]]),
    }  # fmt: skip


@pytest.mark.skipif(not EXPECTED.exists(), reason="the reference's figures (shared/data) are not here")
@pytest.mark.parametrize("name", ["react_metrics_a.npz", "react_metrics_b.npz"])
def test_they_are_the_reference_s(name: str) -> None:
    expected = json.loads(EXPECTED.read_text())[name]["expected"]
    with np.load(DATA / name) as data:
        four = [data[key] for key in ("prediction", "listener", "speaker", "neighbour")]
    found = evaluate_reactions(*four, compat="react2024", workers=2).figures
    # The reference's torch.cdist on float32 loses some digits of FRDiv and FRDvs.
    for metric, limit in {"FRC": 1e-7, "FRD": 1e-6, "FRDiv": 1e-5, "FRDvs": 1e-5, "FRVar": 1e-6}.items():
        assert found[metric] == pytest.approx(expected[metric], rel=limit), metric
    assert found["FRSyn"] == expected["FRSyn_all"]
    assert found["FRSyn_first"] == expected["FRSyn_first_prediction_only"]


def test_the_default_mode_tells_means_and_signed_milliseconds() -> None:
    data = some()
    data["prediction"] = np.stack([np.roll(data["speaker"], lag, 1) for lag in (2, 4, -3)], 1)
    data["prediction"][..., 3] = 0.0
    found = evaluate_reactions(**data, rate_hz=50.0)
    assert found.figures["FRSyn"] == pytest.approx(20.0)
    assert found.figures["FRSyn_first"] == pytest.approx(40.0)
    assert found.figures["FRSyn_size"] == pytest.approx(60.0)
    assert found.figures["FRC_mean"] == pytest.approx(found.figures["FRC"] / 3)
    assert found.figures["FRD_mean"] == pytest.approx(found.figures["FRD"] / 3)
    assert found.settings["FRSyn_unit"] == "ms"
    assert evaluate_reactions(**data, compat="react2024").figures["FRSyn"] == 49.0


def test_threads_change_nothing_and_time_is_told() -> None:
    data, ticks, told = some(1), count(), []
    one = evaluate_reactions(**data, timer=lambda: float(next(ticks)), told=told.append)
    two = evaluate_reactions(**data, workers=3)
    assert one.figures == two.figures
    assert all(np.array_equal(one.per_speaker[name], two.per_speaker[name]) for name in one.per_speaker)
    assert one.seconds == dict.fromkeys(["FRC", "FRD", "FRDiv", "FRVar", "FRDvs", "FRSyn"], 1.0)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prediction": np.zeros((2, 3, 80, 24))}, "is not .speakers, predictions"),
        ({"prediction": np.zeros((2, 80, 25))}, "is not .speakers, predictions"),
        ({"prediction": np.zeros((2, 3, 0, 25)), "speaker": np.zeros((2, 0, 25))}, "is not .speakers, predictions"),
        ({"speaker": np.zeros((2, 79, 25))}, "do not fit"),
        ({"speaker": np.full((2, 80, 25), np.nan)}, "not numbers"),
        ({"listener": np.full((4, 80, 25), np.inf)}, "not numbers"),
        ({"listener": np.zeros((4, 81, 25))}, "real reactions of 81"),
        ({"listener": np.full((4, 80, 25), "x")}, "not numbers"),
        ({"neighbour": np.ones((4, 2))}, "one row a speaker"),
        ({"neighbour": np.array([[1, 1, 0, 0], [0, 0, 0, 0]])}, "no appropriate"),
        ({"neighbour": np.array([[1, 0.5, 0, 0], [0, 0, 1, 1]])}, "not of 0 and 1"),
        ({"compat": "react2024", "rate_hz": 30.0}, "25 frames a second only"),
        ({"rate_hz": float("nan")}, "cannot be"),
    ],
)
def test_bad_arrays_are_named_in_one_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ReactdiffError, match=sentence) as told:
        evaluate_reactions(**{**some(), **change})  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
