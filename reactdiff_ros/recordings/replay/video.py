"""A replay as a video: the recorded speaker next to the listener's face as the page draws it, with sound.

Time 0 is the first face. Each picture of 40 ms shows the newest picture of the speaker at its beginning and the
listener's face of that very moment, so what is seen is the delay that the person would have seen.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.avatar.drawing import FaceDrawing, rasterised
from reactdiff_ros.capture.media import ClipPicture, ClipSound
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.replay.replay import GRID
from reactdiff_ros.recordings.replay.senses import Recording, Steady
from reactdiff_ros.types import REACTION_RATE_HZ, UINT8, ExpressionFrame
from reactdiff_ros.whole_file import whole_path

HEIGHT: Final = 480
SPEAKER_WIDTH, LISTENER_WIDTH = 640, 480
RATE_HZ: Final = int(REACTION_RATE_HZ)
SOUND_HZ: Final = 48_000
SLACK_NS: Final = NS // 50
"""Sound that is so little off its place is left where it is."""
_AHEAD: Final = 32
"""Pictures that are rendered before they are needed."""
_NOBODY: Final = np.full((HEIGHT, SPEAKER_WIDTH, 3), 32, dtype=np.uint8)
_INK: Final = (250, 250, 250)


def prepare(path: Path) -> None:
    """Create the folder of a video and check its name, before the work.

    Raises:
        MediaError: `path` exists, its name is not that of a video, or its folder cannot be created.
    """
    if path.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise MediaError("a video's name must end in .mp4, .mkv or .mov", where=str(path), todo="write FILE.mp4")
    if path.exists() or path.is_symlink():
        raise MediaError("something of this name already exists", where=str(path), todo="choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or error
    return MediaError(f"the video cannot be written ({reason})", where=str(path))


def write_video(
    path: Path,
    recording: Recording,
    faces: Sequence[ExpressionFrame],
    *,
    look: str = "soft",
    processes: int = 2,
    progress: Callable[[float], bool] = lambda share: True,
) -> float:
    """Write the video and return its length in seconds.

    Args:
        path: of the file, which must not be there.
        recording: that was replayed; it is read once more.
        faces: one every 40 ms (`Replayed.faces`).
        look: of the face, see `drawing.looks`, or a look's file.
        processes: that render; 0 = this one.
        progress: takes the share that is done; returns False to end the video there.

    Raises:
        MediaError: there is such a file, it cannot be written, or there is not one face.
        ConfigError: there is no such look.
    """
    prepare(path)
    if not faces:
        raise MediaError("there is nothing to show: the replay has not one face", where=str(path))
    kind = path.suffix.lower()[1:].replace("mkv", "matroska")
    options = {"movflags": "faststart"} if kind != "matroska" else {}
    try:
        with whole_path(path, private=True) as part:  # it shows a person
            drawing = FaceDrawing(look, LISTENER_WIDTH, HEIGHT)
            pictures = (drawing.svg(face.coefficients, index / RATE_HZ) for index, face in enumerate(faces))
            with _rendered(pictures, processes) as drawn, av.open(str(part), "w", kind, options=options) as out:
                film = _Film(out, faces[0].stamp_ns, recording.has_sound)
                count = film.shoot(recording, drawn, len(faces), progress)
            prepare(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unwritten(path, error) from error
    except BrokenProcessPool as error:
        raise MediaError(
            "a process that draws the faces ended unexpectedly", where=str(path), todo="is there enough memory?"
        ) from error
    return count / RATE_HZ


class _Film:
    """The streams of the file."""

    def __init__(self, out: Any, start_ns: int, sound: bool) -> None:
        self._out, self._start_ns = out, start_ns
        self._video = out.add_stream("libx264", rate=RATE_HZ)
        self._video.width, self._video.height = SPEAKER_WIDTH + LISTENER_WIDTH, HEIGHT
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"crf": "23", "preset": "veryfast", "g": str(RATE_HZ)}
        self._track = _SoundTrack(out, start_ns) if sound else None
        self._panel = _NOBODY

    def shoot(
        self, recording: Recording, faces: Iterator[UINT8], count: int, progress: Callable[[float], bool]
    ) -> int:  # fmt: skip
        items = Steady().of(recording.pictures_and_sound())
        item = next(items, None)
        done = 0
        for index, face in zip(range(count), faces, strict=False):
            now_ns = self._start_ns + index * GRID.period_ns
            while item is not None and item.offset_ns <= now_ns:
                self._take(item)
                item = _next(items)
            picture = np.hstack([self._panel, _captioned(face, "listener")])
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            self._out.mux(self._video.encode(frame))
            done = index + 1
            if not progress(done / count):
                break
        self._out.mux(self._video.encode(None))
        if self._track is not None:
            self._track.end(done * GRID.period_ns)
        return done

    def _take(self, item: ClipPicture | ClipSound) -> None:
        if isinstance(item, ClipPicture):
            self._panel = _captioned(_fitted(item.bgr), "speaker")
        elif self._track is not None:
            self._track.add(item)


def _next(items: Iterator[Any]) -> Any:
    """The next item; None at the end, also where a recording breaks off."""
    try:
        return next(items, None)
    except MediaError:
        return None


class _SoundTrack:
    """Sound put where its stamps say, silence where there is none: one channel of 48 kHz."""

    def __init__(self, out: Any, start_ns: int) -> None:
        self._out, self._start_ns = out, start_ns
        self._stream = out.add_stream("aac", rate=SOUND_HZ)
        self._stream.bit_rate = 96_000
        self._stream.layout = "mono"
        self._resampler: Any = None
        self._rate_hz = 0
        self._written = 0

    def add(self, sound: ClipSound) -> None:
        """The next chunk; what lies before what is written already is left out."""
        if self._rate_hz != sound.rate_hz:
            self._flush()
        off_ns = sound.offset_ns - self._start_ns - self._written * NS // SOUND_HZ
        if off_ns > SLACK_NS:
            self._flush()
            self._write(np.zeros(off_ns * SOUND_HZ // NS, dtype=np.float32))
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_HZ)
            self._rate_hz = sound.rate_hz
        mono = sound.samples.astype(np.float32).mean(axis=1) / 32768.0
        if off_ns < -SLACK_NS:
            mono = mono[min(len(mono), -off_ns * sound.rate_hz // NS) :]
        if len(mono):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format="fltp", layout="mono")
            frame.sample_rate = sound.rate_hz
            self._resampled(frame)

    def end(self, length_ns: int) -> None:
        """Silence until `length_ns`, and the end."""
        self._flush()
        missing = length_ns * SOUND_HZ // NS - self._written
        if missing > 0:
            self._write(np.zeros(missing, dtype=np.float32))
        self._out.mux(self._stream.encode(None))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._resampled(None)
            self._resampler, self._rate_hz = None, 0

    def _resampled(self, frame: Any) -> None:
        for part in self._resampler.resample(frame):
            self._write(part.to_ndarray()[0])

    def _write(self, samples: NDArray[np.float32]) -> None:
        for begin in range(0, len(samples), SOUND_HZ):
            part = np.ascontiguousarray(samples[None, begin : begin + SOUND_HZ], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, self._written, Fraction(1, SOUND_HZ)
            self._out.mux(self._stream.encode(frame))
            self._written += part.shape[1]


def _fitted(bgr: UINT8) -> UINT8:
    """The whole picture in the middle of the speaker's panel."""
    height, width = bgr.shape[:2]
    scale = min(SPEAKER_WIDTH / width, HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fitted = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    panel = _NOBODY.copy()
    top, left = (HEIGHT - size[1]) // 2, (SPEAKER_WIDTH - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = fitted
    return panel


def _captioned(panel: UINT8, text: str) -> UINT8:
    panel = np.ascontiguousarray(panel).copy()
    for colour, width in (((0, 0, 0), 3), (_INK, 1)):
        cv2.putText(panel, text, (12, HEIGHT - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
    return panel


def _ahead(pool: ProcessPoolExecutor, drawn: Iterator[str]) -> Iterator[UINT8]:
    """Pictures in order; the pool works a few ahead of the one that is needed."""
    waiting: deque[Future[UINT8]] = deque()
    for svg in drawn:
        waiting.append(pool.submit(rasterised, svg))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _rendered(drawn: Iterator[str], processes: int) -> Iterator[Iterator[UINT8]]:
    if processes <= 0:
        yield map(rasterised, drawn)
        return
    context = multiprocessing.get_context("spawn")
    ignored = (signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=signal.signal, initargs=ignored)
    try:
        yield _ahead(pool, drawn)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
