"""Clips as the bag that a robot's graph would have recorded of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.capture.media import ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.interfaces import CHUNK, COMPRESSED, RAW
from reactdiff_ros.recordings.bags.write import AUDIO, CAMERA, CAMERA_RAW, BagWriter, Storage
from reactdiff_ros.types import Sound

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
        path: folder to be made.
        storage: mcap or sqlite3.
        raw: pictures as sensor_msgs/Image (bgr8) instead of JPEG.
        quality: of JPEG, 1..100.
        progress: told the share done, 0..1.

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

            def tell(seconds: float, done_s: float = done_s) -> None:
                progress((done_s + seconds) / length if length else 0.0)

            part = _append(bag, clip, start_ns, None if raw else quality, tell)
            parts.append(part)
            end_ns = start_ns + round(part.duration_s * NS)
            start_ns = -(-(end_ns + GAP_NS) // NS) * NS
    return parts


def _append(
    bag: BagWriter, clip: MediaClip, start_ns: int, quality: int | None, tell: Callable[[float], None]
) -> Part:  # fmt: skip
    pictures = sounds = end_ns = 0
    waiting: list[tuple[int, int, ClipSound]] = []

    def hear(until_ns: float) -> None:
        while waiting and waiting[0][0] <= until_ns:
            item = heapq.heappop(waiting)[2]
            bag.sound(Sound(start_ns + item.offset_ns, item.rate_hz, item.samples))

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
        tell(item.offset_ns / NS)
    hear(float("inf"))
    return Part(clip.path, start_ns, end_ns / NS, pictures, sounds, clip.damaged_packets)
