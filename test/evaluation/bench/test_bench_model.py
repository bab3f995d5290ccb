"""What the model costs: calls that are timed, rows that vary one thing, many listeners, and the three commands."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from ticks import Ticks

from reactdiff_ros.evaluation.bench import model as bench
from reactdiff_ros.evaluation.bench.model import Clock, bench_listeners, bench_rows
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.types import SpeakerFrame, Voice


def test_rows_of_the_backends_that_work_and_reasons_of_the_others(any_weights: Path) -> None:
    shares: list[float] = []
    found = bench_rows(
        find_weights(any_weights), Sampling(steps=2), Clock(Ticks(), lambda s: None, repeats=1),
        backends=(("onnxruntime", "fp32"), ("tensorrt", "fp16")), listeners=(1, 2), progress=shares.append,
    )  # fmt: skip
    rows = [r for r in found["rows"] if r["backend"] == "onnxruntime"]
    assert {r["sweep"] for r in rows} == {"steps", "candidates", "listeners", "frames"}
    two = next(r for r in rows if r["sweep"] == "listeners" and r["listeners"] == 2)
    # A call takes one tick: two plans a second, and a hop of 0.16 s that takes a plan and four frames.
    assert two["plans_per_s"] == pytest.approx(2.0)
    assert two["times_real_time"] == pytest.approx(0.16 / 5)
    assert two["rss_mb"] > 10
    if not [r for r in found["rows"] if r["backend"] == "tensorrt"]:
        assert "does not work here" in found["absent"]["tensorrt fp16"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_command_has_times_and_rows(any_weights: Path, reactdiff) -> None:
    arguments = ["--model", any_weights, "--repeats", 1, "--steps", 2, "--backend", "onnxruntime"]
    found, _ = reactdiff("bench", "model", *arguments, "--json")
    assert {r["backend"] for r in found["rows"]} == {"onnxruntime"}
    assert found["steps"] == 2
    assert found["plan_ms"]["10"]["p50"] > found["encoder_frame_ms"]["min"] > 0
    # More steps cost more, on any machine.
    times = {r["steps"]: r["plan_ms"]["min"] for r in found["rows"] if r["sweep"] == "steps"}
    assert times[32] > times[2]


SLOT = bench.SLOT_NS


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(bench, "SETTLING", 20)


def speaker(slots: int) -> list[SpeakerFrame]:
    """A person who speaks and at times smiles."""
    frames = []
    for i in range(slots):
        values = np.full(58, 0.3 * (i // 20 % 2), np.float32)
        voice = Voice(0.9, True, np.zeros(26, np.float32), 120.0, -30.0, 0.0, 1.0)
        confidence = np.full(58, 0.9, np.float32)
        at = i * SLOT
        frames.append(SpeakerFrame(at, at, at, 1, True, True, values, confidence, 1.0, None, None, None, voice))
    return frames


def test_every_listener_plans_about_every_hop_and_time_is_the_timers(any_weights):
    ticks = itertools.count()
    config = ListenerConfig(model_dir=str(any_weights), candidates=1, steps=1)
    shares: list[float] = []
    result = bench_listeners(
        speaker(100), config, lambda: 0.001 * next(ticks), counts=(1, 3), seconds=2.0, progress=shares.append
    )
    assert shares == [0.5, 1.0]
    assert "onnxruntime" in result["backend"]
    one, three = result["rows"]
    assert (one["listeners"], three["listeners"]) == (1, 3)
    live = (bench.SETTLING + 50) / 25  # s from the first frame to the last, without what begins apart
    assert one["plans"] >= live / 0.16
    assert three["plans"] >= 2.5 * one["plans"]
    assert one["slot_ms"]["p99"] <= 5.0  # of ticks
    assert one["load"] == pytest.approx(one["slot_ms"]["p50"] / 40, rel=1.0)
    assert one["late"] == 0.0


def test_the_command_runs_and_names_a_backend_that_does_not_work(any_weights, monkeypatch, reactdiff):
    monkeypatch.setattr(bench, "speaker_frames", lambda clip, timer: speaker(100))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that TensorRT works on no machine
    command = ["bench", "listeners", "--model", any_weights, "--listeners", 2, "--steps", 1, "--seconds", 1]
    assert reactdiff(*command, "--json")[0]["rows"][0]["listeners"] == 2
    assert "tensorrt does not work here" in reactdiff(*command, "--backend", "tensorrt", code=1)[1]
