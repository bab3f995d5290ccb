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
from reactdiff_ros.actuation.robot.calibration import Calibration, CalibrationError, load_calibration, save_calibration
from reactdiff_ros.actuation.robot.profile import SERVO_PULSE_US, Joint, Limits, Output, load_profile

JAW = Calibration(3, 1, -77, 1200, 2900)
JAW_TEXT = json.dumps({"jaw": asdict(JAW)})


def test_what_was_saved_is_read_back_in_lerobots_shape_and_old_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "robot.json"
    assert load_calibration(path) == {}
    assert save_calibration(path, {"jaw": JAW}) is None
    assert load_calibration(path) == {"jaw": JAW}
    assert json.loads(path.read_text()) == {
        "jaw": {"id": 3, "drive_mode": 1, "homing_offset": -77, "range_min": 1200, "range_max": 2900}
    }
    first, second = save_calibration(path, {}), save_calibration(path, {})
    assert (load_calibration(first), load_calibration(second)) == ({"jaw": JAW}, {})
    assert sorted(p.name for p in path.parent.iterdir()) == ["robot.json", "robot.json.1.bak", "robot.json.2.bak"]


NO_CALIBRATIONS = {
    "nothing": ("", "not plain JSON"),
    "a list": ("[]", "no joints"),
    "a number": ('{"jaw": 3}', "not a calibration of a joint"),
    "nothing of a joint": ('{"jaw": {}}', "id is missing"),
    "no whole number": (JAW_TEXT.replace("1200", "1.5"), "not a whole number"),
    "another mode": (JAW_TEXT.replace('mode": 1', 'mode": 2'), "neither 0 nor 1"),
    "no range": (JAW_TEXT.replace("1200", "2900"), "reversed"),
    "1 MB": ("#" * 1_100_000, "larger"),
}


@pytest.mark.parametrize(("content", "words"), NO_CALIBRATIONS.values(), ids=NO_CALIBRATIONS)
def test_what_is_no_calibration_is_one_sentence_with_its_place(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "robot.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path)
    sentence = str(caught.value)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


STS, STEP = Counts(4096, 360.0, 2047), 360.0 / 4096
LIMITS = Limits(position=(-30.0, 40.0), speed=90.0, acceleration=400.0, jerk=6000.0)
BUS = Output(driver="bus", id=1)
JOINT = Joint(unit="deg", group="neck", neutral=10.0, limits=LIMITS, on_fault="hold", output=BUS)


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


def test_what_cannot_be_right_is_refused_by_name() -> None:
    wrong = [(2000, 1900, 2200), (2000, 100, 4090), (3000, 1500, 2400), (1000, 1500, 2400), (2400, 2400 - 3000, 2500)]
    for poses, words in zip(wrong, ("too small", "too wide", "reversed", "reversed", "wrapped"), strict=True):
        with pytest.raises(CalibrationError, match=rf"its range is {words}.*\(neck\)"):
            range_by_hand("neck", JOINT, STS, STEP, *poses)


def test_a_joint_is_followed_over_the_end_of_its_counts_unless_it_jumps_or_they_end() -> None:
    track, ends = Track(STS, 3900), Track(Counts(1024, 300.0, 511), 1000)
    for count, value in ((4050, 4050), (80, 4096 + 80), (4000, 4000), (60, 4096 + 60)):
        track.see(count)
        assert (track.value, track.lost) == (value, False)
    track.see(1500)
    ends.see(20)
    assert (track.lost, ends.lost) == (True, True)


@pytest.mark.parametrize("ends", [(1100.0, 1900.0), (1900.0, 1100.0)], ids=["as it is", "mirrored"])
def test_the_range_of_a_hobby_servo(ends: tuple[float, float]) -> None:
    lower, upper = ends
    step = (upper - lower) / 100
    assert range_by_pulses("jaw", lower, upper, ends, SERVO_PULSE_US) == (1100, 1900)
    found = range_by_pulses("jaw", lower + 25.1 * step, upper, ends, SERVO_PULSE_US)
    assert found == ((1300, 1900) if step > 0 else (1100, 1700))
    refused = [(49, 51, "too small"), (50, 100, "too small"), (100, 0, "reversed"), (-150, 150, "too wide")]
    for low, high, words in refused:
        with pytest.raises(CalibrationError, match=f"its range is {words}"):
            range_by_pulses("jaw", lower + low * step, lower + high * step, ends, SERVO_PULSE_US)


def test_directions_are_in_words(tmp_path: Path) -> None:
    words = directions(load_profile("ohbot"))
    assert words["head_roll"] == ("the head tilts to its own right", "the head tilts to its own left")
    small = directions(small_profile(tmp_path))
    assert small["jaw"] == ("", "the mouth opens")
    assert small["neck"] == ("the face looks up", "the face looks down")
    assert small["lid"] == ("the lid closes", "the eye looks up")  # a curve that turns round, and a coupling
