"""The loudspeaker: the device that is meant, sound at its stamp, and one sentence for each fault."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fake_portaudio import FakePortAudio

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.speech.player import Player
from reactdiff_ros.types import Sound

MONITOR = {"name": "Monitor", "index": 0, "max_output_channels": 2}
USB = {"name": "USB Speaker", "index": 3, "max_output_channels": 2}
MICROPHONE = {"name": "USB Microphone", "index": 1, "max_output_channels": 0}


@pytest.mark.parametrize(("wanted", "index"), [("usb", 3), ("3", 3), (3, 3), (None, 0)])
def test_device_by_index_or_part_of_its_name(wanted, index: int) -> None:
    module = FakePortAudio(MONITOR, MICROPHONE, USB)
    player = Player(wanted, lambda: 0, module)
    player.open(22050)
    assert (module.streams[0].settings["device"], module.streams[0].settings["samplerate"]) == (index, 22050)
    assert player.is_open


def test_a_loudspeaker_that_was_plugged_in_since_is_found_and_a_missing_one_is_one_sentence() -> None:
    player = Player("usb", lambda: 0, FakePortAudio(MICROPHONE, later=(USB,)))
    player.open(16000)
    assert player.name == "USB Speaker"
    with pytest.raises(DeviceError, match=r"no such loudspeaker.*USB Speaker"):
        Player("bluetooth", lambda: 0, FakePortAudio(MICROPHONE, USB)).open(16000)


def test_a_device_that_does_not_start_is_given_back() -> None:
    module = FakePortAudio(USB, fail=RuntimeError("Device unavailable\nALSA lib"))
    player = Player(None, lambda: 0, module)
    with pytest.raises(DeviceError, match=r"Device unavailable.*USB Speaker") as raised:
        player.open(16000)
    assert "\n" not in str(raised.value)
    assert not player.is_open
    assert module.streams[0].closed


def test_sound_is_played_at_its_stamp_less_the_devices_latency() -> None:
    module, now_ns = FakePortAudio(USB), 100 * NS
    player = Player(None, lambda: now_ns, module)
    player.open(16000)
    player.put(Sound(now_ns + NS // 10, 16000, np.full((160, 1), 7, np.int16)))
    out = np.full((3200, 1), 99, np.int16)
    module.streams[0].settings["callback"](out, 3200, SimpleNamespace(outputBufferDacTime=5.02, currentTime=5.0), None)
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(1280, 1440))  # 100 ms, less 20 ms to the loudspeaker


def test_another_rate_opens_the_device_again_and_the_same_one_does_not() -> None:
    module = FakePortAudio(USB)
    player = Player(None, lambda: 0, module)
    for rate_hz in (16000, 16000, 22050):
        player.open(rate_hz)
    assert [s.settings["samplerate"] for s in module.streams] == [16000, 22050]
    assert module.streams[0].closed
    player.close()
    assert module.streams[1].closed
