"""The settings in force: as shipped, of the robot's profile, of the lab's files, of a parameter file, and as typed.

The lab has one file, and next to it an overlay for each robot, between what ships and what is typed:

    ~/.config/reactdiff_ros/config.yaml      (or the file that REACTDIFF_CONFIG names; "none": no file at all)
    ~/.config/reactdiff_ros/robots/NAME.yaml (of the robot NAME; stronger)

Both hold `arguments` of the table of nodes and `parameters` by node, "*" meaning every node that has one of that name:

    {format: 1, arguments: {robot: ohbot, camera: /dev/video2},
     parameters: {"*": {style: warm}, expression_node: {gaze_share: 0.8}}}
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.actuation.robot.profile import load_profile, mouth_lead_s
from reactdiff_ros.errors import ConfigError, one_of
from reactdiff_ros.launching.table import Node, Table, Value, load_table, parameter_entries
from reactdiff_ros.plain_yaml import Key, Marked, Problem, parse_yaml, read_marked
from reactdiff_ros.settings import format_problem, user_folder, written_path

FORMAT: Final = 1
VARIABLE: Final = "REACTDIFF_CONFIG"
NO_FILE: Final = "none"
EVERY: Final = "*"
OF_ONE_PERSON: Final = ("session", "consent")
"""Arguments that no file may give: they belong to one recording of one person."""
PATHS: Final = ("clip", "params_file", "record_to")
DEVICES: Final = ("camera", "microphone")
_WHAT: Final = "the settings"
COMMAND: Final = "reactdiff config show"
"""What shows all problems of a file."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it came from ("FILE, line 3")."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class LabSettings:
    """What the files say, the stronger ones on top.

    Args:
        files: those that were read, the weakest first.
        arguments: of the table of nodes, by name.
        parameters: by node and name.
    """

    files: tuple[Path, ...] = ()
    arguments: dict[str, Setting] = field(default_factory=dict)
    parameters: dict[str, dict[str, Setting]] = field(default_factory=dict)

    def ros_parameters(self) -> dict[str, Any]:
        """The content of a ROS parameter file, for a node of that name in any namespace."""
        return {
            f"/**/{node}": {"ros__parameters": {name: setting.value for name, setting in values.items()}}
            for node, values in self.parameters.items()
        }

    def over(self, weaker: LabSettings) -> LabSettings:
        """These settings on top of weaker ones."""
        nodes = dict.fromkeys([*weaker.parameters, *self.parameters])
        return LabSettings(
            (*weaker.files, *self.files),
            weaker.arguments | self.arguments,
            {n: weaker.parameters.get(n, {}) | self.parameters.get(n, {}) for n in nodes},
        )


SHIPPED: Final = "as shipped"
GIVEN: Final = "given"


def settings_path() -> Path | None:
    """The lab's file, whether it is there or not; None: REACTDIFF_CONFIG says that none shall be read.

    Errors as `written_path`.
    """
    named = os.environ.get(VARIABLE, "")
    if named == NO_FILE:
        return None
    return written_path(named).absolute() if named else user_folder("CONFIG") / "config.yaml"


def lab_settings(given: Mapping[str, str]) -> LabSettings:
    """The files' settings for a listener to which these arguments of the table are `given` on the command line.

    What is given stays out of the result's arguments: it wins. A device that is given, or a clip, or simulated time,
    also takes the place of the files' own sources. One argument may come back in another form: a robot that is given
    or set by the name of an overlay which says what its profile is.

    Raises:
        ConfigError: a file that REACTDIFF_CONFIG names is missing, or one cannot be read.
        ProblemsError: a file is wrong.
    """
    path = settings_path()
    if path is None:
        return LabSettings()
    if os.environ.get(VARIABLE) and not _is_there(path):
        todo = f"write them, or set {VARIABLE} to another file or '{NO_FILE}'"
        raise ConfigError("the settings are missing", where=str(path), todo=todo)
    found = read_settings(path) if _is_there(path) else LabSettings()
    defaults = {a.name: Setting(a.default, SHIPPED) for a in load_table().arguments}
    robot = given.get("robot", str((defaults | found.arguments)["robot"].value))
    profile: Setting | None = None
    name = Path(robot).stem if _is_path(robot) else robot
    overlay = path.parent / "robots" / f"{name}.yaml"
    if name not in ("", "none") and _is_there(overlay):
        own = read_settings(overlay)
        profile = own.arguments.pop("robot", None)
        found = own.over(found)
    arguments = {name: setting for name, setting in found.arguments.items() if name not in _settled(given)}
    if profile is not None and not _is_path(robot):
        arguments["robot"] = profile
    return LabSettings(found.files, arguments, found.parameters)


def read_settings(path: Path) -> LabSettings:
    """One file.

    Raises:
        ConfigError: it cannot be read.
        ProblemsError: it is wrong; `problems` has the line and key of everything.
    """
    marked = read_marked(path, _WHAT, COMMAND)
    reader = _Reader(path, marked, load_table())
    found = reader.read()
    if reader.problems:
        raise marked.fails(*reader.problems)
    return found


