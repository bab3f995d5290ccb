"""The figures of the live bench from made-up recordings whose answers are known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.evaluation.bench.live import (
    EXPRESSION,
    PICTURES,
    REACTION,
    SPEAKER,
    Recording,
    answers,
    gaps_over,
    median_run,
    rate_hz,
    spread,
    summary,
)

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
    return summary(recording, begin, end, dropped={"audio": 3}, cpu_cores=0.5, rss_mb=400.0, load_before=0.1)


def test_the_figures_of_a_steady_graph() -> None:
    result = measured(steady())
    assert result["latency_ms"] == {"p50": 40.0, "p99": 40.0, "n": 175}
    assert result["reaction_ms"] == {"p50": 120.0, "p99": 120.0, "n": 175}
    assert result["rates_hz"][SPEAKER] == 25.0
    assert result["rates_hz"][EXPRESSION] == 50.0
    assert result["rates_hz"]["audio"] is None
    assert result["deadline_misses"] == 0
    assert result["dropped"] == {PICTURES: 0, "audio": 3}
    assert result["stages_ms"]["capture"]["p50"] == 2.0
    assert result["stages_ms"]["perception"]["p50"] == 10.0
    assert result["stages_ms"]["reaction"]["p50"] == 8.0
    assert result["seconds"] == 7.0


def test_the_keys_are_those_that_were_promised() -> None:
    assert set(measured(steady())) == {
        "latency_ms", "reaction_ms", "stages_ms", "rates_hz", "dropped", "deadline_misses", "missed_deadlines",
        "cpu_cores", "rss_mb", "seconds", "load_before",
    }  # fmt: skip


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


def test_without_pictures_there_is_no_latency() -> None:
    recording = steady()
    recording.expressions = [(t, 0, 0) for t, _, _ in recording.expressions]
    result = measured(recording)
    assert result["latency_ms"] is None
    assert result["reaction_ms"] is None
    assert result["stages_ms"]["expression"] is None
    assert measured(Recording())["rates_hz"][EXPRESSION] is None


def test_a_picture_that_was_skipped_is_answered_by_the_next() -> None:
    assert answers([10 * MS, 20 * MS], [(25 * MS, 0), (40 * MS, 20 * MS)]) == [30.0, 20.0]
    assert answers([30 * MS], [(40 * MS, 20 * MS)]) == []


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


def test_small_helpers() -> None:
    assert spread([]) is None
    assert rate_hz([5]) is None
    assert rate_hz([0, 10**9, 2 * 10**9]) == 1.0
    assert gaps_over([0, 40 * MS, 81 * MS]) == 1
    runs = [{"latency_ms": {"p50": p}} if p else {"latency_ms": None} for p in (50.0, None, 40.0)]
    assert median_run(runs) == runs[0]
    assert median_run(runs[:1]) == runs[0]
