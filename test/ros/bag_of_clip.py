"""A short bag of the bundled demo speaker, and the player in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound

ROOT = Path(__file__).resolve().parents[2]
START_NS = 50 * NS


def write_bag(path: Path, seconds: float) -> Path:
    """The first seconds of the demo speaker as a bag, in small pictures."""
    clip = takewhile(lambda item: item.offset_ns < seconds * NS, MediaClip(demo_clip_path()).pictures_and_sound())
    with BagWriter(path) as bag:
        for item in clip:
            if isinstance(item, ClipPicture):
                bag.picture(START_NS + item.offset_ns, item.bgr)
            else:
                bag.sound(Sound(START_NS + item.offset_ns, item.rate_hz, item.samples))
    return path


def command(environment: dict[str, str], *arguments: str, **options: object) -> subprocess.Popen[str]:
    """`reactdiff` with these arguments, in a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "reactdiff_ros.cli.main", *arguments],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        **options,
    )
