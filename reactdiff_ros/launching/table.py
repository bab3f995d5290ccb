"""config/nodes.json as typed values. No ROS here: the supervisor, the documentation and the nodes all read it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from reactdiff_ros.errors import ConfigError, one_of
from reactdiff_ros.resources import share_path
from reactdiff_ros.settings import is_number

Value = bool | int | float | str
Kind = Literal["bool", "int", "double", "string"]
_KINDS: dict[str, type] = {"bool": bool, "int": int, "double": float, "string": str}
_FORM = "NODE: {ros__parameters: {NAME: VALUE}}"
LONGEST_NAMESPACE = 70
"""With it a node's name has its place among the kernel's sockets, which hold it, and its topics are ROS's."""
BROWSER: Final = "browser"
"""As a camera: that of a visitor of the page."""
OWN_FILE = "FILE"
"""Among the choices: what begins so is the path of a user's file with one of these suffixes."""
_ARTICLES = {"bool": "true or false", "int": "a whole number", "double": "a number", "string": "a text"}


def chosen(value: object, choices: tuple[str, ...]) -> bool:
    """Whether `value` is one of the choices, if there are any."""
    own = tuple(choice.removeprefix(OWN_FILE) for choice in choices if choice.startswith(f"{OWN_FILE}."))
    return not choices or value in choices or (bool(own) and str(value).endswith(own))


_T = TypeVar("_T", "Parameter", "Topic", "Node")
_Config = TypeVar("_Config")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter of a node. `minimum`/`maximum` (inclusive) only for numbers, `choices` only for texts."""

    name: str
    kind: Kind
    default: Value
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = True
    unset: float | None = None
    """A number outside the range that means: not given (as the style has it). None: there is no such number."""

    def checked(self, value: object) -> Value:
        """`value` as this parameter's type (whole numbers are numbers, numbers are texts), within its range.

        Raises:
            ConfigError: of another type, not finite, out of range, or not one of the choices.
        """
        result: Value
        if self.kind == "string" and is_number(value):
            result = str(value)
        elif self.kind == "double" and is_number(value):
            result = float(value)
        elif isinstance(value, bool | int | float | str) and type(value) is _KINDS[self.kind]:
            result = value
        else:
            raise self._error(value, f"this is not {_ARTICLES[self.kind]}")
        if isinstance(result, float) and not math.isfinite(result):
            raise self._error(value, "this is not a finite number")
        if not chosen(result, self.choices):
            raise self._error(value, one_of(str(result), self.choices))
        if self.minimum is None or self.maximum is None or isinstance(result, str):
            return result
        if result != self.unset and not self.minimum <= result <= self.maximum:
            raise self._error(value, f"this is outside {self.span()}")
        return result

    def span(self) -> str:
        """The range as text with its unit; empty where there is none."""
        if self.minimum is None or self.maximum is None:
            return self.unit
        text = f"{self.minimum:g} to {self.maximum:g} {self.unit}".rstrip()
        return text if self.unset is None else f"{text}, or {self.unset:g}"

    def _error(self, value: object, problem: str) -> ConfigError:
        return ConfigError(f"the parameter {self.name} cannot be {value!r:.80}", todo=problem)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that a node publishes or subscribes to."""

    name: str
    type: str
    qos: str
    description: str
    requires: str = ""
    """Message package that is used only where it is installed; empty: always there."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A service or an action of a node."""

    name: str
    type: str
    description: str
    requires: str = ""
    """Package of the interface, which is offered only where it is installed; empty: always there."""


@dataclass(frozen=True, slots=True)
class Qos:
    """A named quality of service."""

    name: str
    reliability: Literal["reliable", "best_effort"]
    durability: Literal["volatile", "transient_local"]
    depth: int
    description: str


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of `reactdiff listen` and of the launch file."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Raises ConfigError where the value is not one of the choices, no namespace, or no list of outputs."""
        cannot = f"the argument {self.name} cannot be {value!r:.80}"
        if not chosen(value, self.choices):
            raise ConfigError(cannot, todo=one_of(value, self.choices))
        form = r"/?|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*/?"
        if self.name == "namespace" and (len(value) > LONGEST_NAMESPACE or not re.fullmatch(form, value, re.ASCII)):
            most = f"of at most {LONGEST_NAMESPACE} letters, digits and underscores"
            raise ConfigError(cannot, todo=f"a namespace is made {most}, such as robot1")
        if self.name == "outputs" and value not in ("", "none"):
            from reactdiff_ros.avatar.config import parse_targets  # it is seldom given, and takes its time

            parse_targets(value)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its executable, what starts it, and its whole interface (the common part included)."""

    name: str
    module: str
    when: str
    description: str
    arguments: dict[str, str]
    """Parameter name -> launch argument that sets it."""
    large_messages: bool
    """Publishes pictures: starts with the DDS profile of a larger shared-memory segment."""
    parameters: tuple[Parameter, ...]
    publishers: tuple[Topic, ...]
    subscribers: tuple[Topic, ...]
    services: tuple[Offer, ...]
    actions: tuple[Offer, ...] = ()
    unless: tuple[str, ...] = ()
    """Values of the argument `when` that do not start it."""
    only: tuple[str, ...] = ()
    """The only values that do, if there are any."""

    def configured(self, config: type[_Config], values: Mapping[str, Value]) -> _Config:
        """The settings of a room from the `values` of the parameters with the same names.

        A parameter that is unset is NaN there, and a text of parts with commas between them may be a tuple.

        Raises:
            ConfigError: a value is out of range.
        """
        defaults = {f.name: f.default for f in fields(config)}  # type: ignore[arg-type]
        unset = {p.name for p in self.parameters if p.unset is not None and values[p.name] == p.unset}
        given: dict[str, Any] = {n: float("nan") if n in unset else v for n, v in values.items() if n in defaults}
        for name, value in given.items():
            if isinstance(defaults[name], tuple):
                given[name] = tuple(part.strip() for part in value.split(",") if part.strip())
        return config(**given)

    def parameter(self, name: str) -> Parameter:
        """The named parameter. Raises ConfigError when the node has none of that name."""
        return _named(self.parameters, name, f"{self.name} has no parameter {name}")

    def checked(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Of these `values`, those that the node has parameters for. Errors as `Parameter.checked`."""
        return {p.name: p.checked(values[p.name]) for p in self.parameters if p.name in values}

    def named_by(self, path: str) -> bool:
        """Whether this entry of a parameter file (see `parameter_entries`) is for the node, in some namespace."""
        return path.rpartition("/")[2] in (self.name, "*", "**")

    def topic(self, name: str, direction: Literal["publishers", "subscribers"]) -> Topic:
        """The named topic. Raises ConfigError when the table has none of that name."""
        topics = self.publishers if direction == "publishers" else self.subscribers
        return _named(topics, name, f"{self.name} has no {direction} {name}")

    def wanted(self, arguments: dict[str, str]) -> bool:
        """Whether these launch arguments (see `Table.settled`) start the node."""
        value = arguments.get(self.when, "")
        wanted = value not in ("", "none", "false", *self.unless)
        return self.when == "always" or (wanted and (not self.only or value in self.only))


