"""The table of nodes and the launch files; what is wrong is one sentence before any start."""

import io
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


def test_robot_is_a_shipped_profile_or_a_path_and_sets_only_parameters_that_exist(tmp_path):
    mine, text = tmp_path / "mine.yaml", share_path("config/robots/screen.yaml").read_text()
    text = re.sub(r"xyz_m: \[.*?\], rpy_rad: \[.*?\]", "xyz_m: [2.0, 0.2, 0.3], rpy_rad: [-3.2, 1.6, 0.1]", text)
    mine.write_text(text + "head: {pivot_m: [1.0, 0.5, -1.0], pitch: {head_pitch: 1}}\n")
    face = robot_parameters(str(mine))["/**/expression_node"]["ros__parameters"]
    assert ([face[f"camera_{axis}_m"] for axis in "xyz"], face["flat_face"]) == ([-0.2, -0.3, 2.0], True)
    assert [face[f"camera_{name}_rad"] for name in ("roll", "pitch", "yaw")] == [-3.2, 1.6, 0.1]
    assert [face[f"head_pivot_{name}_m"] for name in "xyz"] == [-0.5, 1.0, 1.0]
    assert robot_parameters("none") is None
    with pytest.raises(ConfigError, match=r"hal9000.*screen"):
        robot_parameters("hal9000")
    for robot in (str(mine), *shipped_profiles()):
        for node, content in robot_parameters(robot).items():
            spec, values = TABLE.node(node.rsplit("/", 1)[-1]), content["ros__parameters"]
            assert {name: spec.parameter(name).checked(value) for name, value in values.items()} == values


def test_the_table_is_what_the_config_dataclasses_give():
    """A changed default, range or text reaches it (scripts/make_table.py)."""
    make_table = loaded("scripts/make_table.py")
    text = make_table.TABLE.read_text(encoding="utf-8")
    assert make_table.made(text) == text, "run 'python scripts/make_table.py'"


# The launch files

LISTENER, LISTENERS = "launch/listener.launch.py", "launch/listeners.launch.py"
MODULES = (
    "launch", "launch.actions", "launch.event_handlers", "launch.substitutions", "launch_ros", "launch_ros.actions",
    "launch_ros.parameter_descriptions",
)  # fmt: skip


