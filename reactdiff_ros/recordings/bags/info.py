"""What a bag holds, what replay would use of it, and what is odd about it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.recordings.studies.study import study_of

SAMPLE: Final = 60
"""So many pictures and sounds are decoded to see whether they can be."""


def describe(
    path: Path, picture: str = "", sound: str = "", *, check: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """All about the bag at `path`, for JSON.

    Args:
        path: rosbag2 folder or a single file of one.
        picture: the speaker camera's topic; "" = found by type.
        sound: the microphone's topic, likewise.
        check: decode every picture and sound, not the first ones alone.
        progress: told the share done, 0..1.

    Returns:
        bag, storage, messages, start_ns, duration_s (both by receive time), topics (name, type, messages, rate_hz,
        start_s, duration_s), replay (picture, sound, start_ns, duration_s; null where replay would refuse), study
        (null: none), notes.

    Raises:
        MediaError: the bag cannot be read at all.
    """
    files = BagFiles(path)
    spans = _spans(files, progress)
    start_ns = min((first for _, first, _ in spans.values()), default=0)
    end_ns = max((last for _, _, last in spans.values()), default=0)
    study = study_of(files.custom_data)
    replay, notes = _replay(files, path, picture, sound, check)
    return {
        "bag": str(path),
        "storage": files.storage,
        "messages": sum(count for count, _, _ in spans.values()),
        "start_ns": start_ns,
        "duration_s": (end_ns - start_ns) / NS,
        "topics": [
            {"name": t.name, "type": t.kind, **_span(spans.get(t.name), start_ns)} for t in files.topics.values()
        ],
        "replay": replay,
        "study": study.as_dict() if study else None,
        "notes": notes,
    }


def _spans(files: BagFiles, progress: Callable[[float], None]) -> dict[str, tuple[int, int, int]]:
    """Topic -> (messages, first, last receive time) of what can really be read."""
    spans: dict[str, tuple[int, int, int]] = {}
    total = max(1, files.message_count)
    for i, (topic, at, _) in enumerate(files.records(set(files.topics))):
        count, first, last = spans.get(topic, (0, at, at))
        spans[topic] = (count + 1, min(first, at), max(last, at))
        progress((i + 1) / total)
    return spans


def _span(span: tuple[int, int, int] | None, start_ns: int) -> dict[str, Any]:
    if span is None:
        return {"messages": 0, "rate_hz": None, "start_s": None, "duration_s": None}
    count, first, last = span
    seconds = (last - first) / NS
    return {
        "messages": count,
        "rate_hz": (count - 1) / seconds if seconds else None,
        "start_s": (first - start_ns) / NS,
        "duration_s": seconds,
    }


def _replay(
    files: BagFiles, path: Path, picture: str, sound: str, check: bool
) -> tuple[dict[str, Any] | None, list[str]]:  # fmt: skip
    try:
        source = BagSource(path, picture, sound)
        for _ in islice(source.pictures_and_sound(), None if check else SAMPLE):
            pass
    except MediaError as error:
        return None, [*_file_notes(files), f"replay would refuse it: {error}"]
    used = {
        "picture": source.picture_topic,
        "sound": source.sound_topic,
        "start_ns": source.start_ns,
        "duration_s": source.duration_s,
    }
    return used, source.notes


def _file_notes(files: BagFiles) -> list[str]:
    cut = [f"the bag ends in the middle ({files.cut_short}): what comes before is read"] if files.cut_short else []
    return [*files.notes, *cut]
