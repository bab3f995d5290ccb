"""Wild and calm faces through the whole actuator, with a proxy where each command leaves for the hardware."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import wild_frames
from wire_fixtures import Robot, load, profiles

from reactdiff_ros.actuation.actuation import Status
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.coefficients import INDEX

COUNT = 1000 * int(os.environ.get("REACTDIFF_FUZZ") or 1)
"""Faces a robot: 30,000 in `make test-long`, 10^6 with REACTDIFF_FUZZ=1000."""
LATE_S = (0.0,) * 12 + (0.0002, 0.001, 0.004, 0.012)
"""By how much ticks are late while faces come."""
RETURN_S, ALL_S = 0.2, 0.3
"""When the return to neutral has begun on the wire, after the last face, and when all joints have begun it. The line to
an Ohbot carries three joints a tick, and a Furhat's head gets 25 poses a second."""


class Watch:
    """The worst that was seen on the wire."""

    def __init__(self, robot: Robot) -> None:
        joints = list(robot.profile.joints.values())
        self._robot, self._names = robot, list(robot.profile.joints)
        self._lower, self._upper = np.array([j.limits.position for j in joints]).T
        self._speed = np.array([j.limits.speed for j in joints])
        self._neutral = np.array([j.neutral for j in joints])
        self._before, self._seen_s = self._wire()[0], np.full(len(joints), robot.clock.now_s)
        self._resting = self._waiting = np.zeros(len(joints), dtype=bool)
        self._first_s, self._state = np.inf, "following"
        self.outside = self.speed = self.return_s = self.all_s = 0.0
        self.interval_s = 1.0
        self.returns = 0

    def _wire(self) -> np.ndarray:
        wire = self._robot.wire()
        return np.array([wire[n] for n in self._names]).T

    def see(self, status: Status, face_s: float) -> None:
        """A tick; the last face came at `face_s`."""
        assert status.state in ("following", "returning"), status.message
        assert not status.commands.joint_faults
        assert status.stalls == 0
        value, step = self._wire()
        sent_s = np.array([self._robot.sent_s[n] for n in self._names])
        self._limits(value, step, sent_s, np.array(status.commands.position))
        self._returns(status, value != self._before, sent_s, face_s)
        self._before, self._state = value, status.state

    def _limits(self, value: np.ndarray, step: np.ndarray, sent_s: np.ndarray, position: np.ndarray) -> None:
        for left_s in self._robot.left_s.values():
            self.interval_s = min(self.interval_s, left_s[1] - left_s[0])
        self.outside = max(self.outside, (self._lower - value).max(), (value - self._upper).max())
        # What is told may be two steps off, by going ahead and by rounding, now and before; and late on a slow line.
        moved = np.maximum(np.abs(value - self._before) - 4.0 * step, 0.0)
        self.speed = max(self.speed, (moved / (sent_s - self._seen_s) / self._speed).max())
        self._seen_s = np.where(np.abs(value - position) <= 2.0 * step + 1e-9, sent_s, self._seen_s)

    def _returns(self, status: Status, changed: np.ndarray, sent_s: np.ndarray, face_s: float) -> None:
        commands = status.commands
        if status.state == "following":
            self._waiting = np.zeros_like(self._waiting)
        elif self._state == "following":
            assert commands.return_began_s <= RETURN_S
            self._waiting, self._first_s = self._resting, np.inf
            self.returns += bool(self._waiting.any())
        begin = self._waiting & changed
        if begin.any():
            if self._first_s == np.inf:
                self._first_s = sent_s[begin].min() - face_s
                self.return_s = max(self.return_s, self._first_s)
            self.all_s = max(self.all_s, (sent_s[begin] - face_s).max())
            self._waiting = self._waiting & ~changed
        assert not self._waiting.any() or status.time_s - face_s < ALL_S
        away = np.abs(commands.position - self._neutral) > 0.05 * (self._upper - self._lower)
        self._resting = away & (np.array(commands.velocity) == 0.0) & (np.array(commands.acceleration) == 0.0)


def enabled(robot: Robot) -> float:
    """Enable it, with a face at rest; the time then."""
    now_s, request = robot.clock.now_s, None
    for tick in range(3000):
        now_s += 0.02
        status = robot.tick(now_s, np.zeros(58))
        if tick == 60:
            request = robot.actuation.request("enable")
        if status.state == "following":
            return now_s
    raise AssertionError(request and request.answer)


def fuzz(profile: Profile, folder: Path, seed: int, count: int) -> Watch:
    """`count` faces, ticks that are late, and gaps in which no face comes."""
    rng, robot = np.random.default_rng(seed), Robot(profile, folder)
    frames, _ = wild_frames(rng, count)
    due_s = face_s = enabled(robot)
    watch, gap = Watch(robot), 0
    for frame in frames:
        due_s += 1.0 / profile.rate_hz
        gap = gap - 1 if gap > 0 else int(rng.integers(30, 60)) if rng.random() < 0.005 else 0
        now_s = due_s if gap else max(due_s + float(rng.choice(LATE_S)), robot.clock.now_s)
        face_s = face_s if gap else now_s
        watch.see(robot.tick(now_s, None if gap else frame), face_s)
    return watch


@pytest.mark.parametrize("robot", ["ohbot", "inmoov_head", "furhat"])
def test_a_slow_joint_is_seen_to_return_within_200_ms(robot: str, tmp_path: Path) -> None:
    """A neck alone, at rest anywhere in a step of its board: the first of its commands that differs."""
    rig = Robot(load(robot, tmp_path), tmp_path)
    now_s, face, seen = enabled(rig), np.zeros(58), []
    for pitch in np.linspace(-0.2, 0.2, 24):
        face[INDEX["headPitch"]] = pitch
        for _ in range(60):
            now_s += 0.02
            rig.tick(now_s, face.copy())
        rest, face_s = rig.wire(), now_s
        for _ in range(20):
            now_s += 0.02
            rig.tick(now_s, None)
            moved = [n for n, (value, _) in rig.wire().items() if value != rest[n][0]]
            if moved:
                seen.append(rig.sent_s[moved[0]] - face_s)
                break
    assert len(seen) == 24
    assert max(seen) <= RETURN_S


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("robot", profiles())
def test_whatever_face_comes_the_wire_stays_inside(robot: str, tmp_path: Path) -> None:
    watch = fuzz(load(robot, tmp_path), tmp_path, 1, COUNT)
    print(robot, {name: round(float(v), 6) for name, v in vars(watch).items() if not name.startswith("_")})
    assert watch.outside <= 1e-6
    assert watch.speed <= 1.0 + 1e-6
    assert watch.interval_s >= SHORTEST * 0.02 - 1e-9
    assert watch.returns > 0
    assert watch.return_s <= RETURN_S
