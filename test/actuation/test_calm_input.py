"""A calm face never stops a robot: trembling targets, and states that have no trajectory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import LimitCheck, calm_frames, longest_run, odd_profile, small_profile
from ruckig import Ruckig

from reactdiff_ros.actuation.follow import STEADY, Aim, Follower
from reactdiff_ros.actuation.motion import FAILURES, Motion
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.actuation.simulate import Block, simulate, usable_frames
from reactdiff_ros.coefficients import INDEX

FIGURES = ("time_s", "target", "position", "velocity", "acceleration", "limited")
NOISES = (1e-7, 3e-7, 1e-6, 3e-6, 1e-5)


def fast_joint() -> tuple[Motion, int]:
    """A furhat's motion, and its first joint with speed 25, acceleration 1500, jerk 150000."""
    profile = load_profile("furhat")
    limits = [(j.limits.speed, j.limits.acceleration, j.limits.jerk) for j in profile.joints.values()]
    return Motion(profile), limits.index((25.0, 1500.0, 150000.0))


def test_a_state_from_which_ruckig_fails_is_left_by_the_own_stop() -> None:
    """Found with poses held to 1e-7 (ruckig 0.19.4): the last 0.2 ms of a motion, and a target that moved by 3e-8."""
    motion, i = fast_joint()
    position, velocity, acceleration = (list(x) for x in (motion.position, motion.velocity, motion.acceleration))
    position[i], velocity[i], acceleration[i] = 0.30428022984824, 0.0030, -30.2
    motion.put(position, velocity, acceleration)
    targets = list(position)
    targets[i] = 0.30428045988
    before = motion.position[i]
    for _ in range(3):
        motion.step(targets)
        assert abs(motion.position[i] - before) < 1e-6
    assert motion.at_rest[i]
    assert motion.position[i] == pytest.approx(targets[i], abs=5e-7)


class Failing:
    """A ruckig that fails at the ticks that it is told."""

    def __init__(self, ticks: set[int]) -> None:
        self.ticks, self.tick = ticks, 0

    def make(self, *sizes: float) -> Failing:
        self._ruckig = Ruckig(*sizes)
        return self

    def update(self, *what: object) -> object:
        if self.tick in self.ticks:
            raise RuntimeError("no solution")
        return self._ruckig.update(*what)


