"""Pictures and sound gone wrong: what the harness passes on instead of the camera's and the microphone's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Final

import cv2
import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.types import Sound

Jpeg = bytes
PictureFault = Callable[[int, Jpeg], "tuple[int, Jpeg] | None"]
"""(stamp in ns, JPEG) to what is passed on, or None."""
SoundFault = Callable[[Sound], "Sound | None"]
OTHER_RATE_HZ: Final = 44_100


def nothing(_stamp_ns: int, _jpeg: Jpeg) -> tuple[int, Jpeg] | None:
    """No picture comes."""
    return None


def frozen() -> PictureFault:
    """The first picture over and over, with new stamps."""
    kept: dict[str, Jpeg] = {}
    return lambda stamp_ns, jpeg: (stamp_ns, kept.setdefault("first", jpeg))


def black(stamp_ns: int, jpeg: Jpeg) -> tuple[int, Jpeg]:
    """As large, and black."""
    return stamp_ns, _encoded(np.zeros_like(_decoded(jpeg)))


def smaller(stamp_ns: int, jpeg: Jpeg) -> tuple[int, Jpeg]:
    """Of another size and shape: 0.4 times as wide, 0.6 times as high."""
    return stamp_ns, _encoded(cv2.resize(_decoded(jpeg), None, fx=0.4, fy=0.6))


def grey(stamp_ns: int, jpeg: Jpeg) -> tuple[int, Jpeg]:
    """Of another encoding: one channel."""
    return stamp_ns, _encoded(cv2.cvtColor(_decoded(jpeg), cv2.COLOR_BGR2GRAY))


def cut(stamp_ns: int, jpeg: Jpeg) -> tuple[int, Jpeg]:
    """A tenth of the bytes."""
    return stamp_ns, jpeg[: len(jpeg) // 10]


def giant(stamp_ns: int, jpeg: Jpeg) -> tuple[int, Jpeg]:
    """Eight megabytes that are no picture."""
    return stamp_ns, jpeg[:2] + bytes(8_000_000)


def shifted(seconds: float) -> PictureFault:
    """Stamps that jumped."""
    return lambda stamp_ns, jpeg: (stamp_ns + round(seconds * NS), jpeg)


def jumping(seconds: float) -> PictureFault:
    """Every second picture is stamped this much later than it was captured."""
    late_ns = cycle((round(seconds * NS), 0))
    return lambda stamp_ns, jpeg: (stamp_ns + next(late_ns), jpeg)


def mute(_sound: Sound) -> Sound | None:
    """No sound comes."""
    return None


def silent(sound: Sound) -> Sound:
    """Zeros."""
    return Sound(sound.stamp_ns, sound.rate_hz, np.zeros_like(sound.samples))


def clipped(sound: Sound) -> Sound:
    """So loud that it is a square wave."""
    return Sound(sound.stamp_ns, sound.rate_hz, np.where(sound.samples >= 0, 32767, -32768).astype(np.int16))


def other_rate(sound: Sound) -> Sound:
    """The same time at another rate, by the nearest sample."""
    count = round(len(sound.samples) * OTHER_RATE_HZ / sound.rate_hz)
    index = np.minimum(np.arange(count) * sound.rate_hz // OTHER_RATE_HZ, len(sound.samples) - 1)
    return Sound(sound.stamp_ns, OTHER_RATE_HZ, sound.samples[index])


def _decoded(jpeg: Jpeg) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(picture, dtype=np.uint8)


def _encoded(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | cv2.typing.MatLike) -> Jpeg:
    return cv2.imencode(".jpg", picture)[1].tobytes()
