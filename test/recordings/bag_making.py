"""Bags for tests: a speaker of flat pictures and a counting sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.types import ExpressionFrame, Sound

START = 1_700_000_000 * NS
STEP = 40_000_000
RATE = 16000


def picture(k: int) -> np.ndarray:
    return np.full((48, 64, 3), 5 * k % 250, np.uint8)


def chunk(k: int, stamp: int) -> Sound:
    return Sound(stamp, RATE, np.full((RATE * STEP // NS, 1), k, np.int16))


def face(stamp: int) -> ExpressionFrame:
    return ExpressionFrame(stamp, np.full(58, 0.25, np.float32), "idle", ("gaze", "blink"), None, stamp, None, None)


def speaker_bag(
    path: Path,
    *,
    storage: str = "mcap",
    frames: int = 20,
    raw: bool = False,
    picture_stamp: Callable[[int], int] = lambda t: t,
    sound_stamp: Callable[[int], int] = lambda t: t,
    sound_from: int = 0,
    **options: object,
) -> Path:
    """`frames` pictures and chunks, 40 ms apart; the stamps may differ from when they were received."""
    with BagWriter(path, storage=storage, **options) as bag:
        for k in range(frames):
            t = START + k * STEP
            put = bag.raw_picture if raw else bag.picture
            put(picture_stamp(t), picture(k), log_ns=t)
            if k >= sound_from:
                bag.sound(chunk(k, sound_stamp(t)), log_ns=t + STEP)
    return path
