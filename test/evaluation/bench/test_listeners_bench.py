"""The bench of many listeners counts what it says, whatever the machine's speed."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner

from reactdiff_ros.evaluation.bench import listeners as bench
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.types import SpeakerFrame, Voice

SLOT = bench.SLOT_NS


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(bench, "WARM_UP", 20)


def speaker(slots: int) -> list[SpeakerFrame]:
    """Somebody who speaks and at times smiles."""
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
    result = bench.bench_listeners(
        speaker(100), config, lambda: 0.001 * next(ticks), counts=(1, 3), seconds=2.0, told=shares.append
    )
    assert shares == [0.5, 1.0]
    assert "onnxruntime" in result["backend"]
    one, three = result["rows"]
    assert (one["listeners"], three["listeners"]) == (1, 3)
    live = (bench.WARM_UP + 50) / 25  # s from the first frame to the last, without what begins apart
    assert one["plans"] >= live / 0.16
    assert three["plans"] >= 2.5 * one["plans"]
    assert one["slot_ms"]["p99"] <= 5.0  # of ticks
    assert one["load"] == pytest.approx(one["slot_ms"]["p50"] / 40, rel=1.0)
    assert one["late"] == 0.0


def test_slots_that_take_too_long_are_told(any_weights):
    ticks = itertools.count()
    config = ListenerConfig(model_dir=str(any_weights), candidates=1, steps=1)
    result = bench.bench_listeners(speaker(100), config, lambda: 0.05 * next(ticks), counts=(1,), seconds=1.0)
    assert result["rows"][0]["late"] == 1.0
    assert result["rows"][0]["load"] > 1.0


def test_the_command_runs_and_says_in_one_sentence_what_is_not_there(any_weights, monkeypatch):
    monkeypatch.setattr(bench, "speaker_frames", lambda clip, timer: speaker(100))
    from reactdiff_ros.cli.bench_listeners import listeners_times

    short = ["--model", str(any_weights), "--listeners", "2", "--steps", "1", "--seconds", "1", "--json"]
    done = CliRunner().invoke(listeners_times, short)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"][0]["listeners"] == 2
    refused = CliRunner().invoke(listeners_times, [*short, "--backend", "tensorrt"])
    if refused.exit_code:
        assert "tensorrt does not work here" in str(refused.exception)
