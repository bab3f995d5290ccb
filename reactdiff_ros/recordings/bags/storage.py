"""The files of a rosbag2 recording, opened read-only; what their metadata say about a study; which topics are used."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from reactdiff_ros.errors import MediaError, explained
from reactdiff_ros.recordings.bags.interfaces import (
    BYTES,
    BYTES_STAMPED,
    CHUNK,
    COMPRESSED,
    RAW,
    SAMPLES_STAMPED,
    deserializer,
)

SUFFIXES: Final = (".mcap", ".db3")
_UNLISTED: Final = "the folder cannot be read"
LATEST_NS: Final = 1 << 62
"""A receive time beyond this (the year 2116) is damage; so sums of times stay in 64 bits."""


class Record(NamedTuple):
    """One message as it lies in the bag."""

    topic: str
    received_ns: int
    raw: bytes
    """CDR with its encapsulation header."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of a bag."""

    name: str
    kind: str
    """"package/msg/Type"."""
    count: int
    """Messages, by the bag's own index."""
    definition: str = ""
    idl: bool = False

    def reader(self) -> Callable[[bytes], Any]:
        """Reads its messages. Errors as `interfaces.deserializer`."""
        return deserializer(self.kind, self.definition, self.idl)


def is_bag(path: Path) -> bool:
    """A folder with metadata.yaml or with storage files, or a single .mcap or .db3 file.

    Raises:
        MediaError: the folder cannot be listed.
    """
    path = _folder_of(path)
    if path.is_dir():
        return any(p.name == "metadata.yaml" or p.suffix in SUFFIXES for p in entries(path) if p.is_file())
    return path.is_file() and path.suffix in SUFFIXES


def entries(folder: Path) -> list[Path]:
    """The contents of a folder, sorted by name. Raises MediaError: the folder cannot be listed."""
    with explained(OSError, _UNLISTED, where=folder, error=MediaError):
        return sorted(folder.iterdir())


def _folder_of(path: Path) -> Path:
    """The folder with the files: `path`, or the folder in it that an unfinished `BagWriter` wrote to."""
    with explained(OSError, _UNLISTED, where=path, error=MediaError):
        unfinished = path / "recording"
        return unfinished if unfinished.is_dir() and not (path / "metadata.yaml").exists() else path


class BagFiles:
    """A recording's files.

    Raises:
        MediaError: there is no such bag, it is empty, or it cannot be read.
        ModuleNotFoundError: `rosbags` is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = _folder_of(Path(path))
        self.cut_short = ""
        """Why reading ended before the end of the bag; empty: it did not."""
        self._check_path()
        with self._reader() as reader:
            self.topics = _topics(reader.connections)
            """By name."""
            self.message_count = sum(t.count for t in self.topics.values())
            self.custom_data = {str(k): str(v) for k, v in (reader.storage.metadata.custom or {}).items()}
            self.storage = "mcap" if any(f.suffix == ".mcap" for f in self._files()) else "sqlite3"

    def _files(self) -> list[Path]:
        return [p for p in entries(self.path) if p.suffix in SUFFIXES] if self.path.is_dir() else [self.path]

    def _check_path(self) -> None:
        path = self.path
        if not path.exists():
            raise MediaError("there is no such bag", where=str(path), todo="check the path")
        if path.suffix == ".bag" and path.is_file():
            todo = "convert it with 'rosbags-convert --src IN.bag --dst OUT'"
            raise MediaError("this is a ROS 1 bag", where=str(path), todo=todo)
        if not is_bag(path):
            todo = "give the recording's folder, or its .mcap or .db3 file"
            raise MediaError("this is not a rosbag2 recording", where=str(path), todo=todo)
        files = self._files()
        if files and all(f.stat().st_size == 0 for f in files):
            raise MediaError("the bag is empty: its file has no bytes", where=str(path), todo="record it again")

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """The messages of `topics` in the order in which they were received, read as they are asked for.

        Damage ends the reading; `cut_short` then says why.
        """
        with self._reader() as reader:
            wanted = [c for c in reader.connections if c.topic in topics]
            found = reader.messages(wanted) if wanted else iter(())
            try:
                for connection, received_ns, raw in found:
                    yield Record(connection.topic, min(int(received_ns), LATEST_NS), bytes(raw))
            except Exception as error:  # damaged files make the readers raise anything
                self.cut_short = _first_line(error)

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        from rosbags.rosbag2 import Reader

        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:
            todo = "copy it again; 'ros2 bag reindex' restores metadata.yaml, 'mcap recover' a file without its end, "
            todo += "sqlite3's .recover a database"
            raise MediaError(
                f"the bag cannot be read ({_first_line(error)})", where=str(self.path), todo=todo
            ) from error
        try:
            yield reader
        finally:
            with suppress(Exception):
                reader.close()


def _topics(connections: list[Any]) -> dict[str, Topic]:
    from rosbags.interfaces import MessageDefinitionFormat

    found: dict[str, Topic] = {}
    for c in sorted(connections, key=lambda c: c.topic):
        known = found.get(c.topic)
        definition = c.msgdef.data or (known.definition if known else "")
        count = c.msgcount + (known.count if known else 0)
        found[c.topic] = Topic(c.topic, c.msgtype, count, definition, c.msgdef.format == MessageDefinitionFormat.IDL)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".") or type(error).__name__


# ---- The study that a bag belongs to, in `custom_data` of its metadata (ROS 2 jazzy and newer)


PREFIX: Final = "reactdiff."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """A moment that the experimenter marked."""

    stamp_ns: int
    name: str
    """What happened: "condition B begins"."""


@dataclass(frozen=True, slots=True)
class Study:
    """One session of a study, or one run of a replay.

    Every value is a string in the bag: numbers and lists are JSON. A key that another program added is left alone.
    """

    session_id: str
    consent: bool | None = None
    """The person agreed to be recorded; None: unknown."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What was set, by "node.parameter"."""
    weights: str = ""
    """SHA-256 of the model's weights; empty: no model."""
    seed: int | None = None
    events: tuple[Event, ...] = ()
    study: str = ""
    """Name of the study whose condition was hidden; empty: nothing was."""
    seal: str = ""
    """Random text for that condition; the key of the study opens it (`recordings.blinding`)."""

    def to_custom_data(self) -> dict[str, str]:
        """The strings that the bag keeps; the same study gives the same strings."""
        values = {
            "session_id": self.session_id,
            "consent": "" if self.consent is None else json.dumps(self.consent),
            "parameters": json.dumps(dict(self.parameters), sort_keys=True, ensure_ascii=False, default=str),
            "weights": self.weights,
            "seed": "" if self.seed is None else str(self.seed),
            "events": json.dumps([[e.stamp_ns, e.name] for e in self.events], ensure_ascii=False),
        }
        if self.seal:
            values |= {"study": self.study, "seal": self.seal}
        return {PREFIX + name: value for name, value in values.items()}


