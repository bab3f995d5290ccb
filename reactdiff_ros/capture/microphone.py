"""A microphone through PortAudio (sounddevice): stamped int16 sound, lost and found again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reactdiff_ros.clock import NS, Backoff
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.portaudio import AudioDevice, close
from reactdiff_ros.types import MOST_CHANNELS, Sound

QUEUE_S = 1.0
"""Sound that waits longer than this for a reader is dropped, the oldest first."""
SILENT_S = 1.0
"""If no block comes for this long, the device is gone."""
START_S = 4.0
"""The same for the first block: sound servers and wireless microphones take up to 2 s to start."""


@dataclass(frozen=True, slots=True)
class MicrophoneConfig:
    """What is asked of the microphone; None takes what the device says is its own."""

    device: int | str | None = None
    """Index, or a part of the name (any case); None = the system's default input."""
    rate_hz: int | None = None
    channels: int | None = None
    """None: up to two channels of the device."""
    block_s: float = 0.01


class SampleClock:
    """Stamps of consecutive blocks from noisy arrival times: rising, without drift.

    Counting samples gives even stamps but drifts with the device's crystal; arrival times are right but for the
    delays that a busy machine adds, which are never negative. So the count is pulled to the measured time: slowly up
    (2 s), faster down (0.2 s). Blocks that go on being more than 0.1 s late for 0.2 s mean that samples were lost,
    where a mere stall catches up; more than 1 s early, that the clock was set: then the measured time is taken over.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._next_ns: float | None = None
        self._late_ns = 0.0

    def stamp(self, measured_ns: int, count: int) -> int:
        """Stamp of a block's first of `count` samples, whose capture was measured at `measured_ns`."""
        duration_ns = count * NS / self._rate_hz
        if self._next_ns is None:
            self._next_ns = float(measured_ns)
        error_ns = measured_ns - self._next_ns
        self._late_ns = self._late_ns + duration_ns if error_ns > NS / 10 else 0.0
        if error_ns < -NS or self._late_ns > NS / 5:
            self._next_ns, self._late_ns, error_ns = float(measured_ns), 0.0, 0.0
        # at most half a block, so that the stamps always rise
        pull_ns = error_ns * min(1.0, duration_ns / (2 * NS if error_ns > 0 else NS / 5))
        stamp_ns = self._next_ns + min(max(pull_ns, -0.5 * duration_ns), 0.5 * duration_ns)
        self._next_ns = stamp_ns + duration_ns
        return round(stamp_ns)


