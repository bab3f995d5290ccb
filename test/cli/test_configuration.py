"""The lab's own settings: layers in their order, every error with file, line and key, nothing read by accident."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from reactdiff_ros.cli.listen import live_options
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import (
    FORMAT,
    LabSettings,
    effective,
    lab_settings,
    read_parameter_file,
    read_settings,
)
from reactdiff_ros.launching.live_graph import node_command
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.plain_yaml import ProblemsError

LAB = """\
format: 1
arguments:
  robot: anna
  camera: 2
  lan: true
parameters:
  expression_node: {intensity: 0.7}
  "*":
    style: warm
    intensity: 0.9
"""
ANNA = """\
arguments: {robot: ohbot, namespace: anna}
parameters:
  expression_node:
    style: reserved
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab's folder with a file for all robots and one for anna, in force."""
    (tmp_path / "robots").mkdir()
    (tmp_path / "config.yaml").write_text(LAB)
    (tmp_path / "robots" / "anna.yaml").write_text(ANNA)
    monkeypatch.setenv("REACTDIFF_CONFIG", str(tmp_path / "config.yaml"))
    return tmp_path


def plain(settings: LabSettings) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    parameters = {n: {k: s.value for k, s in values.items()} for n, values in settings.parameters.items()}
    return {n: s.value for n, s in settings.arguments.items()}, parameters


def test_no_file_is_no_setting_unless_it_was_named(tmp_path: Path) -> None:
    assert lab_settings({}, {"XDG_CONFIG_HOME": str(tmp_path)}) == LabSettings()
    with pytest.raises(ConfigError, match="missing"):
        lab_settings({}, {"REACTDIFF_CONFIG": str(tmp_path / "gone.yaml")})


def test_the_overlay_of_the_robot_is_stronger_and_one_node_stronger_than_all(lab: Path) -> None:
    arguments, parameters = plain(lab_settings({}))
    assert arguments == {"robot": "ohbot", "camera": "2", "lan": "true", "namespace": "anna"}
    assert parameters["expression_node"] == {"intensity": 0.7, "style": "reserved"}
    assert parameters["reaction_node"] == {"style": "warm"}
    assert lab_settings({}).files == (lab / "config.yaml", lab / "robots" / "anna.yaml")


def test_another_robot_has_another_overlay_or_none(lab: Path) -> None:
    arguments, parameters = plain(lab_settings({"robot": "screen"}))
    assert "namespace" not in arguments
    assert parameters["expression_node"]["style"] == "warm"
    (lab / "robots" / "mine.yaml").write_text("parameters: {avatar_node: {port: 9000}}\n")
    assert plain(lab_settings({"robot": "/profiles/mine.yaml"}))[1]["avatar_node"] == {"port": 9000}
    assert lab_settings({"robot": "none"}).files == (lab / "config.yaml",)


