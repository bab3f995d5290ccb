"""The files of a rosbag2 recording, opened for reading alone; whole, cut short, or without their metadata.

A recorder that was killed leaves an mcap file without its index: it is read up to its last whole record.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.bags.interfaces import BYTES, BYTES_STAMPED, CHUNK, COMPRESSED, RAW, SAMPLES_STAMPED

SUFFIXES: Final = (".mcap", ".db3")
LATEST_NS: Final = 1 << 62
"""A receive time beyond this (the year 2116) is damage; so sums of times stay in 64 bits."""
_DATA_END, _FOOTER = 0x0F, 0x02


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


def is_bag(path: Path) -> bool:
    """A folder with metadata.yaml or with storage files, or a single .mcap or .db3 file.

    Raises:
        MediaError: it may not be looked into.
    """
    path = _folder_of(path)
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(_files(path))
    return path.is_file() and path.suffix in SUFFIXES


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name.

    Raises:
        MediaError: it may not be looked into.
    """
    with _open_to_us(folder):
        return sorted(folder.iterdir())


@contextmanager
def _open_to_us(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError("this cannot be looked into", where=str(path), todo=error.strerror or str(error)) from error


def _folder_of(path: Path) -> Path:
    """The folder with the files: `path`, or the folder in it that `BagWriter` was still writing to."""
    unfinished = path / "recording"
    with _open_to_us(path):
        return unfinished if unfinished.is_dir() and not _files(path) else path


def _files(folder: Path) -> list[Path]:
    """Storage files in the order of their numbers: name_2 before name_10."""
    found = [p for p in entries(folder) if p.suffix in SUFFIXES and p.is_file()]
    return sorted(found, key=lambda p: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", p.name)])


class BagFiles:
    """A recording's files.

    Raises:
        MediaError: there is no such bag, it is empty, or nothing in it can be read.
        ModuleNotFoundError: `rosbags` is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = _folder_of(Path(path))
        self.notes: list[str] = []
        """What is wrong with the files, one sentence each."""
        self.custom_data: dict[str, str] = {}
        self.storage = ""
        """mcap or sqlite3."""
        self.cut_short = ""
        """Why reading ended before the end; empty: it did not, as far as was read."""
        self._whole = True
        self._check_path()
        with self._readers() as readers:
            self.topics = _topics(readers)
            """By name."""
            self.message_count = sum(t.count for t in self.topics.values())

    def _check_path(self) -> None:
        path = self.path
        if not path.exists():
            raise MediaError("there is no such bag", where=str(path), todo="check the path")
        if path.suffix == ".bag" and path.is_file():
            raise MediaError(
                "this is a ROS 1 bag", where=str(path), todo="convert it with 'rosbags-convert --src IN.bag --dst OUT'"
            )
        if not is_bag(path):
            raise MediaError(
                "this is not a rosbag2 recording", where=str(path),
                todo="give the recording's folder, or its .mcap or .db3 file",
            )  # fmt: skip
        files = _files(path) if path.is_dir() else [path]
        if files and all(f.stat().st_size == 0 for f in files):
            raise MediaError("the bag is empty: its file has no bytes", where=str(path), todo="record it again")
        for file in files:
            for ending in ("-wal", "-journal"):
                log = file.with_name(file.name + ending)
                if log.is_file() and log.stat().st_size:
                    self._note(
                        f"{log.name} is there: a recorder writes to {file.name} or was killed; what is only in the "
                        "log is not read (sqlite3's .recover on a copy joins the two)"
                    )

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """The messages of `topics` in the order in which they were received, read as they are asked for.

        What breaks on the way ends the reading; `cut_short` then tells why.
        """
        with self._readers() as readers:
            for reader in readers:
                wanted = {c.id: c for c in reader.connections if c.topic in topics}
                if not wanted:
                    continue
                found = reader.messages(list(wanted.values()))
                while True:
                    try:
                        connection, received_ns, raw = next(found)
                    except StopIteration:
                        break
                    except Exception as error:  # damaged files make the readers raise anything
                        self.cut_short = _first_line(error)
                        break
                    yield Record(connection.topic, min(int(received_ns), LATEST_NS), bytes(raw))

    @contextmanager
    def _readers(self) -> Iterator[list[Any]]:
        """The open readers, one a file, or one of the folder where its messages are compressed."""
        opened: list[Any] = []
        try:
            if self.path.is_dir() and self._whole:
                try:
                    opened = [self._open_folder()]
                except Exception as error:
                    self._whole = False
                    self._metadata_missing(error)
            if not opened:
                opened = self._open_files()
            readers = [r for o in opened for r in (_storages(o) if hasattr(o, "storages") else [o])]
            for reader in readers:
                if getattr(reader, "cut", ""):
                    self._note(f"{reader.path.name} was not closed: it is read up to its last whole record")
            yield readers
        finally:
            for reader in opened:
                with suppress(Exception):
                    reader.close()

    def _open_folder(self) -> Any:
        reader = _classes().folder(self.path)
        reader.open()
        self.custom_data = {str(k): str(v) for k, v in (reader.metadata.custom or {}).items()}
        self.storage = "mcap" if any(f.suffix == ".mcap" for f in _files(self.path)) else "sqlite3"
        return reader

    def _metadata_missing(self, error: Exception) -> None:
        if (self.path / "metadata.yaml").is_file():
            self._note(f"metadata.yaml does not fit ({_first_line(error)}): the files are read without it")
        else:
            self._note("metadata.yaml is missing: the files are read without it ('ros2 bag reindex' makes it)")

    def _open_files(self) -> list[Any]:
        files = _files(self.path) if self.path.is_dir() else [self.path]
        opened: list[Any] = []
        failed: list[str] = []
        for file in files:
            reader = _classes().mcap(file) if file.suffix == ".mcap" else _classes().sqlite3(file)
            try:
                reader.open()
            except Exception as error:
                failed.append(f"{file.name}: {_first_line(error)}")
                continue
            opened.append(reader)
            self.storage = "mcap" if file.suffix == ".mcap" else "sqlite3"
        if not opened:
            raise MediaError(
                f"the bag cannot be read ({'; '.join(failed) or 'no storage file is there'})", where=str(self.path),
                todo="copy it again, or try 'ros2 bag reindex' or sqlite3's .recover on a copy",
            )  # fmt: skip
        for name in failed:
            self._note(f"{name}: this file is left out")
        return sorted(opened, key=lambda r: r.metadata.start_time)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _storages(folder: Any) -> list[Any]:
    return [folder] if folder.metadata.compression_mode == "message" else list(folder.storages)


def _topics(readers: list[Any]) -> dict[str, Topic]:
    from rosbags.interfaces import MessageDefinitionFormat

    found: dict[str, Topic] = {}
    for reader in readers:
        for c in reader.connections:
            known = found.get(c.topic)
            definition = c.msgdef.data or (known.definition if known else "")
            count = c.msgcount + (known.count if known else 0)
            idl = c.msgdef.format == MessageDefinitionFormat.IDL
            found[c.topic] = Topic(c.topic, c.msgtype, count, definition, idl)
    return dict(sorted(found.items()))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".") or type(error).__name__


class _Classes(NamedTuple):
    mcap: Any
    sqlite3: Any
    folder: Any


@lru_cache(maxsize=1)
def _classes() -> _Classes:
    from rosbags.rosbag2.reader import DirectoryReader
    from rosbags.rosbag2.storage_mcap import McapReader
    from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

    class CutMcap(McapReader):
        """An mcap file that may end in the middle."""

        cut = ""

        def _open(self) -> None:
            try:
                super()._open()
            except Exception as error:
                if not self.data_start:
                    raise
                self._salvage()
                self.cut = _first_line(error)

        def _salvage(self) -> None:
            for kept in (self.schemas, self.channels, self.chunks, self.connections):
                kept.clear()
            self.data_end = _end_of_whole_records(self.bio, self.data_start)
            self.meta_scan()
            stats = self.statistics
            assert stats is not None
            self.connections = [
                c._replace(msgcount=stats.channel_message_counts.get(c.id, 0)) for c in self.connections
            ]
            if stats.message_count:
                self.metadata = self.metadata._replace(
                    duration=stats.end_time - stats.start_time + 1,
                    start_time=stats.start_time,
                    end_time=stats.end_time + 1,
                    message_count=stats.message_count,
                )

        def messages(self, connections: Any, start: int | None = None, stop: int | None = None) -> Any:
            # Without an index the base class refuses what is not in order; readers of ours sort.
            if not self.chunks:
                return self.messages_scan(connections, start, stop)
            return super().messages(connections, start, stop)

    class Folder(DirectoryReader):
        """A folder whose mcap files may end in the middle."""

        STORAGE_PLUGINS = {"mcap": CutMcap, "sqlite3": Sqlite3Reader}  # noqa: RUF012

    return _Classes(CutMcap, Sqlite3Reader, Folder)


def _end_of_whole_records(file: Any, start: int) -> int:
    """Where the last whole record of an mcap file's data ends (https://mcap.dev/spec: opcode, length, content)."""
    size, at = file.seek(0, 2), start
    while at + 9 <= size:
        file.seek(at)
        head = file.read(9)
        end = at + 9 + int.from_bytes(head[1:], "little")
        if not 0 < head[0] < _DATA_END or head[0] == _FOOTER or end > size:
            break
        at = end
    return at


# ---- Which topics of a bag are the speaker's picture and sound: by name where one is given, else by type.


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
