"""A microphone without hardware: a private PulseAudio server whose null sink's monitor is the default input."""

import ctypes.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deadline import ended

SINK = "virtual_speaker"


def why_not() -> str:
    """What this machine lacks for a virtual microphone, "" if nothing."""
    for program in ("pulseaudio", "pactl", "pacat"):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt install pulseaudio pulseaudio-utils)"
    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio is not installed (apt install libportaudio2)"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's pulse plugin is not installed (apt install libasound2-plugins)"
    return ""


@dataclass(frozen=True)
class VirtualMicrophone:
    """`environment`: for a process whose default microphone this is."""

    environment: dict[str, str]

    def play(self, samples: bytes, rate_hz: int, channels: int = 1) -> subprocess.Popen[bytes]:
        """Speak int16 samples into it, in their own time; the caller waits for or ends the process."""
        command = ["pacat", "--playback", "--raw", f"--device={SINK}", "--format=s16le"]
        command += [f"--rate={rate_hz}", f"--channels={channels}"]
        player = subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        player.stdin.write(samples)
        player.stdin.close()
        return player


@contextmanager
def virtual_microphone(folder: Path) -> Iterator[VirtualMicrophone]:
    """Starts the server with everything that it writes in `folder` (a short path: it holds a socket), and stops it."""
    (folder / "pulse").mkdir(mode=0o700)
    socket = folder / "native"
    environment = {
        **os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder / "pulse"),
        "PULSE_SERVER": f"unix:{socket}", "PULSE_SOURCE": f"{SINK}.monitor", "PULSE_LATENCY_MSEC": "20",
    }  # fmt: skip
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm"]
    command += ["-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    command += ["-L", f"module-null-sink sink_name={SINK} rate=48000"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PulseAudio did not start: " + (folder / "server.log").read_text()[-500:])
            time.sleep(0.05)
        yield VirtualMicrophone(environment)
    finally:
        server.terminate()
        ended(server)
