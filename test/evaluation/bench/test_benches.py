"""Figures of the running graph, the cost of 40 ms of live time, of the networks and of many listeners."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.bench import model as bench
from reactdiff_ros.evaluation.bench.compute import WARM_UP_S, bench_compute, slots
from reactdiff_ros.evaluation.bench.compute import summary as of_slots
from reactdiff_ros.evaluation.bench.live import EXPRESSION, PICTURES, SPEAKER, Recording, answers, summary
from reactdiff_ros.evaluation.bench.model import bench_listeners, bench_rows
from reactdiff_ros.evaluation.listeners import frames_of
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.simulator.dyads import simulate

MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def steady(seconds: int = 10) -> Recording:
    """25 pictures and 50 faces a second; a face carries a picture of 30 ms ago and a reaction to one of 110 ms ago."""
    recording = Recording()
    captures = [T0 + 40 * MS * i for i in range(25 * seconds)]
    for capture in captures:
        for topic, delay, seen in ((PICTURES, 2, recording.pictures), (SPEAKER, 12, recording.speaker)):
            recording.published[topic].append(capture + delay * MS)
            seen.append((capture + delay * MS, capture))
    recording.reactions += [(capture + 20 * MS, capture) for capture in captures[::4]]
    for i in range(50 * seconds):
        now = T0 + 20 * MS * i
        recording.published[EXPRESSION].append(now)
        old = [max((c for c in captures if c <= now - delay * MS), default=0) for delay in (30, 110)]
        recording.expressions.append((now, *old))
    return recording


def test_the_figures_of_a_steady_graph_and_what_it_lost() -> None:
    def measured(recording: Recording) -> dict[str, Any]:
        more: Any = {"dropped": {"audio": 3}, "cores": {"one": 0.2, "two": 0.3}, "rss_mb": 400.0, "load_before": 0.1}
        return summary(recording, T0 + NS, T0 + 8 * NS, **more)

    result, late = measured(steady()), steady()
    assert result["latency_ms"] == {"p50": 40.0, "p95": 40.0, "p99": 40.0, "n": 175}
    assert result["reaction_ms"] == {"p50": 120.0, "p95": 120.0, "p99": 120.0, "n": 175}
    assert (result["rates_hz"][SPEAKER], result["rates_hz"][EXPRESSION]) == (25.0, 50.0)
    stages = {name: stage["p50"] for name, stage in result["stages_ms"].items() if name != "expression"}
    assert stages == {"capture": 2.0, "perception": 10.0, "reaction": 8.0}
    assert (result["seconds"], result["cpu_cores"], result["deadline_misses"]) == (7.0, 0.5, 0)
    del late.expressions[200:204], late.published[EXPRESSION][200:204], late.speaker[100]
    result = measured(late)
    assert result["missed_deadlines"] == {"count": 1, "of": 345, "share": pytest.approx(1 / 345, abs=1e-5)}
    assert result["dropped"] == {PICTURES: 1, "audio": 3}


STAMPS = st.integers(0, 10**6)


@given(st.lists(STAMPS.filter(bool), min_size=1, max_size=40), st.lists(st.tuples(STAMPS, STAMPS), max_size=40))
def test_answers_are_the_brute_force_ones(stamps: list[int], influenced: list[tuple[int, int]]) -> None:
    carriers = ([published for published, newest in influenced if newest >= stamp] for stamp in stamps)
    expected = [(min(found) - stamp) / 1e6 for stamp, found in zip(stamps, carriers, strict=True) if found]
    assert answers(stamps, influenced) == pytest.approx(expected)


def test_steps_of_one_slot_add_up() -> None:
    def step(at_ms: float, perception: float, listener: float, *plans: float) -> Any:
        reactions = tuple(SimpleNamespace(compute_s=p / 1e3) for p in plans)
        spent = {"perception_s": perception / 1e3, "listener_s": listener / 1e3}
        return SimpleNamespace(now_ns=int(at_ms * 1e6), reactions=reactions, **spent)

    found = slots([step(1, 5, 0.5), step(21, 1, 0), step(41, 5, 12.5, 12.0), step(130, 50, 0.5)])
    np.testing.assert_allclose(found["perception"], [6, 5, 0, 50])
    np.testing.assert_allclose(found["encoder"], [0.5, 0.5, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(found["plans"], [0, 4, 4, 4])
    cost = of_slots(found, skip=1)
    assert cost["compute_ms"]["p50"] == pytest.approx(9.5)
    assert cost["plan_ms"] == {"p50": 12.0, "p99": 12.0}
    assert (cost["plans"], cost["slots"], cost["over_40_ms"]) == (1, 3, 1)
    assert of_slots(slots([]))["compute_ms"] is None


def test_a_clip_plays_at_its_own_speed_before_a_listener_without_networks() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1e-5
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    settings, _ = settings_as_live({"policy": "rules"})
    cost = bench_compute(demo_clip_path(), settings, clock, sleep, seconds=1.0)
    assert now[0] == pytest.approx(WARM_UP_S + 1.0, abs=0.2)
    assert cost["slots"] == pytest.approx(25, abs=4)
    assert 0 < cost["compute_ms"]["p50"] <= cost["compute_ms"]["p99"] <= cost["burst_ms"]["p99"] + 1e-9


def test_the_profile_has_a_page_and_a_picture(tmp_path: Path, reactdiff) -> None:
    pytest.importorskip("pyinstrument", reason="pyinstrument is not installed (requirements/test.txt)")
    page = tmp_path / "performance.md"
    result, _ = reactdiff("bench", "profile", "--seconds", 3, "--cpu", "--output", page, "--json")
    shares = [f["share"] for f in result["functions"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1.001
    assert f"| `{result['functions'][0]['function']}` |" in page.read_text()
    assert (tmp_path / "images" / "performance_profile.png").stat().st_size > 5000


def test_rows_of_the_backends_that_work_and_reasons_of_the_others(any_weights: Path, reactdiff) -> None:
    clock = bench.Clock(itertools.count(1.0).__next__, lambda s: None, repeats=1)
    backends = (("onnxruntime", "fp32"), ("tensorrt", "fp16"))
    found = bench_rows(find_weights(any_weights), Sampling(steps=2), clock, backends=backends, listeners=(1, 2))
    rows = [r for r in found["rows"] if r["backend"] == "onnxruntime"]
    assert {r["sweep"] for r in rows} == {"steps", "candidates", "listeners", "frames"}
    two = next(r for r in rows if r["sweep"] == "listeners" and r["listeners"] == 2)
    # A call takes one tick: two plans a second, and a hop of 0.16 s that takes a plan and four frames.
    assert (two["plans_per_s"], two["times_real_time"]) == (pytest.approx(2.0), pytest.approx(0.16 / 5))
    assert len(rows) < len(found["rows"]) or "does not work here" in found["absent"]["tensorrt fp16"]
    command = ["bench", "model", "--model", any_weights, "--repeats", 1, "--steps", 2, "--backend", "onnxruntime"]
    found, _ = reactdiff(*command, "--json")
    assert found["plan_ms"]["10"]["p50"] > found["encoder_frame_ms"]["min"] > 0
    # More steps cost more, on any machine.
    times = {r["steps"]: r["plan_ms"]["min"] for r in found["rows"] if r["sweep"] == "steps"}
    assert times[32] > times[2]


def test_every_listener_plans_about_every_hop_and_a_broken_backend_is_named(any_weights, monkeypatch, reactdiff):
    monkeypatch.setattr(bench, "SETTLING", 20)
    ticks, config = itertools.count(), ListenerConfig(model_dir=str(any_weights), candidates=1, steps=1)
    frames = list(frames_of(simulate(1, 1, 100).speaker, 0))
    one, three = bench_listeners(frames, config, lambda: 0.001 * next(ticks), counts=(1, 3), seconds=2.0)["rows"]
    assert (one["listeners"], three["listeners"]) == (1, 3)
    assert one["plans"] >= (20 + 50) / 25 / 0.16  # of the s from the first frame to the last
    assert three["plans"] >= 2.5 * one["plans"]
    assert one["slot_ms"]["p99"] <= 5.0  # of ticks
    assert one["load"] == pytest.approx(one["slot_ms"]["p50"] / 40, rel=1.0)
    assert one["late"] == 0.0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that TensorRT works on no machine
    command = ["bench", "listeners", "--model", any_weights, "--listeners", 2, "--steps", 1, "--seconds", 1]
    assert "tensorrt does not work here" in reactdiff(*command, "--backend", "tensorrt", code=1)[1]
