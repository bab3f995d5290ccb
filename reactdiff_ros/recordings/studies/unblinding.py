"""Bags of a blind study, opened with its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.recordings.bags.storage import BagFiles, entries, is_bag
from reactdiff_ros.recordings.studies.blinding import Key, Opened
from reactdiff_ros.recordings.studies.study import study_of


def sealed_bags(paths: Iterable[Path]) -> Iterator[Path]:
    """The bags among `paths` and below their folders, by name.

    Raises:
        MediaError: a folder may not be looked into.
    """
    for path in paths:
        if is_bag(path) or not path.is_dir():
            yield path
        else:
            yield from sealed_bags(p for p in entries(path) if p.is_dir() or is_bag(p))


def opened(bag: Path, key: Key) -> Opened | str:
    """What a bag's session ran, or the sentence why that cannot be told."""
    try:
        study = study_of(BagFiles(bag).custom_data)
        if study is None or not study.seal:
            return "it is no recording of a blind session"
        return key.open(study.study, study.session_id, study.seal)
    except ReactdiffError as error:
        return str(error)
