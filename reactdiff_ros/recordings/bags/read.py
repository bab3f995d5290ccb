"""A rosbag2 recording as stamped pictures and sound in the order of their stamps, read without ROS.

The bag is read twice: once for the times of all messages, then for the messages; only those that wait for an earlier
stamp are held in memory. Nothing is written.

Stamps are used where they can be trusted, because they say when a picture was taken; the receive time comes from the
recorder's one clock. For each topic: a message without a stamp has its receive time, and so have all messages of a
topic whose stamps go back by more than 0.5 s (its clock was set, or bags were joined). For the topics together: where
their clocks differ by more than 2 s, each that differs from the recorder's by more than 0.5 s is shifted onto it. Where
all share another clock (simulated time), nothing is shifted.
"""

from __future__ import annotations

import heapq
import re
import struct
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.compressed import decode_compressed
from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.capture.other_sound import StampedBytes, sampled_sound
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, MessageError
from reactdiff_ros.messages import sound_value
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.storage import PICTURES, SUFFIXES, BagFiles, Study, choose, is_bag, study_of
from reactdiff_ros.types import Sound

Times = NDArray[np.int64]

LATE_NS: Final = NS
"""One of picture and sound that begins later than the other by more than this is noted."""
BACK_NS: Final = NS // 2
CLOCKS_APART_NS: Final = 2 * NS
CLOCK_OFF_NS: Final = NS // 2
CHAIN_NS: Final = NS // 10
"""Chunks of sound without stamps are one sound as long as they arrive within this of when they should."""
SPEAKING: Final = "robot_speaking"
_MOST_FAULTS = 20


class BagMessage(NamedTuple):
    """Any message of a bag, with the fields of its type."""

    kind: str
    received_ns: int
    message: Any


@dataclass(frozen=True, slots=True)
class Timeline:
    """The times of one topic's messages, in the order in which they were recorded."""

    stamps: Times
    """(N,) ns, corrected."""
    received: Times
    """(N,) ns."""
    notes: tuple[str, ...] = ()

    @property
    def delay_ns(self) -> int:
        """The shortest time that a message took to the recorder: how much its clock differs, apart from transport."""
        return int((self.received - self.stamps).min()) if len(self.stamps) else 0


def stamped(topic: str, stamps: Times, received: Times) -> Timeline:
    """The times of messages with stamps (N,) ns, 0 or less = none; `topic` is for the notes."""
    missing = stamps <= 0
    times = np.where(missing, received, stamps)
    newest = np.maximum.accumulate(times)
    notes = []
    if missing.any():
        notes.append(f"{topic}: {missing.sum()} messages have no stamp; the receive time is used")
    if (newest - times > BACK_NS).any():
        back_s = float((newest - times).max()) / NS
        notes.append(f"{topic}: the stamps jump back by {back_s:.1f} s; the receive times are used")
        times = received
    elif (times < newest).any():
        late = int((times < newest).sum())
        notes.append(f"{topic}: {late} messages were recorded out of order; they are sorted by their stamps")
    return Timeline(times, received, tuple(notes))


def chained(topic: str, durations: Times, received: Times) -> Timeline:
    """Sound without stamps: a chunk of a duration (N,) ns ends when it is received, and begins where the last ended."""
    out = np.empty(len(received), dtype=np.int64)
    end = 0
    for i, (length, at) in enumerate(zip(durations.tolist(), received.tolist(), strict=True)):
        begin = at - length
        out[i] = begin if i == 0 or abs(begin - end) > CHAIN_NS else end
        end = int(out[i]) + length
    return Timeline(out, received, (f"{topic}: its messages carry no stamps; the receive time is used",))


