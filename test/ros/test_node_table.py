"""The one table of nodes: typed, and in step with the rooms' settings and the nodes' code."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loaded_files import loaded

from reactdiff_ros.actuation.robot.profile import shipped_profiles
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.resources import share_path

TABLE = load_table()


PARAMETERS = [p for n in TABLE.nodes for p in n.parameters]


@given(
    st.sampled_from(PARAMETERS), st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.booleans(), st.none())
)
def test_checked_value_is_of_the_type_and_in_range_or_refused(parameter, value):
    kinds = {"bool": bool, "int": int, "double": float, "string": str}
    try:
        checked = parameter.checked(value)
    except ConfigError:
        return
    assert type(checked) is kinds[parameter.kind]
    if parameter.minimum is not None:
        assert checked == parameter.unset or parameter.minimum <= checked <= parameter.maximum
    if parameter.choices:
        assert checked in parameter.choices


def test_clip_takes_the_place_of_the_devices():
    settled = TABLE.settled({"clip": "talk.mp4"})
    wanted = {n.name for n in TABLE.nodes if n.wanted(settled)}
    assert wanted == {"clip_node", "perception_node", "reaction_node", "expression_node", "speech_node", "avatar_node"}
    live = TABLE.settled({"avatar": "none"})
    assert {n.name for n in TABLE.nodes if n.wanted(live)} == {
        "camera_node", "microphone_node", "perception_node", "reaction_node", "expression_node", "speech_node",
    }  # fmt: skip


def test_robot_is_a_shipped_profile_or_a_path(tmp_path):
    mine = tmp_path / "mine.yaml"
    text = share_path("config/robots/screen.yaml").read_text()
    mine.write_text(text.replace("xyz_m: [0.0, 0.0, 0.12]", "xyz_m: [0.01, 0.02, 0.03]"))
    screen = robot_parameters("screen")["/**/expression_node"]["ros__parameters"]
    assert screen["camera_y_m"] == -0.12
    assert screen["flat_face"]
    assert not robot_parameters("reachy_mini")["/**/expression_node"]["ros__parameters"]["flat_face"]
    found = robot_parameters(str(mine))["/**/expression_node"]["ros__parameters"]
    assert (found["camera_x_m"], found["camera_y_m"], found["camera_z_m"]) == (-0.02, -0.03, 0.01)
    assert robot_parameters("none") is None
    with pytest.raises(ConfigError, match=r"hal9000.*screen"):
        robot_parameters("hal9000")


@pytest.mark.parametrize("robot", sorted(shipped_profiles()))
def test_robots_set_only_parameters_that_exist(robot):
    for node, content in robot_parameters(robot).items():
        spec = TABLE.node(node.rsplit("/", 1)[-1])
        for name, value in content["ros__parameters"].items():
            assert spec.parameter(name).checked(value) == value


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_furthest_camera_of_a_profile_is_the_furthest_of_the_node(tmp_path, sign):
    """Else a profile would be right, and the node that gets its geometry would refuse to start."""
    camera, pivot = [sign * 2.0] * 3, [sign * 1.0] * 3
    turn = [sign * 3.2, sign * 1.6, sign * 1.6]
    text = share_path("config/robots/screen.yaml").read_text()
    text = re.sub(r"xyz_m: \[.*?\], rpy_rad: \[.*?\]", f"xyz_m: {camera}, rpy_rad: {turn}", text)
    mine = tmp_path / "mine.yaml"
    mine.write_text(text + f"head: {{pivot_m: {pivot}, pitch: {{head_pitch: 1}}}}\n")
    found = robot_parameters(str(mine))["/**/expression_node"]["ros__parameters"]
    specs = {name: TABLE.node("expression_node").parameter(name) for name in found}
    geometry = [n for n in found if n.endswith(("_m", "_rad"))]
    assert len(geometry) == 9
    assert all(abs(found[name]) == specs[name].maximum == -specs[name].minimum for name in geometry)


def test_the_table_does_not_contradict_itself():
    arguments = {a.name for a in TABLE.arguments} | {"always"}
    assert len({n.name for n in TABLE.nodes}) == len(TABLE.nodes)
    for node in TABLE.nodes:
        assert {node.when, *node.arguments.values()} <= arguments
        for kind in (node.parameters, node.publishers, node.subscribers, node.services, node.actions):
            assert len({item.name for item in kind}) == len(kind), node.name
        for parameter in (*node.parameters, *map(node.parameter, node.arguments)):
            assert parameter.checked(parameter.default) == parameter.default
            assert re.fullmatch(r"[a-z][a-z0-9_]*", parameter.name)
        for topic in (*node.publishers, *node.subscribers):
            assert topic.qos in TABLE.qos
            assert re.fullmatch(r"\w+/msg/\w+", topic.type)


def test_the_table_is_what_the_config_dataclasses_give():
    """A changed default, range or text reaches it (scripts/make_table.py), and every parameter has a sentence."""
    make_table = loaded("scripts/make_table.py")
    text = make_table.TABLE.read_text(encoding="utf-8")
    assert make_table.made(text) == text, "run 'python scripts/make_table.py'"
    wrong = json.loads(text)
    for node in wrong["nodes"]:
        for entry in node["parameters"]:
            assert entry["description"].endswith("."), entry["name"]
            if entry["name"] in ("blink_rate_per_min", "smiling", "max_faces", "fps", "port", "fade_s"):
                entry |= {"default": 7, "min": 1, "max": 7, "description": "other"}
    assert make_table.made(json.dumps(wrong)) == text
