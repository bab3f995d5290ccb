"""YAML from outside: plain values alone, and whatever is wrong with it is one kind of error.

`parse_yaml` gives values; `read_marked` also the line of every key, so that an error can name file, line and key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.errors import ConfigError, explained, shortened

MAX_BYTES: Final = 4_000_000
"""No file of ours comes near it."""
MAX_FILE_BYTES: Final = 1_000_000
MAX_NODES: Final = 50_000
"""Anchors that are used again and again could make any number of nodes of a small file."""
MAX_DEPTH: Final = 20
_INT: Final = "tag:yaml.org,2002:int"
MERGE: Final = "tag:yaml.org,2002:merge"


class PlainLoader(yaml.SafeLoader):
    """PyYAML's own, in which a value that cannot be is a YAML error with a line, a whole number beyond 64 bits too."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. Raises yaml.MarkedYAMLError."""
        problem = "is not a whole number of at most 64 bits"
        try:
            value = super().construct_object(node, deep)
            if not isinstance(value, int) or -(2**63) <= value < 2**63:
                return value
            error: Exception | None = None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as caught:
            error = caught
            if node.tag != _INT:
                problem = f"is not a valid {node.tag.rpartition(':')[2]}: {' '.join(str(caught).split())}"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark) from error


def parse_yaml(text: str) -> Any:
    """The values of a YAML text: mappings, lists, scalars, dates; no objects.

    `yaml.safe_load` itself lets other errors through: of a date that cannot be, of a text that is nested too deeply;
    and whole numbers of any length, which Python cannot turn into a float.

    Raises:
        yaml.YAMLError: it is no YAML, larger than MAX_BYTES, or holds values that cannot be.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        loader = PlainLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, OverflowError) as error:  # of a character that cannot be
        raise yaml.YAMLError(" ".join(str(error).split())) from error


Key = tuple[str | int, ...]
"""The path of a value: ("joints", "jaw", "limits", "position", 0)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file: at which line and key, what, and what to do."""

    line: int
    key: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return shortened(f"line {self.line}, {self.key}: {self.what}") + (f": {self.todo}" if self.todo else "")


class ProblemsError(ConfigError):
    """A file is not usable. `problems` has all that is wrong; the sentence has the first, `command` shows the rest."""

    def __init__(self, path: str | Path, problems: list[Problem], command: str) -> None:
        self.path, self.problems = path, sorted(problems, key=lambda p: p.line)
        first = self.problems[0]
        todo = [first.todo] if first.todo else []
        if len(problems) > 1:
            todo.append(f"{len(problems) - 1} more: {command}")
        super().__init__(f"{first.key}: {first.what}", where=f"{path}, line {first.line}", todo="; ".join(todo))


@dataclass(slots=True)
class Marked:
    """The content of a YAML file as Python values, and the line (from 1) of every key and item."""

    path: Path
    command: str
    """What shows all problems of the file."""
    data: Any = None
    lines: dict[Key, int] = field(default_factory=dict)

    def line(self, key: Key) -> int:
        """The line of `key`, or of what it belongs to where it is missing."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def problem(self, key: Key, what: str, todo: str = "") -> Problem:
        """A problem at `key`."""
        return Problem(self.line(key), ".".join(map(str, key)) or "the file", what, todo)

    def fails(self, *problems: Problem) -> ProblemsError:
        """The error for these problems."""
        return ProblemsError(self.path, list(problems), self.command)


def read_marked(path: Path, what: str, command: str) -> Marked:
    """Read a YAML file of mappings, lists and scalars; anchors and merge keys (`<<`) are allowed, tags are not.

    Args:
        path: the file.
        what: what it is called in sentences.
        command: what shows all problems of the file.

    Raises:
        ConfigError: the file cannot be read.
        ProblemsError: it is not YAML, or a key is given twice.
    """
    with explained(OSError, f"{what} cannot be read", where=path, error=ConfigError), path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{what} is larger than 1 MB", where=str(path), todo="is it the right file?")
    marked = Marked(path, command)
    try:
        loader = PlainLoader(raw.decode("utf-8"))
        try:
            node = loader.get_single_node()
            if node is not None:
                marked.data = _Builder(marked, loader).build(node, (), 0)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise marked.fails(Problem(1, "the file", "is not UTF-8 text")) from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or " ".join(str(error).split()) or "is nested too deeply"
        line = mark.line + 1 if mark is not None else 1
        raise marked.fails(Problem(line, "the file", f"is not a YAML file: {problem}")) from error
    return marked


class _Builder:
    """Python values of composed nodes, with their lines."""

    def __init__(self, marked: Marked, loader: PlainLoader) -> None:
        self._marked, self._loader, self._count = marked, loader, 0
        self._flat: set[int] = set()
        """Mappings, by id, whose merge keys were resolved: an anchor is met again."""

    def build(self, node: yaml.Node, key: Key, depth: int) -> Any:
        self._count += 1
        self._marked.lines.setdefault(key, node.start_mark.line + 1)
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            raise self._marked.fails(self._marked.problem(key, "anchors make the file too large or too deep"))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*key, i), depth + 1) for i, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.MarkedYAMLError as error:
            raise self._marked.fails(self._marked.problem(key, str(error.problem))) from error

    def _mapping(self, node: yaml.MappingNode, key: Key, depth: int) -> dict[str, Any]:
        if id(node) not in self._flat:
            self._flat.add(id(node))
            own: set[str] = set()
            for name_node, _ in node.value:
                name = str(name_node.value)
                if name in own and name_node.tag != MERGE:
                    self._marked.lines[(*key, name)] = name_node.start_mark.line + 1
                    raise self._marked.fails(self._marked.problem((*key, name), "is given twice"))
                own.add(name)
            self._loader.flatten_mapping(node)  # what is merged comes first, so that the mapping's own keys win
        result: dict[str, Any] = {}
        for name_node, value in node.value:
            name = str(name_node.value)
            self._marked.lines[(*key, name)] = name_node.start_mark.line + 1
            result[name] = self.build(value, (*key, name), depth + 1)
        return result
