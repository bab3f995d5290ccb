"""Writes a rosbag2 recording (mcap or sqlite3) without ROS: the same messages in the same order give the same bytes.

The bag is written in NAME.partial and moved to its place when it is whole. Its file is always called recording.mcap or
recording.db3, because the name is a part of the file's own metadata: two runs into two folders are then equal.
"""

from __future__ import annotations

import errno
import heapq
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np

from reactdiff_ros import messages
from reactdiff_ros.capture.media import ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.interfaces import CHUNK, COMPRESSED, RAW
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.types import UINT8, ExpressionFrame, Reaction, Sound, SpeakerFrame

Storage: TypeAlias = Literal["mcap", "sqlite3"]
NAME: Final = "recording"
CAMERA, CAMERA_RAW, AUDIO = "/camera/image_raw/compressed", "/camera/image_raw", "/audio"
SPEAKER, REACTION, EXPRESSION = "/speaker/frame", "/listener/reaction", "/listener/expression"
"""The graph's topics (config/nodes.json) without a namespace."""
CAMERA_FRAME: Final = "camera_optical_frame"
# Jazzy writes 9, humble reads up to strings of QoS: 8 is what both read.
_VERSION: Final = 8
_COMMIT_BYTES: Final = 1 << 20
"""About what a full disk or a crash takes from a database; as much as from an mcap file, which loses its last chunk."""


Writer = TypeVar("Writer", bound="BagWriter")