class _Reader:
    """Checks one file and collects what is wrong with it."""

    def __init__(self, path: Path, marked: Marked, table: Table) -> None:
        self._path, self._marked, self._table = path, marked, table
        self.problems: list[Problem] = []

    def read(self) -> LabSettings:
        content = {} if self._marked.data is None else self._marked.data
        if not isinstance(content, dict):
            self._wrong((), "holds no names and values", "see docs/operations.md")
            return LabSettings()
        problem = format_problem(content.get("format", FORMAT), FORMAT)
        if problem is not None:
            self._wrong(("format",), *problem)
            return LabSettings()
        for name in content.keys() - {"format", "arguments", "parameters"}:
            self._unknown((name,), name, ("format", "arguments", "parameters"))
        arguments = self._arguments(self._names_and_values(content, ("arguments",)))
        return LabSettings((self._path,), arguments, self._parameters(content))

    def _arguments(self, values: Mapping[str, Any]) -> dict[str, Setting]:
        known = {a.name: a for a in self._table.arguments}
        found = {}
        for name, value in values.items():
            key = ("arguments", name)
            if name not in known:
                self._unknown(key, name, known)
            elif name in OF_ONE_PERSON:
                self._wrong(key, "belongs to one recording", f"give it with each: reactdiff listen {name}:=...")
            elif not isinstance(value, (str, int, float)):
                self._wrong(key, "is not a text, a number, true or false")
            else:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                try:
                    known[name].check(text)
                except ConfigError as error:
                    self._wrong(key, f"cannot be {text!r:.40}", error.todo)
                found[name] = Setting(self._place(key, name, text), self._origin(key))
        return found

    def _parameters(self, content: Mapping[str, Any]) -> dict[str, dict[str, Setting]]:
        nodes = {node.name: node for node in self._table.nodes}
        found: dict[str, dict[str, Setting]] = {}
        # Entries for every node are weaker, wherever they are in the file.
        entries = self._names_and_values(content, ("parameters",))
        for name in sorted(entries, key=lambda n: n != EVERY):
            key = ("parameters", name)
            if name != EVERY and name not in nodes:
                self._unknown(key, name, (*nodes, EVERY))
                continue
            wanted = list(nodes.values()) if name == EVERY else [nodes[name]]
            for parameter, value in self._names_and_values(entries, key, name).items():
                for node, setting in self._parameter((*key, parameter), parameter, value, wanted):
                    found.setdefault(node, {})[parameter] = setting
        return found

    def _parameter(self, key: Key, name: str, value: Any, wanted: list[Node]) -> Iterator[tuple[str, Setting]]:
        """The setting of every node that has this parameter."""
        having = [node for node in wanted if any(p.name == name for p in node.parameters)]
        if not having:
            self._unknown(key, name, {p.name for node in wanted for p in node.parameters})
        for node in having:
            if name in node.arguments:
                self._wrong(key, f"follows from the argument {node.arguments[name]}", "write it under arguments")
                return
            try:
                yield node.name, Setting(node.parameter(name).checked(value), self._origin(key))
            except ConfigError as error:
                self._wrong(key, f"cannot be {value!r:.40}", error.todo)
                return

    def _names_and_values(self, content: Mapping[str, Any], key: Key, name: str | None = None) -> dict[str, Any]:
        value = content.get(str(key[-1]) if name is None else name)
        if value is not None and not isinstance(value, dict):
            self._wrong(key, "holds no names and values")
        return value if isinstance(value, dict) else {}

    def _place(self, key: Key, name: str, text: str) -> str:
        """Paths are named from the folder of the file that names them."""
        if not text or text == "none" or not (name in PATHS or (name == "robot" and _is_path(text))):
            return text
        try:
            return str(self._path.parent.absolute() / written_path(text))
        except ConfigError:
            self._wrong(key, f"names the home folder of an unknown user: {text:.80}")
            return text

    def _origin(self, key: Key) -> str:
        return f"{self._path}, line {self._marked.line(key)}"

    def _unknown(self, key: Key, name: str, known: Iterable[str]) -> None:
        self._wrong(key, "is an unknown key", one_of(name, known))

    def _wrong(self, key: Key, what: str, todo: str = "") -> None:
        self.problems.append(self._marked.problem(key, what, todo))


def _settled(given: Mapping[str, str]) -> set[str]:
    """Arguments of the files that the given ones override: one source replaces the others."""
    settled = set(given)
    if given.get("clip", "") not in ("", "none") or given.get("use_sim_time") == "true":
        settled |= {*DEVICES, "clip"}
    if any(name in given for name in DEVICES):
        settled.add("clip")
    return settled


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return True  # in a folder that may not be looked into: reading it says so


def _is_path(robot: str) -> bool:
    return "/" in robot or robot.endswith((".yaml", ".yml"))


