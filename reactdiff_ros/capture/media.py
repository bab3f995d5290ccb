"""A media file as stamped pictures and sound on one clock that starts at 0, and its playing as if live."""

from __future__ import annotations

import heapq
import os.path
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, reason_of
from reactdiff_ros.types import UINT8

SOUND_CHUNK_S = 0.02
COVER_ART = 0x400
"""FFmpeg's mark of a picture track that is an attached picture."""
_REMEDY = "play it with another program, or convert it with 'ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4'"


class ClipPicture(NamedTuple):
    """One picture. `bgr`: uint8 (height, width, 3), upright; `offset_ns`: when it is shown, from the clip's start."""

    offset_ns: int
    bgr: UINT8


class ClipSound(NamedTuple):
    """A chunk of at most 20 ms. `samples`: int16 (n, channels); `offset_ns`: of the first sample."""

    offset_ns: int
    rate_hz: int
    samples: NDArray[np.int16]
    clean: bool = False
    """As `Sound.clean`."""

    @property
    def end_ns(self) -> int:
        """Just after the last sample."""
        return self.offset_ns + len(self.samples) * NS // self.rate_hz


ClipItem: TypeAlias = ClipPicture | ClipSound


@dataclass(frozen=True, slots=True)
class _Track:
    index: int
    time_base: Fraction
    start_ns: int