class BagWriter:
    """A bag that is being written; a context manager, after which the bag is there whole or not at all.

    Args:
        path: folder to create.
        storage: mcap or sqlite3.
        study: kept in the metadata; may be set until the end (attribute `study`).
        keep_partial: after an error leave what was written in `partial`, as a bag that can be read; without it, an
            unfinished bag is removed.

    Raises:
        MediaError: `path` exists, its folder cannot be written to, or the disk is full.
    """

    def __init__(
        self, path: Path, *, storage: Storage = "mcap", study: Study | None = None, keep_partial: bool = False
    ) -> None:
        self.path, self.storage, self.study = Path(path), storage, study
        self.keep_partial = keep_partial
        names = (f"{self.path.name}.partial{number if number > 1 else ''}" for number in count(1))
        self.partial = next(path for name in names if not (path := self.path.with_name(name)).exists())
        """Where it is until it is whole."""
        self.written = 0
        """Messages so far."""
        self._connections: dict[str, Any] = {}
        self._uncommitted = 0
        self._refuse()
        with self._telling():
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            self.partial.mkdir(0o700)
        try:
            with self._telling():
                self._writer = self._open()
        except BaseException:
            shutil.rmtree(self.partial, ignore_errors=True)
            raise

    def _open(self) -> Any:
        from rosbags.rosbag2 import StoragePlugin, Writer

        plugin = StoragePlugin.MCAP if self.storage == "mcap" else StoragePlugin.SQLITE3
        writer = Writer(self.partial / NAME, version=_VERSION, storage_plugin=plugin)
        writer.open()
        self._close_to_others()
        return writer

    def _close_to_others(self) -> None:
        """It is about a person: its folders and files are readable by the user alone, with any umask."""
        for path in (self.partial, *self.partial.rglob("*")):
            with suppress(OSError):  # a file system without rights
                path.chmod(0o700 if path.is_dir() else 0o600)

    def _refuse(self) -> None:
        if self.path.exists() or self.path.is_symlink():
            what, todo = "something of this name already exists", "choose another name or remove it"
            raise MediaError(what, where=str(self.path), todo=todo)

    def __enter__(self: Writer) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def close(self) -> None:
        """Write the index and the metadata, and move the bag into its place.

        Raises:
            MediaError: the disk is full, or something took the bag's place meanwhile.
        """
        try:
            with self._telling():
                self._finish()
                self._refuse()
                (self.partial / NAME).rename(self.path)
        except BaseException:
            self.abort()
            raise
        shutil.rmtree(self.partial, ignore_errors=True)

    def _finish(self) -> None:
        for key, value in (self.study.to_custom_data() if self.study else {}).items():
            self._writer.set_custom_data(key, value)
        if not self.written:  # the writer's limits for no message are no times
            self._writer.min_timestamp = self._writer.max_timestamp = 0
        self._writer.close()
        self._close_to_others()

    def abort(self) -> None:
        """Give up: what was written is removed, or with `keep_partial` left at `partial`."""
        keep = self.keep_partial and self.written > 0
        if keep:
            with suppress(Exception):  # without index and metadata, when there is no room for them
                self._finish()
        with suppress(Exception):
            self._writer.abort()
        if not keep:
            shutil.rmtree(self.partial, ignore_errors=True)

    def raw(self, topic: str, kind: str, log_ns: int, cdr: bytes | memoryview) -> None:
        """One message as CDR bytes.

        Args:
            topic: with its leading slash.
            kind: "package/msg/Type".
            log_ns: when a recorder would have received it.
            cdr: the bytes, encapsulation header included.

        Raises:
            MediaError: the disk is full.
            MessageError: the type is neither public nor ours.
        """
        with self._telling():
            connection = self._connections.get(topic) or self._connect(topic, kind)
            self._writer.write(connection, int(log_ns), cdr)
            self._uncommitted += len(cdr)
            if self.storage == "sqlite3" and self._uncommitted > _COMMIT_BYTES:
                self._writer.storage.conn.commit()
                self._uncommitted = 0
        self.written += 1

    def declare(self, topic: str, kind: str) -> None:
        """A topic that shall be in the bag even if no message of it comes."""
        if topic not in self._connections:
            with self._telling():
                self._connect(topic, kind)

    def _connect(self, topic: str, kind: str) -> Any:
        known = interfaces.store_of(kind)
        self._connections[topic] = self._writer.add_connection(topic, kind, typestore=known)
        return self._connections[topic]

    def message(self, topic: str, log_ns: int, message: Any) -> None:
        """A message of `interfaces.empty`, filled. Errors as `raw`; MessageError where a value does not fit."""
        self.raw(topic, message.__msgtype__, log_ns, interfaces.serialize(message))

    def filled(self, topic: str, kind: str, log_ns: int, fill: Callable[..., object], *values: Any) -> None:
        """A message of the type `kind`, which `fill` (of `messages`) fills from `values`. Errors as `message`."""
        message = interfaces.empty(kind)
        fill(message, *values)
        self.message(topic, log_ns, message)

    def picture(
        self, stamp_ns: int, bgr: UINT8, *, topic: str = CAMERA, quality: int = 85, log_ns: int | None = None
    ) -> None:
        """BGR uint8 (height, width, 3) as a JPEG message. `log_ns`: by default the stamp."""
        from reactdiff_ros.capture.decode import encode_jpeg  # OpenCV, which few recordings need

        message = interfaces.empty(interfaces.COMPRESSED)
        messages.fill_header(message.header, stamp_ns, CAMERA_FRAME)
        message.format, message.data = "bgr8; jpeg compressed bgr8", np.frombuffer(encode_jpeg(bgr, quality), np.uint8)
        self.message(topic, stamp_ns if log_ns is None else log_ns, message)

    def raw_picture(self, stamp_ns: int, bgr: UINT8, *, topic: str = CAMERA_RAW, log_ns: int | None = None) -> None:
        """BGR uint8 (height, width, 3) as a sensor_msgs/Image."""
        message = interfaces.empty(interfaces.RAW)
        messages.fill_header(message.header, stamp_ns, CAMERA_FRAME)
        message.height, message.width = bgr.shape[:2]
        message.encoding, message.step = "bgr8", 3 * bgr.shape[1]
        message.data = np.ascontiguousarray(bgr).reshape(-1)
        self.message(topic, stamp_ns if log_ns is None else log_ns, message)

    def sound(self, sound: Sound, *, log_ns: int | None = None) -> None:
        """A chunk of sound. `log_ns`: by default its end, when a microphone gives it."""
        at_ns = sound.end_ns if log_ns is None else log_ns
        self.filled(AUDIO, interfaces.CHUNK, at_ns, messages.fill_audio, sound, "microphone")

    def speaker(self, frame: SpeakerFrame, *, log_ns: int) -> None:
        """What was perceived of the speaker."""
        self.filled(SPEAKER, interfaces.SPEAKER, log_ns, messages.fill_speaker, frame)

    def reaction(self, reaction: Reaction, *, log_ns: int) -> None:
        """A plan of the listener. `compute_s` is the one field that no two runs share: set it to 0 for equal bytes."""
        self.filled(REACTION, interfaces.REACTION, log_ns, messages.fill_reaction, reaction)

    def expression(self, frame: ExpressionFrame) -> None:
        """The face of a tick, at its time."""
        self.filled(EXPRESSION, interfaces.EXPRESSION, frame.stamp_ns, messages.fill, frame)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from error
            what = f"the bag cannot be written ({error.strerror or error})"
            raise MediaError(what, where=str(self.path), todo="choose a folder that can be written to") from error
        except sqlite3.Error as error:
            if "full" in str(error):
                raise self._full() from error
            raise MediaError(f"the bag cannot be written ({error})", where=str(self.path)) from error

    def _full(self) -> MediaError:
        kept = f"; what was written is in {self.partial}" if self.keep_partial and self.written else ""
        return MediaError("the disk is full", where=str(self.path), todo=f"free some space and start again{kept}")


