"""A visitor's browser as camera and microphone: the messages of its page as stamped pictures and sound.

A message, little-endian: uint8 version (1), uint8 kind, uint16 rate / 25 Hz of sound (else 0), uint32 number, float64
time of capture in ms of the page's clock; then, of kind 1, a JPEG, of kind 2, int16 mono; kind 3 answers a ping and has
no more. To the page goes a head without time (8 bytes): kind 1 acknowledges a picture, kind 3 is a ping; or JSON.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.capture.jpeg import frame_header
from reactdiff_ros.capture.microphone import SampleClock
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import pcm_sound
from reactdiff_ros.types import Sound

VERSION: Final = 1
PICTURE, SOUND, TIME = 1, 2, 3
HEAD: Final = struct.Struct("<BBHId")
REPLY: Final = struct.Struct("<BBHI")
MESSAGE_BYTES: Final = 256 * 1024
LARGEST: Final = (1920, 1920)
"""Width and height of a picture, px."""
OLDEST_NS: Final = NS
NEWEST_NS: Final = NS // 10
"""A message that seems to come from the future by more than this has no believable time."""
PICTURES_HZ, SOUNDS_HZ = 40, 60

_SCAN: Final = b"\xff\xda"
"""Each costs a decoder a pass over the picture, and its sender 10 bytes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG of `width` x `height` px, captured at `stamp_ns`."""

    stamp_ns: int
    jpeg: bytes
    width: int
    height: int


class RemoteClock:
    """Another machine's clock, from round trips: the shortest of the last 30 s is the most accurate (Cristian, 1989).

    Corrections are slewed by 1 ms/s, so that stamps do not jump; a clock that was set is followed at once.
    """

    WINDOW_NS: Final = 30 * NS
    SLEW: Final = 1e-3
    SET_NS: Final = NS // 4

    def __init__(self) -> None:
        self._trips: deque[tuple[int, int, int]] = deque()  # received, round trip, offset
        self._offset_ns: float | None = None
        self._slewed_ns = 0

    def answered(self, sent_ns: int, remote_ns: int, now_ns: int) -> None:
        """A ping of `sent_ns` was answered at `remote_ns` of the other clock; the answer came at `now_ns`."""
        offset = (sent_ns + now_ns) // 2 - remote_ns
        if self._offset_ns is None or abs(offset - self._offset_ns) > self.SET_NS + (now_ns - sent_ns):
            self._trips.clear()
            self._offset_ns, self._slewed_ns = float(offset), now_ns
        self._trips.append((now_ns, now_ns - sent_ns, offset))
        while now_ns - self._trips[0][0] > self.WINDOW_NS:
            self._trips.popleft()

    def local(self, remote_ns: int, now_ns: int) -> int | None:
        """`remote_ns` on the own clock; None before the first answer."""
        if self._offset_ns is None:
            return None
        best = min(self._trips, key=lambda trip: trip[1])[2]
        most = self.SLEW * max(0, now_ns - self._slewed_ns)
        self._slewed_ns = now_ns
        self._offset_ns += min(max(best - self._offset_ns, -most), most)
        return remote_ns + round(self._offset_ns)

    @property
    def ahead_s(self) -> float:
        """How far the other clock is ahead of the own one, s; 0 before the first answer."""
        return 0.0 if self._offset_ns is None else -self._offset_ns / NS


class _Rate:
    """At most `hz` a second, a second's worth at once."""

    def __init__(self, hz: int) -> None:
        self._hz, self._left, self._at_ns = hz, float(hz), 0

    def allows(self, now_ns: int) -> bool:
        self._left = min(float(self._hz), self._left + self._hz * max(0, now_ns - self._at_ns) / NS)
        self._at_ns = now_ns
        self._left -= (allowed := self._left >= 1.0)
        return allowed


