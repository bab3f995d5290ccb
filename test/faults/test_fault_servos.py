"""The account of the servos on made-up reports in which the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.faults.account import Account, Bounds
from reactdiff_ros.evaluation.faults.servos import (
    Joints,
    Moved,
    ServoAccount,
    Watchdog,
    servo_account,
    servo_violations,
    watchdog_violations,
)

JOINTS = Joints(np.array([0.0, 1000.0]), np.array([20.0, 2000.0]), np.array([10.0, 500.0]))
DIES = Bounds(2.0, face_dies=True)


def face(gap_s: float) -> Account:
    return Account(gap_s, None, None, None, 0.0, 0.1, 0.0, True, ["said"])


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


def test_servos_that_follow_all_the_time():
    done = servo_account(reports("f" * 40), JOINTS, NS, 2 * NS)
    assert done == ServoAccount(None, 0.0, 0.0, 0.0)
    assert servo_violations(done, face(0.02), DIES) == []


def test_a_return_to_neutral_and_back():
    done = servo_account(reports("f" * 12 + "r" * 13 + "f" * 10), JOINTS, NS, 2 * NS)
    assert done.servos_return_s == 0.16
    assert done.servos_follow_after_s == 0.5
    assert servo_violations(done, face(1.3), DIES) == []


@pytest.mark.parametrize("began", [0.3, None])
def test_a_return_that_begins_late_or_never_is_said_where_the_face_was_gone(began):
    done = ServoAccount(began, 0.0, 0.0, 0.0)
    assert len(servo_violations(done, face(1.3), DIES)) == 1
    assert servo_violations(done, face(0.3), DIES) == []
    assert servo_violations(done, face(1.3), Bounds(2.0)) == []


@pytest.mark.parametrize(
    ("acted", "due", "lost", "held"),
    [
        (0.52, 0.5, 1.0, True),
        (0.9, 0.5, 1.0, False),
        (None, 0.5, 1.0, False),
        (None, 0.5, 0.5, True),  # the commands came again before it was due
        (None, None, 30.0, True),  # it has none
    ],
)
def test_a_watchdog_acts_when_it_is_due(acted, due, lost, held):
    assert (watchdog_violations(Watchdog("hold", acted), due, lost) == []) == held


def test_servos_that_are_disarmed_at_the_end_do_not_follow():
    assert servo_account(reports("f" * 15 + "d" * 20), JOINTS, NS, NS).servos_follow_after_s is None
    done = servo_account([], JOINTS, NS, NS)
    assert done.servos_follow_after_s is None
    assert servo_violations(done, face(0.0), DIES) == ["the servos did not follow the face again by themselves"]
    assert servo_violations(done, face(0.0), DIES, by_itself=False) == []


def test_commands_beyond_limits_and_faster_than_allowed():
    inside = [[10.0 + 0.5 * (i % 2), 1500.0] for i in range(30)]
    assert servo_account(reports("f" * 30, inside), JOINTS, 0, 0).servos_speed == pytest.approx(0.5)
    fast = [[10.0, 1500.0 + 100.0 * (i % 2)] for i in range(30)]
    done = servo_account(reports("f" * 30, fast), JOINTS, 0, 0)
    assert done.servos_speed == pytest.approx(2.0)
    assert "2.00 of its speed limit" in servo_violations(done, face(0.0), DIES)[0]
    beyond = [[22.0, 1500.0]] * 30
    done = servo_account(reports("f" * 30, beyond), JOINTS, 0, 0)
    assert done.servos_beyond == pytest.approx(0.1)
    assert "10.0 % of its range beyond a limit" in servo_violations(done, face(0.0), DIES)[0]
