"""The check of streams: identical ways agree, a damped way is caught, and it runs on networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.listeners import ModelListens
from reactdiff_ros.evaluation.studies import sampling as streams_check
from reactdiff_ros.evaluation.studies.sampling import (
    compare,
    evaluate_streams,
    judged,
    not_judged,
    within_bounds,
)
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate


def test_the_simulator_against_itself_is_within_and_a_damped_copy_is_not() -> None:
    one, other = (simulate(seed, 30, 1000, prior="natural").listener for seed in (1, 2))
    alike = compare({"shown": one, "raw": one, "ancestral": one}, one, 0)
    assert alike["variance"]["raw_over_ancestral"]["smile"] == pytest.approx(1)
    assert alike["autocorrelation"]["raw_to_ancestral"]["head"] == pytest.approx(0)
    assert alike["events_over_ancestral"]["blinks"]["ratio"] == pytest.approx(1)
    same = alike["variance_intervals"]["raw_over_ancestral"]["smile"]
    assert [same["low"], same["high"]] == pytest.approx([1.0, 1.0])
    fresh = compare({"shown": other, "raw": other, "ancestral": other}, one, 0)
    assert 0.4 < fresh["bands_over_reference"]["raw"]["1.8-6.5 Hz"]["head"] < 2.5
    between = fresh["variance_intervals"]["shown_over_reference"]["brows"]
    assert between["low"] < fresh["variance"]["shown_over_reference"]["brows"] < between["high"]
    dull = compare({"shown": 0.5 * one, "raw": 0.5 * one, "ancestral": one}, one, 0)
    assert dull["variance"]["raw_over_ancestral"]["head"] == pytest.approx(0.25)
    assert dull["events_over_ancestral"]["nods"]["ratio"] < 0.5


def test_a_row_without_a_figure_is_listed_and_a_bound_on_nothing_does_not_hold() -> None:
    one = simulate(1, 4, 500, prior="natural").listener
    figures = compare({"shown": one, "raw": one, "ancestral": one}, one, 0)
    groups = figures["variance"]["raw_over_ancestral"]
    figures |= {"border_jerk": {"shown": dict.fromkeys(groups, np.nan)}, "plan_difference": dict.fromkeys(groups, 0.1)}
    figures["events_over_ancestral"]["laughs"]["ratio"] = np.nan
    rows = judged(figures)
    kept, unknown = within_bounds(rows), not_judged(rows)
    assert kept["rare events within .2 of ancestral"]
    assert not kept["jerk at borders at most 1.1"]
    assert unknown["rare events within .2 of ancestral"] == ["laughs"]
    assert "gaze" not in unknown["jerk at borders at most 1.1"]
    assert set(unknown) == {"rare events within .2 of ancestral", "jerk at borders at most 1.1"}


def test_all_figures_of_networks_with_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    monkeypatch.setattr(streams_check, "ANCESTRAL_STEPS", 3)
    model = ModelListens(find_weights(write_random_weights(tmp_path)), Sampling(steps=2))
    told: list[float] = []
    report = evaluate_streams(model, items=3, seconds=8, told=told.append)
    assert len(report.figures["within_bounds"]) == 6
    assert told[-1] == 1.0
    assert np.isfinite(report.figures["plan_difference"]["smile"])
    assert report.figures["border_jerk"]["shown"].keys() == report.densities.keys()
    assert len(report.frequency) == len(report.densities["smile"]["raw"])
