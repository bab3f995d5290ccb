"""The loudspeaker: the device that is meant, sound at its stamp, and one sentence for each fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.speech.player import Player
from reactdiff_ros.types import Sound

ROOT = Path(__file__).resolve().parents[2]
MONITOR = {"name": "Monitor", "index": 0, "max_output_channels": 2}
USB = {"name": "USB Speaker", "index": 3, "max_output_channels": 2}
MICROPHONE = {"name": "USB Microphone", "index": 1, "max_output_channels": 0}


class PortAudio:
    """What is used of the sounddevice module; a device in `later` is listed after the next scan."""

    def __init__(self, *devices: dict, later: tuple[dict, ...] = (), fail: Exception | None = None) -> None:
        self.devices, self.later, self.fail = devices, later, fail
        self.streams: list[SimpleNamespace] = []

    def OutputStream(self, **settings) -> SimpleNamespace:
        stream = SimpleNamespace(**{**settings, "latency": 0.02}, active=False, closed=False)

        def start() -> None:
            if self.fail is not None:
                raise self.fail
            stream.active = True

        stream.start, stream.abort = start, lambda: setattr(stream, "active", False)
        stream.close = lambda: setattr(stream, "closed", True)
        self.streams.append(stream)
        return stream

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return list(self.devices)
        for found in self.devices:
            if found["max_output_channels"] and device in (None, found["index"]):
                return found
        raise ValueError("Error querying device -1")

    def _terminate(self) -> None:
        self.devices, self.later = (*self.devices, *self.later), ()

    def _initialize(self) -> None:
        pass


@pytest.mark.parametrize(("wanted", "index"), [("usb", 3), ("3", 3), (3, 3), (None, 0)])
def test_device_by_index_or_part_of_its_name(wanted, index: int) -> None:
    module = PortAudio(MONITOR, MICROPHONE, USB)
    player = Player(wanted, lambda: 0, module)
    player.open(22050)
    assert (module.streams[0].device, module.streams[0].samplerate) == (index, 22050)
    assert player.is_open


def test_a_loudspeaker_that_was_plugged_in_since_is_found() -> None:
    module = PortAudio(MICROPHONE, later=(USB,))
    player = Player("usb", lambda: 0, module)
    player.open(16000)
    assert player.name == "USB Speaker"


def test_a_missing_loudspeaker_is_one_sentence_with_those_that_are_there() -> None:
    with pytest.raises(DeviceError, match=r"no such loudspeaker.*USB Speaker"):
        Player("bluetooth", lambda: 0, PortAudio(MICROPHONE, USB)).open(16000)


def test_a_device_that_does_not_start_is_given_back() -> None:
    module = PortAudio(USB, fail=RuntimeError("Device unavailable\nALSA lib"))
    player = Player(None, lambda: 0, module)
    with pytest.raises(DeviceError, match=r"Device unavailable.*USB Speaker") as raised:
        player.open(16000)
    assert "\n" not in str(raised.value)
    assert not player.is_open
    assert module.streams[0].closed


def test_sound_is_played_at_its_stamp_less_the_devices_latency() -> None:
    module, now_ns = PortAudio(USB), 100 * NS
    player = Player(None, lambda: now_ns, module)
    player.open(16000)
    player.put(Sound(now_ns + NS // 10, 16000, np.full((160, 1), 7, np.int16)))
    out = np.full((3200, 1), 99, np.int16)
    module.streams[0].callback(out, 3200, SimpleNamespace(outputBufferDacTime=5.02, currentTime=5.0), None)
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(1280, 1440))  # 100 ms, less 20 ms to the loudspeaker


def test_another_rate_opens_the_device_again_and_the_same_one_does_not() -> None:
    module = PortAudio(USB)
    player = Player(None, lambda: 0, module)
    for rate_hz in (16000, 16000, 22050):
        player.open(rate_hz)
    assert [s.samplerate for s in module.streams] == [16000, 22050]
    assert module.streams[0].closed
    player.close()
    assert module.streams[1].closed


# A process of its own: PortAudio and PulseAudio read their environment once.
PLAY_AND_LISTEN = """
import json, time
import numpy as np
from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig
from reactdiff_ros.clock import NS
from reactdiff_ros.speech.player import Player
from reactdiff_ros.types import Sound

microphone = Microphone(MicrophoneConfig(rate_hz=16000, channels=1), time.monotonic_ns)
microphone.open()
settled_ns, sounds = None, []
while settled_ns is None or time.monotonic_ns() < settled_ns:  # the first times of a sound server are off
    if microphone.read(time.monotonic_ns()) and settled_ns is None:
        settled_ns = time.monotonic_ns() + NS // 2
    time.sleep(0.005)
player = Player(None, time.monotonic_ns)
player.open(16000)
begin_ns = time.monotonic_ns() + NS
tone = (12000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)).astype(np.int16)
player.put(Sound(begin_ns, 16000, tone[:, None]))
while time.monotonic_ns() < begin_ns + 2 * NS:
    sounds += microphone.read(time.monotonic_ns())
    time.sleep(0.005)
samples = np.concatenate([s.samples[:, 0] for s in sounds]).astype(float)
loud = np.flatnonzero(np.abs(samples) > 3000)
heard = samples[loud[0] : loud[-1]]
spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
print(json.dumps({
    "hz": float(spectrum.argmax() * 16000 / len(heard)), "seconds": len(heard) / 16000,
    "late_s": (sounds[0].stamp_ns - begin_ns) / 1e9 + loud[0] / 16000,
}))
"""


@pytest.mark.real_time
def test_a_real_loudspeaker_plays_what_a_real_microphone_hears(microphone_without_hardware) -> None:
    environment = microphone_without_hardware.environment
    done = subprocess.run(
        [sys.executable, "-c", PLAY_AND_LISTEN], capture_output=True, text=True, timeout=60, check=False,
        env={**environment, "PYTHONPATH": f"{ROOT}:{environment.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["hz"] == pytest.approx(440, abs=15)
    assert result["seconds"] == pytest.approx(0.5, abs=0.1)
    assert -0.2 < result["late_s"] < 1.0
