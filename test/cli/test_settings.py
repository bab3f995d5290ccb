"""The lab's own settings, styles and kept files: layers in order, every error with file, line and key."""

import json
import shutil
from pathlib import Path

import pytest

from reactdiff_ros.actuation.robot.calibration import Calibration, calibration_path, load_calibration, save_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import effective, lab_settings, read_settings
from reactdiff_ros.plain_yaml import ProblemsError
from reactdiff_ros.styles import load_styles, save_style, user_styles_path

LAB = """\
arguments: {robot: anna, camera: 2, lan: true}
parameters:
  expression_node: {intensity: 0.7}
  "*": {style: warm, intensity: 0.9}
"""
ANNA = """\
arguments: {robot: ohbot, namespace: anna}
parameters:
  expression_node: {style: reserved}
"""


@pytest.mark.parametrize(("text", "line", "key", "todo"), [
    ("- a list\n", 1, "the file", "operations"),
    ("arguments:\n  kamera: 1\n", 2, "arguments.kamera", "did you mean 'camera'?"),
    ("arguments:\n  camera: [1, 2]\n", 2, "arguments.camera", ""),
    ("arguments:\n  consent: form 12\n", 2, "arguments.consent", "listen consent:="),
    ("parameter: {}\n", 1, "parameter", "did you mean 'parameters'?"),
    ("parameters:\n  '*':\n    wings: 2\n", 3, "parameters.*.wings", ""),
    ("parameters:\n  avatar_node:\n    port: 70000\n", 3, "parameters.avatar_node.port", "65535"),
    ("parameters:\n  reaction_node:\n    policy: rules\n", 3, "parameters.reaction_node.policy", "arguments"),
    ("format: two\n", 1, "format", "write 1"),
    ("arguments: {camera: 1\n", 2, "the file", ""),
    ("arguments:\n  camera: 1\n  camera: 2\n", 3, "arguments.camera", ""),
])  # fmt: skip
def test_what_is_wrong_is_said_with_file_line_and_key(text, line, key, todo, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_settings(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert todo in problem.todo
    assert str(path) in str(caught.value)


def test_effective_values_are_shown_with_where_they_come_from(tmp_path, monkeypatch, capsys):
    lab, robot, params = tmp_path / "config.yaml", tmp_path / "robots" / "anna.yaml", tmp_path / "own.yaml"
    robot.parent.mkdir()
    lab.write_text(LAB)
    robot.write_text(ANNA)
    params.write_text("/anna/expression_node: {ros__parameters: {intensity: 0.4}}\n"
                      "expression_node: {ros__parameters: {stillness: 0.9}}\n")  # fmt: skip
    monkeypatch.setenv("REACTDIFF_CONFIG", str(lab))
    given = {"policy": "rules", "params_file": str(params)}
    found = effective(given, lab_settings(given))
    face, reaction = found.parameters["expression_node"], found.parameters["reaction_node"]
    assert (face["style"].value, face["style"].origin) == ("reserved", f"{robot}, line 3")
    assert (face["intensity"].value, face["intensity"].origin) == (0.4, str(params))
    assert face["stillness"].origin == "as shipped"  # of /expression_node, and this one is /anna/expression_node
    assert face["camera_y_m"].origin == "profile ohbot"
    assert (reaction["policy"].value, reaction["policy"].origin) == ("rules", "given")
    assert reaction["style"].origin == f"{lab}, line 4"
    assert found.arguments["camera"].origin == f"{lab}, line 1"
    assert main(["config", "show"]) == 0
    assert f"{robot}, line 3" in capsys.readouterr().out
    assert main(["config", "show", "--robot", "screen", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["arguments"]["robot"] == {"value": "screen", "from": "given"}
    assert answer["parameters"]["expression_node"]["style"]["value"] == "warm"


READERS = {
    "config.yaml": read_settings, "styles.yaml": load_styles, "calibration/ohbot.json": load_calibration,
    "profile.yaml": load_profile,
}  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's configuration of the first version, in force."""
    shutil.copytree(Path(__file__).parent / "kept_files" / "format1", tmp_path / "reactdiff_ros")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("REACTDIFF_CONFIG")
    return tmp_path / "reactdiff_ros"


def test_files_of_the_first_version_mean_what_they_meant_and_keep_the_rest_when_saved(home):
    settings = lab_settings({})
    arguments, parameters = {n: s.value for n, s in settings.arguments.items()}, settings.parameters
    assert arguments == {"robot": "ohbot", "camera": "/dev/video2", "lan": "true", "namespace": "anna"}
    assert parameters["expression_node"]["intensity"].value == 0.8
    assert parameters["avatar_node"]["port"].value == 8801
    assert load_profile(home / "profile.yaml").joints["jaw"].limits.speed == 8
    styles, calibration = user_styles_path(), calibration_path("ohbot")
    gentle = load_styles(styles)["gentle"]
    assert (gentle.smiling, gentle.nodding, gentle.delay_s) == (-0.4, 0.6, 0.2)
    assert gentle.reference == (0.1, None, 0.4, -0.2, 0.0, 1.2, None, 0.3)
    assert gentle.resting == (("mouthSmileLeft", 0.05), ("mouthSmileRight", 0.05))
    save_style(styles, "mine", {"smiling": 0.1})
    save_style(styles, "mine", {"smiling": 0.2}, replace=True)
    assert "format: 1" in styles.read_text()
    assert {name: style.smiling for name, style in load_styles(styles).items()} == {"gentle": -0.4, "mine": 0.2}
    old = load_calibration(calibration)
    assert old == {"head_turn": Calibration(0, 1, -12, 100, 900)}
    backup = save_calibration(calibration, {**old, "head_nod": Calibration(1, 0, 0, 1, 2)})
    assert backup is not None
    assert load_calibration(backup) == old
    assert set(load_calibration(calibration)) == {"head_turn", "head_nod"}


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_a_newer_version_is_refused_as_such_and_stays(name, home):
    path = home / name
    text = path.read_text().removeprefix("format: 1\n")
    newer = '{"format": 2,' + text.removeprefix("{") if path.suffix == ".json" else f"format: 2\nunits: rad\n{text}"
    path.write_text(newer)
    with pytest.raises(ConfigError, match=r"(?s)this version of reactdiff_ros knows 1.*newer version again") as caught:
        READERS[name](path)
    assert str(path) in str(caught.value)
    assert path.read_text() == newer
