"""The camera through OpenCV: stamps, loss, bad devices and files; picture messages to pixels."""

import contextlib
import itertools
import struct
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.camera import Camera, CameraConfig, open_opencv
from reactdiff_ros.capture.compressed import MAX_PIXELS, decode_compressed
from reactdiff_ros.capture.decode import decode_image, encode_jpeg
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError, MessageError


class FakeCapture:
    """A V4L2-like device: remembers settings, gives the frames it was made with."""

    def __init__(self, *frames, mjpeg: bool = False) -> None:
        self.frames, self.mjpeg = list(frames), mjpeg
        self.settings: dict[int, float] = {}
        self.released = 0

    def isOpened(self) -> bool:
        return True

    def set(self, prop: int, value: float) -> bool:
        if kept := self.mjpeg or prop != cv2.CAP_PROP_FOURCC:
            self.settings[prop] = value
        return kept

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


def camera(*devices, **settings) -> tuple[Camera, list]:
    """An open camera, and the devices that it gets when it is opened again; None is a missing one."""
    shop = list(devices)

    def opened(source):
        device = shop.pop(0)
        if device is None:
            raise DeviceError("there is no such camera", where=str(source))
        return device

    made = Camera(CameraConfig(**settings), ticks(), opened)
    made.open()
    return made, shop


def test_asks_for_size_and_rate_stamps_what_arrives_and_knows_since_when_it_is_frozen():
    device = FakeCapture(bgr(1), bgr(2), bgr(2))
    cam, _ = camera(device, width=800, height=600, fps=25)
    assert [device.settings[of] for of in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FPS)] == [800, 25]
    assert (cam.size, cam.rate_hz) == ((800, 600), 25)
    first, second = cam.read(), cam.read()
    assert (first.stamp_ns, second.stamp_ns, first.jpeg) == (1000, 2000, None)
    np.testing.assert_array_equal(second.bgr, bgr(2))
    cam.read()
    assert cam.frozen_ns(5 * NS) == 5 * NS - 2000
    cam.close()
    assert cam.frozen_ns(9 * NS) == 0


@pytest.mark.parametrize("shape", [(1, -1), (-1, 1), (1, -1, 1)])
def test_the_cameras_own_jpeg_is_passed_on_undecoded(shape):
    jpeg = encode_jpeg(bgr())
    device = FakeCapture(np.frombuffer(jpeg, np.uint8).reshape(shape), mjpeg=True)
    frame = camera(device)[0].read()
    assert device.settings[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert (frame.jpeg, frame.bgr) == (jpeg, None)


@pytest.mark.parametrize(
    "bad",
    [None, np.zeros((0, 0, 3), np.uint8), np.full((24, 32, 3), np.nan, np.float32), np.zeros((24, 32, 2), np.uint8),
     cv2.error("select() timeout")],
    ids=["none", "empty", "of floats", "of two channels", "an error"],
)  # fmt: skip
def test_bad_pictures_lose_the_camera_with_one_sentence(bad):
    device = FakeCapture(bgr(), bad)
    cam, _ = camera(device)
    cam.read()
    with pytest.raises(DeviceError, match=r"^[^\n]*/dev/video0[^\n]*$"):
        cam.read()
    assert (cam.is_open, device.released) == (False, 1)


@pytest.mark.parametrize("there", [False, True], ids=["missing", "gives nothing"])
def test_a_lost_camera_is_tried_at_growing_intervals(there):
    cam, shop = camera(FakeCapture(bgr()), *[FakeCapture() if there else None for _ in range(9)])
    cam.read()
    for why in ("gave no picture", "not open"):
        with pytest.raises(DeviceError, match=why):
            cam.read()
    tried_s = []
    for hundredth in range(1800):
        before = len(shop)
        with contextlib.suppress(DeviceError):
            if cam.reconnect(hundredth * NS // 100):
                cam.read()
        tried_s += [hundredth / 100] * (before - len(shop))
    assert tried_s == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5])
    shop[:] = [FakeCapture(bgr(3))]
    assert cam.reconnect(-100 * NS), "a clock that was set back"
    np.testing.assert_array_equal(cam.read().bgr, bgr(3))


def test_real_opencv_says_what_is_wrong(tmp_path):
    for source in (98, "/dev/video98", "x" * 300):
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