def run_failing(monkeypatch: pytest.MonkeyPatch, profile: Profile, ticks: set[int], count: int) -> Follower:
    """Half a second up, half a second down, again and again, with these failures; limits are checked."""
    failing = Failing(ticks)
    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", failing.make)
    follower, check = Follower(profile), LimitCheck(profile)
    follower.begin_at_neutral(0.0, None, 0.0)
    commands = []
    for tick in range(1, count):
        failing.tick = tick
        face = np.full(58, 1.0 if tick // 25 % 2 else -1.0)
        commands.append(follower.tick(tick / profile.rate_hz, face, 0.0))
    columns = ([getattr(t, name) for t in commands] for name in FIGURES)
    check.see(Block(*map(np.array, columns), ""))
    return follower


def test_single_failures_of_the_library_do_not_stop_a_robot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Failures at any time, alone and in rows: it brakes within its limits, and goes on."""
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, 1000, 75), rng.integers(1, 6, 75)
    ticks = {int(s) + k for s, n in zip(starts, lengths, strict=True) for k in range(n)}
    for profile in (small_profile(tmp_path), load_profile("furhat")):
        assert run_failing(monkeypatch, profile, ticks, 1000).state == "following"
    for count, state in ((FAILURES - 1, "following"), (FAILURES, "stopped")):
        assert run_failing(monkeypatch, profile, set(range(500, 500 + count)), 600).state == state


def test_what_is_lowered_after_a_fault_outlives_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = Failing({52, 60})
    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", failing.make)
    follower = Follower(small_profile(tmp_path))
    follower.begin_at_neutral(0.0, None, 0.0)
    follower.stop_for("half of the bus is gone")
    for tick in range(1, 200):
        failing.tick = tick + 49
        commands = follower.tick(tick / 50, None, 0.0)
    assert commands.position[3] == pytest.approx(25.0, abs=1e-3)
    assert not commands.torque[3]


def test_targets_that_tremble_stand_still(tmp_path: Path) -> None:
    profile = small_profile(tmp_path)
    joints, rng = list(profile.joints.values()), np.random.default_rng(0)
    aim = Aim(joints, [(j.lower, j.upper) for j in joints], [j.neutral for j in joints])
    pose, span = np.array([1400.0, 1300.0, 5.0, 10.0]), np.array([400.0, 400.0, 20.0, 60.0])
    moving = [False] * 4
    first, _ = aim.follow(pose.tolist(), moving)
    for _ in range(2000):
        trembling = pose + span * rng.uniform(-0.9e-5, 0.9e-5, 4)
        assert aim.follow(trembling.tolist(), moving)[0] == first == pose.tolist()


@pytest.mark.parametrize("step", [1e-8, 1e-7, 1e-6, 1e-5, 1e-3])
def test_a_slow_drift_is_followed_and_its_end_reached(tmp_path: Path, step: float) -> None:
    """The jaw, from shut to 0.1 of its range by steps that are each too small to be followed."""
    profile = small_profile(tmp_path)
    follower, count = Follower(profile), round(min(0.1 / step, 5000))
    follower.begin_at_neutral(0.0, None, 0.0)
    wanted = [j.neutral for j in profile.joints.values()]
    worst = 0.0
    for tick in range(1, count + 100):
        wanted[2] = 20.0 * step * min(tick, count)
        commands = follower.tick_wanted(tick / 50, list(wanted), 0.0)
        worst = max(worst, abs(commands.target[2] - wanted[2]))
    assert worst <= 20.0 * STEADY * (1 + 1e-9)
    assert commands.target[2] == wanted[2]
    assert commands.position[2] == pytest.approx(wanted[2], abs=20.0 * 1e-6)
    assert not commands.limited[2]


@pytest.mark.parametrize("beyond", [2e-7, 2e-6, 8e-6, 2e-5])
def test_a_rule_holds_also_for_a_face_that_is_hardly_beyond_its_point(tmp_path: Path, beyond: float) -> None:
    """The jaw wide open until the rule is about to act, then a hair beyond 0.6 of its way, trembling."""
    profile, rng = small_profile(tmp_path), np.random.default_rng(0)
    count = 1500
    frames = np.zeros((count, 58))
    jaw = np.where(np.arange(count) % 500 < 70, 1.0, 0.6 + beyond) + rng.normal(0, 1e-7, count)
    frames[:, INDEX["jawOpen"]] = jaw
    for block in simulate(profile, usable_frames(frames, np.arange(count) / 50)):
        assert longest_run(block.command[:, 2] > 12.0) <= 100


def calm_run(profile: Profile, seed: int, count: int, noise: float) -> tuple[LimitCheck, int]:
    """The check of `count` calm frames, and how many ticks followed the own stop for want of a trajectory."""
    check, braked = LimitCheck(profile), 0

    def brake(motion: Motion) -> None:
        nonlocal braked
        braked += 1
        own(motion)

    own = Motion._brake
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Motion, "_brake", brake)
        for block in simulate(profile, usable_frames(*calm_frames(np.random.default_rng(seed), count, noise))):
            check.see(block)
    return check, braked


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", [11, 21, 22, 23])
def test_a_calm_face_does_not_stop_a_furhat(seed: int, noise: float) -> None:
    """A minute each; five of these stopped when targets trembled with the face."""
    check, braked = calm_run(load_profile("furhat"), seed, 3000, noise)
    assert check.ticks == 3000
    assert braked == 0


@pytest.mark.parametrize("seed", range(8))
def test_random_robots_are_calm_too(tmp_path: Path, seed: int) -> None:
    check, braked = calm_run(odd_profile(tmp_path, seed, plausible=True), seed, 1500, NOISES[seed % len(NOISES)])
    assert check.ticks >= 1499  # those at 60 to 100 Hz have more
    assert braked == 0
