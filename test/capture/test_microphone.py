"""The microphone: devices, blocks, stamps and loss; and the real path through sounddevice, PortAudio and ALSA."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_portaudio import FakePortAudio
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig, SampleClock
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError

BUILT_IN = {"name": "Built-in Audio", "index": 2, "max_input_channels": 2, "default_samplerate": 48000.0}
ARRAY = {"name": "ReSpeaker 4 Mic Array: USB", "index": 5, "max_input_channels": 6, "default_samplerate": 16000.0}
SPEAKERS = {"name": "USB Speaker", "index": 1, "max_input_channels": 0}


class Clock:
    now_ns = 1_000 * NS

    def __call__(self) -> int:
        return self.now_ns


def microphone(*devices: dict, on_sound=None, **settings) -> tuple[Microphone, FakePortAudio, Clock]:
    module, clock = FakePortAudio(*devices), Clock()
    return Microphone(MicrophoneConfig(**settings), clock, module, on_sound), module, clock


def block(level: int = 1) -> np.ndarray:
    return np.full((480, 2), level, np.int16)


def test_the_device_is_opened_at_its_own_rate_with_at_most_two_channels():
    for wanted, index, rate_hz in (("respeaker", 5, 16000), (None, 2, 48000)):
        mic, module, _ = microphone(SPEAKERS, BUILT_IN, ARRAY, device=wanted)
        mic.open()
        settings = module.streams[0].settings
        assert (settings["device"], settings["samplerate"], settings["channels"]) == (index, rate_hz, 2)
        assert (settings["blocksize"], settings["dtype"]) == (rate_hz // 100, "int16")


def test_blocks_are_copied_in_order_and_stamped_with_their_capture():
    woken = []
    mic, module, clock = microphone(BUILT_IN, on_sound=lambda: woken.append(1))
    mic.open()
    data = block(1)
    module.streams[0].give(data, current=7.015, adc=7.0)
    data[:] = 99  # PortAudio reuses its buffer
    clock.now_ns += NS // 100
    module.streams[0].give(block(2), current=7.025, adc=7.01)
    first, second = mic.read(clock.now_ns)
    assert (first.samples[0, 0], second.samples[0, 0], first.stamp_ns) == (1, 2, 1_000 * NS - 15_000_000)
    assert second.stamp_ns - first.stamp_ns == pytest.approx(10_000_000, abs=2)
    assert (mic.read(clock.now_ns), len(woken)) == ([], 2)
    for i in range(115):  # nobody reads: the newest win
        module.streams[0].give(block(i))
    assert [int(s.samples[0, 0]) for s in mic.read(clock.now_ns)] == list(range(15, 115))
    assert mic.dropped == 15


def test_gone_and_back():
    mic, module, clock = microphone(BUILT_IN)
    mic.open()
    module.streams[0].give(block())
    mic.read(clock.now_ns)
    assert mic.read(clock.now_ns + NS // 2) == []
    clock.now_ns += 2 * NS
    for why in ("stopped", "not open"):
        with pytest.raises(DeviceError, match=why):
            mic.read(clock.now_ns)
    assert (mic.is_open, module.streams[0].closed) == (False, True)
    module.devices, module._later = (), ()
    with pytest.raises(DeviceError):
        mic.reconnect(clock.now_ns)
    assert not mic.reconnect(clock.now_ns + NS // 10)
    module._later = (BUILT_IN,)  # found by listing the devices again
    clock.now_ns += NS
    assert mic.reconnect(clock.now_ns)
    assert mic.read(clock.now_ns + 4 * NS) == []  # sound servers are slow to start
    module.streams[1].give(block(4))
    assert mic.read(clock.now_ns)[0].samples[0, 0] == 4


def test_no_device_and_refused_settings_are_one_sentence():
    refusing = FakePortAudio(BUILT_IN, fail=OSError("Invalid sample rate\nALSA lib"))
    for mic, word in (
        (microphone(SPEAKERS)[0], "cannot be used"),
        (microphone(BUILT_IN, rate_hz=300)[0], "300 Hz"),
        (Microphone(MicrophoneConfig(), Clock(), refusing), "rate"),
    ):
        with pytest.raises(DeviceError, match=rf"^[^\n]*{word}[^\n]*$"):
            mic.open()
        assert not mic.is_open
    assert refusing.streams[0].closed, "given back"


@given(st.integers(0, 2**32 - 1), st.floats(-300, 300), st.sampled_from([(16000, 160), (44100, 441), (48000, 960)]))
def test_stamps_rise_and_follow_a_drifting_device_through_jitter(seed, ppm, form):
    rate, frames = form
    rng, clock = np.random.default_rng(seed), SampleClock(rate)
    truth = np.array([round(i * frames * NS / rate * (1 + ppm * 1e-6)) for i in range(1500)])
    stamps = np.array([clock.stamp(int(true_ns) + int(rng.exponential(2e6)), frames) for true_ns in truth])
    assert (np.diff(stamps) > 0).all()
    assert np.abs(stamps - truth)[1000:].max() < 6e6
    assert np.diff(stamps)[1000:].std() < 1e5  # a hundredth of the jitter that came in


def test_lost_sound_and_a_set_clock_are_taken_over_and_a_stall_changes_no_stamp():
    clock = SampleClock(16000)
    for i in range(100):
        clock.stamp(i * 10_000_000, 160)
    stamps = [clock.stamp(1_500_000_000 + i * 10_000_000, 160) for i in range(40)]  # half a second was lost
    assert abs(stamps[-1] - 1_890_000_000) < 1_000_000
    assert (np.diff(stamps) > 0).all()
    assert clock.stamp(-100 * NS, 160) == -100 * NS
    clock, times = SampleClock(16000), np.arange(300) * 10_000_000
    # The reader was stopped for 0.3 s; then 30 blocks come at once, all measured late.
    arrivals = np.where((times >= times[100]) & (times < times[130]), times[130], times)
    late = np.array([clock.stamp(int(arrival), 160) for arrival in arrivals]) - times
    assert (np.diff(late + times) > 0).all()
    assert np.abs(late).max() < 40_000_000
    assert np.abs(late)[160:].max() < 10_000_000


# What a loudspeaker plays, in a process of its own: PortAudio and PulseAudio read their environment once.
PLAY_AND_LISTEN = """
import json, time
import numpy as np
from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig
from reactdiff_ros.clock import NS
from reactdiff_ros.speech.player import Player
from reactdiff_ros.types import Sound

