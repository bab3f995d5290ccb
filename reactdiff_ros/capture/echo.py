"""Takes the robot's own voice out of what the microphone hears: WebRTC's echo canceller (AEC3, pywebrtc-audio).

The reference is the voice as it is heard at the loudspeaker, by its stamps. Until the robot speaks for the first time,
and from IDLE_NS after its last sound, the microphone's sound is passed on as it is.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MissingExtraError
from reactdiff_ros.timeline import Timeline
from reactdiff_ros.types import Sound

RATES_HZ: Final = (16000, 32000, 48000)
"""Rates of the microphone at which the canceller works."""
FRAME_S: Final = 0.01
AHEAD_NS: Final = 60_000_000
"""The reference leads by this, so that an echo never comes before it, whatever the devices' latencies are off by."""
IDLE_NS: Final = NS
MAX_CHANNELS: Final = 2


class EchoCanceller:
    """The microphone's sound without the robot's voice; time is that of the stamps.

    Raises:
        MissingExtraError: pywebrtc-audio is not installed.
    """

    def __init__(self) -> None:
        try:
            self._webrtc: Any = importlib.import_module("pywebrtc_audio")
        except ImportError as error:
            todo = "pip install pywebrtc-audio, so that people are heard while the robot speaks"
            raise MissingExtraError("pywebrtc-audio", todo) from error
        self._reference = Timeline(0)
        self._owed = 0.0
        self._until_ns = 0
        self._parts: list[Any] = []
        self._of: tuple[int, int] = (0, 0)
        self._rest = np.zeros((0, 0), np.int16)
        self._rest_ns = 0

    def spoken(self, sound: Sound) -> None:
        """The robot's voice, stamped with when it is heard; a chunk with an earlier stamp replaces those before it."""
        if sound.rate_hz != self._reference.rate_hz:
            self._reference = Timeline(sound.rate_hz)
        mono = sound.samples if sound.samples.shape[1] == 1 else sound.samples.mean(1, keepdims=True).astype(np.int16)
        self._reference.put(Sound(sound.stamp_ns, sound.rate_hz, mono))
        self._until_ns = max(self._until_ns, sound.end_ns + IDLE_NS)

    def hears(self, sound: Sound) -> bool:
        """Whether this chunk of the microphone holds the robot's voice: the robot speaks, or did just now."""
        return sound.stamp_ns < self._until_ns

    def able(self, sound: Sound) -> bool:
        """Whether the canceller works at this rate and number of channels."""
        return sound.rate_hz in RATES_HZ and sound.samples.shape[1] <= MAX_CHANNELS

    def clean(self, sound: Sound) -> Sound | None:
        """The chunk without the robot's voice, as long as whole frames of 10 ms are there; None: less than one is."""
        rate, channels = sound.rate_hz, sound.samples.shape[1]
        if self._of != (rate, channels):
            self._of = (rate, channels)
            self._parts = [self._webrtc.EchoCanceller(sample_rate=rate) for _ in range(channels)]
            self._rest = np.zeros((0, channels), np.int16)
        if not len(self._rest):
            self._rest_ns = sound.stamp_ns
        samples = np.concatenate([self._rest, sound.samples])
        step = round(rate * FRAME_S)
        count = len(samples) // step * step
        stamp_ns, self._rest = self._rest_ns, samples[count:]
        self._rest_ns = stamp_ns + count * NS // rate
        if not count:
            return None
        far = self._far(stamp_ns, count, rate)
        out = np.empty((count, channels), np.int16)
        for at in range(0, count, step):
            for channel, part in enumerate(self._parts):
                near = np.ascontiguousarray(samples[at : at + step, channel])
                out[at : at + step, channel] = part.process(near, far[at : at + step])
        return Sound(stamp_ns, rate, out, clean=True)

    def _far(self, stamp_ns: int, count: int, rate: int) -> NDArray[np.int16]:
        """The reference at the microphone's rate: linear interpolation, which an adaptive filter does not mind."""
        own = self._reference.rate_hz
        if own == 0:
            return np.zeros(count, np.int16)
        self._owed += count * own / rate
        wanted = max(int(self._owed), 1)
        self._owed -= wanted
        taken = self._reference.take(wanted, stamp_ns + AHEAD_NS)
        at = np.arange(count) * own / rate
        return np.interp(at, np.arange(wanted), taken).astype(np.int16)
