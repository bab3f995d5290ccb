"""The one table of nodes, and the launch files that start what it and the lab's settings say; what is wrong is one
sentence before any start.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from loaded_files import loaded

from reactdiff_ros.actuation.robot.profile import shipped_profiles
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.resources import share_path

TABLE = load_table()
PARAMETERS = [p for n in TABLE.nodes for p in n.parameters]


def face_of(robot):
    """What a robot's profile sets of the node that makes its face."""
    return robot_parameters(str(robot))["/**/expression_node"]["ros__parameters"]


@given(
    st.sampled_from(PARAMETERS), st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.booleans(), st.none())
)
def test_checked_value_is_of_the_type_and_in_range_or_refused(parameter, value):
    kinds = {"bool": bool, "int": int, "double": float, "string": str}
    assert parameter.checked(parameter.default) == parameter.default
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
    always = {"perception_node", "reaction_node", "expression_node", "speech_node"}
    for given_, others in (
        ({"clip": "talk.mp4"}, {"clip_node", "avatar_node"}),
        ({"avatar": "none"}, {"camera_node", "microphone_node"}),
    ):
        settled = TABLE.settled(given_)
        assert {n.name for n in TABLE.nodes if n.wanted(settled)} == always | others


def test_robot_is_a_shipped_profile_or_a_path(tmp_path):
    mine = tmp_path / "mine.yaml"
    text = share_path("config/robots/screen.yaml").read_text()
    mine.write_text(text.replace("xyz_m: [0.0, 0.0, 0.12]", "xyz_m: [0.01, 0.02, 0.03]"))
    assert (face_of("screen")["camera_y_m"], face_of("screen")["flat_face"]) == (-0.12, True)
    assert [face_of(mine)[f"camera_{axis}_m"] for axis in "xyz"] == [-0.02, -0.03, 0.01]
    assert robot_parameters("none") is None
    with pytest.raises(ConfigError, match=r"hal9000.*screen"):
        robot_parameters("hal9000")


def test_robots_set_only_parameters_that_exist():
    for robot in shipped_profiles():
        for node, content in robot_parameters(robot).items():
            spec = TABLE.node(node.rsplit("/", 1)[-1])
            for name, value in content["ros__parameters"].items():
                assert spec.parameter(name).checked(value) == value, robot


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_furthest_camera_of_a_profile_is_the_furthest_of_the_node(tmp_path, sign):
    """Else a profile would be right, and the node that gets its geometry would refuse to start."""
    camera, pivot, turn = [sign * 2.0] * 3, [sign * 1.0] * 3, [sign * 3.2, sign * 1.6, sign * 1.6]
    text = share_path("config/robots/screen.yaml").read_text()
    text = re.sub(r"xyz_m: \[.*?\], rpy_rad: \[.*?\]", f"xyz_m: {camera}, rpy_rad: {turn}", text)
    mine = tmp_path / "mine.yaml"
    mine.write_text(text + f"head: {{pivot_m: {pivot}, pitch: {{head_pitch: 1}}}}\n")
    geometry = {name: value for name, value in face_of(mine).items() if name.endswith(("_m", "_rad"))}
    assert len(geometry) == 9
    for name, value in geometry.items():
        spec = TABLE.node("expression_node").parameter(name)
        assert abs(value) == spec.maximum == -spec.minimum, name


def test_the_table_is_what_the_config_dataclasses_give():
    """A changed default, range or text reaches it (scripts/make_table.py)."""
    make_table = loaded("scripts/make_table.py")
    text = make_table.TABLE.read_text(encoding="utf-8")
    assert make_table.made(text) == text, "run 'python scripts/make_table.py'"
    wrong = json.loads(text)
    for entry in (entry for node in wrong["nodes"] for entry in node["parameters"]):
        if entry["name"] in ("blink_rate_per_min", "smiling", "max_faces", "fps", "port", "fade_s"):
            entry |= {"default": 7, "min": 1, "max": 7, "description": "other"}
    assert make_table.made(json.dumps(wrong)) == text


# The launch files

MODULES = (
    "launch", "launch.actions", "launch.event_handlers", "launch.substitutions", "launch_ros", "launch_ros.actions",
    "launch_ros.parameter_descriptions",
)  # fmt: skip


class StandIn(ModuleType):
    """`launch` and `launch_ros`: every name is a class that keeps its arguments, `given` the positional ones."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        class Kept(SimpleNamespace):
            def __init__(self, *args, **kwargs):
                super().__init__(kind=name, given=args, **kwargs)

        return Kept


class Context(dict):
    """Launch configurations, as a launch file sees them."""

    @property
    def launch_configurations(self):
        return self


def shown(command, **_):
    """The command `reactdiff` in this process, which costs a tenth of one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(command[1:])
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@pytest.fixture
def load(monkeypatch):
    """A launch file as a module."""
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(subprocess, "run", shown)
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    return lambda name: loaded(f"launch/{name}")


@pytest.fixture
def listener(load):
    return load("listener.launch.py")


def of_kind(actions, kind):
    return [action for action in actions if action.kind == kind]


def ran(module, /, **arguments):
    """What a launch file starts where these arguments are given, as `ros2 launch` runs it: its nodes, and all of it."""
    context, actions = Context(arguments), []
    for action in module.generate_launch_description().given[0]:
        if action.kind == "OpaqueFunction":
            actions += action.function(context, *action.args) or ()
        else:
            context.setdefault(action.given[0], action.default_value)
    return {node.executable: node for node in of_kind(actions, "LifecycleNode")}, actions


