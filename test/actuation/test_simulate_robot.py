"""The follower, over recorded frames and tick by tick: limits, rules, bad input; and when ticks are due."""

import math
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_fixtures import LimitCheck, calm_frames, face, longest_run, odd_profile, robots, small_profile, wild_frames
from ruckig import InputParameter, Ruckig, Trajectory

from reactdiff_ros.actuation.follow import Follower
from reactdiff_ros.actuation.motion import FAILURES, Motion
from reactdiff_ros.actuation.robot.kinematics import SHORTEST, stop, stopping_time_s, travel_time_s
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.actuation.schedule import Schedule
from reactdiff_ros.actuation.simulate import Block, Frames, read_frames, simulate, usable_frames
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import MediaError

NAN = math.nan
TIMES = int(os.environ.get("REACTDIFF_FUZZ") or 1)
COUNT = 30_000 if TIMES > 1 else 10_000
"""Frames a profile, TIMES as many in `make test-long`."""


@pytest.mark.timeout(900 * TIMES)
@pytest.mark.parametrize("robot", robots())
def test_wild_input_never_leaves_the_limits(robot: str) -> None:
    profile = load_profile(robot)
    check = LimitCheck(profile)
    for seed in range(1, 1 + TIMES):
        check.before = None
        for block in simulate(profile, usable_frames(*wild_frames(np.random.default_rng(seed), COUNT))):
            check.see(block)
    assert check.ticks > COUNT * TIMES
    assert (check.used > 0.9).all()


@pytest.mark.parametrize("seed", [*range(6), 292, 334, 590, 677, 699, 794, 1182, 1241])
def test_no_limits_that_the_check_lets_pass_stop_a_robot(tmp_path: Path, seed: int) -> None:
    """The large seeds, and 1, are those where a second try with less jerk than the first left the limits."""
    profile = odd_profile(tmp_path, seed)
    check = LimitCheck(profile)
    for block in simulate(profile, usable_frames(*wild_frames(np.random.default_rng(seed), 600))):
        check.see(block)


def held(seconds: float, **values: float) -> tuple[np.ndarray, np.ndarray]:
    """One face at 50 Hz."""
    count = round(seconds * 50) + 1
    return np.tile(face(**values), (count, 1)), np.arange(count) / 50


def simulated(profile: Profile, frames: Frames, name: str) -> np.ndarray:
    """One figure of all ticks."""
    return np.concatenate([getattr(block, name) for block in simulate(profile, frames)])


def test_the_first_row_is_neutral_at_rest_and_ticks_begin_with_the_first_frame(tmp_path: Path) -> None:
    frames, times = held(1.0, jawOpen=0.5)
    block = next(simulate(small_profile(tmp_path), usable_frames(frames, times + 7.25)))
    np.testing.assert_array_equal(block.time, 7.25 + np.arange(51) / 50)
    assert block.command[0].tolist() == [1500, 1500, 0, 0]
    assert not block.velocity[0].any()
    assert block.target[0].tolist() == [1500, 1500, 10, 0]
    assert block.limited[0].tolist() == [False, False, True, False]
    assert block.command[-1].tolist() == pytest.approx([1500, 1500, 10, 0])


def test_bad_times_are_dropped_and_gaps_return_to_neutral(tmp_path: Path) -> None:
    profile = small_profile(tmp_path)
    frames, times = held(1.0, jawOpen=1.0)
    steady = simulated(profile, usable_frames(frames, times), "target")
    gap = usable_frames(frames[[0, 50]], times[[0, 50]])
    times[10], times[20], times[30] = np.nan, -3.0, np.inf
    usable = usable_frames(frames, times)
    assert usable.dropped == 3
    np.testing.assert_array_equal(simulated(profile, usable, "target"), steady)
    target = simulated(profile, gap, "target")[:, 2]
    assert target[[6, 7, -1]].tolist() == [20.0, 0.0, 20.0]  # 120 ms; 140 ms: stale


def test_same_frames_same_bits() -> None:
    profile, frames = load_profile("opsoro_ono"), usable_frames(*wild_frames(np.random.default_rng(5), 500))
    first, second = (simulated(profile, frames, "command") for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("way", ["held", *range(1, 6), 2e-7, 2e-6, 8e-6, 2e-5])
def test_the_jaw_is_not_wide_open_for_longer_than_it_may_be_however_it_moves(tmp_path: Path, way: str | float) -> None:
    """Held; with motion that tries to get round the rule; until it is about to act, then trembling a hair beyond."""
    rng = np.random.default_rng(way if isinstance(way, int) else 0)
    frames, times = held(40.0, jawOpen=1.0)
    jaw = frames[:, INDEX["jawOpen"]]
    if isinstance(way, int):
        wide = rng.choice([0.55, 0.7, 1.0], size=len(times), p=[0.05, 0.15, 0.8])
        jaw[:] = np.repeat(wide, rng.integers(1, 9, len(wide)))[: len(times)]
    elif isinstance(way, float):
        jaw[:] = np.where(np.arange(len(times)) % 500 < 70, 1.0, 0.6 + way) + rng.normal(0, 1e-7, len(times))
    (block,) = simulate(small_profile(tmp_path), usable_frames(frames, times))
    beyond = block.command[:, 2] > (12.0 if isinstance(way, float) else 12.0 + 1e-9)
    assert longest_run(beyond) <= 100
    assert block.limited[:, 2].any()
    if way == "held":
        assert longest_run(beyond) > 75
        assert 0.4 < beyond.mean() < 0.75, "after its rest it may open again"


@settings(max_examples=200, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1000), st.floats(0.001, 1000))
def test_a_stop_is_within_its_limits_and_as_quick_as_is_said(v: float, a: float, top: float, jerk: float) -> None:
    velocity, acceleration = 3.0 * v, top * a
    found = stop(0.2, velocity, acceleration, top, jerk)
    times = [t for t, _ in found.phases]
    assert min(times) >= 0.0
    assert all(abs(found.at(t)[2]) <= top * (1 + 1e-6) for t in (0.0, *np.cumsum(times)[:2]))
    almost = found.at(found.duration_s * (1 - 1e-9))
    assert abs(almost[1]) <= 1e-5 * (abs(velocity) + acceleration**2 / (2 * jerk) + 1e-9)
    assert found.at(found.duration_s + 1.0)[1:] == (0.0, 0.0)


