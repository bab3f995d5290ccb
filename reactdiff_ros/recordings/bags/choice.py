"""Which topics of a bag are the speaker's picture and sound: by name where one is given, else by type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.bags.interfaces import BYTES, BYTES_STAMPED, CHUNK, COMPRESSED, RAW, SAMPLES_STAMPED
from reactdiff_ros.recordings.bags.storage import Topic

NONE: Final = "none"
"""As a topic's name: leave this kind out."""
PICTURES: Final = (COMPRESSED, RAW)
# A node of ros-drivers tells the same sound twice, stamped and not.
SOUNDS: Final = (CHUNK, SAMPLES_STAMPED, BYTES_STAMPED, BYTES)
_SUFFIX = "/compressed"
_OTHER_SENSORS = ("depth", "infra", "thermal")


@dataclass(frozen=True, slots=True)
class Choice:
    """The topics that are used; None: there is none, or it was asked to be left out."""

    picture: Topic | None
    sound: Topic | None
    notes: tuple[str, ...] = ()
    """What was left out and why."""


def choose(topics: Mapping[str, Topic], path: Path, picture: str = "", sound: str = "") -> Choice:
    """The topics to be used.

    Args:
        topics: of the bag, by name.
        path: of the bag, for messages.
        picture: a topic's name, "" = found by type, "none" = without.
        sound: likewise.

    Raises:
        MediaError: a named topic is not there or of another type; two cameras or two microphones, of which none is
            named; or neither pictures nor sound.
    """
    notes: list[str] = []
    found_picture = _named(topics, path, picture, PICTURES, "pictures") if picture else _camera(topics, path, notes)
    found_sound = _named(topics, path, sound, SOUNDS, "sound") if sound else _microphone(topics, path, notes)
    if found_picture is None and found_sound is None:
        what = _list(topics) or "no topics at all"
        raise MediaError(
            f"the bag has no pictures and no sound: it has {what}", where=str(path),
            todo=f"record a topic of {COMPRESSED} or {RAW}, and one of {CHUNK}",
        )  # fmt: skip
    return Choice(found_picture, found_sound, tuple(notes))


def _named(
    topics: Mapping[str, Topic], path: Path, name: str, kinds: tuple[str, ...], what: str
) -> Topic | None:  # fmt: skip
    if name == NONE:
        return None
    full = name if name.startswith("/") else f"/{name}"
    topic = topics.get(full) or topics.get(full + _SUFFIX)
    if topic is None:
        have = ", ".join(t.name for t in topics.values() if t.kind in kinds) or "none"
        raise MediaError(f"the bag has no topic {full}", where=str(path), todo=f"its topics of {what}: {have}")
    if topic.kind not in kinds:
        raise MediaError(f"{topic.name} is {topic.kind}, which is no {what}", where=str(path))
    return topic


def _camera(topics: Mapping[str, Topic], path: Path, notes: list[str]) -> Topic | None:
    cameras: dict[str, Topic] = {}
    for kind in PICTURES:  # compressed pictures go before raw ones: a graph that records both has the same twice
        for topic in topics.values():
            if topic.kind == kind and _usable(topic, notes):
                cameras.setdefault(topic.name.removesuffix(_SUFFIX), topic)
    return _one(list(cameras.values()), path, "cameras", "--picture")


def _usable(topic: Topic, notes: list[str]) -> bool:
    if not topic.count:
        notes.append(f"{topic.name} has no messages")
        return False
    if any(word in topic.name.lower() for word in _OTHER_SENSORS):
        notes.append(f"{topic.name} is left out: by its name it is no colour picture")
        return False
    return True


def _microphone(topics: Mapping[str, Topic], path: Path, notes: list[str]) -> Topic | None:
    for kind in SOUNDS:
        of_kind = [t for t in topics.values() if t.kind == kind and t.count]
        if of_kind:
            found = _one(of_kind, path, "microphones", "--sound")
            others = [t.name for t in topics.values() if t.kind in SOUNDS and t is not found]
            if others and found:
                notes.append(f"the sound is taken from {found.name}; left out: {', '.join(others)}")
            return found
    return None


def _one(found: list[Topic], path: Path, what: str, option: str) -> Topic | None:
    if len(found) > 1:
        names = ", ".join(t.name for t in found)
        raise MediaError(f"the bag has several {what}: {names}", where=str(path), todo=f"name one with {option}")
    return found[0] if found else None


def _list(topics: Mapping[str, Topic], most: int = 8) -> str:
    names = [f"{t.name} ({t.kind})" for t in topics.values()]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
