"""A rosbag2 recording as stamped pictures and sound, read without ROS (package `rosbags`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.capture.decode import decode_compressed, decode_image
from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, MessageError

COMPRESSED, RAW = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
SOUND: Final = "reactdiff_ros/msg/AudioChunk"
SUFFIXES: Final = (".mcap", ".db3")


def is_bag(path: Path) -> bool:
    """A rosbag2 folder (with metadata.yaml), or a single .mcap or .db3 file."""
    return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix in SUFFIXES)


class BagSource:
    """Pictures and sound of a bag, with the interface of `MediaClip`; offsets are the messages' own stamps.

    Args:
        path: rosbag2 folder or a single file of one.

    Raises:
        MediaError: the bag cannot be read, has neither pictures nor sound, or several topics of one kind.
        ModuleNotFoundError: `rosbags` is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged_packets = 0
        """Messages that could not be decoded and were left out."""
        with self._open() as reader:
            kinds = {c.topic: c.msgtype for c in reader.connections}
            # Compressed pictures go before raw ones: a graph that records both has the same pictures twice.
            self._pictures = _only(kinds, COMPRESSED, path) or _only(kinds, RAW, path)
            self._sound = _only(kinds, SOUND, path)
            self.duration_s = reader.duration / NS
            """Length by the bag's own record, seconds."""
        if not self.has_picture and not self.has_sound:
            raise MediaError(
                "the bag has no pictures and no sound", where=str(path), todo=f"record {COMPRESSED} and {SOUND}"
            )

    @property
    def has_picture(self) -> bool:
        """True with a topic of pictures."""
        return self._pictures is not None

    @property
    def has_sound(self) -> bool:
        """True with a topic of sound."""
        return self._sound is not None

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Every picture and every chunk of sound in the order in which they were recorded.

        Malformed messages are left out and counted.

        Raises:
            MediaError: the bag ends in the middle, or not one message could be decoded.
        """
        empty = True
        with self._open() as reader:
            wanted = [c for c in reader.connections if c.topic in (self._pictures, self._sound)]
            for connection, _, raw in reader.messages(connections=wanted):
                try:
                    item = _item(reader.deserialize(raw, connection.msgtype), connection.msgtype)
                except (MessageError, AttributeError, ValueError, TypeError, ZeroDivisionError):
                    self.damaged_packets += 1
                    continue
                empty = False
                yield item
        if empty:
            raise MediaError("nothing in the bag could be decoded", where=str(self.path))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        try:
            with AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
                yield reader
        except (MediaError, GeneratorExit):
            raise
        except Exception as error:  # a broken bag makes its reader raise anything
            raise MediaError("the bag cannot be read", where=str(self.path), todo=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _only(kinds: dict[str, str], kind: str, path: Path) -> str | None:
    topics = sorted(topic for topic, found in kinds.items() if found == kind)
    if len(topics) > 1:
        raise MediaError(
            f"the bag has several topics of {kind}: {', '.join(topics)}", where=str(path), todo="keep one of them"
        )
    return topics[0] if topics else None


def _item(message: Any, kind: str) -> ClipItem:
    stamp_ns = int(message.header.stamp.sec) * NS + int(message.header.stamp.nanosec)
    if kind == COMPRESSED:
        return ClipPicture("picture", stamp_ns, decode_compressed(message.format, message.data))
    if kind == RAW:
        m = message
        bgr = decode_image(m.encoding, m.height, m.width, m.step, m.data, bool(m.is_bigendian))
        return ClipPicture("picture", stamp_ns, bgr)
    samples = np.asarray(message.samples, dtype=np.int16).reshape(-1, int(message.channels))
    if not len(samples) or message.sample_rate <= 0:
        raise MessageError("a chunk of sound is empty", where="audio")
    return ClipSound("sound", stamp_ns, int(message.sample_rate), samples)
