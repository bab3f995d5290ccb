"""Makes the bundled demo clip: `reactdiff dev demo render`. Takes 3 minutes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import explained
from reactdiff_ros.types import UINT8
from reactdiff_ros.whole_file import whole_path
from tools.demo import script, voice
from tools.demo.renderer import HeadRenderer, Scene

WIDTH, HEIGHT = 640, 480
SUPERSAMPLE = 2
SEED = 1


_renderer = functools.cache(HeadRenderer)
"""One a process."""


def _picture(coefficients: NDArray[np.float32], place: NDArray[np.float64]) -> UINT8:
    x, y, z = place
    return _renderer().render(coefficients, Scene(WIDTH, HEIGHT, position_m=(x, y, z), supersample=SUPERSAMPLE))


def pictures(coefficients: NDArray[np.float32], places: NDArray[np.float64]) -> Iterator[UINT8]:
    """The performance's pictures, BGR (HEIGHT, WIDTH, 3), rendered by one process a core."""
    with ProcessPoolExecutor() as workers:
        yield from workers.map(_picture, coefficients, places, chunksize=10)


def write_clip(path: Path, frames: Iterable[UINT8], track: voice.Samples) -> None:
    """Writes H.264 (a key picture every second, so that a loop starts at once) and AAC.

    Raises:
        ReactdiffError: the installed PyAV has no H.264 or AAC encoder, or the file cannot be written.
    """
    wrong, what = (av.FFmpegError, OSError, ValueError), "the demo clip cannot be written"
    with (
        explained(wrong, what, where=path),
        whole_path(path) as new,
        av.open(str(new), "w", "mp4", options={"movflags": "faststart"}) as out,
    ):
        video = out.add_stream("libx264", rate=script.RATE_HZ)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"crf": "22", "preset": "slow", "g": str(script.RATE_HZ), "bf": "0", "threads": "1"}
        audio = out.add_stream("aac", rate=voice.RATE_HZ)
        audio.bit_rate = 48_000
        audio.layout = "mono"
        for index, picture in enumerate(frames):
            image = av.VideoFrame.from_ndarray(picture, format="bgr24")
            image.pts, image.time_base = index, Fraction(1, script.RATE_HZ)
            out.mux(video.encode(image))
            begin, end = (k * voice.RATE_HZ // script.RATE_HZ for k in (index, index + 1))
            part = np.ascontiguousarray(track[None, begin:end], dtype=np.float32)
            sound = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = voice.RATE_HZ, begin, Fraction(1, voice.RATE_HZ)
            out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def main(path: str) -> None:
    """Renders the performance to `path`."""
    track = voice.sound_track(script.SENTENCES, script.SECONDS, np.random.default_rng(SEED))
    coefficients, places = script.perform(track, voice.RATE_HZ)
    with click.progressbar(pictures(coefficients, places), len(places), "pictures", file=sys.stderr) as shown:
        write_clip(Path(path), shown, track)
