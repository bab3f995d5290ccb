"""listeners.launch.py starts one node for the robots that are given or in the lab's settings, nothing without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from launch_stand_in import Context, load

from reactdiff_ros.launching.table import load_table
from reactdiff_ros.resources import share_path

LAUNCH = Path(__file__).parents[2] / "launch" / "listeners.launch.py"


@pytest.fixture
def launch_file(monkeypatch):
    return load(LAUNCH, monkeypatch)


def start(launch_file, **arguments):
    table, lab = json.loads(share_path("config/nodes.json").read_text()), {}
    context = Context(arguments)
    launch_file.read_settings(context, table, lab)
    for argument in launch_file.declared(table):
        context.setdefault(argument.given[0], argument.default_value)
    actions = launch_file.start(context, table, lab)
    (node,) = [a for a in actions if a.kind == "LifecycleNode"]
    return node, actions


def test_one_node_for_all_robots(launch_file, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    node, actions = start(launch_file, listeners="robot1, robot2=7", lan="true", policy="rules", seed="4")
    discovery = [a.given for a in actions if a.kind == "SetEnvironmentVariable"]
    assert discovery == [("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")]
    assert (node.executable, node.namespace) == ("reaction_node", "")
    assert node.respawn
    _, own, shared = node.parameters
    assert own["listeners"].given == ("robot1, robot2=7",)
    assert (own["seed"].given, own["seed"].value_type) == (("4",), int)
    assert shared["policy"].given == ("rules",)
    known = {p.name for p in load_table().node("reaction_node").parameters}
    assert own.keys() | shared.keys() <= known | {"use_sim_time"}


def test_the_description_reads_the_settings_before_the_defaults(launch_file):
    first, *declared, last = launch_file.generate_launch_description().given[0]
    assert (first.function, last.function) == (launch_file.read_settings, launch_file.start)
    names = {a.given[0] for a in declared}
    assert names == {"listeners", "seed", "policy", "backend", "params_file", "lan", "use_sim_time"}


def test_the_labs_settings_count_but_no_robots_overlay_and_what_is_given_wins(launch_file, monkeypatch, tmp_path):
    settings, overlay = tmp_path / "config.yaml", tmp_path / "robots" / "anna.yaml"
    overlay.parent.mkdir()
    settings.write_text(
        "arguments: {robot: anna, camera: 3, policy: mime, lan: true, backend: cuda}\n"
        "parameters: {reaction_node: {listeners: 'robot1, robot2=7', seed: 4, steps: 6}}\n"
    )
    overlay.write_text("arguments: {robot: generic_12servo, backend: tensorrt}\nparameters: {'*': {seed: 5}}\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(settings))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    node, actions = start(launch_file, policy="rules")
    written, shared = node.parameters
    reactions = yaml.safe_load(Path(written).read_text())["/**/reaction_node"]["ros__parameters"]
    assert reactions == {"listeners": "robot1, robot2=7", "seed": 4, "steps": 6}
    assert (shared["policy"].given, shared["backend"].given) == (("rules",), ("cuda",))
    assert [a.given[1] for a in actions if a.kind == "SetEnvironmentVariable"] == ["SUBNET"]
    assert [a.msg for a in actions if a.kind == "LogInfo"] == [f"settings of {settings}"]
    node, _ = start(launch_file, listeners="robot3", seed="9")
    assert {name: value.given for name, value in node.parameters[1].items()} == {
        "listeners": ("robot3",), "seed": ("9",),
    }  # fmt: skip


def test_settings_of_others_stay_out_of_what_else_is_launched(launch_file, monkeypatch, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("arguments: {robot: ohbot, camera: 3, policy: mime}\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(settings))
    context = Context(listeners="robot1")
    launch_file.read_settings(context, json.loads(share_path("config/nodes.json").read_text()), {})
    assert context == {"listeners": "robot1", "policy": "mime"}


def test_without_robots_with_a_wrong_setting_or_a_file_that_is_not_there_a_sentence(launch_file, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match="name the robots"):
        start(launch_file)
    with pytest.raises(RuntimeError, match="parameter file cannot be read"):
        start(launch_file, listeners="a", params_file="/nowhere/x.yaml")
    settings = tmp_path / "config.yaml"
    settings.write_text("parameters:\n  reaction_node: {sneed: 3}\n")
    monkeypatch.setenv("REACTDIFF_CONFIG", str(settings))
    with pytest.raises(RuntimeError, match=r"line 2, parameters\.reaction_node\.sneed"):
        start(launch_file, listeners="a")


def test_a_robot_whose_reactions_come_from_elsewhere_starts_no_reaction_node():
    table = load_table()
    names = {n.name for n in table.nodes if n.wanted(table.settled({"reaction": "false"}))}
    assert "reaction_node" not in names
    assert "expression_node" in names
    assert "reaction_node" in {n.name for n in table.nodes if n.wanted(table.settled({}))}