def robot_parameters(robot: str, *, recorded: bool = False, page: bool = False) -> dict[str, Any] | None:
    """The content of a ROS parameter file for the profile of `robot`, a name or a path; None: nothing follows.

    `recorded`: pictures come from a clip, a bag or a video file. They do not turn with this robot's head, wherever its
    camera sits: if its motion were taken out of them, the head would run after itself to its limit.
    `page`: the face is also shown by avatar_node; without a robot ("" or "none") it is then a flat one.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    if robot in ("", "none"):
        return {"/**/expression_node": {"ros__parameters": {"flat_face": True}}} if page else None
    profile = load_profile(robot)
    (forward, left, up), (roll, pitch, yaw) = profile.camera.xyz_m, profile.camera.rpy_rad
    expression: dict[str, Any] = {
        "camera_x_m": -left, "camera_y_m": -up, "camera_z_m": forward, "camera_yaw_rad": yaw,
        "camera_pitch_rad": pitch, "camera_roll_rad": roll,
    }  # fmt: skip
    if profile.head is not None:
        forward, left, up = profile.head.pivot_m
        expression |= {"head_pivot_x_m": -left, "head_pivot_y_m": -up, "head_pivot_z_m": forward}
        if profile.head.gaze_share is not None:
            expression["head_share"] = profile.head.gaze_share
    expression = {name: value + 0.0 for name, value in expression.items()}
    expression["camera_on_head"] = profile.camera.mount == "head" and not recorded
    expression["flat_face"] = any(driver.type == "screen" for driver in profile.drivers.values())
    expression["mouth_lead_s"] = round(mouth_lead_s(profile), 3)
    perception = {"horizontal_fov_deg": profile.camera.horizontal_fov_deg}
    return {
        "/**/expression_node": {"ros__parameters": expression}, "/**/perception_node": {"ros__parameters": perception}
    }  # fmt: skip


def parameters_of_robot(settled: Mapping[str, str]) -> dict[str, Any] | None:
    """`robot_parameters` by the arguments of the table of nodes.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    playing = settled["clip"] not in ("", "none") or settled["use_sim_time"] == "true"
    recorded = playing or os.path.isfile(settled["camera"])
    return robot_parameters(settled["robot"], recorded=recorded, page=settled["avatar"] != "none")


def turns_with_head(robot: str) -> bool:
    """Whether a camera of this robot does: the nodes that look need to know whose pictures they get.

    Raises:
        ConfigError: there is no such robot, or its profile is wrong.
    """
    return robot_parameters(robot) != robot_parameters(robot, recorded=True)


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
    profile = parameters_of_robot(settled) or {}
    of_profile = "a face on a page alone" if settled["robot"] in ("", "none") else f"profile {settled['robot']}"
    file = read_parameter_file(written_path(settled["params_file"])) if settled["params_file"] else {}
    parameters = {}
    for node in (n for n in table.nodes if n.wanted(settled)):
        values = {p.name: Setting(p.default, SHIPPED) for p in node.parameters}
        values |= _matching(node, settled["namespace"], profile, of_profile)
        values |= lab.parameters.get(node.name, {})
        values |= _matching(node, settled["namespace"], file, settled["params_file"])
        for name, argument in node.arguments.items():
            if arguments[argument].origin != SHIPPED:
                values[name] = Setting(node.parameter(name).checked(settled[argument]), arguments[argument].origin)
        parameters[node.name] = values
    return Effective(arguments, parameters, _joined(profile, lab.ros_parameters()))


def _argument(name: str, value: str, given: Mapping[str, str], lab: LabSettings) -> Setting:
    if name in lab.arguments and str(lab.arguments[name].value) == value:
        return lab.arguments[name]
    if given.get(name) == value:
        return Setting(value, GIVEN)
    default = next(a.default for a in load_table().arguments if a.name == name)
    return Setting(value, SHIPPED if value == default else "follows from what is given")


def read_parameter_file(path: Path) -> Any:
    """The content of a ROS parameter file, checked. Names that no node has pass: others may read the same file.

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
        for entry, values in parameter_entries(content):
            for node in load_table().nodes:
                if node.named_by(entry):
                    node.checked(values)
    except ConfigError as error:
        raise ConfigError(error.what, where=str(path), todo=error.todo) from error
    return content


def _matching(node: Node, namespace: str, content: Any, origin: str) -> dict[str, Setting]:
    """What a ROS parameter file says of this node, as ROS matches names."""
    full = "/".join(["", *filter(None, namespace.split("/")), node.name])
    found: dict[str, Setting] = {}
    for path, values in parameter_entries(content) if content else ():
        words = {"**": r"(?:/[^/]+)*", "*": "/[^/]+"}
        pattern = "".join(words.get(part, "/" + re.escape(part)) for part in path.split("/") if part)
        if re.fullmatch(pattern, full):
            found |= {name: Setting(value, origin) for name, value in node.checked(values).items()}
    return found


def _joined(weaker: dict[str, Any], stronger: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"ros__parameters": {}}
    return {
        n: {"ros__parameters": weaker.get(n, empty)["ros__parameters"] | stronger.get(n, empty)["ros__parameters"]}
        for n in dict.fromkeys([*weaker, *stronger])
    }