def test_an_overlay_that_names_a_profile_does_not_replace_a_profile_that_was_given(lab: Path) -> None:
    with pytest.raises(ProblemsError, match=r"line 1\)|line 1"):
        lab_settings({"robot": "/elsewhere/anna.yaml"})


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, {"camera": "2", "microphone": "1"}),
        ({"camera": "5"}, {"microphone": "1"}),
        ({"clip": "talk.mp4"}, {}),
        ({"use_sim_time": "true"}, {}),
    ],
)
def test_a_source_that_is_given_takes_the_place_of_the_files(
    given: dict[str, str], left: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("arguments: {camera: 2, microphone: 1}\n")
    assert plain(lab_settings(given, {"REACTDIFF_CONFIG": str(path)}))[0] == left


def test_paths_start_at_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    path = tmp_path / "config.yaml"
    path.write_text("arguments: {robot: profiles/a.yaml, params_file: ~/p.yaml, clip: none}\n")
    found = plain(read_settings(path))[0]
    assert found == {"robot": f"{tmp_path}/profiles/a.yaml", "params_file": "/home/anna/p.yaml", "clip": "none"}


@pytest.mark.parametrize(
    ("text", "line", "key", "todo"),
    [
        ("- a list\n", 1, "the file", "operations"),
        ("arguments:\n  kamera: 1\n", 2, "arguments.kamera", "did you mean 'camera'?"),
        ("arguments:\n  policy: clever\n", 2, "arguments.policy", "rules"),
        ("arguments:\n  camera: [1, 2]\n", 2, "arguments.camera", ""),
        ("arguments: 3\n", 1, "arguments", ""),
        ("arguments:\n  clip: ~nobody_at_all/x.mp4\n", 2, "arguments.clip", ""),
        ("arguments:\n  consent: form 12\n", 2, "arguments.consent", "listen consent:="),
        ("parameter: {}\n", 1, "parameter", "did you mean 'parameters'?"),
        ("parameters:\n  face_node: {}\n", 2, "parameters.face_node", ""),
        ("parameters:\n  '*':\n    wings: 2\n", 3, "parameters.*.wings", ""),
        ("parameters:\n  avatar_node:\n    port: 70000\n", 3, "parameters.avatar_node.port", "65535"),
        ("parameters:\n  avatar_node:\n    port: high\n", 3, "parameters.avatar_node.port", "whole number"),
        ("parameters:\n  reaction_node:\n    policy: rules\n", 3, "parameters.reaction_node.policy", "arguments"),
        ("parameters:\n  expression_node: 1\n", 2, "parameters.expression_node", ""),
        ("format: two\n", 1, "format", "write 1"),
        ("arguments: {camera: 1\n", 2, "the file", ""),
        ("arguments:\n  camera: 1\n  camera: 2\n", 3, "arguments.camera", ""),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(
    text: str, line: int, key: str, todo: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_settings(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert todo in problem.todo
    assert str(path) in str(caught.value)


def test_a_file_of_a_newer_version_is_refused_whole_and_left_as_it_is(lab: Path) -> None:
    text = f"format: {FORMAT + 1}\nthings: {{that: only the newer package knows}}\n"
    (lab / "config.yaml").write_text(text)
    with pytest.raises(ProblemsError, match="newer version"):
        lab_settings({})
    assert (lab / "config.yaml").read_text() == text


def test_effective_values_and_where_they_come_from(lab: Path, tmp_path: Path) -> None:
    params = tmp_path / "own.yaml"
    params.write_text("/anna/expression_node: {ros__parameters: {intensity: 0.4, blink_rate_per_min: 12.0}}\n"
                      "expression_node: {ros__parameters: {stillness: 0.9}}\n")  # fmt: skip
    given = {"policy": "rules", "params_file": str(params)}
    found = effective(given, lab_settings(given))
    face = found.parameters["expression_node"]
    assert (face["style"].value, face["style"].origin) == ("reserved", f"{lab}/robots/anna.yaml, line 4")
    assert (face["intensity"].value, face["intensity"].origin) == (0.4, str(params))
    assert face["stillness"].origin == "as shipped"  # of /expression_node, and this one is /anna/expression_node
    assert face["camera_y_m"].origin == "profile ohbot"
    reaction = found.parameters["reaction_node"]
    assert (reaction["policy"].value, reaction["policy"].origin) == ("rules", "given")
    assert reaction["style"].origin == f"{lab}/config.yaml, line 9"
    assert found.arguments["camera"].origin == f"{lab}/config.yaml, line 4"
    assert found.arguments["microphone"].origin == "as shipped"
    assert "clip_node" not in found.parameters
    written = found.ros_parameters["/**/expression_node"]["ros__parameters"]
    assert written["style"] == "reserved"
    assert "camera_y_m" in written


def test_show_prints_what_is_set_and_json_has_all(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    text = capsys.readouterr().out
    assert "reserved" in text
    assert f"{lab}/robots/anna.yaml, line 4" in text
    assert "breath_rate_per_min" not in text
    assert main(["config", "show", "--all"]) == 0
    assert "breath_rate_per_min" in capsys.readouterr().out
    assert main(["config", "show", "--robot", "screen", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["arguments"]["robot"] == {"value": "screen", "from": "given"}
    assert answer["parameters"]["expression_node"]["style"]["value"] == "warm"
    assert main(["config", "show", "robot"]) == 2


def test_listen_runs_with_them(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, asked = live_options({}, {}, face=False)
    assert (live.namespace, live.lan, asked["camera"]) == ("/anna", True, "2")
    assert live.arguments["robot"] == "ohbot"
    monkeypatch.setattr("reactdiff_ros.launching.live_graph.executable", lambda name: Path(name))
    command = node_command(load_table().node("expression_node"), live, tmp_path).command
    files = [command[i + 1] for i, word in enumerate(command) if word == "--params-file"]
    assert [Path(f).name for f in files] == ["robot.yaml", "settings.yaml"]
    import yaml

    written = yaml.safe_load(Path(files[1]).read_text())
    assert written["/**/expression_node"]["ros__parameters"] == {"intensity": 0.7, "style": "reserved"}


def test_what_is_typed_wins_over_the_files(lab: Path) -> None:
    live, asked = live_options({"lan": "false", "namespace": "b", "clip": "/x.mp4"}, {"style": "warm"}, face=False)
    assert (live.namespace, live.lan) == ("/b", False)
    assert asked == {"camera": None, "microphone": None, "clip": Path("/x.mp4")}
    assert live.parameters == {"style": "warm"}
    (lab / "config.yaml").write_text("arguments: {avatar: none}\n")
    assert live_options({"robot": "screen"}, {}, face=False)[0].arguments["avatar"] == "none"
    assert "avatar" not in live_options({"robot": "screen"}, {}, face=True)[0].arguments


def test_a_lab_without_senses_is_told_so(lab: Path) -> None:
    (lab / "config.yaml").write_text("arguments: {camera: none, microphone: none}\n")
    with pytest.raises(click.UsageError, match="needs a camera, a microphone or a clip"):
        live_options({}, {}, face=False)
    assert live_options({"use_sim_time": "true"}, {}, face=False)[1]["camera"] == "none"


def test_the_settings_of_the_documentation_are_right(lab: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    blocks = re.findall(r"^```yaml\n# ~/\.config/reactdiff_ros/(\S+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["config.yaml", "robots/anna.yaml", "reactions.yaml"]
    for name, text in blocks:
        (lab / name).write_text(text)
    found = effective({}, lab_settings({}))
    assert found.arguments["namespace"].value == "anna"
    assert found.parameters["expression_node"]["blink_rate_per_min"].value == 12.0
    node = load_table().node("reaction_node")
    values = read_parameter_file(lab / "reactions.yaml")["/reaction_node"]["ros__parameters"]
    assert values.keys() <= {p.name for p in node.parameters}