microphone = Microphone(MicrophoneConfig(), time.monotonic_ns)
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
rate, stamps = microphone.rate_hz, [sound.stamp_ns for sound in sounds]
mono = np.concatenate([sound.samples for sound in sounds]).mean(axis=1)
loud = np.flatnonzero(np.abs(mono) > 1000)
heard = mono[loud[0] : loud[-1]] if len(loud) else mono
spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
print(json.dumps({
    "hz": float(spectrum.argmax() * rate / len(heard)), "heard_s": len(heard) / rate, "seconds": len(mono) / rate,
    "played_late_s": (stamps[0] - begin_ns) / 1e9 + int(loud[0] if len(loud) else 0) / rate,
    "rising": all(b > a for a, b in zip(stamps, stamps[1:])), "dropped": microphone.dropped,
}))
microphone.close()
"""


@pytest.mark.real_time
def test_what_is_played_at_its_stamp_is_heard_with_even_stamps(microphone_without_hardware):
    environment = microphone_without_hardware.environment
    path = f"{Path(__file__).resolve().parents[2]}:{environment.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", PLAY_AND_LISTEN], capture_output=True, text=True, timeout=60,
        env={**environment, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["hz"] == pytest.approx(440, abs=15)
    assert result["heard_s"] == pytest.approx(0.5, abs=0.1)
    assert -0.2 < result["played_late_s"] < 1.0
    assert (result["rising"], result["dropped"]) == (True, 0)
    assert result["seconds"] == pytest.approx(3.0, abs=0.4)
