"""A piece of an evaluation that any process can do: what is to be done, with which settings, on which files."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros import __version__
from reactdiff_ros.errors import ReactdiffError

FORMAT: Final = 1
"""Of kept parts: another one makes them anew."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work. It is plain data, so that it reaches a process on any machine that has the package."""

    name: str
    """Unique in its run; the name of the file that keeps its result."""
    make: str
    """"module:function"; called with `arguments`, it returns a `Made`."""
    arguments: Mapping[str, Any]
    """JSON values only: together with `files` they say whether a kept result still counts."""
    files: tuple[str, ...] = ()
    """Inputs; one that changed makes the part anew."""

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as plain JSON: names and values, and size and time of every file."""
        files = {name: _stamp(Path(name)) for name in self.files}
        told = {"make": self.make, **self.arguments, "files": files, "version": __version__, "format": FORMAT}
        return dict(json.loads(json.dumps(told, sort_keys=True)))


@dataclass(frozen=True, slots=True)
class Made:
    """The result of a part."""

    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What went wrong without ending it, a sentence each."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A part that did not work."""

    sentence: str


def do(part: Part) -> Made | Failure:
    """Do the work. Whatever goes wrong in one part is a sentence: the others are worth having."""
    try:
        module, _, name = part.make.partition(":")
        made = getattr(importlib.import_module(module), name)(**part.arguments)
        if not isinstance(made, Made):
            raise TypeError(f"{part.make} returned {type(made).__name__}")
        return made
    except ReactdiffError as error:
        return Failure(str(error))
    except ModuleNotFoundError as error:
        return Failure(f"a package is not installed where this part ran ({error.name})")
    except Exception as error:
        return Failure(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def digest(settings: Mapping[str, Any]) -> str:
    """A short name of settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings, and of the files, that differ."""
    names = [n for n in sorted({*before, *now}) if n != "files" and before.get(n) != now.get(n)]
    old, new = before.get("files") or {}, now.get("files") or {}
    return [*names, *(Path(n).name for n in sorted({*old, *new}) if old.get(n) != new.get(n))]


def _stamp(path: Path) -> list[int] | None:
    """Size and time of a file, or of all files of a folder together; None where there is nothing."""
    try:
        if path.is_dir():
            found = [p.stat() for p in sorted(path.rglob("*")) if p.is_file()]
            return [len(found), sum(s.st_size for s in found), max((s.st_mtime_ns for s in found), default=0)]
        known = path.stat()
        return [1, known.st_size, known.st_mtime_ns]
    except OSError:
        return None


def plain(values: NDArray[Any]) -> list[Any]:
    """An array as JSON values, NaN as None."""
    listed = np.asarray(values).tolist()
    return [None if isinstance(v, float) and v != v else v for v in listed]
