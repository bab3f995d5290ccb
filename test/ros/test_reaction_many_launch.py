"""listeners.launch.py starts one node for the robots that it is given, and nothing without."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from reactdiff_ros.nodes.table import load_table
from reactdiff_ros.resources import share_path

LAUNCH = Path(__file__).parents[2] / "launch" / "listeners.launch.py"


class Kept(ModuleType):
    """A module whose every name is a class that keeps what it was made with, `given` the positional ones."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        class Made(SimpleNamespace):
            def __init__(self, *args, **kwargs):
                super().__init__(kind=name, given=args, **kwargs)

            def perform(self, context):
                return context[self.given[0]]

        return Made


@pytest.fixture
def launch_file(monkeypatch):
    for name in ("launch", "launch.actions", "launch.substitutions", "launch_ros", "launch_ros.actions"):
        monkeypatch.setitem(sys.modules, name, Kept(name))
    monkeypatch.setitem(sys.modules, "launch_ros.parameter_descriptions", Kept("parameters"))
    spec = importlib.util.spec_from_file_location("listeners_launch", LAUNCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(launch_file, **arguments):
    table = json.loads(share_path("config/nodes.json").read_text())
    given = {a.given[0]: a.default_value for a in launch_file.declared(table)} | arguments
    return launch_file.start(given, table)


def test_one_node_for_all_robots(launch_file, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    discovery, node = start(launch_file, listeners="robot1, robot2=7", lan="true", policy="rules", seed="4")
    assert discovery.given == ("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert node.executable == "reaction_node"
    assert node.respawn
    (parameters,) = node.parameters
    assert parameters["listeners"].given == ("robot1, robot2=7",)
    assert parameters["policy"].given == ("rules",)
    assert parameters["seed"] == 4
    known = {p.name for p in load_table().node("reaction_node").parameters}
    assert parameters.keys() <= known


def test_without_robots_or_with_a_file_that_is_not_there_a_sentence(launch_file):
    with pytest.raises(RuntimeError, match="name the robots"):
        start(launch_file)
    with pytest.raises(RuntimeError, match="no parameter file"):
        start(launch_file, listeners="a", params_file="/nowhere/x.yaml")


def test_a_robot_whose_reactions_come_from_elsewhere_starts_no_reaction_node():
    table = load_table()
    names = {n.name for n in table.nodes if n.wanted(table.settled({"reaction": "false"}))}
    assert "reaction_node" not in names
    assert "expression_node" in names
    assert "reaction_node" in {n.name for n in table.nodes if n.wanted(table.settled({}))}
