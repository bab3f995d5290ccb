"""Every argument and parameter with the value that is in force, and where it came from. No ROS here.

Weakest first: as shipped, the robot's profile, the lab's file, the robot's overlay, the parameter file, what is typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import LabSettings, Setting
from reactdiff_ros.launching.robot_parameters import recorded_pictures, robot_parameters
from reactdiff_ros.launching.table import Node, check_parameters, load_table, parameter_entries
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.settings import written_path

SHIPPED: Final = "as shipped"
GIVEN: Final = "given"


@dataclass(frozen=True, slots=True)
class Effective:
    """What a listener would run with.

    Args:
        arguments: of the table of nodes, by name.
        parameters: of the nodes that would be started, by node and name; those that an argument sets included.
        ros_parameters: of the profile and the lab's files, as the content of a ROS parameter file.
    """

    arguments: dict[str, Setting]
    parameters: dict[str, dict[str, Setting]]
    ros_parameters: dict[str, Any]


def effective(given: Mapping[str, str], lab: LabSettings) -> Effective:
    """The values in force where these arguments are given and the lab's files say `lab` (see `lab_settings`).

    Raises:
        ConfigError: an argument or a value is wrong, or a file that they name; the sentence names it.
    """
    table = load_table()
    settled = table.settled({**given, **{n: str(s.value) for n, s in lab.arguments.items()}})
    arguments = {name: _argument(name, value, given, lab) for name, value in settled.items()}
    profile = _of_profile(settled)
    file = read_parameter_file(written_path(settled["params_file"])) if settled["params_file"] else {}
    parameters = {}
    for node in (n for n in table.nodes if n.wanted(settled)):
        values = {p.name: Setting(p.default, SHIPPED) for p in node.parameters}
        values |= _matching(node, settled["namespace"], profile, f"profile {settled['robot']}")
        values |= lab.parameters.get(node.name, {})
        values |= _matching(node, settled["namespace"], file, settled["params_file"])
        for name, argument in node.arguments.items():
            if arguments[argument].origin != SHIPPED:
                value = node.parameter(name).checked(settled[argument])
                values[name] = Setting(value, arguments[argument].origin)
        parameters[node.name] = values
    return Effective(arguments, parameters, _joined(profile, lab.ros_parameters()))


def _argument(name: str, value: str, given: Mapping[str, str], lab: LabSettings) -> Setting:
    if name in lab.arguments and str(lab.arguments[name].value) == value:
        return lab.arguments[name]
    if given.get(name) == value:
        return Setting(value, GIVEN)
    default = next(a.default for a in load_table().arguments if a.name == name)
    return Setting(value, SHIPPED if value == default else "follows from what is given")


def _of_profile(settled: Mapping[str, str]) -> dict[str, Any]:
    return robot_parameters(settled["robot"], recorded=recorded_pictures(settled)) or {}


def read_parameter_file(path: Path) -> Any:
    """The content of a ROS parameter file, checked.

    Raises:
        ConfigError: it cannot be read, is no YAML or no parameter file, or has a value that a node would refuse.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("the parameter file cannot be read", where=str(path), todo=str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError("the parameter file is not YAML", where=str(path), todo=problem) from error
    try:
        check_parameters(content, load_table())
    except ConfigError as error:
        raise ConfigError(error.what, where=str(path), todo=error.todo) from error
    return content


def _matching(node: Node, namespace: str, content: Any, origin: str) -> dict[str, Setting]:
    """What a ROS parameter file says of this node, as ROS matches names."""
    full = f"/{namespace.strip('/')}/{node.name}" if namespace.strip("/") else f"/{node.name}"
    found: dict[str, Setting] = {}
    for pattern, values in _entries(content):
        if re.fullmatch(pattern, full):
            found |= {p.name: Setting(p.checked(values[p.name]), origin) for p in node.parameters if p.name in values}
    return found


def _entries(content: Any) -> Iterator[tuple[str, dict[str, object]]]:
    for path, values in parameter_entries(content) if content else ():
        parts = [part for part in path.split("/") if part]
        words = {"**": r"(?:/[^/]+)*", "*": "/[^/]+"}
        yield "".join(words.get(part, "/" + re.escape(part)) for part in parts), values


def _joined(weaker: dict[str, Any], stronger: dict[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys([*weaker, *stronger])
    empty: dict[str, Any] = {"ros__parameters": {}}
    return {
        n: {"ros__parameters": weaker.get(n, empty)["ros__parameters"] | stronger.get(n, empty)["ros__parameters"]}
        for n in names
    }
