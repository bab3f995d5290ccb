"""A loudspeaker through PortAudio (sounddevice): stamped sound is heard when its stamp says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.portaudio import AudioDevice, close
from reactdiff_ros.timeline import Timeline
from reactdiff_ros.types import Sound

LATENCY_S = 0.05
"""Asked of the device: its lowest (8 ms) calls back 400 times a second and plays gaps on a busy machine. Stamps make
up for it."""


class Player:
    """A loudspeaker that is opened when something is played, and closed after `idle_s` of silence.

    Args:
        device: None = the system's default output, else the index or a part of the name.
        clock: stamp of now in ns; called from PortAudio's thread.
        sounddevice: the module, or one like it; None = imported when opened.
    """

    def __init__(self, device: int | str | None, clock: Callable[[], int], sounddevice: Any = None) -> None:
        self._device, self._clock = AudioDevice("loudspeaker", device, sounddevice), clock
        self._stream: Any = None
        self._timeline = Timeline(0)
        self.name = ""
        self.latency_s = 0.0
        """From the callback to the loudspeaker, as PortAudio says."""

    @property
    def is_open(self) -> bool:
        """Whether a device plays."""
        return self._stream is not None

    def open(self, rate_hz: int) -> None:
        """Open the device for mono sound of this rate; harmless when it is open for it.

        Raises:
            DeviceError: PortAudio or the device is missing or busy.
        """
        if self._stream is not None and self._timeline.rate_hz == rate_hz and self._stream.active:
            return
        self.close()
        try:
            device = self._device.find()
        except DeviceError:
            self._device.rescan()  # it may have been plugged in since
            device = self._device.find()
        self.name = str(device["name"])
        with self._device.one_sentence(self.name):
            self._timeline = Timeline(rate_hz)
            self._stream = self._device.module.OutputStream(
                device=int(device["index"]), samplerate=rate_hz, channels=1, dtype="int16", blocksize=0,
                latency=LATENCY_S, callback=self._play,
            )  # fmt: skip
            try:
                self._stream.start()
                self.latency_s = float(self._stream.latency)
            except Exception:
                self.close()
                raise

    def close(self) -> None:
        """Stop the device. Harmless when it is closed."""
        stream, self._stream = self._stream, None
        close(stream)

    def put(self, sound: Sound) -> None:
        """Play mono sound at its stamp. Nothing where no device is open."""
        if self._stream is not None:
            self._timeline.put(sound)

    def _play(self, out: Any, frames: int, times: Any, _status: Any) -> None:
        """PortAudio's callback."""
        ahead_s = float(getattr(times, "outputBufferDacTime", 0.0)) - float(getattr(times, "currentTime", 0.0))
        if not 0.0 < ahead_s < 0.5:
            ahead_s = min(max(self.latency_s, 0.0), 0.5)
        out[:, 0] = self._timeline.take(frames, self._clock() + round(ahead_s * NS))