def test_it_starts_what_the_table_says(listener):
    declared = of_kind(listener.generate_launch_description().given[0], "DeclareLaunchArgument")
    assert {a.given[0] for a in declared} == {a.name for a in TABLE.arguments}
    for arguments in ({}, {"clip": "talk.mp4"}, {"avatar": "none", "camera": "none"}, {"robot": "ohbot"}):
        nodes, _ = ran(listener, **arguments)
        assert set(nodes) == {n.name for n in TABLE.nodes if n.wanted(TABLE.settled(arguments))}
        assert ("actuator_node" in nodes) == ("robot" in arguments)
        assert all(n.respawn and n.package == "reactdiff_ros" for n in nodes.values())
    # What a clip or a bag shows does not change when the head turns: else the head would run after itself.
    for arguments, expected in (({}, True), ({"clip": "talk.mp4"}, False), ({"use_sim_time": "true"}, False)):
        nodes, _ = ran(listener, robot="reachy_mini", **arguments)
        parameters = yaml.safe_load(Path(nodes["expression_node"].parameters[0]).read_text())
        assert parameters["/**/expression_node"]["ros__parameters"]["camera_on_head"] is expected


def test_it_hands_on_arguments_and_files_and_removes_its_own_at_the_end(listener, monkeypatch, tmp_path):
    mine, files = tmp_path / "mine.yaml", tmp_path / "files"
    mine.write_text("{}")
    files.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(files))
    nodes, actions = ran(
        listener, camera="2", policy="rules", namespace="robot1", use_sim_time="true", params_file=str(mine)
    )
    camera, reaction = nodes["camera_node"], nodes["reaction_node"]
    assert camera.parameters[-1]["device"].given == ("2",)
    assert camera.parameters[-1]["device"].value_type is str
    assert camera.parameters[-1]["use_sim_time"] is True
    assert reaction.parameters[-1]["policy"].given == ("rules",)
    robots, users = reaction.parameters[:-1]  # ROS reads JSON, which is YAML
    assert yaml.safe_load(Path(robots).read_text()) == robot_parameters("screen")
    assert (users, reaction.namespace) == (str(mine), "robot1")
    discovery = [a.given for a in of_kind(actions, "SetEnvironmentVariable")]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")]
    assert [Path(robots)] == list(files.iterdir())
    (handler,) = [a.given[0] for a in of_kind(actions, "RegisterEventHandler")]
    assert handler.kind == "OnShutdown"
    for _ in range(2):
        assert handler.on_shutdown(None, None) is None
    assert not list(files.iterdir())


def test_the_labs_own_settings_count_and_what_is_given_wins(listener, monkeypatch, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("arguments: {camera: 3, policy: mime}\nparameters: {reaction_node: {seed: 4}}\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(path))
    (tmp_path / "robots").mkdir()
    (tmp_path / "robots" / "anna.yaml").write_text(
        "arguments: {robot: generic_12servo, namespace: anna}\nparameters: {'*': {seed: 5}}\n"
    )
    nodes, _ = ran(listener, robot="anna", policy="rules")
    assert nodes["camera_node"].parameters[-1]["device"].given == ("3",)
    assert nodes["actuator_node"].parameters[-1]["robot"].given == ("generic_12servo",)
    reaction = nodes["reaction_node"]
    assert (reaction.namespace, reaction.parameters[-1]["policy"].given) == ("anna", ("rules",))
    written = yaml.safe_load(Path(reaction.parameters[0]).read_text())
    assert written["/**/reaction_node"]["ros__parameters"] == {"seed": 5}
    profile = robot_parameters("generic_12servo")["/**/expression_node"]["ros__parameters"]
    assert profile.items() <= written["/**/expression_node"]["ros__parameters"].items()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("policy", "bogus", "use one of idle, mime"), ("outputs", "arkit@host:99999", "'99999' is not a port"),
        ("namespace", "robot 1", "letters, digits and underscores"), ("robot", "hal9000", "screen"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_one_sentence_before_anything_starts(listener, monkeypatch, tmp_path, name, value, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError) as caught:
        ran(listener, **{name: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_enclave_is_of_the_namespace_in_force(listener):
    """PushRosNamespace goes before a relative namespace, as launch_ros joins them."""
    found = [listener.enclave("camera_node", given, pushed) for pushed in ("", "/lab") for given in ("", "r", "/r")]
    places = ["", "r/", "r/", "lab/", "lab/r/", "r/"]
    assert found == [f"/reactdiff/{place}camera_node" for place in places]


def test_one_node_for_all_robots(load):
    listeners = load("listeners.launch.py")
    with pytest.raises(RuntimeError, match="listeners is empty"):
        ran(listeners)
    nodes, actions = ran(listeners, listeners="robot1, robot2=7", lan="true", policy="rules", seed="4")
    discovery = [a.given for a in of_kind(actions, "SetEnvironmentVariable")]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")]
    (node,) = nodes.values()
    assert (node.executable, node.namespace, node.respawn) == ("reaction_node", "", True)
    _, own, shared = node.parameters
    assert own["listeners"].given == ("robot1, robot2=7",)
    assert (own["seed"].given, own["seed"].value_type) == (("4",), int)
    assert shared["policy"].given == ("rules",)
    known = {p.name for p in TABLE.node("reaction_node").parameters}
    assert own.keys() | shared.keys() <= known | {"use_sim_time"}
