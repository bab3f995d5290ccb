"""The one table of nodes: typed, and in step with the rooms' settings, the nodes' code and the launch file."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from launch_stand_in import Context, load

from reactdiff_ros.actuation.profile import shipped_profiles
from reactdiff_ros.avatar.config import LOOKS, AvatarConfig
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.robot_parameters import robot_parameters
from reactdiff_ros.launching.table import load_table, read_table
from reactdiff_ros.resources import share_path
from reactdiff_ros.vocabulary import POLICIES

TABLE = load_table()
LAUNCH = Path(__file__).parents[2] / "launch" / "listener.launch.py"


def test_choices_are_those_of_the_rooms():
    avatar = TABLE.node("avatar_node")
    assert avatar.parameter("look").choices == LOOKS
    assert avatar.parameter("stale_s").default == AvatarConfig().stale_s
    assert TABLE.node("reaction_node").parameter("policy").choices == POLICIES


@pytest.mark.parametrize("node", TABLE.nodes, ids=lambda n: n.name)
def test_every_node_has_its_module_and_class(node):
    pytest.importorskip("rclpy")
    pytest.importorskip("reactdiff_ros.msg")
    module = importlib.import_module(node.module)
    assert callable(module.main)
    classes = [c for c in vars(module).values() if isinstance(c, type) and getattr(c, "NAME", "") == node.name]
    assert len(classes) == 1


@pytest.mark.parametrize("node", TABLE.nodes, ids=lambda n: n.name)
def test_code_names_no_topic_that_the_table_lacks(node):
    source = Path(importlib.util.find_spec(node.module).origin).read_text()
    named = {
        call.args[0].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("advertise", "subscribe", "serve")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    known = {item.name for item in (*node.publishers, *node.subscribers, *node.services)}
    assert named <= known


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


@given(st.sampled_from(PARAMETERS))
def test_default_is_allowed(parameter):
    assert parameter.checked(parameter.default) == parameter.default


def test_clip_takes_the_place_of_the_devices():
    settled = TABLE.settled({"clip": "talk.mp4"})
    wanted = {n.name for n in TABLE.nodes if n.wanted(settled)}
    assert wanted == {"clip_node", "perception_node", "reaction_node", "expression_node", "avatar_node"}
    live = TABLE.settled({"avatar": "none"})
    assert {n.name for n in TABLE.nodes if n.wanted(live)} == {
        "camera_node", "microphone_node", "perception_node", "reaction_node", "expression_node",
    }  # fmt: skip


def test_robot_is_a_shipped_profile_or_a_path(tmp_path):
    mine = tmp_path / "mine.yaml"
    text = share_path("config/robots/screen.yaml").read_text()
    mine.write_text(text.replace("xyz_m: [0.0, 0.0, 0.12]", "xyz_m: [0.01, 0.02, 0.03]"))
    assert robot_parameters("screen")["/**/expression_node"]["ros__parameters"]["camera_y_m"] == -0.12
    found = robot_parameters(str(mine))["/**/expression_node"]["ros__parameters"]
    assert (found["camera_x_m"], found["camera_y_m"], found["camera_z_m"]) == (-0.02, -0.03, 0.01)
    assert robot_parameters("none") is None
    with pytest.raises(ConfigError, match=r"hal9000.*screen"):
        robot_parameters("hal9000")


def test_pictures_of_a_clip_or_a_bag_do_not_turn_with_the_head(launch_file):
    """Else the head would run after itself: what it sees does not change when it turns."""

    def on_head(parameters):
        return parameters["/**/expression_node"]["ros__parameters"]["camera_on_head"]

    assert on_head(robot_parameters("reachy_mini"))
    assert not on_head(robot_parameters("reachy_mini", recorded=True))
    assert not on_head(robot_parameters("screen"))
    for arguments, expected in (({}, True), ({"clip": "talk.mp4"}, False), ({"use_sim_time": "true"}, False)):
        nodes, _ = started(launch_file, robot="reachy_mini", **arguments)
        assert on_head(yaml.safe_load(Path(nodes["expression_node"].parameters[0]).read_text())) is expected


@pytest.mark.parametrize("robot", sorted(shipped_profiles()))
def test_robots_set_only_parameters_that_exist(robot):
    for node, content in robot_parameters(robot).items():
        spec = TABLE.node(node.rsplit("/", 1)[-1])
        for name, value in content["ros__parameters"].items():
            assert spec.parameter(name).checked(value) == value


@pytest.mark.parametrize(("name", "value"), [("policy", "best"), ("colour", "red")])
def test_unknown_argument_or_value_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        TABLE.settled({name: value})


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t["nodes"][0].pop("module"),
        lambda t: t["nodes"][0].update(when="nothing"),
        lambda t: t["nodes"].append(t["nodes"][0]),
        lambda t: t["nodes"][0]["parameters"][0].update(type="float"),
        lambda t: t["nodes"][0]["publishers"][0].update(qos="best"),
        lambda t: t["nodes"][3]["parameters"][1].update(default=500.0),
    ],
)
def test_table_that_contradicts_itself_is_refused(tmp_path, damage):
    table = json.loads(share_path("config/nodes.json").read_text())
    damage(table)
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ConfigError):
        read_table(path)


def test_launch_file_imports_the_standard_library_launch_and_launch_ros_only():
    imported = set()
    for item in ast.walk(ast.parse(LAUNCH.read_text())):
        if isinstance(item, ast.Import):
            imported |= {a.name.split(".")[0] for a in item.names}
        elif isinstance(item, ast.ImportFrom):
            imported.add(item.module.split(".")[0])
    assert imported <= set(sys.stdlib_module_names) | {"launch", "launch_ros"}


@pytest.fixture
def launch_file(monkeypatch):
    return load(LAUNCH, monkeypatch)


def started(launch_file, **arguments):
    table, lab = json.loads(share_path("config/nodes.json").read_text()), {}
    context = Context(arguments)
    assert launch_file.read_settings(context, [a["name"] for a in table["arguments"]], lab) is None
    for argument in table["arguments"]:
        context.setdefault(argument["name"], argument["default"])
    actions = launch_file.start(context, table, lab)
    return {a.name: a for a in actions if a.kind == "LifecycleNode"}, actions


def test_launch_file_starts_what_the_table_says(launch_file):
    description = launch_file.generate_launch_description()
    declared = {a.given[0] for a in description.given[0] if a.kind == "DeclareLaunchArgument"}
    assert declared == {a.name for a in TABLE.arguments}
    for arguments in ({}, {"clip": "talk.mp4"}, {"avatar": "none", "camera": "none"}, {"robot": "ohbot"}):
        nodes, _ = started(launch_file, **arguments)
        assert set(nodes) == {n.name for n in TABLE.nodes if n.wanted(TABLE.settled(arguments))}
        assert ("actuator_node" in nodes) == ("robot" in arguments)
        assert all(n.respawn and n.package == "reactdiff_ros" for n in nodes.values())


def test_launch_file_hands_on_arguments_and_files(launch_file, monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    mine = tmp_path / "mine.yaml"
    mine.write_text("{}")
    nodes, actions = started(
        launch_file, camera="2", policy="rules", namespace="robot1", use_sim_time="true", params_file=str(mine)
    )
    camera, reaction = nodes["camera_node"], nodes["reaction_node"]
    assert camera.parameters[-1]["device"].given == ("2",)
    assert camera.parameters[-1]["device"].value_type is str
    assert camera.parameters[-1]["use_sim_time"] is True
    assert reaction.parameters[-1]["policy"].given == ("rules",)
    robots, users = reaction.parameters[:-1]  # ROS reads JSON, which is YAML
    assert yaml.safe_load(Path(robots).read_text()) == robot_parameters("screen")
    assert users == str(mine)
    assert reaction.namespace == "robot1"
    discovery = [a.given for a in actions if a.kind == "SetEnvironmentVariable"]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")]


def test_launch_file_takes_the_labs_own_settings_and_what_is_given_wins(launch_file, monkeypatch, tmp_path):
    settings, overlay = tmp_path / "config.yaml", tmp_path / "robots" / "anna.yaml"
    overlay.parent.mkdir()
    settings.write_text("arguments: {camera: 3, policy: mime}\nparameters: {reaction_node: {seed: 4}}\n")
    overlay.write_text("arguments: {robot: generic_12servo, namespace: anna}\nparameters: {'*': {seed: 5}}\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(settings))
    nodes, _ = started(launch_file, robot="anna", policy="rules")
    assert nodes["camera_node"].parameters[-1]["device"].given == ("3",)
    assert nodes["actuator_node"].parameters[-1]["robot"].given == ("generic_12servo",)
    reaction = nodes["reaction_node"]
    assert reaction.namespace == "anna"
    assert reaction.parameters[-1]["policy"].given == ("rules",)
    written = yaml.safe_load(Path(reaction.parameters[0]).read_text())
    assert written["/**/reaction_node"]["ros__parameters"] == {"seed": 5}
    profile = robot_parameters("generic_12servo")["/**/expression_node"]["ros__parameters"]
    assert profile.items() <= written["/**/expression_node"]["ros__parameters"].items()


def test_launch_file_says_which_line_of_the_settings_is_wrong(launch_file, monkeypatch, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("arguments:\n  kamera: 3\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(settings))
    with pytest.raises(RuntimeError, match=r"line 2, arguments\.kamera"):
        started(launch_file)


def test_launch_file_names_the_robots_that_it_knows(launch_file):
    with pytest.raises(RuntimeError, match="screen"):
        started(launch_file, robot="hal9000")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("policy", "bogus", "use one of idle, mime"),
        ("outputs", "bogus", "'bogus' is no output"),
        ("outputs", "vmc,arkit@host:99999", "'99999' is no port"),
        ("namespace", "robot 1", "letters, digits and underscores, such as robot1"),
        ("namespace", "1robot", "letters, digits and underscores, such as robot1"),
        ("namespace", "a" * 71, "at most 70 letters"),
    ],
)
def test_launch_file_refuses_an_argument_in_one_sentence_before_anything_starts(launch_file, name, value, words):
    with pytest.raises(RuntimeError) as caught:
        started(launch_file, **{name: value})
    sentence = str(caught.value)
    assert words in sentence
    assert "\n" not in sentence
    assert "Usage" not in sentence


@pytest.mark.parametrize("value", ["", "/", "robot1", "/robot1", "lab/robot_1", "/lab/robot1/"])
def test_namespaces_as_ros_takes_them_pass(value):
    TABLE.settled({"namespace": value})


def test_launch_file_takes_its_file_of_settings_away_at_the_end(launch_file, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nodes, actions = started(launch_file)
    file = Path(nodes["reaction_node"].parameters[0])
    assert [file] == list(tmp_path.iterdir())
    (handler,) = [a.given[0] for a in actions if a.kind == "RegisterEventHandler"]
    assert handler.kind == "OnShutdown"
    for _ in range(2):
        assert handler.on_shutdown(None, None) is None
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError):
        started(launch_file, policy="bogus")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pushed", "given", "enclave"),
    [
        ({}, "", "/reactdiff/camera_node"),
        ({}, "robot1", "/reactdiff/robot1/camera_node"),
        ({"ros_namespace": "/lab"}, "", "/reactdiff/lab/camera_node"),
        ({"ros_namespace": "/lab"}, "robot1", "/reactdiff/lab/robot1/camera_node"),
        ({"ros_namespace": "/lab"}, "/robot1", "/reactdiff/robot1/camera_node"),
    ],
)
def test_launch_file_names_the_enclave_of_the_namespace_that_is_in_force(launch_file, pushed, given, enclave):
    """PushRosNamespace goes before a relative namespace, as launch_ros joins them."""
    nodes, _ = started(launch_file, namespace=given, **pushed)
    assert nodes["camera_node"].arguments[-1] == enclave
