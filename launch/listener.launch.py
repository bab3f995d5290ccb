"""Starts the nodes of config/nodes.json. Arguments: ros2 launch reactdiff_ros listener.launch.py --show-args.

Only the standard library, launch and launch_ros are imported: the nodes' own environment may be another one. It is
asked for what is in force (`reactdiff config show`): which nodes, and with which arguments and parameters.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnShutdown
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(__file__).parent.parent
TYPES = {"bool": bool, "int": int, "double": float, "string": str}
RESPAWN_DELAY_S = 0.5


def generate_launch_description():
    """The launch description that ros2 launch asks for."""
    table = json.loads((SHARE / "config" / "nodes.json").read_text(encoding="utf-8"))
    found = {}
    # First, for it must see what was given before the defaults are filled in.
    first = OpaqueFunction(function=read_settings, args=[table["arguments"], found])
    last = OpaqueFunction(function=start, args=[table, found])
    return LaunchDescription([first, *map(declared, table["arguments"]), last])


def declared(argument):
    """An argument of the table."""
    return DeclareLaunchArgument(
        argument["name"], default_value=argument["default"], description=argument["description"],
        choices=argument.get("choices"),
    )  # fmt: skip


def read_settings(context, arguments, found, **fixed):
    """What is in force where these arguments are given, or `fixed`, into `found`."""
    names = [a["name"] for a in arguments]
    given = {n: context.launch_configurations[n].strip() for n in names if n in context.launch_configurations}
    found.update(settings(given | fixed))


def settings(given):
    """What is in force under the arguments given: the nodes' own environment reads the profile and the lab's files."""
    installed = SHARE.parent.parent / "lib" / "reactdiff_ros" / "reactdiff"
    program = str(installed) if installed.is_file() else shutil.which("reactdiff")
    if program is None:
        raise RuntimeError(
            "the command reactdiff is not on the path: run 'make setup' in the source folder, then '. ./env.sh'"
        )
    command = [program, "config", "show", "--json", *(f"{name}:={value}" for name, value in given.items())]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    if read.returncode:
        raise RuntimeError(read.stderr.strip() or "the settings cannot be read: reactdiff config show")
    return json.loads(read.stdout)


def start(context, table, found):
    """What is to be started."""
    arguments = {name: setting["value"] for name, setting in found["arguments"].items()}
    nodes = [node for node in table["nodes"] if node["name"] in found["parameters"]]
    return actions(context, nodes, arguments, found)


def actions(context, nodes, arguments, found, own=None):
    """These nodes of the table with what is in force; `own`: parameters before those of the arguments."""
    for name in ("clip", "record_to"):
        if arguments[name] not in ("", "none"):
            arguments[name] = str(Path(arguments[name]).expanduser().absolute())
    files = parameter_files(arguments, found)
    pushed = context.launch_configurations.get("ros_namespace", "")
    started = [node_action(node, arguments, [*files, *([own] if own else [])], pushed) for node in nodes]
    return [*discovery(arguments["lan"] == "true"), *started, *remarks(arguments, found), removal(files[0])]


def removal(file):
    """Takes the file of settings away at the end; a node that is started again until then reads it."""
    return RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: Path(file).unlink(missing_ok=True)))


def remarks(arguments, found):
    """What whoever starts it should know."""
    if found["files"]:
        yield LogInfo(msg=f"settings of {', '.join(found['files'])}")
    if arguments["use_sim_time"] == "true":
        yield LogInfo(msg="the nodes wait for /clock, as of 'ros2 bag play --clock 200'")


def discovery(lan):
    """DDS stays on this machine unless told otherwise: by the newer variable, and by humble's."""
    if os.environ.get("ROS_DISTRO") == "humble":
        return [SetEnvironmentVariable("ROS_LOCALHOST_ONLY", "0" if lan else "1")]
    return [SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET" if lan else "LOCALHOST")]


def parameter_files(arguments, found):
    """What follows from the robot's profile and the lab's settings, then the user's file."""
    with tempfile.NamedTemporaryFile("w", prefix="reactdiff_settings_", suffix=".yaml", delete=False) as file:
        json.dump(found["ros_parameters"], file)
    users = [str(Path(arguments["params_file"]).expanduser())] if arguments["params_file"] else []
    return [file.name, *users]


def enclave(node, namespace, pushed):
    """As config/sros2 names it; without security it means nothing. `pushed`: by PushRosNamespace."""
    path = (namespace if namespace.startswith("/") else f"{pushed}/{namespace}").strip("/")
    return f"/reactdiff/{path}/{node}" if path else f"/reactdiff/{node}"


def node_action(node, arguments, files, pushed):
    """One node of the table. It configures and activates itself (autostart), so that a respawn works."""
    types = {p["name"]: TYPES[p["type"]] for p in node["parameters"]}
    parameters = {
        name: ParameterValue(arguments[argument], value_type=types[name])
        for name, argument in node["arguments"].items()
    }
    parameters["use_sim_time"] = arguments["use_sim_time"] == "true"
    return LifecycleNode(
        package="reactdiff_ros",
        executable=node["name"],
        name=node["name"],
        namespace=arguments["namespace"],
        arguments=["--ros-args", "--enclave", enclave(node["name"], arguments["namespace"], pushed)],
        parameters=[*files, parameters],
        output="screen",
        emulate_tty=True,
        respawn=True,
        respawn_delay=RESPAWN_DELAY_S,
    )
