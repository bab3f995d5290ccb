"""Offline simulation: wild input never brings a command outside its limits; ticks, frames and rules."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_fixtures import LimitCheck, face, longest_run, odd_profile, robots, small_profile, wild_frames

from reactdiff_ros.actuation.robot.kinematics import stop, stopping_time_s, travel_time_s
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.actuation.simulate import Block, read_frames, simulate, usable_frames
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import MediaError

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


def joined(blocks: Iterable[Block], name: str) -> np.ndarray:
    return np.concatenate([getattr(b, name) for b in blocks])


def test_the_first_row_is_neutral_at_rest_and_ticks_begin_with_the_first_frame(tmp_path: Path) -> None:
    frames, times = held(1.0, jawOpen=0.5)
    block = next(simulate(small_profile(tmp_path), usable_frames(frames, times + 7.25)))
    np.testing.assert_array_equal(block.time, 7.25 + np.arange(51) / 50)
    assert block.command[0].tolist() == [1500, 1500, 0, 0]
    assert not block.velocity[0].any()
    assert block.target[0].tolist() == [1500, 1500, 10, 0]
    assert block.limited[0].tolist() == [False, False, True, False]
    assert block.command[-1].tolist() == pytest.approx([1500, 1500, 10, 0])
    assert not block.limited[-1].any()


def test_bad_times_are_dropped_and_gaps_return_to_neutral(tmp_path: Path) -> None:
    profile = small_profile(tmp_path)
    frames, times = held(1.0, jawOpen=1.0)
    times[10], times[20], times[30] = np.nan, -3.0, np.inf
    usable = usable_frames(frames, times)
    assert usable.dropped == 3
    clean, steady = held(1.0, jawOpen=1.0)
    found, wanted = (joined(simulate(profile, f), "target") for f in (usable, usable_frames(clean, steady)))
    np.testing.assert_array_equal(found, wanted)
    gap = usable_frames(clean[[0, 50]], np.array([0.0, 1.0]))
    target = joined(simulate(profile, gap), "target")[:, 2]
    assert target[6] == 20.0  # 120 ms
    assert target[7] == 0.0  # 140 ms: stale
    assert target[-1] == 20.0


def test_same_frames_same_bits() -> None:
    profile, frames = load_profile("opsoro_ono"), usable_frames(*wild_frames(np.random.default_rng(5), 500))
    first, second = (joined(simulate(profile, frames), "command") for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("seed", range(6))
def test_the_jaw_is_not_wide_open_for_longer_than_it_may_be_however_it_moves(tmp_path: Path, seed: int) -> None:
    """Held wide open, and with motion that tries to get round the rule."""
    rng = np.random.default_rng(seed)
    frames, times = held(40.0, jawOpen=1.0)
    if seed:
        wide = rng.choice([0.55, 0.7, 1.0], size=len(times), p=[0.05, 0.15, 0.8])
        frames[:, INDEX["jawOpen"]] = np.repeat(wide, rng.integers(1, 9, len(wide)))[: len(times)]
    blocks = list(simulate(small_profile(tmp_path), usable_frames(frames, times)))
    beyond = joined(blocks, "command")[:, 2] > 12.0 + 1e-9
    assert longest_run(beyond) <= 100
    assert joined(blocks, "limited")[:, 2].any()
    if not seed:
        assert longest_run(beyond) > 75
        assert 0.4 < beyond.mean() < 0.75, "after its rest it may open again"


@settings(max_examples=200, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1000), st.floats(0.001, 1000))
def test_a_stop_is_within_its_limits_and_as_quick_as_is_said(v: float, a: float, top: float, jerk: float) -> None:
    velocity, acceleration = 3.0 * v, top * a
    found = stop(0.2, velocity, acceleration, top, jerk)
    assert all(t >= 0.0 for t, _ in found.phases)
    scale = abs(velocity) + acceleration**2 / (2 * jerk) + 1e-9
    ends = np.cumsum([t for t, _ in found.phases])
    states = [found.at(t) for t in (0.0, *(ends[:2]))]
    assert all(abs(s[2]) <= top * (1 + 1e-6) for s in states)
    almost = found.at(found.duration_s * (1 - 1e-9))
    assert abs(almost[1]) <= 1e-5 * scale
    assert found.at(found.duration_s + 1.0)[1:] == (0.0, 0.0)


@pytest.mark.parametrize("distance", [1e-6, 0.01, 0.066666, 1.0, 30.0])
@pytest.mark.parametrize("limits", [(2.0, 20.0, 300.0), (0.5, 100.0, 100.0), (10.0, 1.0, 1000.0)])
def test_travel_time_is_that_of_the_motion_library(distance: float, limits: tuple[float, float, float]) -> None:
    from ruckig import InputParameter, Ruckig, Trajectory

    given_, path = InputParameter(1), Trajectory(1)
    given_.target_position = [distance]
    (given_.max_velocity,), (given_.max_acceleration,), (given_.max_jerk,) = ([[x]] for x in limits)
    Ruckig(1).calculate(given_, path)
    assert travel_time_s(distance, *limits) == pytest.approx(path.duration, rel=1e-6)
    assert stopping_time_s(*limits) >= stop(0.0, limits[0], 0.0, limits[1], limits[2]).duration_s


WRONG = {
    "57 columns": (np.zeros((3, 57)), np.arange(3.0), r"must be \(T, 58\)"),
    "no time": (np.zeros((2, 58)), np.full(2, np.nan), "no frame with a finite time"),
    "texts": (np.array([["x"] * 58]), np.arange(1.0), "must be real numbers"),
    "objects": (np.array([{}], dtype=object), np.zeros(1), "cannot be read"),
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


def test_what_is_no_file_of_frames_is_a_sentence_and_whole_numbers_will_do(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(MediaError, match=r"cannot be read.*numpy\.savez"):
        read_frames(path)
    np.savez(path, coefficients=np.zeros((1, 58)))
    with pytest.raises(MediaError, match=r"no array times.*coefficients"):
        read_frames(path)
    np.savez(path, coefficients=np.zeros((2, 58), dtype=np.int32), times=np.arange(2))
    assert read_frames(path).dropped == 0
