"""Profiles: what is wrong with them, by file, line and key, how they map faces to joints; and calibrations."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot_fixtures import SMALL, face, robots, small_profile, wild_frames

from reactdiff_ros.actuation.calibrate import Track, range_by_hand, range_by_pulses
from reactdiff_ros.actuation.drivers.driver import Axis, Counts
from reactdiff_ros.actuation.mapping import HeadReader, Mapping
from reactdiff_ros.actuation.robot.calibration import Calibration, CalibrationError, load_calibration, save_calibration
from reactdiff_ros.actuation.robot.profile import SERVO_PULSE_US, Joint, Limits, Output, load_profile, shipped_profiles
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.plain_yaml import ProblemsError


@pytest.mark.parametrize("robot", robots())
def test_shipped_profiles_are_right_and_never_simply_let_a_neck_go(robot: str) -> None:
    profile = load_profile(robot)
    assert 50.0 <= profile.rate_hz <= 100.0
    for name, joint in profile.joints.items():
        if joint.group in ("neck", "head"):
            assert joint.on_fault != "release", name


WRONG = [
    ("position: [1300, 1700]", "position: [1700, 1300]", "joints.eye.limits.position", "not below"),
    ("speed: 4000", "speed: 1", "joints.eye.limits", "would take"),
    ("speed: 4000, acceleration: 80000, jerk: 4000000", "speed: 4.0e+9, acceleration: 8.0e+11, jerk: 1.0e+12",
     "joints.eye.limits", "not a limit"),
    ("speed: 4000, ", "", "joints.eye.limits.speed", "missing"),
    ("neutral: 1500", "neutral: 900", "joints.eye.neutral", "outside"),
    ("unit: us", "unit: m", "joints.eye.unit", "wrong for a driver pca9685"),
    ("id: 1}}\n  jaw", "id: 0}}\n  jaw", "joints.lid.output.id", "the id of eye already"),
    ("sum: {jawOpen: 20}", "sum: {jawopen: 20}", "joints.jaw.map.sum.jawopen", "neither a coefficient nor a signal"),
    ("sum: {gaze: 300}", "sum: {gaze: 300}, follow: {lid: 1}", "joints.eye.map.follow", "circle: joint eye"),
    ("sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [0.5", "sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [-0.5",
     "joints.lid.map.curve", "must rise"),
    ("group: jaw", "colour: red\n    group: jaw", "joints.jaw.colour", "unknown key"),
    ("    lowered: 25\n", "", "joints.neck.on_fault", "belong together"),
    ("{mount: fixed}", "{mount: fixed}\nhead: {pitch: {nek: 1}}", "head.pitch.nek", "no joint nek"),
    ("mount: fixed", "mount: head", "camera.mount", "which joints move"),
    ("longest_s: 2.0", "longest_s: 0.1", "rules.0.longest_s", "to come back"),
    ("bus: {type: feetech}", "bus: {type: feetech, port: /dev/x}\n  other: {type: maestro, port: /dev/x}",
     "drivers.other", "same device as bus"),
    ("driver: bus, id: 1", "driver: bus, id: 254", "joints.jaw.output.id", "0 to 253"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), WRONG)
def test_errors_name_file_line_and_key(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        small_profile(tmp_path, old, new)
    problem, *others = caught.value.problems
    assert problem.key.startswith(key)
    assert problem.key not in {other.key for other in others}
    assert words in f"{problem.what} {problem.todo}"
    # The line is the one where it stands, or where what lacks it, or holds it as a list, begins.
    line = SMALL.replace(old, new, 1).splitlines()[problem.line - 1]
    parts = [part for part in problem.key.split(".") if not part.isdigit()]
    assert any(part in line for part in parts[-2:]), (problem, parts)
    assert f"small.yaml, line {problem.line}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_warns_of_a_line_that_is_too_slow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_profile(tmp_path, "{type: feetech}", "{type: feetech, baud: 9600}")
    assert main(["robot", "check", str(tmp_path / "small.yaml"), "--json"]) == 0
    said = capsys.readouterr()
    assert "38400 baud" in json.loads(said.out)["warnings"]["bus"]
    assert "drivers.bus: 9600 baud are too few for 2 servos" in said.err


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
NO_PROFILES = {
    "no end": ("a: [", "not a YAML file"),
    "no text": ("\udcff\udcfe\x00", "UTF-8"),
    "1 MB": ("#" * 1_100_000, "larger"),
    "a bomb": (BOMB, "too large"),
}


@pytest.mark.parametrize(("content", "words"), NO_PROFILES.values(), ids=NO_PROFILES)
def test_what_is_no_profile_is_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=words) as caught:
        load_profile(path)
    assert isinstance(caught.value, ProblemsError) is (words != "larger")
    for missing, said in ((tmp_path / "none.yaml", "cannot be read"), ("hal9000", "no such robot.*screen")):
        with pytest.raises(ConfigError, match=said):
            load_profile(missing)


# From coefficients to joints, and from joints back to where the head is.

NAN = math.nan
WANTED = {
    "sums": ({"jawOpen": 0.5, "headPitch": 0.1}, [1500.0, 1500.0, 10.0, 5.73]),
    "a signal, and the lid that follows": ({"eyeLookUpLeft": 0.2}, [1560.0, 1530.0, 0.0, 0.0]),
    "the lid follows as far as the eye goes": ({"eyeLookUpLeft": 1.0}, [1800.0, 1600.0, 0.0, 0.0]),
    "a curve": ({"eyeBlinkLeft": 0.25}, [1500.0, 1450.0, 0.0, 0.0]),
    "behind its corner": ({"eyeBlinkLeft": 0.75}, [1500.0, 1300.0, 0.0, 0.0]),
    "what is not finite is neutral": ({"jawOpen": NAN, "headPitch": -math.inf}, [1500.0, 1500.0, 0.0, 0.0]),
    "the rest is bounded": ({"jawOpen": 1e9}, [1500.0, 1500.0, 20.0, 0.0]),
}


@pytest.mark.parametrize(("shown", "wanted"), WANTED.values(), ids=WANTED)
def test_where_a_face_takes_the_joints(tmp_path: Path, shown: dict[str, float], wanted: list[float]) -> None:
    assert Mapping(small_profile(tmp_path)).wanted(face(**shown)) == pytest.approx(wanted)


@pytest.mark.parametrize("robot", robots())
def test_many_frames_at_once_are_those_one_by_one(robot: str) -> None:
    mapping = Mapping(load_profile(robot))
    frames, _ = wild_frames(np.random.default_rng(3), 200)
    together = mapping.wanted(frames)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, [mapping.wanted(f) for f in frames], atol=1e-9)


@pytest.mark.parametrize("robot", [n for n in shipped_profiles() if load_profile(n).head is not None])
def test_a_head_is_where_it_is_measured_else_where_a_face_took_it_else_nowhere(robot: str) -> None:
    reader, pose = HeadReader(load_profile(robot)), [0.1, -0.2, 0.05, 0, 0, 0]
    where = Mapping(load_profile(robot)).wanted(face(headPitch=0.1, headYaw=-0.2, headRoll=0.05))
    unknown = np.full(len(where), NAN)
    assert reader.pose(where, unknown) == pytest.approx(pose, abs=1e-3)
    assert reader.pose(unknown, where) == pytest.approx(pose, abs=1e-3)
    assert reader.pose(np.full(len(where), math.inf), unknown) is None


# Calibrations: the range that follows from a joint moved to its ends, and its file.

JAW = Calibration(3, 1, -77, 1200, 2900)
JAW_TEXT = json.dumps({"jaw": asdict(JAW)})


def test_what_was_saved_is_read_back_in_lerobots_shape_and_old_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "robot.json"
    assert load_calibration(path) == {}
    assert save_calibration(path, {"jaw": JAW}) is None
    assert load_calibration(path) == {"jaw": JAW}
    figures = {"id": 3, "drive_mode": 1, "homing_offset": -77, "range_min": 1200, "range_max": 2900}
    assert json.loads(path.read_text()) == {"jaw": figures}
    first, second = save_calibration(path, {}), save_calibration(path, {})
    assert (load_calibration(first), load_calibration(second)) == ({"jaw": JAW}, {})
    assert sorted(p.name for p in path.parent.iterdir()) == ["robot.json", "robot.json.1.bak", "robot.json.2.bak"]


NO_CALIBRATIONS = {
    "nothing": ("", "not plain JSON"),
    "nothing of a joint": ('{"jaw": {}}', "id is missing"),
    "no whole number": (JAW_TEXT.replace("1200", "1.5"), "not a whole number"),
    "no range": (JAW_TEXT.replace("1200", "2900"), "reversed"),
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


@given(st.integers(0, 4095), st.sampled_from([1, -1]), st.floats(36, 120), st.floats(36, 120))
def test_calibrated_positions_are_where_they_belong(mounted: int, sign: int, below: float, above: float) -> None:
    """A servo that was put on anywhere, either way: the counts of the driver are those of the real pose."""

    def count(degrees: float) -> int:
        return mounted + sign * round((degrees - JOINT.neutral) / STEP)

    poses = count(JOINT.neutral - below), count(JOINT.neutral + above)
    found = range_by_hand("neck", JOINT, STS, STEP, mounted, *poses)
    assert found.drive_mode == (sign < 0)
    assert 0 <= found.range_min < found.range_max < 4096
    axis = Axis("neck", 1, "deg", -30.0, 40.0, calibration=Calibration(1, found.drive_mode, 0, 0, 4095))
    for degrees in (-25.0, 0.0, 10.0, 33.0):
        assert abs(STS.of(axis, degrees) - (count(degrees) + found.shift)) <= 1
    # The ends stay free by a hundredth.
    low, high = (pose + found.shift for pose in sorted(poses))
    assert low < found.range_min <= low + 40
    assert high - 40 <= found.range_max < high


def test_a_range_of_nearly_all_counts_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"its range is too wide.*\(neck\)"):
        range_by_hand("neck", JOINT, STS, STEP, 2000, 100, 4090)


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
