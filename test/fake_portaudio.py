"""What is used of the module sounddevice, for devices that are not there."""

from types import SimpleNamespace
from typing import Any

import numpy as np

_SIDES = {"input": "max_input_channels", "output": "max_output_channels"}


class Stream:
    """A stream that the test feeds through the callback."""

    latency = 0.02

    def __init__(self, settings: dict[str, Any], fail: Exception | None) -> None:
        self.settings, self._fail = settings, fail
        self.active = self.closed = False

    def start(self) -> None:
        if self._fail is not None:
            raise self._fail
        self.active = True

    def abort(self) -> None:
        self.active = False

    def close(self) -> None:
        self.closed = True

    def give(self, samples: np.ndarray, current: float = 0.0, adc: float = 0.0) -> None:
        """A block of a microphone."""
        times = SimpleNamespace(currentTime=current, inputBufferAdcTime=adc)
        self.settings["callback"](samples, len(samples), times, SimpleNamespace(input_overflow=False))


class FakePortAudio:
    """Lists `devices`, those in `later` only after the next scan; streams raise `fail` when they start."""

    def __init__(self, *devices: dict[str, Any], later: tuple[dict[str, Any], ...] = (), fail: Exception | None = None):
        self.devices, self._later, self._fail = devices, later, fail
        self.streams: list[Stream] = []

    def InputStream(self, **settings: Any) -> Stream:
        self.streams.append(Stream(settings, self._fail))
        return self.streams[-1]

    OutputStream = InputStream

    def query_devices(self, device: int | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return list(self.devices)
        for found in self.devices:
            if found[_SIDES[kind]] and device in (None, found["index"]):
                return found
        raise ValueError("Error querying device -1")

    def _terminate(self) -> None:
        self.devices, self._later = (*self.devices, *self._later), ()

    def _initialize(self) -> None:
        pass
