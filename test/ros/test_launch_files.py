"""The launch files start what the table and the lab's settings say; what is wrong is one sentence before any start."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from loaded_files import loaded

from reactdiff_ros.cli.main import main
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.launching.table import load_table

TABLE = load_table()
MODULES = (
    "launch", "launch.actions", "launch.event_handlers", "launch.substitutions", "launch_ros", "launch_ros.actions",
    "launch_ros.parameter_descriptions",
)  # fmt: skip


class StandIn(ModuleType):
    """`launch` and `launch_ros`: every name is a class that keeps its arguments, `given` the positional ones."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        class Kept(SimpleNamespace):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(kind=name, given=args, **kwargs)

        return Kept


class Context(dict[str, Any]):
    """Launch configurations, as a launch file sees them."""

    @property
    def launch_configurations(self) -> Context:
        return self


@pytest.fixture
def load(monkeypatch):
    """A launch file as a module."""
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    return lambda name: loaded(f"launch/{name}")


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """Writes the lab's settings and the overlay of the robot anna."""

    def write(settings: str, overlay: str = "") -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(settings)
        if overlay:
            (tmp_path / "robots").mkdir()
            (tmp_path / "robots" / "anna.yaml").write_text(overlay)
        monkeypatch.setenv("REACTDIFF_CONFIG", str(path))
        return path

    return write


def of_kind(actions: Any, kind: str) -> list[Any]:
    return [action for action in actions if action.kind == kind]


def ran(module: Any, /, **arguments: str) -> list[Any]:
    """What a launch file starts where these arguments are given, as `ros2 launch` runs it."""
    context, actions = Context(arguments), []
    for action in module.generate_launch_description().given[0]:
        if action.kind == "OpaqueFunction":
            actions += action.function(context, *action.args) or ()
        else:
            context.setdefault(action.given[0], action.default_value)
    return actions


def shown(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """The command `reactdiff` in this process, which costs a tenth of one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(command[1:])
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


# listener.launch.py


@pytest.fixture
def listener(load, monkeypatch):
    monkeypatch.setattr(subprocess, "run", shown)
    return load("listener.launch.py")


def started(listener, **arguments):
    actions = ran(listener, **arguments)
    return {a.name: a for a in of_kind(actions, "LifecycleNode")}, actions


def test_it_starts_what_the_table_says(listener):
    declared = {a.given[0] for a in of_kind(listener.generate_launch_description().given[0], "DeclareLaunchArgument")}
    assert declared == {a.name for a in TABLE.arguments}
    for arguments in ({}, {"clip": "talk.mp4"}, {"avatar": "none", "camera": "none"}, {"robot": "ohbot"}):
        nodes, _ = started(listener, **arguments)
        assert set(nodes) == {n.name for n in TABLE.nodes if n.wanted(TABLE.settled(arguments))}
        assert ("actuator_node" in nodes) == ("robot" in arguments)
        assert all(n.respawn and n.package == "reactdiff_ros" for n in nodes.values())


def test_it_hands_on_arguments_and_files_and_removes_its_own_at_the_end(load, monkeypatch, tmp_path):
    listener = load("listener.launch.py")
    mine, files = tmp_path / "mine.yaml", tmp_path / "files"
    mine.write_text("{}")
    files.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(files))
    nodes, actions = started(
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


def test_pictures_of_a_clip_or_a_bag_do_not_turn_with_the_head(listener):
    """Else the head would run after itself: what it sees does not change when it turns."""
    for arguments, expected in (({}, True), ({"clip": "talk.mp4"}, False), ({"use_sim_time": "true"}, False)):
        nodes, _ = started(listener, robot="reachy_mini", **arguments)
        parameters = yaml.safe_load(Path(nodes["expression_node"].parameters[0]).read_text())
        assert parameters["/**/expression_node"]["ros__parameters"]["camera_on_head"] is expected


def test_the_labs_own_settings_count_and_what_is_given_wins(listener, lab):
    lab(
        "arguments: {camera: 3, policy: mime}\nparameters: {reaction_node: {seed: 4}}\n",
        "arguments: {robot: generic_12servo, namespace: anna}\nparameters: {'*': {seed: 5}}\n",
    )
    nodes, _ = started(listener, robot="anna", policy="rules")
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
        ("policy", "bogus", "use one of idle, mime"),
        ("outputs", "vmc,arkit@host:99999", "'99999' is not a port"),
        ("namespace", "robot 1", "letters, digits and underscores, such as robot1"),
        ("namespace", "a" * 71, "at most 70 letters"),
        ("robot", "hal9000", "screen"),
    ],
)
def test_a_wrong_argument_is_one_sentence_before_anything_starts(listener, monkeypatch, tmp_path, name, value, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError) as caught:
        started(listener, **{name: value})
    sentence = str(caught.value)
    assert words in sentence
    assert "\n" not in sentence
    assert "Usage" not in sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pushed", "given", "enclave"),
    [
        ("", "", "/reactdiff/camera_node"), ("", "robot1", "/reactdiff/robot1/camera_node"),
        ("/lab", "", "/reactdiff/lab/camera_node"), ("/lab", "robot1", "/reactdiff/lab/robot1/camera_node"),
        ("/lab", "/robot1", "/reactdiff/robot1/camera_node"),
    ],
)  # fmt: skip
def test_the_enclave_is_of_the_namespace_in_force(listener, pushed, given, enclave):
    """PushRosNamespace goes before a relative namespace, as launch_ros joins them."""
    assert listener.enclave("camera_node", given, pushed) == enclave


# listeners.launch.py: one reaction_node for many robots


def test_one_node_for_all_robots(load, monkeypatch):
    monkeypatch.setattr(subprocess, "run", shown)
    listeners = load("listeners.launch.py")
    with pytest.raises(RuntimeError, match="listeners is empty"):
        ran(listeners)
    names = {a.given[0] for a in of_kind(listeners.generate_launch_description().given[0], "DeclareLaunchArgument")}
    assert names == {"listeners", "seed", "policy", "backend", "params_file", "lan", "use_sim_time"}
    actions = ran(listeners, listeners="robot1, robot2=7", lan="true", policy="rules", seed="4")
    (node,) = of_kind(actions, "LifecycleNode")
    discovery = [a.given for a in of_kind(actions, "SetEnvironmentVariable")]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")]
    assert (node.executable, node.namespace, node.respawn) == ("reaction_node", "", True)
    _, own, shared = node.parameters
    assert own["listeners"].given == ("robot1, robot2=7",)
    assert (own["seed"].given, own["seed"].value_type) == (("4",), int)
    assert shared["policy"].given == ("rules",)
    known = {p.name for p in TABLE.node("reaction_node").parameters}
    assert own.keys() | shared.keys() <= known | {"use_sim_time"}
