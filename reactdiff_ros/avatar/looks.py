"""Looks of the drawn face: small JSON files that a designer edits, checked key by key.

Enters: a file, or a look's name. Leaves: what the file holds. page/looks/keys.json has every key with its default, its
range and its meaning.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ConfigError, one_of
from reactdiff_ros.settings import is_number

PAGE: Final = Path(__file__).with_name("page")
"""The files of the pages."""
SUFFIX: Final = ".json"
_MOST_BYTES: Final = 64 * 1024
_COLOUR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def shipped(name: str) -> Path:
    """The file of a look of this package; `keys` has all keys."""
    return PAGE / "looks" / (name + SUFFIX)


@cache
def keys() -> dict[str, dict[str, list[Any]]]:
    """[default, meaning] of each switch and colour, [default, least, most, meaning] of each number, by part and key."""
    found: dict[str, dict[str, list[Any]]] = json.loads(shipped("keys").read_text(encoding="utf-8"))
    return found


def read_look(path: Path) -> dict[str, dict[str, Any]]:
    """What a look's file holds. Raises ConfigError with file, line and key for the first thing that is wrong."""
    try:
        raw = path.read_bytes()
        if len(raw) > _MOST_BYTES:
            raise ConfigError("a look has at most 64 kB", where=str(path), todo="give a look's file")
        text = raw.decode()
        look = json.loads(text)
    except OSError as error:
        raise ConfigError("the look cannot be read", where=str(path), todo=f"{error.strerror}".lower()) from error
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}"
        raise ConfigError("the look is not JSON", where=where, todo=error.msg.lower()) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("the look is not JSON", where=str(path), todo="give UTF-8 text") from error
    for part, key, problem, todo in _problems(look):
        where = ", ".join(filter(None, [str(path), _line(text, part, key), ".".join(filter(None, [part, key]))]))
        raise ConfigError(problem, where=where, todo=todo)
    return dict(look)


def _line(text: str, part: str, key: str) -> str:
    """Where that key is."""
    at = 0
    for name in filter(None, [part, key]):
        found = re.compile(rf"{re.escape(json.dumps(name))}\s*:").search(text, at)
        at = found.start() if found else at
    return f"line {text.count(chr(10), 0, at) + 1}" if part else ""


def _problems(look: Any) -> Any:
    """(part, key, what is wrong, what to do) of each thing that is wrong."""
    if not isinstance(look, dict):
        yield "", "", "a look is an object of parts", 'write {"eye": {"width": 60}, ...}'
        return
    for part, entries in look.items():
        if part not in keys():
            yield part, "", f"a look has no part {part!r}", one_of(part, keys())
        elif not isinstance(entries, dict):
            yield part, "", f"the part {part} is not an object", "write its keys in braces"
        else:
            for key, value in entries.items():
                if key not in keys()[part]:
                    yield part, key, f"the part {part} has no key {key!r}", one_of(key, keys()[part])
                elif todo := _wanted(value, keys()[part][key]):
                    yield part, key, f"{key} cannot be {value!r:.40}", todo


def _wanted(value: Any, entry: list[Any]) -> str:
    """What to give instead of `value`; empty: it is right."""
    default = entry[0]
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "give true or false"
    if isinstance(default, str):
        right = isinstance(value, str) and _COLOUR.fullmatch(value)
        return "" if right else "give a colour such as #3fbfae"
    least, most = entry[1:3]
    return "" if is_number(value) and least <= value <= most else f"give a number from {least:g} to {most:g}"