@pytest.mark.parametrize("distance", [1e-6, 0.01, 0.066666, 1.0, 30.0])
@pytest.mark.parametrize("limits", [(2.0, 20.0, 300.0), (0.5, 100.0, 100.0), (10.0, 1.0, 1000.0)])
def test_travel_time_is_that_of_the_motion_library(distance: float, limits: tuple[float, float, float]) -> None:
    given_, path = InputParameter(1), Trajectory(1)
    given_.target_position = [distance]
    (given_.max_velocity,), (given_.max_acceleration,), (given_.max_jerk,) = ([[x]] for x in limits)
    Ruckig(1).calculate(given_, path)
    assert travel_time_s(distance, *limits) == pytest.approx(path.duration, rel=1e-6)
    assert stopping_time_s(*limits) >= stop(0.0, limits[0], 0.0, *limits[1:]).duration_s


WRONG = {
    "57 columns": (np.zeros((3, 57)), np.arange(3.0), r"must be \(T, 58\)"),
    "no time": (np.zeros((2, 58)), np.full(2, np.nan), "no frame with a finite time"),
    "texts": (np.array([["x"] * 58]), np.arange(1.0), "must be real numbers"),
    "years": (np.zeros((2, 58)), np.array([0.0, 1e12]), "one time is wrong"),
}


@pytest.mark.parametrize(("coefficients", "times", "words"), WRONG.values(), ids=WRONG)
def test_what_are_no_frames_is_a_sentence(
    tmp_path: Path, coefficients: np.ndarray, times: np.ndarray, words: str
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, coefficients=coefficients, times=times)
    with pytest.raises(MediaError, match=words):
        next(simulate(small_profile(tmp_path), read_frames(path)))


def test_what_is_no_file_of_frames_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(MediaError, match=r"cannot be read.*numpy\.savez"):
        read_frames(path)
    np.savez(path, coefficients=np.zeros((1, 58)))
    with pytest.raises(MediaError, match=r"no array times.*coefficients"):
        read_frames(path)


# The follower, tick by tick.

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
def test_malformed_frames_are_none_and_senseless_ages_are_stale(tmp_path: Path, frame: np.ndarray, age: float) -> None:
    assert following(small_profile(tmp_path)).tick(0.04, frame, age).state == "returning"


@pytest.mark.parametrize("jump", [-0.5, NAN, math.inf])
def test_a_clock_that_makes_no_sense_disarms(tmp_path: Path, jump: float) -> None:
    assert following(small_profile(tmp_path)).tick(0.04 + jump, OPEN, 0.005).state in ("lowering", "disarmed")


def test_a_joint_found_outside_after_a_stall_is_a_fault(tmp_path: Path) -> None:
    commands = following(small_profile(tmp_path)).tick(0.5, OPEN, 0.005, [NAN, NAN, 3.0, 90.0])
    assert commands.state == "stopped"
    assert "neck" in commands.fault


def run_failing(monkeypatch: pytest.MonkeyPatch, profile: Profile, ticks: set[int], count: int) -> Follower:
    """Half a second up, half a second down, again and again; its library fails at `ticks`; limits are checked."""
    tick, commands = 0, []

    class Failing(Ruckig):
        def update(self, *what: object) -> object:
            if tick in ticks:
                raise RuntimeError("no solution\nat all")
            return super().update(*what)

    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", Failing)
    follower = Follower(profile)
    follower.begin_at_neutral(0.0, None, 0.0)
    for tick in range(1, count):
        shown = np.full(58, 1.0 if tick // 25 % 2 else -1.0)
        commands.append(follower.tick(tick / profile.rate_hz, shown, 0.0))
    figures = ("time_s", "target", "position", "velocity", "acceleration", "limited")
    LimitCheck(profile).see(Block(*(np.array([getattr(t, name) for t in commands]) for name in figures), ""))
    monkeypatch.undo()
    return follower


def test_a_library_may_fail_now_and_then_but_not_go_on_failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
@pytest.mark.parametrize("period_s", [0.02, 0.01])
def test_ticks_come_to_be_soon_behind_the_faces_by_longer_periods_alone(phase_s: float, period_s: float) -> None:
    schedule, began, waits = Schedule(1.0 / period_s, 0.0), [], []
    for _ in range(600):
        began.append(schedule.due_s)
        waits.append((began[-1] - phase_s) % period_s)
        schedule.ticked(began[-1], waits[-1])
    assert np.diff(began).min() >= period_s - 1e-9
    assert 0.2 * period_s < min(waits[300:]) <= max(waits[300:]) < 0.6 * period_s
