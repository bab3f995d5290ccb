"""Short bags of the demo speaker, for tests."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.interfaces import empty
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound

BEGIN_NS = 1_700_000_000 * NS


def write_bag(path: Path, seconds: float, *, speaking: bool = False) -> Path:
    """`seconds` of the demo speaker; with `speaking`, the robot says that it speaks all the time."""
    with BagWriter(path) as writer:
        items = MediaClip(demo_clip_path()).pictures_and_sound()
        for item in takewhile(lambda item: item.offset_ns < seconds * NS, items):
            stamp_ns = BEGIN_NS + item.offset_ns
            if not isinstance(item, ClipPicture):
                writer.sound(Sound(stamp_ns, item.rate_hz, item.samples))
                continue
            writer.picture(stamp_ns, item.bgr)
            if speaking:
                message = empty("std_msgs/msg/Bool")
                message.data = True
                writer.message("/robot_speaking", stamp_ns, message)
    return path
