"""Profiles: the shipped ones, what is wrong with others, by file, line and key, and how they map faces to joints."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from robot_fixtures import SMALL, face, robots, small_profile, wild_frames

from reactdiff_ros.actuation.mapping import HeadReader, Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.cli.main import main
from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.plain_yaml import ProblemsError


@pytest.mark.parametrize("robot", robots())
def test_shipped_profiles_are_right_and_say_what_they_rest_on(robot: str) -> None:
    profile = load_profile(robot)
    assert all(len(text) > 10 for text in (profile.shows, profile.published, profile.chosen, profile.tested))
    assert 50.0 <= profile.rate_hz <= 100.0
    # A neck that holds the head up is never simply let go.
    for name, joint in profile.joints.items():
        if joint.group in ("neck", "head"):
            assert joint.on_fault != "release", name


WRONG = [
    ("position: [1300, 1700]", "position: [1700, 1300]", "joints.eye.limits.position", "not below"),
    ("speed: 4000", "speed: 4000 us/s", "joints.eye.limits.speed", "without a unit"),
    ("speed: 4000", "speed: 1", "joints.eye.limits", "would take"),
    ("speed: 4000, acceleration: 80000, jerk: 4000000", "speed: 4.0e+9, acceleration: 8.0e+11, jerk: 1.0e+12",
     "joints.eye.limits", "not a limit"),
    ("speed: 4000, ", "", "joints.eye.limits.speed", "missing"),
    ("neutral: 1500", "neutral: 900", "joints.eye.neutral", "outside"),
    ("unit: us", "unit: m", "joints.eye.unit", "wrong for a driver pca9685"),
    ("id: 1}\n  jaw", "id: 0}\n  jaw", "joints.lid.output.id", "the id of eye already"),
    ("sum: {jawOpen: 20}", "sum: {jawopen: 20}", "joints.jaw.map.sum.jawopen", "neither a coefficient nor a signal"),
    ("sum: {gaze: 300}", "sum: {gaze: 300}, follow: {lid: 1}", "joints.eye.map.follow", "circle: joint eye"),
    ("eyeLookDownLeft: -1", "gaze: 1", "signals.gaze.sum", "circle: signal gaze -> signal gaze"),
    ("sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [0.5", "sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [-0.5",
     "joints.lid.map.curve", "must rise"),
    ("group: jaw", "colour: red\n    group: jaw", "joints.jaw.colour", "unknown key"),
    ("group: jaw", "group: jaw\n    group: mouth", "joints.jaw.group", "given twice"),
    ("    lowered: 25\n", "", "joints.neck.on_fault", "belong together"),
    ("{mount: fixed}", "{mount: fixed}\nhead: {pitch: {nek: 1}}", "head.pitch.nek", "no joint nek"),
    ("longest_s: 2.0", "longest_s: 0.1", "rules.0.longest_s", "to come back"),
    ("bus: {type: feetech}", "bus: {type: feetech, port: /dev/x}\n  other: {type: maestro, port: /dev/x}",
     "drivers.other", "same device as bus"),
    ("type: pca9685", "type: pca9685, address: 64.5", "drivers.servos.address", "a whole number, not 64.5"),
    ("driver: bus, id: 1", "driver: bus, id: 254", "joints.jaw.output.id", "0 to 253"),
    ("  gaze: {sum:", "  jawOpen: {sum:", "signals.jawOpen", "name of a coefficient"),
    ("id: 1}\n  jaw", "id: true}\n  jaw", "joints.lid.output.id", "yes is not a number"),
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
    "nothing": ("", "not a profile"),
    "no end": ("a: [", "not a YAML file"),
    "itself": ("a: &a [*a]", "x.yaml"),
    "code": ("x: !!python/object:os.system 1", "x.yaml"),
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


@pytest.mark.parametrize("robot", robots())
def test_no_weight_takes_a_joint_further_than_a_range_beyond_its_limits(robot: str) -> None:
    profile = load_profile(robot)
    mapping, joints = Mapping(profile), profile.joints.values()
    middle, span = np.array([((j.lower + j.upper) / 2, j.upper - j.lower) for j in joints]).T
    for name in NAMES:
        top = 0.6 if name in ("headPitch", "headYaw", "headRoll") else 0.15 if name.startswith("head") else 1.0
        for value in (top, -top) if name.startswith("head") else (top,):
            assert (np.abs(mapping.wanted(face(**{name: value})) - middle) / span).max() <= 1.5, name


@pytest.mark.parametrize("robot", [n for n in shipped_profiles() if load_profile(n).head is not None])
def test_a_head_is_where_it_is_measured_else_where_a_face_took_it_else_nowhere(robot: str) -> None:
    reader, pose = HeadReader(load_profile(robot)), [0.1, -0.2, 0.05, 0, 0, 0]
    where = Mapping(load_profile(robot)).wanted(face(headPitch=0.1, headYaw=-0.2, headRoll=0.05))
    unknown = np.full(len(where), NAN)
    assert reader.pose(where, unknown) == pytest.approx(pose, abs=1e-3)
    assert reader.pose(unknown, where) == pytest.approx(pose, abs=1e-3)
    assert reader.pose(np.full(len(where), math.inf), unknown) is None


def test_headx_is_to_its_left_heady_up_and_headz_forward() -> None:
    profile = load_profile("reachy_mini")
    measured = {"head_x": 0.01, "head_y": 0.02, "head_z": 0.03, "head_pitch": 0.0, "head_yaw": 0.0, "head_roll": 0.0}
    reader = HeadReader(profile)
    assert set(reader.joints) == set(measured)
    where = [measured.get(name, NAN) for name in profile.joints]  # the antennas do not matter
    assert reader.pose(where, [NAN] * 8) == pytest.approx([0, 0, 0, 0.02, 0.03, 0.01])


def test_a_camera_on_the_head_needs_to_know_what_moves_it(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"camera\.mount.*which joints move"):
        small_profile(tmp_path, "mount: fixed", "mount: head")
    with pytest.raises(ValueError, match="no head"):
        HeadReader(small_profile(tmp_path))
