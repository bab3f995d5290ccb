"""The follower, tick by tick: what it refuses, a library that fails, calm faces, rules; and when ticks are due."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import LimitCheck, calm_frames, face, longest_run, odd_profile, small_profile
from ruckig import Ruckig

from reactdiff_ros.actuation.follow import STEADY, Follower
from reactdiff_ros.actuation.motion import FAILURES, Motion
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.actuation.schedule import Schedule
from reactdiff_ros.actuation.simulate import Block, simulate, usable_frames
from reactdiff_ros.coefficients import INDEX

NAN = math.nan
OPEN = face(jawOpen=1.0, headPitch=0.3)
NOISES = (1e-7, 3e-7, 1e-6, 3e-6, 1e-5)


def following(profile: Profile) -> Follower:
    """It has torque on every joint, at neutral, and follows a face at 0 s."""
    follower = Follower(profile)
    follower.begin_at_neutral(0.0, None, 0.0)
    assert follower.tick(0.02, OPEN, 0.005).state == "following"
    return follower


NO_FACES = [(np.zeros(57), 0.0), (np.zeros((2, 58)), 0.0), (OPEN, NAN), (OPEN, math.inf), (OPEN, -1.0)]


@pytest.mark.parametrize(("frame", "age"), NO_FACES)
def test_malformed_frames_are_no_frames_and_an_age_that_makes_no_sense_is_stale(
    tmp_path: Path, frame: np.ndarray, age: float
) -> None:
    assert following(small_profile(tmp_path)).tick(0.04, frame, age).state == "returning"


@pytest.mark.parametrize("jump", [-0.5, NAN, math.inf])
def test_a_clock_that_makes_no_sense_disarms(tmp_path: Path, jump: float) -> None:
    assert following(small_profile(tmp_path)).tick(0.04 + jump, OPEN, 0.005).state in ("lowering", "disarmed")


def test_a_joint_found_outside_after_a_stall_is_a_fault(tmp_path: Path) -> None:
    commands = following(small_profile(tmp_path)).tick(0.5, OPEN, 0.005, [NAN, NAN, 3.0, 90.0])
    assert commands.state == "stopped"
    assert "neck" in commands.fault


FIGURES = ("time_s", "target", "position", "velocity", "acceleration", "limited")


def run_failing(monkeypatch: pytest.MonkeyPatch, profile: Profile, ticks: set[int], count: int) -> Follower:
    """Half a second up, half a second down, again and again; its library fails at `ticks`; limits are checked."""
    tick, commands = 0, []

    class Failing(Ruckig):
        def update(self, *what: object) -> object:
            if tick in ticks:
                raise RuntimeError("no solution\nat all")
            return super().update(*what)

    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", Failing)
    follower, check = Follower(profile), LimitCheck(profile)
    follower.begin_at_neutral(0.0, None, 0.0)
    for tick in range(1, count):
        shown = np.full(58, 1.0 if tick // 25 % 2 else -1.0)
        commands.append(follower.tick(tick / profile.rate_hz, shown, 0.0))
    columns = ([getattr(t, name) for t in commands] for name in FIGURES)
    check.see(Block(*map(np.array, columns), ""))
    monkeypatch.undo()
    return follower


def test_a_library_that_fails_now_and_then_does_not_stop_a_robot_and_one_that_goes_on_failing_is_a_controlled_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Failures at any time, alone and in rows: it brakes within its limits, and goes on."""
    rng, profile = np.random.default_rng(0), small_profile(tmp_path)
    starts, lengths = rng.integers(0, 1000, 75), rng.integers(1, 6, 75)
    ticks = {int(s) + k for s, n in zip(starts, lengths, strict=True) for k in range(n)}
    for robot in (profile, load_profile("furhat")):
        assert run_failing(monkeypatch, robot, ticks, 1000).state == "following"
    for count, state in ((FAILURES - 1, "following"), (FAILURES, "stopped")):
        follower = run_failing(monkeypatch, profile, set(range(500, 500 + count)), 600)
        assert follower.state == state
    assert "no solution at all" in follower.fault
    commands = run_failing(monkeypatch, profile, set(range(500, 1000)), 600).tick(12.0, OPEN, 0.0)
    assert commands.velocity == [0, 0, 0, 0]
    assert commands.torque == [False, False, True, True]  # on_fault; the neck cannot be lowered, so it holds


