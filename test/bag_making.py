"""Bags for tests: a speaker of flat pictures and a counting sound, and the demo speaker."""

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import numpy as np

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.interfaces import empty
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound

START = 1_700_000_000 * NS
STEP = 40_000_000
RATE = 16000


def picture(k: int) -> np.ndarray:
    return np.full((48, 64, 3), 5 * k % 250, np.uint8)


def chunk(k: int, stamp: int) -> Sound:
    return Sound(stamp, RATE, np.full((RATE * STEP // NS, 1), k, np.int16))


def speaker_bag(
    path: Path,
    *,
    frames: int = 20,
    raw: bool = False,
    picture_stamp: Callable[[int], int] = lambda t: t,
    sound_stamp: Callable[[int], int] = lambda t: t,
    **options: object,
) -> Path:
    """`frames` pictures and chunks, 40 ms apart; the stamps may differ from when they were received."""
    with BagWriter(path, **options) as bag:
        for k in range(frames):
            t = START + k * STEP
            put = bag.raw_picture if raw else bag.picture
            put(picture_stamp(t), picture(k), log_ns=t)
            bag.sound(chunk(k, sound_stamp(t)), log_ns=t + STEP)
    return path


def demo_bag(
    path: Path, seconds: float, *, sound: bool = True, also: Callable[[BagWriter, int], object] = lambda *_: None,
    **options: object,
) -> Path:  # fmt: skip
    """`seconds` of the demo speaker; `also` writes what else there is at the time of each picture."""
    with BagWriter(path, **options) as bag:
        for item in takewhile(lambda i: i.offset_ns < seconds * NS, MediaClip(demo_clip_path()).pictures_and_sound()):
            stamp_ns = START + item.offset_ns
            if isinstance(item, ClipPicture):
                bag.picture(stamp_ns, item.bgr)
                also(bag, stamp_ns)
            elif sound:
                bag.sound(Sound(stamp_ns, item.rate_hz, item.samples))
    return path


def robot_speaks(bag: BagWriter, stamp_ns: int) -> None:
    """The robot says that it speaks."""
    message = empty("std_msgs/msg/Bool")
    message.data = True
    bag.message("/robot_speaking", stamp_ns, message)
