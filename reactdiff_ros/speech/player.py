"""A loudspeaker through PortAudio (sounddevice): stamped sound is heard when its stamp says."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.timeline import Timeline
from reactdiff_ros.types import Sound


class Player:
    """A loudspeaker that is opened when something is played, and closed after `idle_s` of silence.

    Args:
        device: None = the system's default output, else the index or a part of the name.
        clock: stamp of now in ns; called from PortAudio's thread.
        sounddevice: the module, or one like it; None = imported when opened.
    """

    def __init__(self, device: int | str | None, clock: Callable[[], int], sounddevice: Any = None) -> None:
        self._device, self._clock, self._module = device, clock, sounddevice
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
        module = self._portaudio()
        try:
            device = module.query_devices(self._index(module), "output")
            self.name = str(device["name"])
            self._timeline = Timeline(rate_hz)
            self._stream = module.OutputStream(
                device=int(device["index"]), samplerate=rate_hz, channels=1, dtype="int16", blocksize=0, latency="low",
                callback=self._play,
            )  # fmt: skip
            self._stream.start()
            self.latency_s = float(self._stream.latency)
        except DeviceError:
            raise
        except Exception as error:  # PortAudioError shares no base with what another version raises
            self.close()
            reason = (" ".join(str(a) for a in error.args[:1]).strip() or type(error).__name__).splitlines()[0][:120]
            raise DeviceError(
                f"the loudspeaker cannot be used ({reason})", where=self.name or self._where(),
                todo="choose another with 'python3 -m sounddevice', or press 'Hear the robot' on its page",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Stop the device. Harmless when it is closed."""
        stream, self._stream = self._stream, None
        if stream is not None:
            for finish in (stream.abort, stream.close):
                with contextlib.suppress(Exception):  # a device that is gone cannot be stopped
                    finish()

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

    def _portaudio(self) -> Any:
        if self._module is None:
            try:
                self._module = importlib.import_module("sounddevice")
            except (ImportError, OSError) as error:  # OSError: the PortAudio library is not installed
                raise DeviceError(
                    "the PortAudio library is missing", where="loudspeaker", todo="run 'apt install libportaudio2'"
                ) from error
        return self._module

    def _index(self, module: Any) -> int | None:
        wanted = self._device
        if wanted is None or isinstance(wanted, int):
            return wanted
        if wanted.strip().isdigit():
            return int(wanted)
        outputs = [d for d in module.query_devices() if d["max_output_channels"] > 0]
        for device in outputs:
            if wanted.lower() in str(device["name"]).lower():
                return int(device["index"])
        names = ", ".join(str(d["name"]) for d in outputs)[:200]
        todo = f"choose one of: {names}" if names else "none is connected, so plug one in"
        raise DeviceError("there is no such loudspeaker", where=wanted, todo=todo)

    def _where(self) -> str:
        return "default loudspeaker" if self._device is None else f"loudspeaker {self._device}"
