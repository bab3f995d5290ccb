"""The real sounddevice, PortAudio and ALSA path: what is played into a virtual microphone must be heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).resolve().parents[2]

# A process of its own: PortAudio and PulseAudio read their environment once.
LISTEN = """
import json, sys, time
import numpy as np
from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig
from reactdiff_ros.errors import DeviceError

settings = json.loads(sys.argv[1])
seconds = settings.pop("seconds")
microphone = Microphone(MicrophoneConfig(**settings), time.monotonic_ns)
try:
    microphone.open()
except DeviceError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit(0)
while not (new := microphone.read(time.monotonic_ns())):
    time.sleep(0.005)
settled = time.monotonic() + 0.5  # the first device times of a sound server are off
while time.monotonic() < settled:
    microphone.read(time.monotonic_ns())
    time.sleep(0.005)
print("open", flush=True)
sounds, late, begin = [], [], time.monotonic()
while time.monotonic() - begin < seconds:
    now = time.monotonic_ns()
    new = microphone.read(now)
    late += [now - s.end_ns for s in new]
    sounds += new
    time.sleep(0.005)
samples = np.concatenate([s.samples for s in sounds])
stamps = [s.stamp_ns for s in sounds]
mono = samples.mean(axis=1)
loud = np.flatnonzero(np.abs(mono) > 1000)
heard = mono[loud[0] : loud[-1]] if len(loud) else mono
spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
print(json.dumps({
    "rate": microphone.rate_hz, "channels": microphone.channels, "seconds": len(samples) / microphone.rate_hz,
    "hz": float(spectrum.argmax() * microphone.rate_hz / len(heard)), "heard_s": len(heard) / microphone.rate_hz,
    "rising": all(b > a for a, b in zip(stamps, stamps[1:])), "span_s": (stamps[-1] - stamps[0]) / 1e9,
    "late_ms": float(np.median(late)) / 1e6, "dropped": microphone.dropped,
    "chunk": max(len(s.samples) for s in sounds),
}))
microphone.close()
"""


def listen(environment: dict[str, str], play, **settings) -> dict:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, json.dumps(settings)],
        env={**environment, "PYTHONPATH": f"{ROOT}:{environment.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    player = play() if first.strip() == "open" else None
    try:
        out, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        if player is not None:
            player.kill()
            player.wait()
    last = (out.splitlines() or [first])[-1]
    assert last.startswith("{"), errors
    return json.loads(last)


def tone(hz: float, seconds: float, rate: int = 48000) -> bytes:
    return (12000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype("<i2").tobytes()


def test_what_is_played_is_heard_with_even_stamps(microphone_without_hardware) -> None:
    mic = microphone_without_hardware
    result = listen(mic.environment, lambda: mic.play(tone(440, 1.0), 48000), seconds=2.0)
    assert "error" not in result, result
    assert abs(result["hz"] - 440) < 15
    assert result["heard_s"] > 0.7
    assert result["rising"]
    assert abs(result["span_s"] - result["seconds"]) < 0.3
    assert 1.5 < result["seconds"] < 2.3
    assert result["dropped"] == 0
    assert -5 < result["late_ms"] < 200


def test_no_sound_server_is_one_sentence(tmp_path) -> None:
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE", "XDG", "DBUS"))}
    bare |= {"HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    result = listen(bare, lambda: None, seconds=0.1, device="pulse")
    assert "microphone" in result["error"]
    assert "\n" not in result["error"]
