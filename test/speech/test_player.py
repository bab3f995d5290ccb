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
    Player(wanted, lambda: 0, module).open(22050)
    assert (module.streams[0].settings["device"], module.streams[0].settings["samplerate"]) == (index, 22050)


def test_one_that_was_plugged_in_since_is_found_and_one_that_is_missing_or_does_not_start_is_one_sentence() -> None:
    player = Player("usb", lambda: 0, FakePortAudio(MICROPHONE, later=(USB,)))
    player.open(16000)
    assert player.name == "USB Speaker"
    with pytest.raises(DeviceError, match=r"no such loudspeaker.*USB Speaker"):
        Player("bluetooth", lambda: 0, FakePortAudio(MICROPHONE, USB)).open(16000)
    module = FakePortAudio(USB, fail=RuntimeError("Device unavailable\nALSA lib"))
    player = Player(None, lambda: 0, module)
    with pytest.raises(DeviceError, match=r"Device unavailable.*USB Speaker") as raised:
        player.open(16000)
    assert "\n" not in str(raised.value)
    assert (player.is_open, module.streams[0].closed) == (False, True)


def test_sound_is_played_at_its_stamp_less_the_devices_latency_and_another_rate_opens_it_again() -> None:
    module, now_ns = FakePortAudio(USB), 100 * NS
    player = Player(None, lambda: now_ns, module)
    for rate_hz in (22050, 16000, 16000):
        player.open(rate_hz)
    assert [(s.settings["samplerate"], s.closed) for s in module.streams] == [(22050, True), (16000, False)]
    player.put(Sound(now_ns + NS // 10, 16000, np.full((160, 1), 7, np.int16)))
    out = np.full((3200, 1), 99, np.int16)
    module.streams[1].settings["callback"](out, 3200, SimpleNamespace(outputBufferDacTime=5.02, currentTime=5.0), None)
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(1280, 1440))  # 100 ms, less 20 ms to the loudspeaker
    player.close()
    assert module.streams[1].closed
