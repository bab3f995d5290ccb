"""Labels of recordings of expressions, as their files' names have them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from reactdiff_ros.errors import ReactdiffError, explained
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