@pytest.mark.parametrize("step", [1e-8, 1e-6, 1e-5, 1e-3])
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
    profile, rng, count = small_profile(tmp_path), np.random.default_rng(0), 1500
    frames = np.zeros((count, 58))
    jaw = np.where(np.arange(count) % 500 < 70, 1.0, 0.6 + beyond) + rng.normal(0, 1e-7, count)
    frames[:, INDEX["jawOpen"]] = jaw
    for block in simulate(profile, usable_frames(frames, np.arange(count) / 50)):
        assert longest_run(block.command[:, 2] > 12.0) <= 100


CALM = [*product((11, 21, 22, 23), NOISES, (3000,)), *((seed, NOISES[seed % 5], 1500) for seed in range(8))]


@pytest.mark.parametrize(("seed", "noise", "count"), CALM)
def test_a_calm_face_does_not_make_a_robot_brake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int, noise: float, count: int
) -> None:
    """A minute on a Furhat, where five of these stopped when targets trembled with the face; or a random robot."""
    monkeypatch.setattr(Motion, "_brake", lambda motion: pytest.fail("it brakes for want of a trajectory"))
    profile = load_profile("furhat") if seed > 10 else odd_profile(tmp_path, seed, plausible=True)
    check = LimitCheck(profile)
    for block in simulate(profile, usable_frames(*calm_frames(np.random.default_rng(seed), count, noise))):
        check.see(block)
    assert check.ticks >= count - 1  # some at 100 Hz


# When ticks are due.


@pytest.mark.parametrize("late_s", [0.0002, 0.001, 0.003, 0.01])
def test_the_rate_does_not_drift_and_no_period_is_shorter_than_the_limits_assume(late_s: float) -> None:
    schedule, rng, began = Schedule(50.0, 0.0), np.random.default_rng(0), []
    for _ in range(2000):
        began.append(schedule.due_s + rng.exponential(late_s))
        schedule.ticked(began[-1])
    assert np.diff(began).min() >= SHORTEST * 0.02 - 1e-9
    assert 2000 / (began[-1] - began[0]) > 50.0 / (1.0 + 2.0 * late_s / 0.02)
    if late_s < 0.001:
        assert schedule.rate_hz() == pytest.approx(50.0, rel=0.01)
        assert schedule.due_s == pytest.approx(2000 / 50.0, abs=0.001)
        assert 0.0002 < schedule.jitter_p99_s() < 0.002


@pytest.mark.parametrize("phase_s", [0.0, 0.003, 0.009, 0.0185])
@pytest.mark.parametrize("rate_hz", [50.0, 100.0])
def test_ticks_come_to_be_soon_behind_the_faces_by_longer_periods_alone(phase_s: float, rate_hz: float) -> None:
    schedule, rng = Schedule(rate_hz, 0.0), np.random.default_rng(1)
    faces = np.arange(0.0, 12.0, 0.02) + phase_s + np.abs(rng.normal(0.0, 0.0005, 600))
    used, waits, began = 0, [], []
    while schedule.due_s < 11.9:
        began.append(schedule.due_s)
        newest = int(np.searchsorted(faces, began[-1], side="right"))
        waits.append(began[-1] - faces[newest - 1] if newest > used else NAN)
        used = newest
        schedule.ticked(began[-1], waits[-1])
    assert np.diff(began).min() >= 1.0 / rate_hz - 1e-9
    soonest, latest = np.nanpercentile(waits[len(waits) // 2 :], (1, 99)) * rate_hz
    assert 0.2 < soonest < latest < 0.6