class BrowserStream:
    """What one visitor's page sends. Time is an argument, of one clock in ns."""

    def __init__(self) -> None:
        self._clock = RemoteClock()
        self._pings: dict[int, int] = {}
        self._pinged = 0
        self._rates = {PICTURE: _Rate(PICTURES_HZ), SOUND: _Rate(SOUNDS_HZ), TIME: _Rate(4)}
        self._stamps, self._rate_hz, self._newest_ns = SampleClock(16000), 0, 0
        self._next_sound: int | None = None
        self.dropped = 0
        """Pictures and sounds that came too fast, too late, or before the clocks were compared."""
        self.lost = 0
        """Sounds that are missing between those that came."""

    @property
    def ahead_s(self) -> float:
        """How far the page's clock is ahead of ours, s; this is taken out of all stamps."""
        return self._clock.ahead_s

    def ping(self, now_ns: int) -> bytes:
        """A ping to send now."""
        self._pinged += 1
        self._pings = {n: at for n, at in self._pings.items() if now_ns - at < 5 * NS} | {self._pinged: now_ns}
        return REPLY.pack(VERSION, TIME, 0, self._pinged)

    def receive(self, message: bytes, now_ns: int) -> Picture | Sound | None:
        """What a message that came at `now_ns` holds; None: an answer to a ping, or something that is dropped.

        Raises:
            MessageError: it is malformed.
        """
        if not HEAD.size <= len(message) <= MESSAGE_BYTES:
            raise MessageError(f"a message of {len(message)} bytes", todo=f"send {HEAD.size} to {MESSAGE_BYTES}")
        version, kind, rate, number, time_ms = HEAD.unpack_from(message)
        if version != VERSION or kind not in self._rates or not 0.0 <= time_ms < 1e14:
            raise MessageError(f"a message of version {version}, kind {kind}, time {time_ms}", todo="reload the page")
        if not self._rates[kind].allows(now_ns):
            self.dropped += kind != TIME
            return None
        remote_ns, content = round(time_ms * 1e6), message[HEAD.size :]
        if kind == TIME:
            if (sent_ns := self._pings.pop(number, None)) is not None:
                self._clock.answered(sent_ns, remote_ns, now_ns)
            return None
        found = self._sound(rate * 25, number, remote_ns, content, now_ns) if kind == SOUND else None
        if kind == PICTURE:
            width, height = jpeg_size(content)
            stamp_ns = self._believable(remote_ns, now_ns)
            if stamp_ns is not None and stamp_ns > self._newest_ns:
                self._newest_ns = stamp_ns
                return Picture(stamp_ns, content, width, height)
        self.dropped += found is None
        return found

    def _believable(self, remote_ns: int, now_ns: int) -> int | None:
        stamp_ns = self._clock.local(remote_ns, now_ns)
        if stamp_ns is None or not -NEWEST_NS < now_ns - stamp_ns < OLDEST_NS:
            return None
        return min(stamp_ns, now_ns)

    def _sound(self, rate_hz: int, number: int, remote_ns: int, content: bytes, now_ns: int) -> Sound | None:
        if not content or len(content) % 2 or len(content) > rate_hz // 2:
            raise MessageError(f"{len(content)} bytes of sound at {rate_hz} Hz", todo="send int16, at most 250 ms")
        sound = pcm_sound(0, rate_hz, 1, np.frombuffer(content, dtype="<i2").astype(np.int16))
        if self._next_sound is not None:
            self.lost += min((number - self._next_sound) & 0xFFFFFFFF, 1000) if number != self._next_sound else 0
        self._next_sound = (number + 1) & 0xFFFFFFFF
        measured_ns = self._believable(remote_ns, now_ns)
        if measured_ns is None:
            return None
        if rate_hz != self._rate_hz:
            self._stamps, self._rate_hz = SampleClock(rate_hz), rate_hz
        return Sound(self._stamps.stamp(measured_ns, len(sound.samples)), rate_hz, sound.samples)


def acknowledge(message: bytes) -> bytes:
    """The answer to a picture: the page sends the next one."""
    return REPLY.pack(VERSION, PICTURE, 0, HEAD.unpack_from(message)[3])


def is_picture(message: bytes) -> bool:
    """Whether a message is of a picture."""
    return len(message) >= HEAD.size and message[1] == PICTURE


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in a JPEG's header; nothing is decoded.

    Raises:
        MessageError: it is no JPEG, larger than LARGEST, or takes a decoder much longer than its size suggests.
    """
    header = frame_header(data)
    if header is None:
        raise MessageError("a picture that is not a JPEG", todo="reload the page")
    if not (0 < header.width <= LARGEST[0] and 0 < header.height <= LARGEST[1]):
        what = f"a picture of {header.width}x{header.height}"
        raise MessageError(what, todo=f"send at most {LARGEST[0]}x{LARGEST[1]}")
    if data.count(_SCAN, header.at) > 1:
        raise MessageError("a picture of several scans", todo="send a baseline JPEG, as browsers make it")
    return header.width, header.height
