"""The real sounddevice, PortAudio and ALSA path: what a loudspeaker plays into a virtual microphone must be heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).resolve().parents[2]

# A process of its own: PortAudio and PulseAudio read their environment once.
PLAY_AND_LISTEN = """
import json, sys, time
import numpy as np
from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.speech.player import Player
from reactdiff_ros.types import Sound

microphone = Microphone(MicrophoneConfig(**json.loads(sys.argv[1])), time.monotonic_ns)
try:
    microphone.open()
except DeviceError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit(0)
settled_ns, sounds, late = None, [], []
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
    now_ns = time.monotonic_ns()
    new = microphone.read(now_ns)
    late += [now_ns - sound.end_ns for sound in new]
    sounds += new
    time.sleep(0.005)
rate, stamps = microphone.rate_hz, [sound.stamp_ns for sound in sounds]
mono = np.concatenate([sound.samples for sound in sounds]).mean(axis=1)
loud = np.flatnonzero(np.abs(mono) > 1000)
heard = mono[loud[0] : loud[-1]] if len(loud) else mono
spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
print(json.dumps({
    "hz": float(spectrum.argmax() * rate / len(heard)), "heard_s": len(heard) / rate, "seconds": len(mono) / rate,
    "played_late_s": (stamps[0] - begin_ns) / 1e9 + int(loud[0] if len(loud) else 0) / rate,
    "rising": all(b > a for a, b in zip(stamps, stamps[1:])), "span_s": (stamps[-1] - stamps[0]) / 1e9,
    "late_ms": float(np.median(late)) / 1e6, "dropped": microphone.dropped,
}))
microphone.close()
"""


def play_and_listen(environment: dict[str, str], **settings: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PLAY_AND_LISTEN, json.dumps(settings)], capture_output=True, text=True, timeout=60,
        env={**environment, "PYTHONPATH": f"{ROOT}:{environment.get('PYTHONPATH', '')}"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_what_is_played_at_its_stamp_is_heard_with_even_stamps(microphone_without_hardware) -> None:
    result = play_and_listen(microphone_without_hardware.environment)
    assert "error" not in result, result
    assert result["hz"] == pytest.approx(440, abs=15)
    assert result["heard_s"] == pytest.approx(0.5, abs=0.1)
    assert -0.2 < result["played_late_s"] < 1.0
    assert result["rising"]
    assert abs(result["span_s"] - result["seconds"]) < 0.3
    assert result["seconds"] == pytest.approx(3.0, abs=0.4)
    assert result["dropped"] == 0
    assert -5 < result["late_ms"] < 200


def test_no_sound_server_is_one_sentence(tmp_path: Path) -> None:
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE", "XDG", "DBUS"))}
    bare |= {"HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    result = play_and_listen(bare, device="pulse")
    assert "microphone" in result["error"]
    assert "\n" not in result["error"]
