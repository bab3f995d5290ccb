"""A clip as the bag that a robot's graph would have recorded of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.bags.interfaces import CHUNK, COMPRESSED, RAW
from reactdiff_ros.bags.write import AUDIO, CAMERA, CAMERA_RAW, BagWriter, Storage
from reactdiff_ros.capture.media import ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.types import Sound

START_NS: Final = NS
"""Where the clip's time 0 lies in the bag: a stamp of 0 would mean that there is none."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written."""

    path: Path
    pictures: int
    sounds: int
    duration_s: float
    """From the first to the end of the last."""
    damaged: int
    """Pieces of the clip that could not be decoded."""
    has_picture: bool
    has_sound: bool


def bag_from_clip(
    clip: MediaClip, path: Path, *, storage: Storage = "mcap", raw: bool = False, quality: int = 85,
    progress: Callable[[float], None] = lambda share: None,
) -> Converted:  # fmt: skip
    """Write `clip` as a bag with the camera's and the microphone's topics of the graph, in the clip's own time.

    Pictures are received when they are taken, sound when its last sample was heard, as live.

    Args:
        clip: what is written.
        path: folder to be made.
        storage: mcap or sqlite3.
        raw: pictures as sensor_msgs/Image (bgr8) instead of JPEG.
        quality: of JPEG, 1..100.
        progress: told the share done, 0..1.

    Raises:
        MediaError: the clip cannot be decoded, `path` exists, or the disk is full.
    """
    pictures = sounds = end_ns = 0
    waiting: list[tuple[int, int, ClipSound]] = []

    def hear(bag: BagWriter, until_ns: float) -> None:
        while waiting and waiting[0][0] <= until_ns:
            item = heapq.heappop(waiting)[2]
            bag.sound(Sound(START_NS + item.offset_ns, item.rate_hz, item.samples))

    with BagWriter(path, storage=storage) as bag:
        if clip.has_picture:
            bag.declare(CAMERA_RAW if raw else CAMERA, RAW if raw else COMPRESSED)
        if clip.has_sound:
            bag.declare(AUDIO, CHUNK)
        for item in clip.pictures_and_sound():
            if isinstance(item, ClipPicture):
                hear(bag, item.offset_ns)
                stamp_ns = START_NS + item.offset_ns
                if raw:
                    bag.raw_picture(stamp_ns, item.bgr)
                else:
                    bag.picture(stamp_ns, item.bgr, quality=quality)
                pictures, end_ns = pictures + 1, max(end_ns, item.offset_ns)
            else:
                heapq.heappush(waiting, (item.end_ns, sounds, item))
                sounds, end_ns = sounds + 1, max(end_ns, item.end_ns)
                hear(bag, item.offset_ns)
            progress(item.offset_ns / NS / clip.duration_s if clip.duration_s else 0.0)
        hear(bag, float("inf"))
    return Converted(path, pictures, sounds, end_ns / NS, clip.damaged_packets, clip.has_picture, clip.has_sound)