def test_real_opencv_reads_a_file_to_its_end(tmp_path):
    path = str(tmp_path / "short.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()
    cam = Camera(CameraConfig(path), ticks())
    cam.open()
    assert (cam.paced, cam.size, cam.rate_hz) == (False, (64, 48), 25)
    assert [int(cam.read().bgr.mean()) for _ in range(5)] == pytest.approx([0, 40, 80, 120, 160], abs=4)
    with pytest.raises(DeviceError, match="ended"):
        cam.read()
    assert cam.ended
    assert cam.reconnect(0)
    assert not cam.ended
    assert cam.read().bgr.mean() < 4
    cam.close()


# ---- picture messages

H, W = 12, 16


def picture(seed: int = 0, shape: tuple[int, ...] = (H, W, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def padded(rows: np.ndarray, padding: int) -> tuple[int, bytes]:
    """The step of `rows` with rubbish after each, and their bytes."""
    flat = rows.reshape(len(rows), -1).view(np.uint8)
    return flat.shape[1] + padding, np.pad(flat, ((0, 0), (0, padding)), constant_values=0xAB).tobytes()


COLOUR, GREY, TWO, PLANES = (H, W, 3), (H, W), (H, W, 2), (H * 3 // 2, W)
EIGHT_BITS = {
    "bgr8": (COLOUR, None), "8UC3": (COLOUR, None), "rgb8": (COLOUR, cv2.COLOR_RGB2BGR),
    "bgra8": ((H, W, 4), cv2.COLOR_BGRA2BGR), "8UC4": ((H, W, 4), cv2.COLOR_BGRA2BGR),
    "rgba8": ((H, W, 4), cv2.COLOR_RGBA2BGR), "mono8": (GREY, cv2.COLOR_GRAY2BGR), "8UC1": (GREY, cv2.COLOR_GRAY2BGR),
    "yuv422": (TWO, cv2.COLOR_YUV2BGR_UYVY), "uyvy": (TWO, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (TWO, cv2.COLOR_YUV2BGR_YUY2), "yuyv": (TWO, cv2.COLOR_YUV2BGR_YUY2),
    # OpenCV names a Bayer pattern by its second row, ROS by its first: cv_bridge's table
    "bayer_rggb8": (GREY, cv2.COLOR_BayerBG2BGR), "bayer_bggr8": (GREY, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (GREY, cv2.COLOR_BayerGR2BGR), "bayer_grbg8": (GREY, cv2.COLOR_BayerGB2BGR),
    "nv12": (PLANES, cv2.COLOR_YUV2BGR_NV12), "nv21": (PLANES, cv2.COLOR_YUV2BGR_NV21),
}  # fmt: skip


@pytest.mark.parametrize("encoding", EIGHT_BITS)
def test_pictures_of_8_bits_are_those_of_opencv_without_their_padding(encoding):
    shape, code = EIGHT_BITS[encoding]
    pixels = picture(1, shape)
    expected = pixels if code is None else cv2.cvtColor(pixels, code)
    for padding in (0, 1, 7):
        np.testing.assert_array_equal(decode_image(encoding, H, W, *padded(pixels, padding), False), expected)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bgr16", "rgb16", "rgba16", "bgra16"])
def test_16_bits_are_scaled_as_opencv_does(encoding, big):
    channels = 1 if encoding in ("mono16", "16UC1") else 4 if "a16" in encoding else 3
    wide = np.random.default_rng(3).integers(0, 65536, (H, W, channels), dtype=np.uint16)
    rows = padded(wide.astype(">u2" if big else "<u2"), 5)
    scaled = cv2.convertScaleAbs(wide, alpha=255.0 / 65535.0).reshape(H, W, channels)
    expected = np.dstack([scaled] * 3) if channels == 1 else scaled[..., :3]
    if encoding.startswith("rgb"):
        expected = expected[..., ::-1]
    np.testing.assert_array_equal(decode_image(encoding, H, W, *rows, big), expected)


@pytest.mark.parametrize(("encoding", "height", "width", "step", "size", "word"), [
    ("rgb8", 480, 640, 1920, 30, "30 bytes"), ("rgb8", 0, 640, 1920, 30, "empty"), ("rgb8", 4, -1, 9, 30, "empty"),
    ("rgb8", 4, 4, 11, 64, "step"), ("mono8", MAX_PIXELS, 2, 2, 30, "large"), ("nv12", 5, 4, 4, 64, "even"),
    ("32FC1", 4, 4, 16, 64, "not supported"), ("yuyv", 4, 3, 6, 24, "cannot be converted"),
])  # fmt: skip
def test_malformed_pictures_are_one_sentence(encoding, height, width, step, size, word):
    with pytest.raises(MessageError, match=rf"^[^\n]*{word}[^\n]*$"):
        decode_image(encoding, height, width, step, bytes(size), False)


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.dstack([x * 3, y * 4, 200 - x]).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_compressed_pictures_are_as_opencv_reads_them_and_cut_ones_are_refused(suffix):
    for size in ((1, 1), (17, 31), (480, 640)):
        encoded = cv2.imencode(suffix, cv2.resize(smooth(), size[::-1]))[1]
        for format in ("jpeg", "png", "rgb8; jpeg compressed bgr8", ""):  # what the bytes are counts
            bgr = decode_compressed(format, encoded.tobytes())
            apart = np.abs(bgr.astype(int) - cv2.imdecode(encoded, cv2.IMREAD_COLOR)).mean()
            assert apart < (6 if suffix == ".jpg" else 2)  # FFmpeg does not smooth a JPEG's colours, half as many
    swapped = decode_compressed("rgb8; jpeg compressed rgb8", encoded.tobytes())
    np.testing.assert_array_equal(swapped[..., ::-1], bgr)
    noise = cv2.imencode(suffix, picture(9, (48, 64, 3)))[1].tobytes()
    for share in (0.02, 0.3, 0.9, 0.99):
        with pytest.raises(MessageError):
            decode_compressed("jpeg", noise[: int(len(noise) * share)])


def test_a_header_that_asks_for_too_much_is_refused_before_decoding():
    png = bytearray(cv2.imencode(".png", smooth())[1].tobytes())
    png[16:24] = (30000).to_bytes(4, "big") * 2
    with pytest.raises(MessageError, match="too large"):
        decode_compressed("", bytes(png))


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_camera_that_was_held_another_way_up(orientation, turns):
    jpeg, entry = encode_jpeg(smooth()), struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry
    bgr = decode_compressed("jpeg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    expected = np.rot90(smooth(), turns)
    assert bgr.shape == expected.shape
    assert np.abs(bgr.astype(int) - expected).mean() < 4
