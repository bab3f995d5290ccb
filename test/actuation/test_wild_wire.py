"""Wild and calm faces through the whole actuator, with a proxy where each command leaves for the hardware."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import wild_frames
from wire_fixtures import Robot, load, profiles

from reactdiff_ros.actuation.kinematics import SHORTEST
from reactdiff_ros.actuation.profile import Profile

COUNT = 1000 * int(os.environ.get("REACTDIFF_FUZZ") or 1)
"""Faces a robot: 30,000 in `make test-long`, 10^6 with REACTDIFF_FUZZ=1000."""
LATE_S = (0.0,) * 12 + (0.0002, 0.001, 0.004, 0.012)
"""By how much ticks are late."""
RETURN_S = {"ohbot": 0.26}
"""When the return to neutral has begun on the wire, after the last face: Ohbot's slow joints take whole degrees."""


def enabled(robot: Robot) -> float:
    """Enable it, with a face at rest; the time then."""
    now_s = robot.clock.now_s
    request = None
    for tick in range(3000):
        now_s += 0.02
        status = robot.tick(now_s, np.zeros(58))
        if tick == 60:
            request = robot.actuation.request("enable")
        if status.state == "following":
            return now_s
    raise AssertionError(request and request.answer)


def fuzz(profile: Profile, folder: Path, seed: int, count: int) -> dict[str, float]:
    """`count` faces, ticks that are late, and gaps; the worst that was seen on the wire."""
    rng, robot = np.random.default_rng(seed), Robot(profile, folder)
    frames, _ = wild_frames(rng, count)
    due_s = face_s = enabled(robot)
    period_s, joints = 1.0 / profile.rate_hz, profile.joints
    names = list(joints)
    before, seen_s = robot.wire(), dict.fromkeys(names, due_s)
    neutral = {n: (j.neutral, 0.05 * (j.upper - j.lower)) for n, j in joints.items()}
    waiting: dict[str, float] = {}
    worst = {"return_s": 0.0, "began_s": 0.0, "interval_s": 1.0, "outside": 0.0, "speed": 0.0, "returns": 0.0}
    gap, resting, was = 0, list[str](), "following"
    for i in range(count):
        due_s += period_s
        gap = gap - 1 if gap > 0 else int(rng.integers(30, 60)) if rng.random() < 0.003 else 0
        now_s = due_s + float(rng.choice(LATE_S))
        face_s = face_s if gap else max(now_s, robot.clock.now_s)
        status = robot.tick(now_s, None if gap else frames[i])
        commands, wire = status.commands, robot.wire()
        assert status.state in ("following", "returning"), status.message
        assert not commands.joint_faults
        assert status.stalls == 0
        for left_s in robot.left_s.values():
            worst["interval_s"] = min(worst["interval_s"], left_s[1] - left_s[0])
        if status.state == "returning" and was == "following":
            worst["began_s"] = max(worst["began_s"], commands.return_began_s)
            waiting = dict.fromkeys(resting, face_s)
        assert not gap or now_s - face_s < 0.2 or status.state == "returning"
        for n, position in zip(names, commands.position, strict=True):
            (value, step), sent_s = wire[n], robot.sent_s[n]
            worst["outside"] = max(worst["outside"], joints[n].lower - value, value - joints[n].upper)
            # Two steps by going ahead, or not any more; one by rounding.
            moved = max(abs(value - before[n][0]) - 3.0 * step, 0.0)
            worst["speed"] = max(worst["speed"], moved / (sent_s - seen_s[n]) / joints[n].limits.speed)
            if abs(value - position) <= 2.0 * step + 1e-9:
                seen_s[n] = sent_s
            if n in waiting and value != before[n][0]:
                worst["return_s"] = max(worst["return_s"], sent_s - waiting.pop(n))
                worst["returns"] += 1
        waiting, before, was = waiting if gap else {}, wire, status.state
        resting = [
            n
            for n, p, v, a in zip(names, commands.position, commands.velocity, commands.acceleration, strict=True)
            if v == 0.0 == a and abs(p - neutral[n][0]) > neutral[n][1]
        ]
    return worst


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("robot", profiles())
def test_whatever_face_comes_the_wire_stays_inside(robot: str, tmp_path: Path) -> None:
    worst = fuzz(load(robot, tmp_path), tmp_path, 1, COUNT)
    print(robot, {key: round(value, 6) for key, value in worst.items()})
    assert worst["outside"] <= 1e-6
    assert worst["speed"] <= 1.0 + 1e-6
    assert worst["interval_s"] >= SHORTEST * 0.02 - 1e-9
    assert worst["began_s"] <= 0.2
    assert worst["return_s"] <= RETURN_S.get(robot, 0.2)
