"""One reaction_node for many robots, in one batch: ros2 launch reactdiff_ros listeners.launch.py --show-args.

Each robot starts its own nodes with listener.launch.py namespace:=NAME reaction:=false (docs/many_listeners.md).
Only the standard library, launch and launch_ros are imported: the nodes' own environment may be another one.
"""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.parameter_descriptions import ParameterValue

NODE = "reaction_node"
OWN = {
    "listeners": "Namespaces of the robots, with commas between, each with =SEED where wanted: robot1, robot2=7.",
    "seed": "Seed of all noise of the robots that have none of their own.",
}
"""Parameters of the node that are arguments here, beside those of the table."""


def launch_file_of_one():
    """listener.launch.py, which has all that is the same for one robot."""
    spec = spec_from_file_location("listener_launch", Path(__file__).with_name("listener.launch.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ONE = launch_file_of_one()


def generate_launch_description():
    """The launch description that ros2 launch asks for."""
    table = json.loads((ONE.SHARE / "config" / "nodes.json").read_text(encoding="utf-8"))
    found = {}
    # First, for it must see what was given before the defaults are filled in.
    first = OpaqueFunction(function=read_settings, args=[table, found])
    return LaunchDescription([first, *declared(table), OpaqueFunction(function=start, args=[table, found])])


def reaction_node(table):
    """The node's entry in the table."""
    return next(node for node in table["nodes"] if node["name"] == NODE)


def shared(table):
    """The arguments of listener.launch.py that this node has, too."""
    wanted = {*reaction_node(table)["arguments"].values(), "params_file", "lan", "use_sim_time"}
    return [a for a in table["arguments"] if a["name"] in wanted]


def declared(table):
    """The arguments: the robots, and what listener.launch.py has for this node."""
    own = [
        DeclareLaunchArgument(name, default_value="", description=f"{what} Empty: as the lab's settings have it.")
        for name, what in OWN.items()
    ]
    return [*own, *map(ONE.declared, shared(table))]


def read_settings(context, table, found):
    """The lab's own settings, without the overlay of any robot: this node is everybody's."""
    ONE.read_settings(context, shared(table), found, robot="none")


def start(context, table, found):
    """The node under the arguments given."""
    own = {name: context.launch_configurations[name].strip() for name in OWN}
    lab = found["ros_parameters"].get(f"/**/{NODE}", {}).get("ros__parameters", {})
    if not (own["listeners"] or lab.get("listeners")):
        raise RuntimeError("listeners is empty: name the robots, such as listeners:='robot1, robot2=7'")
    node = reaction_node(table)
    types = {p["name"]: ONE.TYPES[p["type"]] for p in node["parameters"]}
    own = {name: ParameterValue(value, value_type=types[name]) for name, value in own.items() if value}
    names = {a["name"] for a in shared(table)}
    arguments = {n: s["value"] if n in names else "" for n, s in found["arguments"].items()}
    return ONE.actions(context, [node], arguments, found, own)
