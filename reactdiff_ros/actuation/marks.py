"""YAML with the line of every key, so that an error can name file, line and key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.plain_yaml import PlainLoader

Key = tuple[str | int, ...]
"""The path of a value: ("joints", "jaw", "limits", "position", 0)."""

MAX_BYTES: Final = 1_000_000
MAX_NODES: Final = 50_000
"""Anchors that are used again and again could make any number of nodes of a small file."""
MAX_DEPTH: Final = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file: at which line and key, what, and what to do."""

    line: int
    key: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, {self.key}: {self.what}" + (f": {self.todo}" if self.todo else "")


class ProfileError(ConfigError):
    """A profile is not usable. `problems` has all that is wrong; the sentence has the first."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path, self.problems = path, sorted(problems, key=lambda p: p.line)
        first = self.problems[0]
        todo = [first.todo] if first.todo else []
        if len(problems) > 1:
            todo.append(f"{len(problems) - 1} more: reactdiff robot check {path}")
        super().__init__(f"{first.key}: {first.what}", where=f"{path}, line {first.line}", todo="; ".join(todo))


@dataclass(slots=True)
class Marked:
    """The content of a YAML file as Python values, and the line (from 1) of every key and item."""

    path: str
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


def read_marked(path: Path, what: str = "the profile") -> Marked:
    """Read a YAML file of mappings, lists and scalars; anchors and merge keys (`<<`) are allowed, tags are not.

    `what` names the file in the sentences.

    Raises:
        ConfigError: the file cannot be read.
        ProfileError: it is not YAML, or a key is given twice.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{what} cannot be read", where=str(path), todo=str(error.strerror)) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{what} is larger than 1 MB", where=str(path), todo="is it the right file?")
    marked = Marked(str(path))
    try:
        loader = PlainLoader(raw.decode("utf-8"))
        try:
            node = loader.get_single_node()
            if node is not None:
                marked.data = _Builder(marked, loader).build(node, (), 0)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise ProfileError(str(path), [Problem(1, "the file", "is not UTF-8 text")]) from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or " ".join(str(error).split()) or "is nested too deeply"
        line = mark.line + 1 if mark is not None else 1
        raise ProfileError(str(path), [Problem(line, "the file", f"is not a YAML file: {problem}")]) from error
    return marked


class _Builder:
    """Python values of composed nodes, with their lines."""

    def __init__(self, marked: Marked, loader: PlainLoader) -> None:
        self._marked, self._loader, self._count = marked, loader, 0

    def build(self, node: yaml.Node, key: Key, depth: int) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        self._marked.lines.setdefault(key, line)
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            raise self._error(line, key, "anchors make the file too large or too deep")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*key, i), depth + 1) for i, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.MarkedYAMLError as error:
            raise self._error(line, key, str(error.problem)) from error

    def _mapping(self, node: yaml.MappingNode, key: Key, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own: set[str] = set()
        merged: list[yaml.Node] = []
        for name_node, value in node.value:
            if name_node.tag == "tag:yaml.org,2002:merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            name = str(name_node.value)
            line = name_node.start_mark.line + 1
            if name in own:
                raise self._error(line, (*key, name), "is given twice")
            own.add(name)
            self._marked.lines[(*key, name)] = line
            result[name] = self.build(value, (*key, name), depth + 1)
        for other in merged:
            if not isinstance(other, yaml.MappingNode):
                raise self._error(node.start_mark.line + 1, key, "<< takes names and values")
            values = self.build(other, (), depth + 1) if other is not node else {}
            for name, content in values.items():
                if name not in result:
                    result[name] = content
                    self._marked.lines[(*key, name)] = node.start_mark.line + 1
        return result

    def _error(self, line: int, key: Key, what: str) -> ProfileError:
        return ProfileError(self._marked.path, [Problem(line, ".".join(map(str, key)) or "the file", what)])