class MediaClip:
    """A readable media file: what it has, and its contents in the order of their stamps.

    Stamps come from the file's presentation times, so variable picture rates and a sound that starts late are kept.
    The earliest of the two tracks is time 0. Decoding uses one thread.

    Raises:
        MediaError: the file is missing, empty, broken, or has neither pictures nor sound.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged_packets = 0
        """Packets that could not be decoded and were left out, over all readings."""
        if not os.path.isfile(self.path):  # of a name of any length
            what = "this is not a media file" if os.path.exists(self.path) else "there is no such media file"
            raise MediaError(what, where=str(path), todo="check the path")
        if self.path.stat().st_size == 0:
            raise MediaError("the media file is empty", where=str(path), todo="copy or record it again")
        self.picture_size = (0, 0)
        """(width, height) as stored, before rotation; (0, 0) without pictures."""
        self.picture_rate_hz = 0.0
        """Mean pictures a second by the header; 0 = unknown or no pictures."""
        with self._open() as container:
            self._picture, self._sound = _track(container, "video"), _track(container, "audio")
            self.duration_s = max(container.duration or 0, 0) / av.time_base
            """Length by the file's header, seconds; 0 = the header does not say."""
            if self._picture is not None:
                stream = container.streams[self._picture.index]
                context = stream.codec_context
                self.picture_size = int(context.width or 0), int(context.height or 0)
                self.picture_rate_hz = float(stream.average_rate or 0.0)
        if self._picture is None and self._sound is None:
            raise MediaError("the file has neither pictures nor sound", where=str(path), todo=_REMEDY)
        self._start_ns = min(t.start_ns for t in (self._picture, self._sound) if t is not None)

    @property
    def has_picture(self) -> bool:
        """True with a picture track (cover art does not count)."""
        return self._picture is not None

    @property
    def has_sound(self) -> bool:
        """True with a sound track, also if it is digitally silent."""
        return self._sound is not None

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Every picture and every chunk of sound, offsets never falling; a fresh reading on every call.

        A file cut short gives what it has; damaged packets are left out and counted.

        Raises:
            MediaError: not one picture or chunk could be decoded.
        """
        return self._read(self._picture, self._sound)

    def pictures(self) -> Iterator[ClipPicture]:
        """The pictures alone; sound is not decoded."""
        return (item for item in self._read(self._picture, None) if isinstance(item, ClipPicture))

    def sound(self) -> Iterator[ClipSound]:
        """The sound alone; pictures are not decoded."""
        return (item for item in self._read(None, self._sound) if isinstance(item, ClipSound))

    def _read(self, picture: _Track | None, sound: _Track | None) -> Iterator[ClipItem]:
        # One reader a track: bounded memory however badly the tracks are interleaved.
        pictures = [] if picture is None else self._pictures(picture)
        sounds = [] if sound is None else self._sounds(sound)
        item = None
        for item in heapq.merge(pictures, sounds, key=lambda item: item.offset_ns):
            yield item
        if item is None and (picture, sound) == (self._picture, self._sound):
            raise MediaError(
                "nothing could be decoded: the file has no usable pictures or sound", where=str(self.path), todo=_REMEDY
            )

    def _open(self) -> Any:
        try:
            return av.open(str(self.path))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            what = f"the media file cannot be read ({reason_of(error)})"
            raise MediaError(what, where=str(self.path), todo=_REMEDY) from error

    def _frames(self, track: _Track) -> Iterator[Any]:
        with self._open() as container:
            stream = container.streams[track.index]
            stream.codec_context.thread_count = 1
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return
                except (av.error.FFmpegError, OSError):  # the file ends in the middle
                    self.damaged_packets += 1
                    return
                try:
                    yield from packet.decode()
                except av.error.EOFError:
                    return
                except (av.error.FFmpegError, ValueError):
                    self.damaged_packets += 1

    def _pictures(self, track: _Track) -> Iterator[ClipItem]:
        last_ns, step_ns = -1, round(NS / self.picture_rate_hz) if self.picture_rate_hz else NS // 25
        for frame in self._frames(track):
            if frame.pts is None:
                offset_ns = last_ns + step_ns if last_ns >= 0 else 0
            else:
                offset_ns = max(0, _ns(frame.pts, track.time_base) - self._start_ns)
            if offset_ns <= last_ns:  # two pictures for one time: the stamps must rise
                continue
            last_ns = offset_ns
            yield ClipPicture(offset_ns, upright(frame))

    def _sounds(self, track: _Track) -> Iterator[ClipItem]:
        chunks: _Rechunker | None = None
        resampler: Any = None
        for frame in self._frames(track):
            if chunks is None or chunks.rate_hz != frame.sample_rate or chunks.layout != frame.layout.name:
                if chunks is not None:
                    yield from chunks.flush()
                resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=frame.sample_rate)
                chunks = _Rechunker(frame.sample_rate, frame.layout.name)
            offset_ns = None if frame.pts is None else _ns(frame.pts, track.time_base) - self._start_ns
            channels = frame.layout.nb_channels
            for converted in resampler.resample(frame):
                samples = converted.to_ndarray().reshape(-1, channels).astype(np.int16, copy=False)
                yield from chunks.push(offset_ns, samples)
                offset_ns = None
        if chunks is not None:
            yield from chunks.flush()


class _Rechunker:
    """Joins decoded frames and cuts them into chunks of 20 ms; starts again after a hole in the stamps."""

    HOLE_NS = 5_000_000

    def __init__(self, rate_hz: int, layout: str) -> None:
        self.rate_hz, self.layout = rate_hz, layout
        self._size = max(1, int(rate_hz * SOUND_CHUNK_S))
        self._parts: list[NDArray[np.int16]] = []
        self._count = 0
        self._anchor_ns: int | None = None
        self._emitted = 0

    def push(self, offset_ns: int | None, samples: NDArray[np.int16]) -> Iterator[ClipSound]:
        if self._anchor_ns is None:
            self._anchor_ns = max(0, offset_ns or 0)
            if offset_ns is not None and offset_ns < 0:  # priming samples before time 0
                samples = samples[-offset_ns * self.rate_hz // NS :]
        elif offset_ns is not None and offset_ns - self._end_ns() > self.HOLE_NS:
            yield from self.flush()
            self._anchor_ns, self._emitted = offset_ns, 0
        self._parts.append(samples)
        self._count += len(samples)
        if self._count >= self._size:
            joined = np.concatenate(self._parts)
            whole = len(joined) // self._size * self._size
            for start in range(0, whole, self._size):
                yield self._chunk(joined[start : start + self._size])
            self._parts, self._count = [joined[whole:]], len(joined) - whole

    def flush(self) -> Iterator[ClipSound]:
        rest = np.concatenate(self._parts) if self._parts else np.zeros((0, 1), np.int16)
        self._parts, self._count = [], 0
        if len(rest):
            yield self._chunk(rest)

    def _end_ns(self) -> int:
        return (self._anchor_ns or 0) + (self._emitted + self._count) * NS // self.rate_hz

    def _chunk(self, samples: NDArray[np.int16]) -> ClipSound:
        stamp_ns = (self._anchor_ns or 0) + self._emitted * NS // self.rate_hz
        self._emitted += len(samples)
        return ClipSound(stamp_ns, self.rate_hz, np.ascontiguousarray(samples))


class PacedClip:
    """A clip played as if live: what is due is a function of the time since the start alone.

    Stamps go on rising over loops. When the player is late, only the newest due picture is given and the others are
    counted in `dropped_pictures`; sound is never dropped. After a stall of more than 2 s (the process was stopped)
    the rest of the clip moves later instead of being rushed through.

    Args:
        clip: what is played.
        loop: start again at the end.
    """

    STALL_NS = 2 * NS

    def __init__(self, clip: MediaClip, loop: bool = False) -> None:
        self._clip, self._loop = clip, loop
        self.dropped_pictures = 0
        self._base_ns = 0
        self._end_ns = 0
        self._picture_ns: list[int] = []
        self._items = clip.pictures_and_sound()
        self._next: ClipItem | None = self._take()

    @property
    def finished(self) -> bool:
        """True when everything was given (never with `loop`)."""
        return self._next is None

    @property
    def next_due_ns(self) -> int | None:
        """When the next item is due, ns since the start; None when finished."""
        return None if self._next is None else self._next.offset_ns

    def due(self, elapsed_ns: int) -> list[ClipItem]:
        """The items due until `elapsed_ns` since the start and not given before; offsets rise over all calls.

        Raises:
            MediaError: the file became unreadable.
        """
        if self._next is not None and elapsed_ns - self._next.offset_ns > self.STALL_NS:
            move_ns = elapsed_ns - self._next.offset_ns
            self._base_ns += move_ns
            self._next = _moved(self._next, move_ns)
        given: list[ClipItem] = []
        while self._next is not None and self._next.offset_ns <= elapsed_ns:
            given.append(self._next)
            self._next = self._take()
        newest = max((i for i, item in enumerate(given) if isinstance(item, ClipPicture)), default=-1)
        kept = [item for i, item in enumerate(given) if isinstance(item, ClipSound) or i == newest]
        self.dropped_pictures += len(given) - len(kept)
        return kept

    def _take(self) -> ClipItem | None:
        item = next(self._items, None)
        if item is None:
            if not self._loop:
                return None
            self._base_ns += self._period_ns()
            self._end_ns, self._picture_ns = 0, []
            self._items = self._clip.pictures_and_sound()
            item = next(self._items)
        if isinstance(item, ClipPicture):
            self._picture_ns = [*self._picture_ns[-1:], item.offset_ns]
        else:
            self._end_ns = max(self._end_ns, item.end_ns)
        return _moved(item, self._base_ns)

    def _period_ns(self) -> int:
        """How long this pass was: until the sound ended and the last picture was shown as long as the one before."""
        shown = self._picture_ns[-1] - self._picture_ns[0] if len(self._picture_ns) == 2 else NS // 25
        last = self._picture_ns[-1] + shown if self._picture_ns else 0
        return max(self._end_ns, last, 1)


def _moved(item: ClipItem, by_ns: int) -> ClipItem:
    return item._replace(offset_ns=item.offset_ns + by_ns)


def _ns(pts: int, time_base: Fraction) -> int:
    return pts * time_base.numerator * NS // time_base.denominator


def _track(container: Any, kind: str) -> _Track | None:
    for stream in container.streams:
        if stream.type != kind or stream.codec_context is None:
            continue
        if kind == "video" and int(getattr(stream, "disposition", None) or 0) & COVER_ART:
            continue
        start = 0 if stream.start_time is None else _ns(stream.start_time, stream.time_base)
        return _Track(stream.index, stream.time_base, start)
    return None


def upright(frame: Any) -> UINT8:
    """BGR pixels of a frame of PyAV, turned as its display matrix says (degrees, counter-clockwise); never mirrored."""
    bgr: UINT8 = frame.to_ndarray(format="bgr24", threads=1)  # more wait longer for each other than they work
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(bgr, turns)) if turns else bgr


class Origin:
    """The clip's time 0 on the node's clock: steady from one item to the next, and following that clock for days."""

    JUMP_NS = NS // 10
    PULL = 0.01

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def follow(self, measured_ns: int) -> None:
        """Pull it towards a measurement, which jitters by the scheduler; a clock that was set is taken over at once."""
        gap = measured_ns - self.ns
        self.ns = measured_ns if abs(gap) > self.JUMP_NS else self.ns + round(self.PULL * gap)


class ClipPlayer:
    """Plays a clip once, or in a loop.

    Args:
        clip: what is played.
        loop: start again at the end.
        clock_ns: what it is played by; if it goes back, `items` ends and the clip has to start again.
        now_ns: the clock of the stamps.
        wait: waits for at most this many ns, and returns whether the player must stop.
    """

    def __init__(
        self, clip: MediaClip, loop: bool, clock_ns: Callable[[], int], now_ns: Callable[[], int],
        wait: Callable[[int], bool],
    ) -> None:  # fmt: skip
        self._paced = PacedClip(clip, loop)
        self._clock_ns, self._now_ns, self._wait = clock_ns, now_ns, wait
        self.ended = False
        """The clip was played to its end."""

    @property
    def dropped_pictures(self) -> int:
        """Pictures that were late."""
        return self._paced.dropped_pictures

    def items(self) -> Iterator[tuple[ClipItem, int]]:
        """Pictures when they are due, and sound when its last sample was heard, as a microphone gives it; with their
        stamps. Raises MediaError if the file becomes unreadable.
        """
        start_ns = self._clock_ns()
        origin = Origin(self._now_ns())
        waiting: list[tuple[int, int, ClipSound]] = []
        while waiting or not self._paced.finished:
            elapsed_ns = self._clock_ns() - start_ns
            if elapsed_ns < 0:
                return
            origin.follow(self._now_ns() - elapsed_ns)
            for item in self._paced.due(elapsed_ns):
                if isinstance(item, ClipSound):
                    heapq.heappush(waiting, (item.end_ns, item.offset_ns, item))
                else:
                    yield item, origin.ns + item.offset_ns
            while waiting and waiting[0][0] <= elapsed_ns:
                sound = heapq.heappop(waiting)[2]
                yield sound, origin.ns + sound.offset_ns
            times = [t for t in (self._paced.next_due_ns, waiting[0][0] if waiting else None) if t is not None]
            if self._wait(min(times, default=0) - (self._clock_ns() - start_ns)):
                return
        self.ended = True
