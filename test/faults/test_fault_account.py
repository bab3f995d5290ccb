"""The account of a fault on made-up recordings in which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.faults.account import (
    Account,
    Bounds,
    Said,
    Shown,
    Trace,
    account,
    normal_from,
    violations,
)

MS = NS // 1000
TICK = 20 * MS


def trace(end_s: float, *, gone=(), idle=(), stale=(), stage_gone=(), page_stale=()) -> Trace:
    """A face at 50 Hz from 0 to `end_s`; within the spans (seconds) frames are missing, idle, without a plan ..."""

    def within(t: int, span: tuple[float, ...]) -> bool:
        return bool(span) and span[0] * NS <= t < span[1] * NS

    times = [t for t in range(0, round(end_s * NS), TICK)]
    frames = [
        Shown(
            t,
            "idle" if within(t, idle) else "listening",
            np.full(58, np.sin(t / NS) / 10, np.float32),
            max(t - (3 * NS if within(t, stale) else 100 * MS), 1),
        )
        for t in times
        if not within(t, gone)
    ]
    stage = [t for t in range(0, round(end_s * NS), 2 * TICK) if not within(t, stage_gone)]
    pages = [(t, not within(t, page_stale)) for t in range(0, round(end_s * NS), 50 * MS)]
    return Trace(frames, {"stage": stage}, pages, [Said(2 * NS + 1, "node", 2, "is gone"), Said(0, "x", 1, "before")])


def seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / NS


def test_a_calm_face_is_normal_at_once():
    done = account(trace(5.0), 2 * NS, 3 * NS, "stage", page=True)
    assert done.normal_after_s == 0.0
    assert (done.longest_gap_s, done.away_from_s, done.page_neutral_s, done.finite) == (0.02, None, None, True)
    assert done.said == ["node: is gone"]
    assert violations(done, Bounds(2.0)) == []


def test_a_face_that_dies_and_comes_back():
    done = account(trace(8.0, gone=(2.0, 3.5), page_stale=(2.5, 3.55)), 2 * NS, 2 * NS)
    assert done.longest_gap_s == pytest.approx(1.52, abs=0.021)
    assert done.normal_after_s == pytest.approx(1.5, abs=0.021)
    assert done.page_neutral_s == 0.5
    assert done.step_over_gap > done.largest_step > 0.0
    assert violations(done, Bounds(2.0, face_dies=True)) == []
    assert any("no face for" in v for v in violations(done, Bounds(2.0)))
    assert any("asked are 1 s" in v for v in violations(done, Bounds(1.0, face_dies=True)))


@pytest.mark.parametrize(
    ("spans", "after"),
    [
        ({"idle": (2.0, 4.0)}, 1.0),
        ({"stale": (2.0, 3.6)}, 0.6),
        ({"stage_gone": (2.0, 4.4)}, 1.4),
        ({"gone": (2.0, 3.3), "idle": (3.3, 5.0)}, 2.0),
    ],
)
def test_what_is_not_normal(spans, after):
    done = account(trace(9.0, **spans), 2 * NS, 3 * NS, "stage")
    assert done.normal_after_s == pytest.approx(after, abs=0.06)


def test_a_page_is_asked_where_it_is_concerned():
    recorded = trace(9.0, page_stale=(2.0, 4.0))
    assert account(recorded, 2 * NS, 3 * NS).normal_after_s == 0.0
    assert account(recorded, 2 * NS, 3 * NS, page=True).normal_after_s == pytest.approx(0.95, abs=0.06)


def test_away_is_told_from_the_cause():
    done = account(trace(9.0, idle=(3.0, 4.0)), 2 * NS, 4 * NS)
    assert (done.away_from_s, done.away_to_s) == (1.0, pytest.approx(1.98, abs=0.03))


def test_what_never_comes_back_is_said():
    for spans in ({"gone": (2.0, 9.0)}, {"idle": (2.0, 9.0)}, {"stage_gone": (2.0, 9.0)}, {"page_stale": (2.0, 9.0)}):
        done = account(trace(9.0, **spans), 2 * NS, 3 * NS, "stage", page=True)
        assert done.normal_after_s is None, spans
        assert "not normal again" in violations(done, Bounds(6.0))[0]


def test_normal_must_last():
    # Listening for 0.3 s within an idle stretch is not normal.
    recorded = trace(9.0, idle=(2.0, 4.0))
    recorded.frames = [
        Shown(f.published_ns, "listening", f.coefficients, f.plan_picture_ns)
        if 2.5 * NS <= f.published_ns < 2.8 * NS
        else f
        for f in recorded.frames
    ]
    assert seconds(normal_from(recorded, 2 * NS)) == pytest.approx(4.0, abs=0.021)


def test_a_face_that_is_not_finite_or_of_which_nobody_is_told():
    bad = Account(0.02, None, None, None, 0.0, 0.1, 0.0, False, [])
    assert violations(bad, Bounds(2.0)) == ["a face was not finite", "nobody was told"]
    assert violations(bad, Bounds(2.0, told=False)) == ["a face was not finite"]


def test_what_was_said_before_and_goes_on_is_no_news():
    recorded = trace(5.0)
    told = [(1, "a", 1, "slow (1 so far)"), (3, "a", 1, "slow (2 so far)"), (3, "b", 2, "gone"), (4, "b", 2, "gone")]
    recorded.said = [Said(s * NS, who, level, text) for s, who, level, text in [*told, (4, "c", 0, "works")]]
    assert account(recorded, 2 * NS, 3 * NS).said == ["b: gone"]


def test_plans_of_a_time_that_is_over_are_counted():
    def face(at_s: float, plan_s: float) -> Shown:
        return Shown(round(at_s * NS), "listening", np.zeros(58, np.float32), round(plan_s * NS))

    cut = [face(1.0, 0.9), face(2.0, 0.9), face(3.0, 0.9)]  # the old plan goes on: nothing new
    fresh = [face(3.2, 3.1), face(3.4, 3.3)]
    recorded = Trace(frames=[*cut, *fresh])
    assert account(recorded, NS, 3 * NS).replayed == 0
    recorded.frames[3:3] = [face(3.02, 1.2), face(3.04, 1.2), face(3.06, 1.4)]
    done = account(recorded, NS, 3 * NS)
    assert done.replayed == 2
    assert "2 old plans were shown after the end of the cause" in violations(done, Bounds(2.0, no_replay=True))
    assert not any("old plans" in found for found in violations(done, Bounds(2.0)))


def test_an_empty_recording_is_no_normal_face():
    done = account(Trace(), 2 * NS, 3 * NS)
    assert done.normal_after_s is None
    assert done.longest_gap_s == 0.0
