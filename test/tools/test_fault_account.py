"""What a fault did to the face and the servos, on made-up recordings in which the answer is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from tools.faults.account import (
    Account,
    Bounds,
    Joints,
    Moved,
    Report,
    Shown,
    Trace,
    account,
    servo_account,
    servo_violations,
    violations,
    watchdog_violations,
)

MS = NS // 1000
TICK = 20 * MS
JOINTS = Joints(np.array([0.0, 1000.0]), np.array([20.0, 2000.0]), np.array([10.0, 500.0]))
DIES = Bounds(2.0, face_dies=True)


def trace(end_s: float, *, gone=(), idle=(), stale=(), stage_gone=(), page_stale=()) -> Trace:
    """A face at 50 Hz from 0 to `end_s`; within the spans (seconds) frames are missing, idle, without a plan ..."""

    def within(t: int, spans: tuple[Any, ...]) -> bool:
        spans = spans if not spans or isinstance(spans[0], tuple) else (spans,)
        return any(begin * NS <= t < end * NS for begin, end in spans)

    frames = [
        Shown(
            t,
            "idle" if within(t, idle) else "listening",
            np.full(58, np.sin(t / NS) / 10, np.float32),
            max(t - (3 * NS if within(t, stale) else 100 * MS), 1),
        )
        for t in range(0, round(end_s * NS), TICK)
        if not within(t, gone)
    ]
    stage = [t for t in range(0, round(end_s * NS), 2 * TICK) if not within(t, stage_gone)]
    pages = [(t, not within(t, page_stale)) for t in range(0, round(end_s * NS), 50 * MS)]
    return Trace(
        frames, {"stage": stage}, pages, [Report(2 * NS + 1, "node", 2, "is gone"), Report(0, "x", 1, "before")]
    )


def test_a_face_that_dies_and_comes_back():
    done = account(trace(8.0, gone=(2.0, 3.5), page_stale=(2.5, 3.55)), 2 * NS, 2 * NS)
    assert done.longest_gap_s == pytest.approx(1.52, abs=0.021)
    assert done.normal_after_s == pytest.approx(1.5, abs=0.021)
    assert done.page_neutral_s == 0.5
    assert done.step_over_gap > done.largest_step > 0.0
    assert violations(done, DIES) == []
    assert any("no face for" in v for v in violations(done, Bounds(2.0)))
    assert any("required: 1 s" in v for v in violations(done, Bounds(1.0, face_dies=True)))


@pytest.mark.parametrize(
    ("spans", "after"),
    [
        ({"idle": (2.0, 4.0)}, 1.0),
        ({"stale": (2.0, 3.6)}, 0.6),
        ({"stage_gone": (2.0, 4.4)}, 1.4),
        ({"page_stale": (2.0, 4.0)}, 0.95),
        ({"gone": (2.0, 3.3), "idle": (3.3, 5.0)}, 2.0),
        ({"idle": ((2.0, 2.5), (2.8, 4.0))}, 1.0),  # listening for 0.3 s within is not normal
        *(({what: (2.0, 9.0)}, None) for what in ("gone", "idle", "stage_gone", "page_stale")),
    ],
)
def test_what_is_not_normal(spans, after):
    done = account(trace(9.0, **spans), 2 * NS, 3 * NS, "stage", page=True)
    if after is None:
        assert done.normal_after_s is None
        assert "not normal again" in violations(done, Bounds(6.0))[0]
    else:
        assert done.normal_after_s == pytest.approx(after, abs=0.06)


def test_old_plans_after_the_end_are_counted():
    def face(at_s: float, plan_s: float) -> Shown:
        return Shown(round(at_s * NS), "listening", np.zeros(58, np.float32), round(plan_s * NS))

    cut = [face(1.0, 0.9), face(2.0, 0.9), face(3.0, 0.9)]  # the old plan goes on: nothing new
    recorded = Trace(frames=[*cut, face(3.2, 3.1), face(3.4, 3.3)])
    assert account(recorded, NS, 3 * NS).replayed == 0
    recorded.frames[3:3] = [face(3.02, 1.2), face(3.04, 1.2), face(3.06, 1.4)]
    done = account(recorded, NS, 3 * NS)
    assert done.replayed == 2
    assert any("2 old plans" in found for found in violations(done, Bounds(2.0, no_replay=True)))
    assert not any("old plans" in found for found in violations(done, Bounds(2.0)))


def face(gap_s: float) -> Account:
    return Account(gap_s, None, None, None, 0.0, 0.1, 0.0, True, ["reported"])


def reports(states: str, commands=None) -> list[Moved]:
    """Ten a second from 0: f follows, r returns, d is disarmed."""
    names = {"f": "following", "r": "returning", "d": "disarmed"}
    began = math.nan
    found = []
    for i, letter in enumerate(states):
        began = 0.16 if letter == "r" else began
        command = np.array([10.0, 1500.0] if commands is None else commands[i], np.float32)
        found.append(Moved(i * NS // 10, names[letter], command, began))
    return found


@pytest.mark.parametrize(
    ("states", "returned_s", "follows_s", "gap_s", "violation"),
    [
        ("f" * 40, None, 0.0, 0.02, ""),
        ("f" * 12 + "r" * 13 + "f" * 10, 0.16, 0.5, 1.3, ""),
        ("f" * 15 + "d" * 20, None, None, 0.0, "did not follow"),
        ("", None, None, 0.0, "did not follow"),
    ],
)
def test_servos_that_return_and_follow_again(states, returned_s, follows_s, gap_s, violation):
    done = servo_account(reports(states), JOINTS, NS, 2 * NS)
    assert (done.servos_return_s, done.servos_follow_after_s) == (returned_s, follows_s)
    found = servo_violations(done, face(gap_s), DIES)
    assert found == [] if not violation else violation in found[0]
    assert servo_violations(done, face(gap_s), DIES, by_itself=False) == []


@pytest.mark.parametrize(
    ("commands", "violation"),
    [
        ([[10.0 + 0.5 * (i % 2), 1500.0] for i in range(30)], ""),
        ([[10.0, 1500.0 + 100.0 * (i % 2)] for i in range(30)], "2.00 of its speed limit"),
        ([[22.0, 1500.0]] * 30, "10.0 % of its range beyond a limit"),
    ],
)
def test_commands_beyond_limits_and_faster_than_allowed(commands, violation):
    found = servo_violations(servo_account(reports("f" * 30, commands), JOINTS, 0, 0), face(0.0), DIES)
    assert found == [] if not violation else violation in found[0]


@pytest.mark.parametrize(
    ("acted", "due", "lost", "held"),
    [(0.55, 0.5, 1.0, True), (0.9, 0.5, 1.0, False), (None, 0.5, 1.0, False), (None, 0.5, 0.5, True),
     (None, None, 9.0, True)],
)  # fmt: skip
def test_the_watchdog_of_the_hardware_acts_in_time(acted, due, lost, held):
    assert (watchdog_violations(acted, due, lost) == []) == held
