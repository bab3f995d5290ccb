"""What was tried for bounds, missed or held by now: a small file written by hand beside evidence.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.evidence.bounds import BOUNDS

TRIED: Final = "tried.json"


@dataclass(frozen=True, slots=True)
class Try:
    """One thing that was tried for a bound."""

    what: str
    gave: str


Tries = Mapping[str, Sequence[Try]]
"""By the name of the bound."""


def read_tried(path: Path) -> Tries:
    """The file's content, {bound's name: [{"what", "gave"}]}; nothing where there is no file.

    Raises:
        ReactdiffError: it is no such file, or names no bound.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        tries = {name: [Try(**row) for row in rows] for name, rows in found.items()}
        sound = all(isinstance(text, str) for rows in tries.values() for row in rows for text in (row.what, row.gave))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _unread(path) from error
    if not sound:
        raise _unread(path)
    unknown = set(tries) - {bound.name for bound in BOUNDS}
    if unknown:
        raise ReactdiffError(
            f"what was tried is told of no bound: {', '.join(sorted(unknown))}", where=str(path),
            todo="name it as the page of the evidence does",
        )  # fmt: skip
    return tries


def _unread(path: Path) -> ReactdiffError:
    return ReactdiffError(
        "what was tried cannot be read", where=str(path), todo='write {"BOUND": [{"what": "...", "gave": "..."}]}'
    )
