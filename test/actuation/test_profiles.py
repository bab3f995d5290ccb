"""Profiles: the shipped ones, and what is wrong with others, by file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from robot_fixtures import SMALL, robots, small_profile

from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.plain_yaml import ProblemsError, read_marked


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
    ("speed: 4000", "speed: 0", "joints.eye.limits.speed", "greater than 0"),
    ("speed: 4000", "speed: 4000 us/s", "joints.eye.limits.speed", "without a unit"),
    ("speed: 4000", "speed: 1", "joints.eye.limits", "would take"),
    ("speed: 4000, acceleration: 80000, jerk: 4000000", "speed: 4.0e+9, acceleration: 8.0e+11, jerk: 1.0e+12",
     "joints.eye.limits", "not a limit"),
    ("speed: 4000, ", "", "joints.eye.limits.speed", "missing"),
    ("neutral: 1500", "neutral: 900", "joints.eye.neutral", "outside"),
    ("unit: us", "unit: m", "joints.eye.unit", "wrong for a driver pca9685"),
    ("id: 1}\n  jaw", "id: 0}\n  jaw", "joints.lid.output.id", "the id of eye already"),
    ("driver: servos, id: 0", "driver: wires, id: 0", "joints.eye.output.driver", "no driver wires"),
    ("sum: {jawOpen: 20}", "sum: {jawopen: 20}", "joints.jaw.map.sum.jawopen", "neither a coefficient nor a signal"),
    ("sum: {gaze: 300}", "sum: {gaze: 300}, follow: {lid: 1}", "joints.eye.map.follow", "circle: joint eye"),
    ("eyeLookDownLeft: -1", "gaze: 1", "signals.gaze.sum", "circle: signal gaze -> signal gaze"),
    ("sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [0.5", "sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [-0.5",
     "joints.lid.map.curve", "must rise"),
    ("group: jaw", "colour: red\n    group: jaw", "joints.jaw.colour", "unknown key"),
    ("group: jaw", "group: jaw\n    group: mouth", "joints.jaw.group", "given twice"),
    ("rate_hz: 50", "rate_hz: 500", "rate_hz", "100"),
    ("lowered: 25", "lowered: 45", "joints.neck.lowered", "outside"),
    ("    lowered: 25\n", "", "joints.neck.on_fault", "belong together"),
    ("type: pca9685", "type: pca9685, baud: 3", "drivers.servos.baud", "unknown key"),
    ("camera: {mount: fixed}", "camera: {mount: fixed, xyz_m: [1, 2]}", "camera.xyz_m.2", "missing"),
    ("{mount: fixed}", "{mount: fixed, rpy_rad: [0, 0, -90]}", "camera.rpy_rad.2", "than or equal to -1.6, not -90"),
    ("{mount: fixed}", "{mount: fixed}\nhead: {pitch: {nek: 1}}", "head.pitch.nek", "no joint nek"),
    ("longest_s: 2.0", "longest_s: 0.1", "rules.0.longest_s", "to come back"),
    ("bus: {type: feetech}", "bus: {type: feetech, port: /dev/x}\n  other: {type: maestro, port: /dev/x}",
     "drivers.other", "same device as bus"),
    ("name: small", "name: Small Robot", "name", "small letters, digits and _, and begin with a letter, not 'Small"),
    ("neutral: 1500", "neutral: [1500]", "joints.eye.neutral", "a list is not a number"),
    ("type: pca9685", "type: pca9685, address: 64.5", "drivers.servos.address", "a whole number, not 64.5"),
    ("driver: bus, id: 1", "driver: bus, id: 254", "joints.jaw.output.id", "0 to 253"),
    ("  gaze: {sum:", "  jawOpen: {sum:", "signals.jawOpen", "name of a coefficient"),
    ("neutral: 1500", f"neutral: 1{':1' * 300}.5", "joints.eye.neutral", "is not a valid float"),
    ("id: 1}\n  jaw", "id: true}\n  jaw", "joints.lid.output.id", "yes is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), WRONG)
def test_errors_name_file_line_and_key(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        small_profile(tmp_path, old, new)
    problem = caught.value.problems[0]
    assert problem.key.startswith(key)
    assert len({p.key for p in caught.value.problems}) == len(caught.value.problems)
    assert words in f"{problem.what} {problem.todo}"
    text = SMALL.replace(old, new, 1)
    # The line is the one where it stands, or where what lacks it, or holds it as a list, begins.
    parts = [part for part in problem.key.split(".") if not part.isdigit()]
    assert any(part in text.splitlines()[problem.line - 1] for part in parts[-2:]), (problem, parts)
    assert f"small.yaml, line {problem.line}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_warns_of_a_line_that_is_too_slow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_profile(tmp_path, "{type: feetech}", "{type: feetech, baud: 9600}")
    assert main(["robot", "check", str(tmp_path / "small.yaml"), "--json"]) == 0
    said = capsys.readouterr()
    assert "38400 baud" in json.loads(said.out)["warnings"]["bus"]
    assert "drivers.bus: 9600 baud are too few for 2 servos" in said.err
    small_profile(tmp_path)
    assert main(["robot", "check", str(tmp_path / "small.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == {}


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL.replace("sum: {jawOpen: 20}", "sum: {chin: 20}").replace("id: 1}\n  jaw", "id: 0}\n  jaw"))
    with pytest.raises(ProblemsError) as caught:
        load_profile(path)
    assert [p.key for p in caught.value.problems] == ["joints.lid.output.id", "joints.jaw.map.sum.chin"]
    assert str(caught.value).endswith(f"): 1 more: reactdiff robot check {path}")


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


@pytest.mark.parametrize(
    ("robot", "words"), [(Path("/none.yaml"), "cannot be read"), ("hal9000", "no such robot.*screen")]
)
def test_a_robot_that_is_not_there_is_a_sentence(robot: str | Path, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_profile(robot)


def test_merge_keys_take_the_others_values_and_keep_their_own(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  y: 3\nc: *b\n")
    marked = read_marked(path, "the profile", "")
    assert marked.data["b"] == marked.data["c"] == {"x": 1, "y": 3}
    assert marked.line(("b", "y")) == 4
