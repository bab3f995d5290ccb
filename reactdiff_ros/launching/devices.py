"""Which cameras and microphones are there: asked quickly, in bounded time, without taking them."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# VIDIOC_QUERYCAP and its bits: linux/videodev2.h. struct v4l2_capability: driver[16], card[32], bus_info[32], then
# version, capabilities, device_caps and 3 reserved words.
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_VIDEO_CAPTURE = 0x1 | 0x1000
_HAS_DEVICE_CAPS = 0x80000000

_ASK_PORTAUDIO = """
import json, os
real = os.dup(1); os.dup2(2, 1)
import sounddevice
try:
    name = sounddevice.query_devices(kind="input")["name"]
except (sounddevice.PortAudioError, ValueError):
    name = None
inputs = [d["name"] for d in sounddevice.query_devices() if d["max_input_channels"] > 0]
os.write(real, json.dumps({"default": name, "inputs": inputs}).encode())
"""


@dataclass(frozen=True)
class Camera:
    """A V4L2 device that can take pictures. `problem`: why it cannot be opened, "" = it can."""

    index: int
    name: str
    problem: str = ""


@dataclass(frozen=True)
class Microphones:
    """What PortAudio offers. `problem`: why it could not be asked."""

    default: str | None
    inputs: tuple[str, ...] = ()
    problem: str = ""


def cameras() -> list[Camera]:
    """Every capture device in /dev, lowest index first. Opening asks the driver and starts no stream."""
    paths = sorted((int(path.name[5:]), path) for path in Path("/dev").glob("video*") if path.name[5:].isdigit())
    return [camera for index, path in paths if (camera := _camera(path, index)) is not None]


def _camera(path: Path, index: int) -> Camera | None:
    import fcntl

    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except PermissionError:
        problem = f"no permission to open {path}: add yourself to the group 'video' and log in again"
        return Camera(index, str(path), problem)
    except OSError as error:
        return Camera(index, str(path), f"{path} cannot be opened: {error.strerror}")
    try:
        answer = bytearray(_CAPABILITY.size)
        fcntl.ioctl(device, _QUERYCAP, answer)
    except OSError:
        return None  # not a V4L2 device
    finally:
        os.close(device)
    _, card, _, _, capabilities, device_capabilities = _CAPABILITY.unpack(bytes(answer))
    if capabilities & _HAS_DEVICE_CAPS:
        capabilities = device_capabilities
    if not capabilities & _VIDEO_CAPTURE:
        return None  # the metadata or output node of a camera
    return Camera(index, card.split(b"\0")[0].decode(errors="replace"))


class MicrophoneQuestion:
    """Asks PortAudio in a separate process: it may take seconds, print, or hang on a broken sound system."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ASK_PORTAUDIO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def answer(self, timeout_s: float = 3.0) -> Microphones:
        """What there is; after `timeout_s` nothing, with the problem named."""
        try:
            output, _ = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.drop()
            return Microphones(None, problem=f"the sound system did not answer within {timeout_s:g} s")
        if self._process.returncode:
            return Microphones(None, problem="PortAudio cannot be loaded: install libportaudio2")
        with suppress(ValueError, KeyError):
            answer = json.loads(output)
            return Microphones(answer["default"], tuple(answer["inputs"]))
        return Microphones(None, problem="PortAudio gave no answer")

    def drop(self) -> None:
        """The answer is not wanted any more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
