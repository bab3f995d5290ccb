"""Calibrations: the range that follows from a joint moved to its ends, and its file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot_fixtures import small_profile

from reactdiff_ros.actuation.calibrate import Track, directions, range_by_hand, range_by_pulses
from reactdiff_ros.actuation.drivers.driver import Axis, Counts
from reactdiff_ros.actuation.robot.calibration import (
    Calibration,
    CalibrationError,
    calibrated_joints,
    load_calibration,
    save_calibration,
)
from reactdiff_ros.actuation.robot.profile import SERVO_PULSE_US, Joint, Limits, Output, load_profile

JAW = Calibration(3, 1, -77, 1200, 2900)


def test_what_was_saved_is_read_back_and_has_lerobots_shape(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "robot.json"
    assert load_calibration(path) == {}
    assert save_calibration(path, {"jaw": JAW}) is None
    assert load_calibration(path) == {"jaw": JAW}
    assert json.loads(path.read_text()) == {
        "jaw": {"id": 3, "drive_mode": 1, "homing_offset": -77, "range_min": 1200, "range_max": 2900}
    }


def test_old_files_are_kept_each_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "robot.json"
    path.write_text("the first")
    first = save_calibration(path, {"jaw": JAW})
    second = save_calibration(path, {})
    assert first.read_text() == "the first"
    assert load_calibration(second) == {"jaw": JAW}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["robot.json", "robot.json.1.bak", "robot.json.2.bak"]


GOOD = asdict(JAW)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not plain JSON"),
        ("{", "not plain JSON"),
        ("[" * 100_000, "not plain JSON"),
        ("\udcff", "not plain JSON"),
        ("[]", "no joints"),
        (f'{{"jaw": {json.dumps(GOOD)}, "jaw": {json.dumps(GOOD)}}}', "'jaw' is given twice"),
        ('{"jaw": 3}', "not a calibration of a joint"),
        (json.dumps({"jaw": {k: v for k, v in GOOD.items() if k != "id"}}), "id is missing"),
        (json.dumps({"jaw": {**GOOD, "range_min": 1.5}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_min": True}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_max": None}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_max": 10**30}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "homing_offset": float("nan")}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "drive_mode": 2}}), "neither 0 nor 1"),
        (json.dumps({"jaw": {**GOOD, "range_min": 2900}}), "reversed"),
        (json.dumps({"jaw": {**GOOD, "range_min": 3900}}), "reversed"),
        ("#" * 1_100_000, "larger"),
    ],
)
def test_what_is_no_calibration_is_one_sentence_with_its_place(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "robot.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path)
    sentence = str(caught.value)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


def test_which_joints_need_one() -> None:
    assert len(calibrated_joints(load_profile("generic_12servo"))) == 12
    assert len(calibrated_joints(load_profile("ohbot"))) == 8
    for robot in ("screen", "reachy_mini", "furhat", "ros2_control"):
        assert calibrated_joints(load_profile(robot)) == ()


STS, STEP = Counts(4096, 360.0, 2047), 360.0 / 4096
SCS = Counts(1024, 300.0, 511)
JOINT = Joint(
    unit="deg",
    group="neck",
    neutral=10.0,
    limits=Limits(position=(-30.0, 40.0), speed=90.0, acceleration=400.0, jerk=6000.0),
    on_fault="hold",
    output=Output(driver="bus", id=1),
)


@given(st.integers(0, 4095), st.booleans(), st.floats(36, 120), st.floats(36, 120))
def test_after_calibration_every_position_is_where_it_belongs(
    mounted: int, turned: bool, below: float, above: float
) -> None:
    """A servo that was put on anywhere, either way: the counts of the driver are those of the real pose."""
    sign = -1 if turned else 1

    def count(degrees: float) -> int:
        return mounted + sign * round((degrees - JOINT.neutral) / STEP)

    found = range_by_hand("neck", JOINT, STS, STEP, mounted, count(JOINT.neutral - below), count(JOINT.neutral + above))
    assert found.drive_mode == int(turned)
    assert 0 <= found.range_min < found.range_max < 4096
    axis = Axis("neck", 1, "deg", -30.0, 40.0, calibration=Calibration(1, found.drive_mode, 0, 0, 4095))
    for degrees in (-25.0, 0.0, 10.0, 33.0):
        assert abs(STS.of(axis, degrees) - (count(degrees) + found.shift)) <= 1
    # The ends stay free by a hundredth.
    ends = sorted((count(JOINT.neutral - below) + found.shift, count(JOINT.neutral + above) + found.shift))
    assert ends[0] < found.range_min <= ends[0] + 40
    assert ends[1] - 40 <= found.range_max < ends[1]


@pytest.mark.parametrize(
    ("neutral", "lower", "upper", "words"),
    [
        (2000, 2000, 2000, "too small"),
        (2000, 1900, 2200, "too small"),
        (2000, 100, 4090, "too wide"),
        (2000, -2000, 2047, "too wide"),
        (3000, 1500, 2400, "reversed"),
        (1000, 1500, 2400, "reversed"),
        (2400, 2400 - 3000, 2500, "wrapped"),
        (1000, 950, 1000 + 3000, "wrapped"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(neutral: int, lower: int, upper: int, words: str) -> None:
    with pytest.raises(CalibrationError, match=rf"its range is {words}.*\(neck\)"):
        range_by_hand("neck", JOINT, STS, STEP, neutral, lower, upper)


def test_a_joint_is_followed_over_the_end_of_its_counts_and_not_when_it_jumps() -> None:
    track = Track(STS, 3900)
    for count in (4050, 80, 300, 40, 4000):
        track.see(count)
    assert track.value == 4000
    assert not track.lost
    track.see(4090)
    track.see(60)
    assert track.value == 4096 + 60
    track.see(1500)
    assert track.lost


def test_a_servo_whose_counts_end_is_not_followed_over_their_end() -> None:
    track = Track(SCS, 1000)
    track.see(20)
    assert track.lost


@pytest.mark.parametrize("mirrored", [False, True])
def test_pulses(mirrored: bool) -> None:
    lower, upper = (1900.0, 1100.0) if mirrored else (1100.0, 1900.0)
    assert range_by_pulses("jaw", lower, upper, (lower, upper), SERVO_PULSE_US) == (1100, 1900)
    middle, quarter = (lower + upper) / 2, lower + (upper - lower) / 4
    ends = tuple(sorted((int(quarter), int(upper))))
    assert range_by_pulses("jaw", quarter, upper, (lower, upper), SERVO_PULSE_US) == ends
    step = (upper - lower) / 100
    for low, high, words in (
        (middle, middle, "too small"),
        (middle, upper, "too small"),
        (middle - step, middle + step, "too small"),
        (upper, lower, "reversed"),
        (middle - 200 * step, middle + 100 * step, "too wide"),
    ):
        with pytest.raises(CalibrationError, match=f"its range is {words}"):
            range_by_pulses("jaw", low, high, (lower, upper), SERVO_PULSE_US)


def test_directions_are_in_words(tmp_path: Path) -> None:
    words = directions(load_profile("ohbot"))
    assert words["head_nod"] == ("the face looks down", "the face looks up")
    assert words["head_roll"] == ("the head tilts to its own right", "the head tilts to its own left")
    assert words["lid_blink"] == ("the lid closes", "the lid opens wide")
    small = directions(small_profile(tmp_path))
    assert small["jaw"] == ("", "the mouth opens")
    assert small["neck"] == ("the face looks up", "the face looks down")
    # A curve that turns round, and a coupling.
    assert small["lid"] == ("the lid closes", "the eye looks up")
