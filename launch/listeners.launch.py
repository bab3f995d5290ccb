"""One reaction_node for many robots, in one batch: ros2 launch reactdiff_ros listeners.launch.py --show-args.

Each robot starts its own nodes with listener.launch.py namespace:=NAME reaction:=false (docs/many_listeners.md).
Only the standard library, launch and launch_ros are imported: the nodes' own environment may be another one.
"""

import json
import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(__file__).parent.parent
NODE = "reaction_node"
RESPAWN_DELAY_S = 1.0
OWN = ("listeners", "seed")
"""Parameters of the node that are arguments here, beside those of the table."""


def generate_launch_description():
    """The launch description that ros2 launch asks for."""
    table = json.loads((SHARE / "config" / "nodes.json").read_text(encoding="utf-8"))
    return LaunchDescription([*declared(table), OpaqueFunction(function=start, args=[table])])


def reaction_node(table):
    """The node's entry in the table."""
    return next(node for node in table["nodes"] if node["name"] == NODE)


def declared(table):
    """The arguments: the robots, and what listener.launch.py has for this node."""
    parameters = {p["name"]: p for p in reaction_node(table)["parameters"]}
    own = [
        DeclareLaunchArgument(name, default_value=str(parameters[name]["default"]), choices=None,
                              description=parameters[name]["description"])
        for name in OWN
    ]  # fmt: skip
    wanted = {*reaction_node(table)["arguments"].values(), "params_file", "lan"}
    shared = [
        DeclareLaunchArgument(
            a["name"], default_value=a["default"], description=a["description"], choices=a.get("choices")
        )
        for a in table["arguments"]
        if a["name"] in wanted
    ]
    return [*own, *shared]


def start(context, table):
    """The node under the arguments given."""

    def given(name):
        return LaunchConfiguration(name).perform(context).strip()

    if not given("listeners"):
        raise RuntimeError("listeners is empty: name the robots, such as listeners:='robot1, robot2=7'")
    parameters = {"listeners": ParameterValue(given("listeners"), value_type=str), "seed": int(given("seed"))}
    for name, argument in reaction_node(table)["arguments"].items():
        parameters[name] = ParameterValue(given(argument), value_type=str)
    files = []
    if given("params_file"):
        path = Path(given("params_file")).expanduser()
        if not path.is_file():
            raise RuntimeError(f"there is no parameter file {path}")
        files.append(str(path))
    node = LifecycleNode(
        package="reactdiff_ros",
        executable=NODE,
        name=NODE,
        namespace="",
        parameters=[*files, parameters],
        output="screen",
        emulate_tty=True,
        respawn=True,
        respawn_delay=RESPAWN_DELAY_S,
    )
    return [discovery(given("lan") == "true"), node]


def discovery(lan):
    """DDS stays on this machine unless told otherwise: by the newer variable, and by humble's."""
    if os.environ.get("ROS_DISTRO") == "humble":
        return SetEnvironmentVariable("ROS_LOCALHOST_ONLY", "0" if lan else "1")
    return SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET" if lan else "LOCALHOST")