def _named(items: Iterable[_T], name: str, otherwise: str) -> _T:
    for item in items:
        if item.name == name:
            return item
    raise ConfigError(otherwise, where="config/nodes.json")


@dataclass(frozen=True, slots=True)
class Table:
    """The whole table."""

    nodes: tuple[Node, ...]
    arguments: tuple[Argument, ...]
    qos: dict[str, Qos]

    def node(self, name: str) -> Node:
        """The named node. Raises ConfigError when there is none."""
        return _named(self.nodes, name, f"there is no node {name}")

    def settled(self, arguments: dict[str, str]) -> dict[str, str]:
        """All arguments, the defaults filled in; a clip takes the place of camera and microphone.

        With the camera of a visitor, whose microphone comes with it, a clip plays while there is none. Under simulated
        time the devices of the defaults stay closed: what they give is not of that time.

        Raises:
            ConfigError: an unknown argument, or a value that it cannot have.
        """
        known = {a.name: a for a in self.arguments}
        for name, value in arguments.items():
            if name not in known:
                raise ConfigError(f"there is no argument {name}", todo=one_of(name, known))
            known[name].check(value)
        settled = {a.name: a.default for a in self.arguments} | arguments
        if settled["camera"] == BROWSER:
            settled["microphone"] = arguments.get("microphone", BROWSER)
        elif settled["clip"] not in ("", "none"):
            settled["camera"] = settled["microphone"] = "none"
        if settled["use_sim_time"] == "true":
            for name in ("camera", "microphone"):
                settled[name] = "none" if settled[name] == known[name].default else settled[name]
        return settled


def parameter_entries(content: object, path: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Every entry of the content of a ROS parameter file: ("/NAMESPACE/NODE", values by name).

    Raises:
        ConfigError: it is not of the form NODE: {ros__parameters: {NAME: VALUE}}.
    """
    if not isinstance(content, dict):
        where = f"at {path.strip('/')}: " if path else ""
        raise ConfigError("the parameter file has no node entries", todo=f"{where}write {_FORM}")
    if "ros__parameters" in content:
        values = content["ros__parameters"] or {}
        if not isinstance(values, dict):
            raise ConfigError(f"ros__parameters of {path.strip('/')} are not names and values", todo=f"write {_FORM}")
        yield path, values
    else:
        for key, value in content.items():
            yield from parameter_entries(value, f"{path}/{str(key).strip('/')}")


@lru_cache(maxsize=1)
def load_table() -> Table:
    """The shipped table. Raises ReactdiffError when it is missing, ConfigError when it is not a table of nodes."""
    path = share_path("config/nodes.json")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        qos = {entry["name"]: Qos(**entry) for entry in data["qos"]}
        arguments = tuple(Argument(**e | {"choices": tuple(e.get("choices", ()))}) for e in data["arguments"])
        return Table(tuple(_node(entry, data["common"]) for entry in data["nodes"]), arguments, qos)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("the table of nodes cannot be read", where=str(path), todo=repr(error)) from error


def _node(data: dict[str, Any], common: dict[str, Any]) -> Node:
    kinds: dict[str, Any] = {"parameters": _parameter, "publishers": Topic, "subscribers": Topic, "services": Offer}
    items: dict[str, Any] = {
        name: tuple(kind(**entry) for entry in common[name] + data[name]) for name, kind in kinds.items()
    }
    items["actions"] = tuple(Offer(**entry) for entry in data.get("actions", ()))
    values = {name: tuple(data.get(name, ())) for name in ("unless", "only")}
    return Node(**{"large_messages": False, **data, **items, **values})


def _parameter(type: Kind, min: float | None = None, max: float | None = None, **rest: Any) -> Parameter:
    rest["choices"] = tuple(rest.get("choices", ()))
    return Parameter(kind=type, minimum=min, maximum=max, **rest)