def study_of(custom_data: Mapping[str, Any]) -> Study | None:
    """The study that a bag's custom data describe; None where there is none. What cannot be read is left out."""
    values = {key[len(PREFIX) :]: str(value) for key, value in custom_data.items() if str(key).startswith(PREFIX)}
    if "session_id" not in values:
        return None

    def of(name: str, kind: type[T], missing: T) -> T:
        try:
            found = json.loads(values.get(name, ""))
        except (ValueError, RecursionError):
            return missing
        return found if type(found) is kind else missing

    events = [e for e in of("events", list, []) if isinstance(e, list) and len(e) == 2 and isinstance(e[0], int)]
    return Study(
        session_id=values["session_id"],
        consent=of("consent", bool, None),
        parameters=of("parameters", dict, {}),
        weights=values.get("weights", ""),
        seed=of("seed", int, None),
        events=tuple(Event(int(stamp_ns), str(name)) for stamp_ns, name in events),
        study=values.get("study", ""),
        seal=values.get("seal", ""),
    )


# ---- Which topics of a bag are the speaker's picture and sound: by name where one is given, else by type.


NONE: Final = "none"
"""As a topic's name: leave this kind out."""
PICTURES: Final = (COMPRESSED, RAW)
# A node of ros-drivers publishes the same sound twice, with and without stamps.
SOUNDS: Final = (CHUNK, SAMPLES_STAMPED, BYTES_STAMPED, BYTES)
_SUFFIX = "/compressed"
_OTHER_SENSORS = ("depth", "infra", "thermal")
SHOWN: Final = 8
"""Topics that an error lists."""


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
        names = [f"{t.name} ({t.kind})" for t in topics.values()]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        what = f"the bag has no pictures and no sound: it has {', '.join(names[:SHOWN]) or 'no topics at all'}{more}"
        raise MediaError(what, where=str(path), todo=f"record a topic of {COMPRESSED} or {RAW}, and one of {CHUNK}")
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
    return _one(list(cameras.values()), path, "cameras", "--camera-topic")


def _usable(topic: Topic, notes: list[str]) -> bool:
    if not topic.count:
        notes.append(f"{topic.name} has no messages")
        return False
    if any(word in topic.name.lower() for word in _OTHER_SENSORS):
        notes.append(f"{topic.name} is left out: by its name it is not a colour picture")
        return False
    return True


def _microphone(topics: Mapping[str, Topic], path: Path, notes: list[str]) -> Topic | None:
    for kind in SOUNDS:
        of_kind = [t for t in topics.values() if t.kind == kind and t.count]
        if of_kind:
            found = _one(of_kind, path, "microphones", "--audio-topic")
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
