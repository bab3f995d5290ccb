"""The benches that play a clip: figures of the running graph, the cost of 40 ms of live time, the profile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.bench.compute import PlayedClip, bench_compute, slots
from reactdiff_ros.evaluation.bench.compute import summary as of_slots
from reactdiff_ros.evaluation.bench.live import EXPRESSION, PICTURES, REACTION, SPEAKER, Recording, answers, summary
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.resources import demo_clip_path

MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def steady(seconds: int = 10, *, picture_delay: int = 30, reaction_delay: int = 110) -> Recording:
    """25 pictures and 50 faces a second; a face carries the newest picture of `picture_delay` ms ago."""
    recording = Recording()
    captures = [T0 + 40 * MS * i for i in range(25 * seconds)]
    for capture in captures:
        for topic, delay in ((PICTURES, 2), (SPEAKER, 12)):
            recording.published[topic].append(capture + delay * MS)
        recording.pictures.append((capture + 2 * MS, capture))
        recording.speaker.append((capture + 12 * MS, capture))
    for capture in captures[::4]:
        recording.reactions.append((capture + 20 * MS, capture))
        recording.published[REACTION].append(capture + 20 * MS)
    for i in range(50 * seconds):
        now = T0 + 20 * MS * i
        recording.published[EXPRESSION].append(now)
        old = [max((c for c in captures if c <= now - d * MS), default=0) for d in (picture_delay, reaction_delay)]
        recording.expressions.append((now, *old))
    return recording


def measured(recording: Recording, begin_s: float = 1.0, end_s: float = 8.0) -> dict[str, Any]:
    begin, end = T0 + int(begin_s * 1e9), T0 + int(end_s * 1e9)
    return summary(
        recording, begin, end, dropped={"audio": 3}, cores={"one": 0.2, "two": 0.3}, rss_mb=400.0, load_before=0.1
    )


def test_the_figures_of_a_steady_graph() -> None:
    result = measured(steady())
    assert result["latency_ms"] == {"p50": 40.0, "p95": 40.0, "p99": 40.0, "n": 175}
    assert result["reaction_ms"] == {"p50": 120.0, "p95": 120.0, "p99": 120.0, "n": 175}
    assert result["rates_hz"][SPEAKER] == 25.0
    assert result["rates_hz"][EXPRESSION] == 50.0
    assert result["rates_hz"]["audio"] is None
    assert result["deadline_misses"] == 0
    assert result["dropped"] == {PICTURES: 0, "audio": 3}
    assert result["stages_ms"]["capture"]["p50"] == 2.0
    assert result["stages_ms"]["perception"]["p50"] == 10.0
    assert result["stages_ms"]["reaction"]["p50"] == 8.0
    assert result["seconds"] == 7.0


def test_a_missed_deadline_and_a_lost_picture_are_counted() -> None:
    recording = steady()
    del recording.expressions[200:204], recording.published[EXPRESSION][200:204]
    lost = recording.speaker.pop(100)[1]
    result = measured(recording)
    assert result["deadline_misses"] == 1
    assert result["missed_deadlines"]["count"] == 1
    assert result["missed_deadlines"]["share"] == pytest.approx(1 / result["missed_deadlines"]["of"], abs=1e-5)
    assert result["dropped"][PICTURES] == 1
    assert lost in {stamp for _, stamp in recording.pictures}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=40),
)
def test_answers_are_the_brute_force_ones(stamps: list[int], influenced: list[tuple[int, int]]) -> None:
    expected = []
    for stamp in stamps:
        carriers = [published for published, newest in influenced if newest >= stamp]
        if carriers:
            expected.append((min(carriers) - stamp) / 1e6)
    assert answers(stamps, influenced) == pytest.approx(expected)


def step(at_ms: float, perception: float, listener: float, *plans: float) -> Any:
    reactions = tuple(SimpleNamespace(compute_s=p / 1e3) for p in plans)
    return SimpleNamespace(
        now_ns=int(at_ms * 1e6), perception_s=perception / 1e3, listener_s=listener / 1e3, reactions=reactions
    )


def test_steps_of_one_slot_add_up() -> None:
    found = slots([step(1, 5, 0.5), step(21, 1, 0), step(41, 5, 12.5, 12.0), step(130, 5, 0.5)])
    np.testing.assert_allclose(found["perception"], [6, 5, 0, 5])
    np.testing.assert_allclose(found["encoder"], [0.5, 0.5, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(found["plans"], [0, 4, 4, 4])
    cost = of_slots(found, skip=1)
    assert cost["compute_ms"]["p50"] == pytest.approx(9.5)
    assert cost["plan_ms"] == {"p50": 12.0, "p99": 12.0}
    assert (cost["plans"], cost["slots"], cost["over_40_ms"]) == (1, 3, 0)
    assert of_slots(slots([step(1, 50, 0)]))["over_40_ms"] == 1
    assert of_slots(slots([]))["compute_ms"] is None


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def __call__(self) -> float:
        self.now += 1e-5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def test_a_clip_plays_at_its_own_speed_and_again() -> None:
    clock = Clock()
    length = MediaClip(demo_clip_path()).duration_s
    seconds = length + 1.0
    clip = PlayedClip(demo_clip_path(), seconds, clock, clock.sleep)
    late = []
    for item in clip.pictures_and_sound():
        late.append(clock.now - item.offset_ns / NS)
        newest = item.offset_ns / NS
    assert min(late) > -1e-9
    assert length < newest < seconds
    assert clock.slept == pytest.approx(seconds, abs=0.2)


def test_the_figures_of_a_listener_without_networks() -> None:
    clock = Clock()
    settings, _ = settings_as_live({"policy": "rules"})
    cost = bench_compute(demo_clip_path(), settings, clock, clock.sleep, seconds=1.0)
    assert cost["policy"] == "rules"
    assert cost["slots"] == pytest.approx(25, abs=4)
    assert cost["compute_ms"]["p50"] > 0
    assert cost["compute_ms"]["p99"] <= cost["burst_ms"]["p99"] + 1e-9


def test_the_command_writes_page_and_picture(tmp_path: Path, reactdiff) -> None:
    pytest.importorskip("pyinstrument", reason="pyinstrument is not installed (requirements/test.txt)")
    page = tmp_path / "performance.md"
    result, _ = reactdiff("bench", "profile", "--seconds", 3, "--cpu", "--output", page, "--json")
    shares = [f["share"] for f in result["functions"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1.001
    assert any(f["in"] == "onnxruntime" for f in result["functions"][:3])
    assert result["summary"]["slots"] > 10
    assert result["time"] == "processor"
    assert f"| `{result['functions'][0]['function']}` |" in page.read_text()
    assert (tmp_path / "images" / "performance_profile.png").stat().st_size > 5000
