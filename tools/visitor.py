"""A visitor of the face's page: headless Chromium whose camera and microphone are a clip."""

from __future__ import annotations

import time
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import psutil

from reactdiff_ros.errors import MediaError, explained
from tools.chromium import Chromium, Page

RATE_HZ: Final = 30
SIZE: Final = (640, 480)
SOUND_HZ: Final = 48_000
LONGEST_S: Final = 12.0
"""Of the clip: its pictures are stored as they are, 14 MB a second."""
_DEVICES: Final = (
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
_FACES: Final = """
window.faces = [];
const line = new WebSocket(location.origin.replace("http", "ws") + "/ws");
line.binaryType = "arraybuffer";
let newest = 0;
line.onmessage = ({ data }) => {
  if (typeof data === "string") return;
  const seen = new DataView(data).getFloat64(16, true) * 1000;
  if (!(seen > newest)) return;
  newest = seen;
  const came = performance.now(), faces = window.faces;
  requestAnimationFrame(function look() {
    if (reactdiff.drawnAt() < came) return requestAnimationFrame(look);
    faces.push(performance.timeOrigin + performance.now() - seen);
  });
};
"""
"""Notes, for each new picture that a face rests on, how long after its capture the face was drawn, ms."""


class Visitor:
    """Comes to a page, presses its button, and stays until the end of the context.

    Args:
        clip: what its camera sees and its microphone hears, again and again.
        folder: for the devices' files.

    Raises:
        MediaError: the clip cannot be read.
        FileNotFoundError: there is no Chromium.
    """

    def __init__(self, clip: Path, folder: Path) -> None:
        pictures, sound = folder / "camera.y4m", folder / "microphone.wav"
        write_devices(clip, pictures, sound)
        files = (f"--use-file-for-fake-video-capture={pictures}", f"--use-file-for-fake-audio-capture={sound}")
        self._browser = Chromium(flags=(*_DEVICES, *files))
        self._page: Page | None = None

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()

    def come(self, url: str) -> None:
        """Open the page."""
        self._page = self._browser.open(url)

    def seen(self) -> bool:
        """Press the button where the page has one; whether the robot sees this visitor now."""
        page = self._page
        assert page is not None
        state = page.value("window.reactdiff ? reactdiff.visitor().state : ''")
        if state == "off" and not page.value("document.getElementById('visitor').hidden"):
            for button in ("visit-button", "consent-yes"):
                page.value(f"document.getElementById('{button}').click()")
        return bool(state == "live")

    def begin(self) -> None:
        """Count from now on."""
        assert self._page is not None
        self._before, self._began = self._page.value("reactdiff.visitor()"), (time.monotonic(), self._cpu_s())
        self._page.value(f"window.faces === undefined ? (() => {{{_FACES}}})() : (window.faces = [], 0)")

    def figures(self) -> dict[str, Any]:
        """Counts of what was sent; `face_ms`, a value for each new face; `cores`, of the browser's processes."""
        assert self._page is not None
        now = self._page.value("reactdiff.visitor()")
        counted = {name: now[name] - self._before[name] for name in ("sent", "dropped", "sounds")}
        began_s, spent_s = self._began
        cores = (self._cpu_s() - spent_s) / (time.monotonic() - began_s)
        return {**counted, "face_ms": self._page.value("window.faces"), "cores": round(cores, 3)}

    def _cpu_s(self) -> float:
        browser, total = psutil.Process(self._browser.pid), 0.0
        for process in (browser, *browser.children(recursive=True)):
            with suppress(psutil.Error):
                total += sum(process.cpu_times()[:2])
        return total


def write_devices(clip: Path, pictures: Path, sound: Path) -> None:
    """A clip's first LONGEST_S s as Chromium's fake devices read them. Raises MediaError: it cannot be read."""
    wrong, what = (av.error.FFmpegError, IndexError, OSError), "the clip cannot be shown to a camera"
    with explained(wrong, what, where=clip, error=MediaError):
        with av.open(str(clip)) as opened:
            _write_pictures(opened, pictures)
        with av.open(str(clip)) as opened:
            _write_sound(opened, sound)


def _write_pictures(clip: Any, path: Path) -> None:
    """YUV4MPEG2, at RATE_HZ: each picture is the newest one of the clip."""
    width, height = SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{RATE_HZ}:1 Ip A1:1 C420jpeg\n".encode())
        written, first_s = 0, None
        for picture in clip.decode(clip.streams.video[0]):
            first_s = float(picture.time) if first_s is None else first_s
            until = min(float(picture.time) - first_s, LONGEST_S) * RATE_HZ
            count = min(int(until), int(LONGEST_S * RATE_HZ) - 1) + 1 - written
            if count > 0:
                planes = picture.reformat(width, height, "yuv420p").to_ndarray()
                file.write(count * (b"FRAME\n" + planes.tobytes()))
                written += count
            if until >= LONGEST_S * RATE_HZ:
                break


def _write_sound(clip: Any, path: Path) -> None:
    """Mono at SOUND_HZ; silence where the clip has none."""
    resampler, chunks = av.AudioResampler("s16", "mono", SOUND_HZ), [np.zeros(0, np.int16)]
    for frame in clip.decode(clip.streams.audio[0]) if clip.streams.audio else ():
        chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        if sum(map(len, chunks)) > LONGEST_S * SOUND_HZ:
            break
    heard = np.concatenate(chunks)[: round(LONGEST_S * SOUND_HZ)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_HZ)
        file.writeframes((heard if len(heard) else np.zeros(SOUND_HZ, np.int16)).tobytes())
