"""Labels of recordings of expressions: as their files' names have them, or a table."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from reactdiff_ros.errors import ConfigError, ReactdiffError, explained
from reactdiff_ros.perception.expression import CRYING
from reactdiff_ros.types import EXPRESSION_CLASSES

VIDEOS: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm")
LABELS: Final[dict[str, str]] = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "surprised": "surprise", "sadness": "sad",
    "happiness": "happy", "joy": "happy", "calm": "neutral", **{name: name for name in EXPRESSION_CLASSES},
}  # fmt: skip
"""Words in a file's name, and the class that each stands for."""
_SUFFIX: Final = re.compile(r"_(level_?\d+|\d+s?|take_?\d+)$")
_PERSON: Final = re.compile(r"(?<![a-z])[mwf]\d{2,4}(?!\d)|actor_?\d+")


class Named(NamedTuple):
    """What a file's name says: whose face it is, the class of the expression, and the word for it."""

    person: str
    label: str
    word: str


def label_of(path: Path) -> Named | None:
    """`PERSON_LABEL.mp4`, with or without a level and a take behind it (w009_angry_level3_001.mp4).

    The person is a code such as w009, else all that comes before the label. None without a known label.
    """
    stem = path.stem.lower()
    while (shorter := _SUFFIX.sub("", stem)) != stem:
        stem = shorter
    before, _, word = stem.rpartition("_")
    if word not in LABELS:
        return None
    code = _PERSON.search(stem)
    return Named(code.group() if code else before, LABELS[word], word)


def labelled(folder: Path) -> dict[Path, Named]:
    """The labelled recordings of a folder, in the order of their names.

    Raises:
        ReactdiffError: the folder cannot be read, or there are none.
    """
    with explained(OSError, "the folder cannot be read", where=folder):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    found = {path: named for path in files if (named := label_of(path))}
    if not found:
        raise ReactdiffError(
            "there is no labelled clip", where=str(folder), todo="name files PERSON_LABEL.mp4, such as w009_angry.mp4"
        )
    return found


SHOWN: Final = (*EXPRESSION_CLASSES, CRYING)
"""What a span can show."""
COLUMNS: Final = ("repository", "commit", "path", "person", "label", "begin_s", "end_s")


class Span(NamedTuple):
    """Part of a public recording, or all of it, in which someone shows one expression.

    `repository` (owner/name on GitHub) has the recording as `path` in `commit`; `begin_s` and `end_s` count from its
    first picture; `label` is one of SHOWN.
    """

    repository: str
    commit: str
    path: str
    person: str
    label: str
    begin_s: float
    end_s: float

    def file(self, folder: Path) -> Path:
        """Where the recording lies in a folder of recordings."""
        return folder / self.repository / self.path

    @property
    def whole(self) -> bool:
        """All of the recording shows the expression."""
        return self.begin_s == 0.0 and math.isinf(self.end_s)


def read_spans(table: Path) -> list[Span]:
    """The rows of a table (CSV) with COLUMNS; an empty time is the beginning or the end of the recording.

    Raises:
        ConfigError: the table cannot be read, lacks a column, or a row has a wrong label, time or path.
    """
    with (
        explained(OSError, "the table cannot be read", where=table, error=ConfigError),
        table.open(encoding="utf-8", newline="") as file,
    ):
        rows = csv.DictReader(file)
        try:
            if set(COLUMNS) - set(rows.fieldnames or ()):
                raise ConfigError(f"the table needs the columns {', '.join(COLUMNS)}", where=str(table))
            return [_span(row) for row in rows]
        except (ValueError, csv.Error) as error:
            raise ConfigError(str(error), where=f"{table}, line {rows.line_num}") from error


def _span(row: Mapping[str, str | None]) -> Span:
    repository, commit, path, person, label, begin, end = ((row[name] or "").strip() for name in COLUMNS)
    span = Span(repository, commit, path, person, label, float(begin or 0.0), float(end or math.inf))
    if label not in SHOWN:
        raise ValueError(f"the label {label!r} is none of {', '.join(SHOWN)}")
    if not 0.0 <= span.begin_s < span.end_s:
        raise ValueError("begin_s must be at least 0 and less than end_s")
    if not (repository and path and person) or {"..", ""} & {*repository.split("/"), *path.split("/")}:
        raise ValueError("repository, path (inside it) and person are required")
    return span
