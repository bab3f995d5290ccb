"""Rows of `bench model`: what is varied, what is timed, and what a backend that is not there says instead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ticks import Ticks

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.bench.matrix import (
    LISTENERS,
    STEPS,
    Clock,
    bench_matrix,
    cases,
    encoding,
    planning,
    watching,
)
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights


def test_one_thing_is_varied_at_a_time() -> None:
    every = cases(Sampling(), 16)
    assert [c.steps for c in every if c.sweep == "steps"] == sorted({*STEPS, Sampling().steps})
    assert [c.listeners for c in every if c.sweep == "listeners"] == list(LISTENERS) == [1, 2, 4, 8, 16]
    assert [c.frames for c in every if c.sweep == "frames"] == [4, 8, 12, 16]
    for sweep in ("candidates", "listeners", "frames"):
        assert {c.steps for c in every if c.sweep == sweep} == {Sampling().steps}


def test_a_row_ends_in_time_but_not_before_some_calls() -> None:
    calls: list[int] = []
    quick = Clock(Ticks(), lambda s: None, repeats=100, row_s=1.0)
    assert quick.timed(calls.append) == {"p50": 1000.0, "p99": 1000.0, "min": 1000.0, "n": 10}
    assert calls == list(range(13))
    assert Clock(Ticks(), lambda s: None, repeats=4, row_s=1e9).timed(lambda i: None)["n"] == 4


def test_plans_are_drawn_for_as_many_listeners_candidates_and_frames_as_the_row_says(
    any_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = Networks(find_weights(any_weights))
    shapes: list[tuple[int, ...]] = []
    sample = networks.sample

    def noted(*given: object, **named: object) -> object:
        noise = given[4]
        assert isinstance(noise, np.ndarray)
        shapes.append((*noise.shape[:3], int(str(named["steps"]))))
        return sample(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(networks, "sample", noted)
    planning(networks, Sampling(steps=3, candidates=2), 4, 8)(0)
    # Two stretches of 4 frames; after the first each candidate has a past of its own.
    assert shapes == [(4, 2, 4, 3), (8, 1, 4, 3)]
    encoding(networks, 4)(0)
    seen = list(watching(networks, Clock(Ticks(), lambda s: None, repeats=2)))
    assert [r["frames_seen"] for r in seen] == [1, 25, 125, 375, 1500]


def test_rows_of_the_backends_that_work_and_reasons_of_the_others(any_weights: Path) -> None:
    shares: list[float] = []
    told = bench_matrix(
        find_weights(any_weights), Sampling(steps=2), Clock(Ticks(), lambda s: None, repeats=1),
        backends=(("onnxruntime", "fp32"), ("tensorrt", "fp16")), listeners=(1, 2), told=shares.append,
    )  # fmt: skip
    rows = [r for r in told["rows"] if r["backend"] == "onnxruntime"]
    assert {r["sweep"] for r in rows} == {"steps", "candidates", "listeners", "frames"}
    two = next(r for r in rows if r["sweep"] == "listeners" and r["listeners"] == 2)
    # A call takes one tick: two plans a second, and a hop of 0.16 s that takes a plan and four frames.
    assert two["plans_per_s"] == pytest.approx(2.0)
    assert two["times_real_time"] == pytest.approx(0.16 / 5)
    assert two["rss_mb"] > 10
    if not [r for r in told["rows"] if r["backend"] == "tensorrt"]:
        assert "does not work here" in told["absent"]["tensorrt fp16"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_command_has_rows_too(any_weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(any_weights), "--repeats", "1", "--steps", "2", "--backend", "onnxruntime"]
    assert main(["bench", "model", *arguments, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert {r["backend"] for r in told["rows"]} == {"onnxruntime"}
    # More steps cost more, on any machine.
    times = {r["steps"]: r["plan_ms"]["min"] for r in told["rows"] if r["sweep"] == "steps"}
    assert times[32] > times[2]
