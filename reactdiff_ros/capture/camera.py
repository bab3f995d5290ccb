"""A camera through OpenCV: opened, read with stamps, lost and found again."""

from __future__ import annotations

import contextlib
import os.path
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from reactdiff_ros.clock import Backoff
from reactdiff_ros.errors import DeviceError, reason_of
from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.types import UINT8

Capture: TypeAlias = Any
"""A cv2.VideoCapture, or what a test puts in its place."""


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """What is asked of the camera; it may give something else."""

    source: int | str = 0
    """Index (/dev/videoN), device path, file, URL, or a GStreamer pipeline ("... ! appsink")."""
    width: int = setting(640, "Requested picture width. 0: the device's default.", unit="px", low=0, high=7680)
    height: int = setting(480, "Requested picture height. 0: the device's default.", unit="px", low=0, high=4320)
    fps: float = setting(30.0, "Requested frame rate. 0: the device's default.", unit="Hz", low=0.0, high=240.0)

    def __post_init__(self) -> None:
        check_settings(self, "camera_node")


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One picture as it came: either `jpeg` (the camera's own) or `bgr` uint8 (height, width, 3)."""

    stamp_ns: int
    jpeg: bytes | None = None
    bgr: UINT8 | None = None


class Camera:
    """A camera that may be missing, go and come back.

    Args:
        config: what is asked for.
        clock: stamp of now in ns, read when a picture has just arrived.
        open_capture: makes the capture of a source; raises DeviceError. Default: OpenCV.
    """

    def __init__(
        self,
        config: CameraConfig,
        clock: Callable[[], int],
        open_capture: Callable[[int | str], Capture] | None = None,
    ) -> None:
        self.config = config
        self._clock = clock
        self._open_capture = open_capture or open_opencv
        self._capture: Capture | None = None
        self._backoff = Backoff()
        self._undecoded = False
        self._given = 0
        self._fingerprint: int | None = None
        self._changed_ns: int | None = None
        self.ended = False
        """It was lost because a file that gave pictures came to its end; `reconnect` begins it again."""

    @property
    def is_open(self) -> bool:
        """True between a successful `open` and the next loss or `close`."""
        return self._capture is not None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) that the open camera says it gives; (0, 0) when closed."""
        if self._capture is None:
            return 0, 0
        return int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    @property
    def rate_hz(self) -> float:
        """Pictures a second that the open camera says it gives; 0 = unknown."""
        rate = self._capture.get(cv2.CAP_PROP_FPS) if self._capture is not None else 0.0
        return rate if 0.0 < rate < 1000.0 else 0.0

    @property
    def paced(self) -> bool:
        """True for a live camera, whose pictures come in their own time; False for a file: the caller paces it."""
        return not (isinstance(self.config.source, str) and os.path.isfile(self.config.source))

    def open(self) -> None:
        """Open the camera and ask for size, rate and format.

        Raises:
            DeviceError: it is missing, busy, or gives nothing.
        """
        self.close()
        self.ended = False
        capture = self._open_capture(self.config.source)
        if not capture.isOpened():
            capture.release()
            raise DeviceError("the camera cannot be opened", where=self._where(), todo=_todo(self.config.source))
        self._capture = capture
        self._given = 0
        self._undecoded = self._ask(capture)

    def close(self) -> None:
        """Give the camera back; harmless when it is closed."""
        capture, self._capture = self._capture, None
        self._fingerprint = self._changed_ns = None
        if capture is not None:
            with contextlib.suppress(Exception):  # a driver whose device is gone may throw here
                capture.release()

    def reconnect(self, now_ns: int) -> bool:
        """Try to open a lost camera, not more often than the backoff (0.5 to 5 s) allows.

        Returns:
            True if the camera is open now; False if it is not time to try yet.

        Raises:
            DeviceError: it was tried and failed.
        """
        return self.is_open or self._backoff.attempt(now_ns, self.open)

    def read(self) -> CameraFrame:
        """Wait for the next picture; the stamp is taken when it arrives, before it is decoded.

        Raises:
            DeviceError: closed, lost, or the picture was empty; the camera is closed then, use `reconnect`.
        """
        if self._capture is None:
            raise DeviceError("the camera is not open", where=self._where())
        try:
            arrived = self._capture.grab()
            stamp_ns = self._clock()
            done, pixels = self._capture.retrieve() if arrived else (False, None)
        except Exception as error:  # OpenCV's backends raise what they like when a device goes
            raise self._lost(f"the camera failed ({reason_of(error)[:120]})") from error
        if not done or pixels is None:
            self.ended = not self.paced and self._given > 0
            raise self._lost("the video file has ended" if self.ended else "the camera gave no picture")
        frame = self._frame(stamp_ns, np.asarray(pixels))
        self._given += 1
        self._backoff.reset()
        return frame

    def frozen_ns(self, now_ns: int) -> int:
        """For how long the camera has been giving the very same bytes, ns; real sensors never do."""
        return 0 if self._changed_ns is None else max(0, now_ns - self._changed_ns)

    def _ask(self, capture: Capture) -> bool:
        """Whether it gives its own JPEG, which is taken undecoded."""
        config = self.config
        if not self.paced or (isinstance(config.source, str) and not config.source.startswith("/dev/")):
            return False
        mjpeg = cv2.VideoWriter.fourcc(*"MJPG")
        capture.set(cv2.CAP_PROP_FOURCC, float(mjpeg))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
        capture.set(cv2.CAP_PROP_FPS, config.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)  # with 1 the driver has nowhere to write while we read: half the rate
        return bool(capture.get(cv2.CAP_PROP_FOURCC) == mjpeg and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0.0))

    def _frame(self, stamp_ns: int, pixels: np.ndarray[Any, Any]) -> CameraFrame:
        if pixels.dtype != np.uint8 or pixels.size == 0:
            raise self._lost("the camera gave an empty or unreadable picture")
        if self._undecoded and 1 in pixels.shape[:2]:
            jpeg = pixels.tobytes()
            if jpeg[:2] != b"\xff\xd8":
                raise self._lost("the camera promised JPEG and gave something else")
            self._watch(stamp_ns, jpeg)
            return CameraFrame(stamp_ns, jpeg=jpeg)
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise self._lost(f"the camera gave a picture of shape {pixels.shape}")
        bgr = np.ascontiguousarray(pixels)
        self._watch(stamp_ns, bgr[::8].tobytes())
        return CameraFrame(stamp_ns, bgr=bgr)

    def _watch(self, stamp_ns: int, data: bytes) -> None:
        fingerprint = zlib.crc32(data)
        if fingerprint != self._fingerprint or self._changed_ns is None:
            self._fingerprint, self._changed_ns = fingerprint, stamp_ns

    def _lost(self, what: str) -> DeviceError:
        self.close()
        return DeviceError(what, where=self._where(), todo="it is tried again")

    def _where(self) -> str:
        source = self.config.source
        return f"/dev/video{source}" if isinstance(source, int) else source[:120]


def open_opencv(source: int | str) -> Capture:
    """cv2.VideoCapture of an index, path, URL or GStreamer pipeline.

    Raises:
        DeviceError: the device or file does not exist, or OpenCV was built without GStreamer.
    """
    with contextlib.suppress(AttributeError):  # its warnings would repeat on every retry
        logging: Any = getattr(cv2.utils, "logging")  # noqa: B009  the stubs do not know it
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    if isinstance(source, int):
        if not Path(f"/dev/video{source}").exists():
            raise DeviceError("there is no such camera", where=f"/dev/video{source}", todo=_todo(source))
        return cv2.VideoCapture(source, cv2.CAP_V4L2)
    if "!" in source:
        if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getBackends():
            raise DeviceError(
                "OpenCV was built without GStreamer",
                where=source[:120],
                todo="use a device index or URL, or an OpenCV built with GStreamer",
            )
        return cv2.VideoCapture(source, cv2.CAP_GSTREAMER)
    if "://" not in source and not os.path.exists(source):  # of a text of any length
        raise DeviceError("there is no such camera or file", where=source[:120], todo=_todo(source))
    return cv2.VideoCapture(source, cv2.CAP_V4L2 if source.startswith("/dev/") else cv2.CAP_ANY)


def _todo(source: int | str) -> str:
    if isinstance(source, int) or source.startswith("/dev/"):
        return "plug it in, close other programs that use it, or choose another with 'ls /dev/video*'"
    return "check the path or address"
