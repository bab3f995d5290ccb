"""The camera through OpenCV: stamps, loss, and what a device or a file gives."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.camera import Camera, CameraConfig, open_opencv
from reactdiff_ros.capture.decode import encode_jpeg
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError

MJPG = cv2.VideoWriter.fourcc(*"MJPG")


class FakeCapture:
    """A V4L2-like device: remembers settings, gives the frames it was made with."""

    def __init__(self, *frames, mjpeg: bool = False) -> None:
        self.frames, self.mjpeg = list(frames), mjpeg
        self.settings: dict[int, float] = {}
        self.released = 0

    def isOpened(self) -> bool:
        return True

    def set(self, prop: int, value: float) -> bool:
        if prop == cv2.CAP_PROP_FOURCC and not self.mjpeg:
            return False
        self.settings[prop] = value
        return True

    def get(self, prop: int) -> float:
        return self.settings.get(prop, 0.0)

    def grab(self) -> bool:
        return bool(self.frames)

    def retrieve(self):
        frame = self.frames.pop(0)
        if isinstance(frame, Exception):
            raise frame
        return True, frame

    def release(self) -> None:
        self.released += 1


def ticks() -> Callable[[], int]:
    """A clock that goes on by a thousand ns each time it is read."""
    return itertools.count(1000, 1000).__next__


def bgr(value: int = 7) -> np.ndarray:
    return np.full((24, 32, 3), value, np.uint8)


def camera(first, *devices, **settings) -> tuple[Camera, list]:
    """An open camera, and the devices that it gets when it is opened again; None is a missing one."""
    shop = [first, *devices]

    def opened(source):
        device = shop.pop(0) if shop else None
        if device is None:
            raise DeviceError("there is no such camera", where=str(source))
        return device

    made = Camera(CameraConfig(**settings), ticks(), opened)
    made.open()
    return made, shop


def test_asks_for_size_and_rate_and_stamps_when_the_picture_arrives() -> None:
    device = FakeCapture(bgr(1), bgr(2))
    cam, _ = camera(device, width=800, height=600, fps=25)
    assert device.settings[cv2.CAP_PROP_FRAME_WIDTH] == 800
    assert device.settings[cv2.CAP_PROP_FPS] == 25
    assert (cam.size, cam.rate_hz) == ((800, 600), 25)
    first, second = cam.read(), cam.read()
    assert (first.stamp_ns, second.stamp_ns) == (1000, 2000)
    np.testing.assert_array_equal(second.bgr, bgr(2))
    assert first.jpeg is None


@pytest.mark.parametrize("shape", [(1, -1), (-1, 1), (1, -1, 1)])
def test_the_cameras_own_jpeg_is_passed_on_undecoded(shape) -> None:
    jpeg = encode_jpeg(bgr())
    device = FakeCapture(np.frombuffer(jpeg, np.uint8).reshape(shape), mjpeg=True)
    frame = camera(device)[0].read()
    assert device.settings[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert (frame.jpeg, frame.bgr) == (jpeg, None)


BAD = {
    "none": None,
    "empty": np.zeros((0, 0, 3), np.uint8),
    "of floats": np.full((24, 32, 3), np.nan, np.float32),
    "of two channels": np.zeros((24, 32, 2), np.uint8),
    "an error": cv2.error("select() timeout"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_pictures_lose_the_camera_with_one_sentence(bad) -> None:
    device = FakeCapture(bgr(), bad)
    cam, _ = camera(device)
    cam.read()
    with pytest.raises(DeviceError, match="/dev/video0") as caught:
        cam.read()
    assert "\n" not in str(caught.value)
    assert not cam.is_open
    assert device.released == 1


def tried_s(cam: Camera, shop: list, until_s: float) -> list[float]:
    """When a camera that gives nothing is opened, of attempts every 0.01 s."""
    found = []
    for hundredth in range(round(until_s * 100)):
        left = len(shop)
        with contextlib.suppress(DeviceError):
            if not cam.is_open:
                cam.reconnect(hundredth * NS // 100)
        found += [hundredth / 100] * (left - len(shop))
        with contextlib.suppress(DeviceError):
            cam.read()
    return found


@pytest.mark.parametrize("there", [False, True], ids=["missing", "gives nothing"])
def test_a_lost_camera_is_tried_at_growing_intervals(there: bool) -> None:
    cam, shop = camera(FakeCapture(bgr()), *[FakeCapture() if there else None for _ in range(9)])
    cam.read()
    with pytest.raises(DeviceError):
        cam.read()
    with pytest.raises(DeviceError, match="not open"):
        cam.read()
    assert tried_s(cam, shop, 18.0) == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5])
    shop[:] = [FakeCapture(bgr(3))]
    assert cam.reconnect(-100 * NS), "a clock that was set back"
    np.testing.assert_array_equal(cam.read().bgr, bgr(3))
    assert cam.reconnect(0)


def test_it_is_known_for_how_long_a_picture_has_been_frozen() -> None:
    cam, _ = camera(FakeCapture(bgr(1), bgr(1), bgr(1), bgr(2)))
    for _ in range(3):
        cam.read()
    assert cam.frozen_ns(5 * NS) == 5 * NS - 1000
    cam.read()
    assert cam.frozen_ns(5 * NS) == 5 * NS - 4000
    cam.close()
    assert cam.frozen_ns(9 * NS) == 0


def test_real_opencv_says_what_is_wrong(tmp_path) -> None:
    for source in (98, "/dev/video98", str(tmp_path / "none.mp4"), "x" * 300):
        with pytest.raises(DeviceError, match="no such camera"):
            open_opencv(source)
    if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getBackends():
        with pytest.raises(DeviceError, match="GStreamer"):
            open_opencv("videotestsrc ! videoconvert ! appsink")
    pipeline = " ! ".join(["nvarguscamerasrc", *["nvvidconv"] * 40, "appsink"])  # longer than a file's name may be
    assert Camera(CameraConfig(pipeline), ticks()).paced
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(DeviceError, match="cannot be opened"):
        Camera(CameraConfig(str(broken)), ticks()).open()


def test_real_opencv_reads_a_file_to_its_end(tmp_path) -> None:
    path = str(tmp_path / "short.avi")
    writer = cv2.VideoWriter(path, MJPG, 25, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()
    cam = Camera(CameraConfig(path), ticks())
    assert not cam.paced
    cam.open()
    assert (cam.size, cam.rate_hz) == ((64, 48), 25)
    levels = [int(cam.read().bgr.mean()) for _ in range(5)]
    assert levels == pytest.approx([0, 40, 80, 120, 160], abs=4)
    with pytest.raises(DeviceError, match="ended"):
        cam.read()
    assert cam.ended
    assert cam.reconnect(0)
    assert not cam.ended
    assert cam.read().bgr.mean() < 4
    cam.close()