# ---- Clips as the bag that a robot's graph would have recorded of them.


START_NS: Final = NS
"""Where the first clip's time 0 lies in the bag: a stamp of 0 would mean that there is none."""
GAP_NS: Final = NS
"""Between the end of one clip and the start of the next, which is a whole second of the bag."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was written of one clip."""

    file: Path
    start_ns: int
    """The clip's time 0 in the bag."""
    duration_s: float
    """To the end of its last picture or sound."""
    pictures: int
    sounds: int
    damaged: int
    """Pieces of the clip that could not be decoded."""


def bag_from_clips(
    clips: Sequence[MediaClip], path: Path, *, storage: Storage = "mcap", raw: bool = False, quality: int = 85,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Part]:  # fmt: skip
    """Write `clips` one after another as a bag with the camera's and the microphone's topics of the graph.

    Pictures are received when they are taken, sound when its last sample was heard, as live.

    Args:
        clips: what is written; one keeps its own time, later ones begin a second or two after the one before.
        path: folder to create.
        storage: mcap or sqlite3.
        raw: pictures as sensor_msgs/Image (bgr8) instead of JPEG.
        quality: of JPEG, 1..100.
        progress: takes the share done, 0..1.

    Raises:
        MediaError: a clip cannot be decoded, `path` exists, or the disk is full.
    """
    parts: list[Part] = []
    start_ns, length = START_NS, sum(clip.duration_s for clip in clips)
    with BagWriter(path, storage=storage) as bag:
        if any(clip.has_picture for clip in clips):
            bag.declare(CAMERA_RAW if raw else CAMERA, RAW if raw else COMPRESSED)
        if any(clip.has_sound for clip in clips):
            bag.declare(AUDIO, CHUNK)
        for clip in clips:
            done_s = sum(c.duration_s for c in clips[: len(parts)])

            def report(seconds: float, done_s: float = done_s) -> None:
                progress((done_s + seconds) / length if length else 0.0)

            part = _append(bag, clip, start_ns, None if raw else quality, report)
            parts.append(part)
            end_ns = start_ns + round(part.duration_s * NS)
            start_ns = -(-(end_ns + GAP_NS) // NS) * NS
    return parts


def _append(
    bag: BagWriter, clip: MediaClip, start_ns: int, quality: int | None, report: Callable[[float], None]
) -> Part:  # fmt: skip
    pictures = sounds = end_ns = 0
    waiting: list[tuple[int, int, ClipSound]] = []

    def hear(until_ns: float) -> None:
        while waiting and waiting[0][0] <= until_ns:
            item = heapq.heappop(waiting)[2]
            bag.sound(Sound(start_ns + item.offset_ns, item.rate_hz, item.samples, item.clean))

    for item in clip.pictures_and_sound():
        hear(item.offset_ns)
        if isinstance(item, ClipPicture):
            if quality is None:
                bag.raw_picture(start_ns + item.offset_ns, item.bgr)
            else:
                bag.picture(start_ns + item.offset_ns, item.bgr, quality=quality)
            pictures, end_ns = pictures + 1, max(end_ns, item.offset_ns)
        else:
            heapq.heappush(waiting, (item.end_ns, sounds, item))
            sounds, end_ns = sounds + 1, max(end_ns, item.end_ns)
        report(item.offset_ns / NS)
    hear(float("inf"))
    return Part(clip.path, start_ns, end_ns / NS, pictures, sounds, clip.damaged_packets)