def together(timelines: dict[str, Timeline]) -> dict[str, Timeline]:
    """The topics on one clock. Timelines without messages stay as they are."""
    delays = {name: t.delay_ns for name, t in timelines.items() if len(t.stamps)}
    if len(delays) < 2 or max(delays.values()) - min(delays.values()) <= CLOCKS_APART_NS:
        return timelines
    shifted = dict(timelines)
    for name, delay in delays.items():
        if abs(delay) > CLOCK_OFF_NS:
            note = f"{name}: its clock is {delay / NS:.1f} s off the recorder's; its stamps are shifted onto it"
            line = timelines[name]
            shifted[name] = replace(line, stamps=line.stamps + delay, notes=(*line.notes, note))
    return shifted


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass found."""

    lines: dict[str, Timeline]
    """Of the picture's and the sound's topic."""
    floor: Times
    """(N + 1,) ns: no message from the i-th on, in the order of the files, has an earlier stamp."""
    info: Any
    """The first AudioInfo, or None."""

    @property
    def start_ns(self) -> int:
        """The earliest stamp."""
        return int(self.floor[0])

    @property
    def end_ns(self) -> int:
        """The latest stamp."""
        return max(int(line.stamps.max()) for line in self.lines.values() if len(line.stamps))


class BagSource:
    """Pictures and sound of a bag, with the interface of `MediaClip`; offsets are the messages' own stamps, mended.

    Args:
        path: rosbag2 folder or a single file of one.
        picture: the speaker camera's topic; "" = found by type, "none" = without.
        sound: the microphone's topic, likewise.

    Raises:
        MediaError: the bag cannot be read, has neither pictures nor sound, or several topics of one kind and none is
            named.
        ModuleNotFoundError: `rosbags` is not installed.
    """

    def __init__(self, path: Path, picture: str = "", sound: str = "") -> None:
        self.files = BagFiles(Path(path))
        self.path = self.files.path
        if not self.files.message_count:
            raise MediaError("the bag is empty: it holds no message", where=str(path), todo="record it again")
        self._choice = choose(self.files.topics, self.path, picture, sound)
        self._faults: dict[str, list[Any]] = {}

    @property
    def picture_topic(self) -> str | None:
        """The camera's topic, None without."""
        return self._choice.picture.name if self._choice.picture else None

    @property
    def sound_topic(self) -> str | None:
        """The microphone's topic, None without."""
        return self._choice.sound.name if self._choice.sound else None

    @property
    def has_picture(self) -> bool:
        """The bag has a topic of pictures."""
        return self._choice.picture is not None

    @property
    def has_sound(self) -> bool:
        """The bag has a topic of sound."""
        return self._choice.sound is not None

    @property
    def study(self) -> Study | None:
        """The study that the bag belongs to."""
        return study_of(self.files.custom_data)

    @property
    def start_ns(self) -> int:
        """The earliest stamp of pictures and sound."""
        return self.survey.start_ns

    @property
    def duration_s(self) -> float:
        """From the first to the last stamp, seconds."""
        return (self.survey.end_ns - self.survey.start_ns) / NS

    @property
    def clock_off_ns(self) -> int:
        """How far all stamps are from the recorder's clock; 0 where one topic's are within CLOCK_OFF_NS of it."""
        delays = [line.delay_ns for line in self.survey.lines.values() if len(line.stamps)]
        return 0 if not delays or min(map(abs, delays)) <= CLOCK_OFF_NS else min(delays)

    @property
    def speaking_topics(self) -> list[str]:
        """Topics that say whether the robot itself speaks."""
        return [name for name in self.topics_of(interfaces.BOOL) if name.rpartition("/")[2] == SPEAKING]

    @property
    def damaged_packets(self) -> int:
        """Messages that could not be decoded and were left out, over all readings."""
        return sum(count for count, _ in self._faults.values())

    @property
    def notes(self) -> list[str]:
        """All that is odd about the bag as far as it was read, one sentence each."""
        lines = self.survey.lines
        notes = [*self._choice.notes, *(n for line in lines.values() for n in line.notes)]
        picture, sound = (lines.get(name) if name else None for name in (self.picture_topic, self.sound_topic))
        if picture is not None and sound is not None and len(picture.stamps) and len(sound.stamps):
            late = int(sound.stamps.min() - picture.stamps.min())
            if abs(late) > LATE_NS:
                first, then = ("picture", "sound") if late > 0 else ("sound", "picture")
                notes.append(f"the {then} begins {abs(late) / NS:.1f} s after the {first}")
        if self.files.cut_short:
            notes.append(_cut_note(self.files))
        notes.extend(f"{count} messages were left out: {sentence}" for count, sentence in self._faults.values())
        return notes

    @cached_property
    def survey(self) -> Survey:
        """The times of all pictures and sounds; goes through the whole bag once.

        Raises:
            MediaError: not one message of pictures or sound can be read.
        """
        kinds = {t.name: t.kind for t in (self._choice.picture, self._choice.sound) if t is not None}
        sound, info_topics = self._choice.sound, set[str]()
        if sound is not None and sound.kind in (interfaces.BYTES, interfaces.BYTES_STAMPED):
            info_topics = {*self.topics_of(interfaces.BYTES_INFO)}
        stamps = {name: array("q") for name in kinds}
        received = {name: array("q") for name in kinds}
        order: list[int] = []
        names = list(kinds)
        info: Any = None
        for topic, received_ns, raw in self.files.records({*kinds, *info_topics}):
            if topic in kinds:
                stamps[topic].append(_length(raw) if kinds[topic] == interfaces.BYTES else _stamp(raw))
                received[topic].append(received_ns)
                order.append(names.index(topic))
            elif info is None:
                info = self._message(topic, raw)
        if not order:
            why = f" ({self.files.cut_short})" if self.files.cut_short else ""
            raise MediaError(f"no picture and no sound of the bag can be read{why}", where=str(self.path))
        lines: dict[str, Timeline] = {}
        for name, kind in kinds.items():
            times, got = np.array(stamps[name], dtype=np.int64), np.array(received[name], dtype=np.int64)
            if kind == interfaces.BYTES:
                rate, channels = (int(info.sample_rate), int(info.channels)) if info is not None else (16000, 1)
                lines[name] = chained(name, times * NS // max(1, 2 * rate * channels), got)
            else:
                lines[name] = stamped(name, times, got)
        lines = together(lines)
        return Survey(lines, _floor(lines, names, order), info)

    def _message(self, topic: str, raw: bytes) -> Any:
        """With the fields of its type; None, and counted, where it is malformed or of an unknown type."""
        try:
            return self.files.topics[topic].reader()(raw)
        except MessageError as error:
            self._fault(topic, error)
            return None

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Every picture and every chunk of sound in the order of their stamps; a fresh reading on every call.

        Malformed messages are left out and counted (`notes`). A bag cut short gives what it has.

        Raises:
            MediaError: not one message could be decoded.
        """
        empty = True
        decode = {
            topic.name: _decoder(topic.kind, topic.reader(), self.survey.info)
            for topic in (self._choice.picture, self._choice.sound)
            if topic is not None
        }
        for stamp_ns, _, _, topic, raw in self._sorted():
            try:
                item = decode[topic](stamp_ns, raw)
            except MessageError as error:
                self._fault(topic, error)
                continue
            empty = False
            yield item
        if empty:
            first = next(iter(self._faults.values()), [0, "it holds nothing"])[1]
            raise MediaError(f"nothing in the bag could be decoded: {first}", where=str(self.path))

    def _sorted(self) -> Iterator[tuple[int, bool, int, str, bytes]]:
        """(stamp, not a picture, order of the file, topic, bytes), sorted."""
        survey = self.survey
        done = dict.fromkeys(survey.lines, 0)
        waiting: list[tuple[int, bool, int, str, bytes]] = []
        last = len(survey.floor) - 1
        for n, (topic, _, raw) in enumerate(self.files.records(set(survey.lines))):
            if n >= last:  # the file grew since the survey
                break
            stamp_ns = int(survey.lines[topic].stamps[done[topic]])
            done[topic] += 1
            heapq.heappush(waiting, (stamp_ns, topic != self.picture_topic, n, topic, raw))
            while waiting and waiting[0][0] < survey.floor[n + 1]:
                yield heapq.heappop(waiting)
        yield from sorted(waiting)

    def topics_of(self, kind: str) -> list[str]:
        """Names of the topics of the type `kind`."""
        return [t.name for t in self.files.topics.values() if t.kind == kind]

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Messages of any topics in the order in which they were received, with the fields of their types.

        A message that is malformed or of an unknown type is left out and counted.
        """
        for topic, received_ns, raw in self.files.records(set(topics)):
            message = self._message(topic, raw)
            if message is not None:
                yield BagMessage(self.files.topics[topic].kind, received_ns, message)

    def _fault(self, topic: str, error: MessageError) -> None:
        kind = topic + re.sub(r"\d+", "#", error.what)
        if kind in self._faults or len(self._faults) < _MOST_FAULTS:
            self._faults.setdefault(kind, [0, f"{topic}: {error}"])[0] += 1
        else:
            self._faults.setdefault("", [0, "faults of other kinds"])[0] += 1


def open_source(path: Path, picture: str = "", sound: str = "") -> MediaClip | BagSource:
    """A media file, or a bag with its topics chosen as in `BagSource`.

    Raises:
        MediaError: it cannot be opened, or holds neither pictures nor sound.
        ModuleNotFoundError: it is a bag, and `rosbags` is not installed.
    """
    if is_bag(path) or path.suffix in SUFFIXES or path.is_dir():
        return BagSource(path, picture, sound)
    return MediaClip(path)


def _floor(lines: dict[str, Timeline], names: list[str], order: list[int]) -> Times:
    """Suffix minima of the stamps in the order of the files."""
    turns = np.array(order)
    stamps = np.empty(len(order), dtype=np.int64)
    for i, name in enumerate(names):
        stamps[turns == i] = lines[name].stamps
    end = np.array([np.iinfo(np.int64).max])
    return np.minimum.accumulate(np.concatenate([stamps, end])[::-1])[::-1]


def _order(raw: bytes) -> str:
    """Byte order of CDR data, for struct, by the second byte of its encapsulation header."""
    return "<" if raw[1] & 1 else ">"


def _stamp(raw: bytes) -> int:
    """The stamp of a message that begins with a Header; 0 where the bytes are too few."""
    if len(raw) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from(f"{_order(raw)}iI", raw, 4)
    return int(seconds * NS + nanoseconds)


def restamped(raw: bytes, stamp_ns: int) -> bytes:
    """Serialized bytes of a message that begins with a Header, with another stamp."""
    return raw[:4] + struct.pack(f"{_order(raw)}iI", *divmod(stamp_ns, NS)) + raw[12:]


def _length(raw: bytes) -> int:
    """The length of the sequence that a message begins with."""
    return min(struct.unpack_from(f"{_order(raw)}I", raw, 4)[0], len(raw)) if len(raw) >= 8 else 0


def _decoder(kind: str, read: Callable[[bytes], Any], info: Any) -> Callable[[int, bytes], ClipItem]:
    """From (stamp, bytes) to the item. The function raises MessageError for a message that is malformed."""

    def picture(stamp_ns: int, raw: bytes) -> ClipItem:
        m = read(raw)
        if kind == interfaces.COMPRESSED:
            return ClipPicture(stamp_ns, decode_compressed(m.format, m.data))
        from reactdiff_ros.capture.decode import decode_image  # OpenCV, which few recordings need

        bgr = decode_image(m.encoding, m.height, m.width, m.step, m.data, bool(m.is_bigendian))
        return ClipPicture(stamp_ns, bgr)

    if kind in PICTURES:
        return picture
    drivers = StampedBytes()
    if info is not None:
        drivers.on_info(info)
    values: dict[str, Callable[[Any], Sound]] = {
        interfaces.CHUNK: sound_value, interfaces.SAMPLES_STAMPED: sampled_sound,
        interfaces.BYTES_STAMPED: drivers.sound, interfaces.BYTES: drivers.unstamped,
    }  # fmt: skip

    def sound(stamp_ns: int, raw: bytes) -> ClipItem:
        heard = values[kind](read(raw))
        if not len(heard.samples):
            raise MessageError("a chunk of sound is empty")
        return ClipSound(stamp_ns, heard.rate_hz, heard.samples, heard.clean)

    return sound


# ---- What a bag holds, what replay would use of it, and what is odd about it


SAMPLE: Final = 60
"""Pictures and sounds that are decoded to see whether they can be."""


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
        progress: takes the share done, 0..1.

    Returns:
        bag, storage, messages, start_ns, duration_s (both by receive time), topics (name, type, messages, rate_hz,
        start_s, duration_s), replay (picture, sound, start_ns, duration_s; null where replay would refuse), study
        (null: none), notes.

    Raises:
        MediaError: the bag cannot be read at all.
    """
    files = BagFiles(path)
    spans: dict[str, tuple[int, int, int]] = {}
    """Topic -> (messages, first, last receive time) of what can really be read."""
    for i, (topic, at, _) in enumerate(files.records(set(files.topics))):
        count, first, last = spans.get(topic, (0, at, at))
        spans[topic] = (count + 1, min(first, at), max(last, at))
        progress((i + 1) / max(1, files.message_count))
    start_ns = min((first for _, first, _ in spans.values()), default=0)
    end_ns = max((last for _, _, last in spans.values()), default=0)
    study = study_of(files.custom_data)
    replay, notes = _replay(files, path, picture, sound, check)
    topics = [{"name": t.name, "type": t.kind, **_span(spans.get(t.name), start_ns)} for t in files.topics.values()]
    return {
        "bag": str(path), "storage": files.storage, "messages": sum(count for count, _, _ in spans.values()),
        "start_ns": start_ns, "duration_s": (end_ns - start_ns) / NS, "topics": topics, "replay": replay,
        "study": asdict(study) if study else None, "notes": notes,
    }  # fmt: skip


def _span(span: tuple[int, int, int] | None, start_ns: int) -> dict[str, Any]:
    if span is None:
        return {"messages": 0, "rate_hz": None, "start_s": None, "duration_s": None}
    count, first, last = span
    seconds = (last - first) / NS
    rate_hz = (count - 1) / seconds if seconds else None
    return {"messages": count, "rate_hz": rate_hz, "start_s": (first - start_ns) / NS, "duration_s": seconds}


def _replay(
    files: BagFiles, path: Path, picture: str, sound: str, check: bool
) -> tuple[dict[str, Any] | None, list[str]]:  # fmt: skip
    try:
        source = BagSource(path, picture, sound)
        for _ in islice(source.pictures_and_sound(), None if check else SAMPLE):
            pass
    except MediaError as error:
        cut = [_cut_note(files)] if files.cut_short else []
        return None, [*cut, f"replay would refuse it: {error}"]
    topics = {"picture": source.picture_topic, "sound": source.sound_topic}
    return {**topics, "start_ns": source.start_ns, "duration_s": source.duration_s}, source.notes


def _cut_note(files: BagFiles) -> str:
    return f"the bag ends in the middle ({files.cut_short}): what comes before is read"