class Microphone:
    """A microphone that may be missing, go and come back. Reading never waits.

    Args:
        config: what is asked for.
        clock: stamp of now in ns; called from PortAudio's thread.
        sounddevice: the module, or one like it; None = imported when opened.
        on_sound: called (from PortAudio's thread) when a block was queued, to wake a reader.
    """

    def __init__(
        self,
        config: MicrophoneConfig,
        clock: Callable[[], int],
        sounddevice: Any = None,
        on_sound: Callable[[], None] | None = None,
    ) -> None:
        self.config = config
        self._clock, self._on_sound = clock, on_sound
        self._device = AudioDevice("microphone", config.device, sounddevice)
        self._stream: Any = None
        self._lock = threading.Lock()
        self._queue: deque[Sound] = deque()
        self._stamps = SampleClock(16000)
        self._backoff = Backoff()
        self._heard_ns: int | None = None
        self._opened_ns = 0
        self._oldest_s = 0.0
        self.name = ""
        self.rate_hz = 0
        self.channels = 0
        self.dropped = 0
        """Blocks dropped because they were not read in time."""
        self.overflows = 0
        """How often PortAudio itself lost sound."""

    @property
    def is_open(self) -> bool:
        """True between a successful `open` and the next loss or `close`."""
        return self._stream is not None

    def open(self) -> None:
        """Choose the device and start it.

        Raises:
            DeviceError: PortAudio or the device is missing, busy, or refuses rate or channels.
        """
        self.close()
        device = self._device.find()
        self.name = str(device["name"])
        with self._device.one_sentence(self.name):
            self.rate_hz = int(self.config.rate_hz or device["default_samplerate"])
            self.channels = int(self.config.channels or min(int(device["max_input_channels"]), 2))
        if not 8000 <= self.rate_hz <= 192000 or not 1 <= self.channels <= MOST_CHANNELS:
            raise DeviceError(
                f"the microphone cannot give {self.channels} channels at {self.rate_hz} Hz", where=self.name
            )
        self._stamps = SampleClock(self.rate_hz)
        self._heard_ns, self._opened_ns = None, self._clock()
        with self._device.one_sentence(self.name):
            stream = self._device.module.InputStream(
                device=int(device["index"]),
                samplerate=self.rate_hz,
                channels=self.channels,
                dtype="int16",
                blocksize=max(1, round(self.rate_hz * self.config.block_s)),
                latency="low",
                callback=self._heard,
            )
            self._stream = stream
            try:
                self._oldest_s = _oldest_s(stream, self.config.block_s)
                stream.start()
            except Exception:
                self.close()
                raise

    def close(self) -> None:
        """Stop the device; what was not read is gone. Harmless when it is closed."""
        stream, self._stream = self._stream, None
        close(stream)
        with self._lock:
            self._queue.clear()

    def reconnect(self, now_ns: int) -> bool:
        """Try to open a lost microphone, not more often than the backoff (0.5 to 5 s) allows.

        Returns:
            True if it is open now; False if it is not time to try yet.

        Raises:
            DeviceError: it was tried and failed.
        """
        return self.is_open or self._backoff.attempt(now_ns, self._open_again)

    def read(self, now_ns: int) -> list[Sound]:
        """Everything heard since the last call, oldest first.

        Raises:
            DeviceError: closed, or no sound came for SILENT_S; it is closed then, use `reconnect`.
        """
        if self._stream is None:
            raise DeviceError("the microphone is not open", where=self._device.where)
        with self._lock:
            sounds = list(self._queue)
            self._queue.clear()
        since_ns, patience_s = self._heard_ns, SILENT_S
        if since_ns is None:
            since_ns, patience_s = self._opened_ns, START_S
        if not sounds and now_ns - since_ns > patience_s * NS:
            self.close()
            raise DeviceError("the microphone stopped giving sound", where=self.name, todo="it is tried again")
        if sounds:
            self._backoff.reset()
        return sounds

    def _heard(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """PortAudio's callback: copy, stamp, queue."""
        now_ns = self._clock()
        sound = Sound(
            self._stamps.stamp(_captured_ns(now_ns, frames, self.rate_hz, times, self._oldest_s), frames),
            self.rate_hz,
            np.array(data, np.int16, copy=True).reshape(frames, self.channels),
        )
        longest = max(1, round(QUEUE_S / self.config.block_s))
        with self._lock:
            self._heard_ns = now_ns
            self.overflows += bool(getattr(status, "input_overflow", False))
            self._queue.append(sound)
            while len(self._queue) > longest:
                self._queue.popleft()
                self.dropped += 1
        if self._on_sound is not None:
            self._on_sound()

    def _open_again(self) -> None:
        self._device.rescan()
        self.open()


def _oldest_s(stream: Any, block_s: float) -> float:
    """How old a block can be when it comes: its own length and what the device buffers, with some room.

    Sound servers report far more while a stream starts (0.6 s seen), though the sound comes in real time.
    """
    latency = getattr(stream, "latency", 0.0)
    buffered_s = float(latency) if isinstance(latency, int | float) else 0.0
    return min(block_s + 2.0 * buffered_s + 0.05, 0.25)


def _captured_ns(now_ns: int, frames: int, rate_hz: int, times: Any, oldest_s: float) -> int:
    """Capture time of a block's first sample: now minus PortAudio's age of it, where that is believable."""
    shortest_ns = frames * NS // rate_hz  # the block's last sample cannot come from the future
    age_s = float(getattr(times, "currentTime", 0.0)) - float(getattr(times, "inputBufferAdcTime", 0.0))
    if float(getattr(times, "inputBufferAdcTime", 0.0)) <= 0.0 or not 0.0 < age_s < oldest_s:
        return now_ns - shortest_ns
    return now_ns - max(round(age_s * NS), shortest_ns)