class StandIn(ModuleType):
    """`launch` and `launch_ros`: what is made of their names keeps its arguments, `given` the positional ones."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **arguments: SimpleNamespace(kind=name, given=given, **arguments)


def shown(command, **_):
    """The command `reactdiff` in this process, which costs a tenth of one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(command[1:])
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def around(monkeypatch, tmp_path):
    """What launch files import and start, and a folder for what they write."""
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(subprocess, "run", shown)
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    (tmp_path / "files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "files"))


def of_kind(actions, kind):
    return [action for action in actions if action.kind == kind]


def ran(file=LISTENER, /, **arguments):
    """What a launch file starts where these arguments are given, as `ros2 launch` runs it: its nodes, and all of it."""
    context, actions = SimpleNamespace(launch_configurations=arguments), []
    for action in loaded(file).generate_launch_description().given[0]:
        if action.kind == "OpaqueFunction":
            actions += action.function(context, *action.args) or ()
        else:
            arguments.setdefault(action.given[0], action.default_value)
    return {node.executable: node for node in of_kind(actions, "LifecycleNode")}, actions


def test_it_starts_what_is_wanted_and_a_clip_takes_the_place_of_the_devices():
    declared = of_kind(loaded(LISTENER).generate_launch_description().given[0], "DeclareLaunchArgument")
    assert {a.given[0] for a in declared} == {a.name for a in TABLE.arguments}
    always, devices = {"perception", "reaction", "expression", "speech"}, {"camera", "microphone"}
    for arguments, others in (
        ({}, {*devices, "avatar"}), ({"clip": "talk.mp4"}, {"clip", "avatar"}), ({"avatar": "none"}, devices),
        ({"camera": "none", "robot": "ohbot"}, {"microphone", "avatar", "actuator"}),
    ):  # fmt: skip
        nodes, _ = ran(**arguments)
        assert set(nodes) == {f"{name}_node" for name in always | others}
        assert all(n.respawn and n.package == "reactdiff_ros" for n in nodes.values())
    # What a clip or a bag shows does not change when the head turns: else the head would run after itself.
    for arguments, expected in (({}, True), ({"clip": "talk.mp4"}, False), ({"use_sim_time": "true"}, False)):
        face = ran(robot="reachy_mini", **arguments)[0]["expression_node"]
        assert written(face)["expression_node"]["camera_on_head"] is expected
        assert face.parameters[-1]["use_sim_time"] is ("use_sim_time" in arguments)


def written(node):
    """By node: the parameters of the file that is written for all."""
    content = yaml.safe_load(Path(node.parameters[0]).read_text())
    return {name.removeprefix("/**/"): values["ros__parameters"] for name, values in content.items()}


def test_the_labs_own_settings_count_what_is_given_wins_and_their_file_is_removed(monkeypatch, tmp_path):
    (tmp_path / "robots").mkdir()
    for name, text in {
        "config.yaml": "arguments: {camera: 3, policy: mime}\nparameters: {reaction_node: {seed: 4}}\n",
        "robots/anna.yaml": "arguments: {robot: generic_12servo, namespace: anna}\nparameters: {'*': {seed: 5}}\n",
        "mine.yaml": "{}",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("REACTDIFF_CONFIG", str(tmp_path / "config.yaml"))
    nodes, actions = ran(robot="anna", policy="rules", params_file=str(tmp_path / "mine.yaml"))
    camera, reaction = (nodes[f"{name}_node"].parameters[-1] for name in ("camera", "reaction"))
    assert (camera["device"].given, camera["device"].value_type, camera["use_sim_time"]) == (("3",), str, False)
    assert reaction["policy"].given == ("rules",)
    assert nodes["actuator_node"].parameters[-1]["robot"].given == ("generic_12servo",)
    node = nodes["reaction_node"]
    assert node.namespace == "anna"
    assert node.parameters[1] == str(tmp_path / "mine.yaml")
    assert written(node)["reaction_node"] == {"seed": 5}
    profile = robot_parameters("generic_12servo")["/**/expression_node"]["ros__parameters"]
    assert profile.items() <= written(node)["expression_node"].items()
    discovery = [a.given for a in of_kind(actions, "SetEnvironmentVariable")]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")]

    assert [Path(node.parameters[0])] == list((tmp_path / "files").iterdir())
    (handler,) = [a.given[0] for a in of_kind(actions, "RegisterEventHandler")]
    assert handler.kind == "OnShutdown"
    for _ in range(2):
        assert handler.on_shutdown(None, None) is None
    assert not list((tmp_path / "files").iterdir())


@pytest.mark.parametrize(("name", "value", "words"), [
    ("policy", "bogus", "use one of idle, mime"), ("outputs", "arkit@host:99999", "'99999' is not a port"),
    ("namespace", "robot 1", "letters, digits and underscores"), ("robot", "hal9000", "screen"),
])  # fmt: skip
def test_a_wrong_argument_is_one_sentence_before_anything_starts(tmp_path, name, value, words):
    with pytest.raises(RuntimeError) as caught:
        ran(**{name: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "files").iterdir())


def test_the_enclave_is_of_the_namespace_in_force():
    """PushRosNamespace goes before a relative namespace, as launch_ros joins them."""
    enclave = loaded(LISTENER).enclave
    found = [enclave("camera_node", given, pushed) for pushed in ("", "/lab") for given in ("", "r", "/r")]
    places = ["", "r/", "r/", "lab/", "lab/r/", "r/"]
    assert found == [f"/reactdiff/{place}camera_node" for place in places]


def test_one_node_for_all_robots():
    with pytest.raises(RuntimeError, match="listeners is empty"):
        ran(LISTENERS)
    nodes, actions = ran(LISTENERS, listeners="robot1, robot2=7", lan="true", policy="rules", seed="4")
    discovery = [a.given for a in of_kind(actions, "SetEnvironmentVariable")]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")]
    (node,) = nodes.values()
    assert (node.executable, node.namespace, node.respawn) == ("reaction_node", "", True)
    _, own, shared = node.parameters
    assert {n: (p.given, p.value_type) for n, p in own.items()} == {
        "listeners": (("robot1, robot2=7",), str), "seed": (("4",), int)
    }  # fmt: skip
    assert shared["policy"].given == ("rules",)
    assert own.keys() | shared.keys() <= {p.name for p in TABLE.node("reaction_node").parameters} | {"use_sim_time"}
