"""Picture messages to pixels: as OpenCV and cv_bridge read them, and one sentence for what is none."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.compressed import MAX_PIXELS, decode_compressed
from reactdiff_ros.capture.decode import decode_image, encode_jpeg
from reactdiff_ros.errors import MessageError

H, W = 12, 16


def picture(seed: int = 0, shape: tuple[int, ...] = (H, W, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def padded(rows: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Bytes of `rows` with rubbish after each row, and the step."""
    flat = rows.reshape(len(rows), -1).view(np.uint8)
    rubbish = np.full((len(rows), padding), 0xAB, np.uint8)
    return np.hstack([flat, rubbish]).tobytes(), flat.shape[1] + padding


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
def test_pictures_of_8_bits_are_those_of_opencv_without_their_padding(encoding: str) -> None:
    shape, code = EIGHT_BITS[encoding]
    pixels = picture(1, shape)
    expected = pixels if code is None else cv2.cvtColor(pixels, code)
    for padding in (0, 1, 7):
        data, step = padded(pixels, padding)
        np.testing.assert_array_equal(decode_image(encoding, H, W, step, data, False), expected)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bgr16", "rgb16", "rgba16", "bgra16"])
def test_16_bits_are_scaled_as_opencv_does(encoding: str, big: bool) -> None:
    channels = 1 if encoding in ("mono16", "16UC1") else 4 if "a16" in encoding else 3
    wide = np.random.default_rng(3).integers(0, 65536, (H, W, channels), dtype=np.uint16)
    data, step = padded(wide.astype(">u2" if big else "<u2"), 5)
    scaled = cv2.convertScaleAbs(wide, alpha=255.0 / 65535.0).reshape(H, W, channels)
    expected = np.dstack([scaled] * 3) if channels == 1 else scaled[..., :3]
    if encoding.startswith("rgb"):
        expected = expected[..., ::-1]
    np.testing.assert_array_equal(decode_image(encoding, H, W, step, data, big), expected)


def test_every_16_bit_value_is_scaled_right() -> None:
    wide = np.arange(65536, dtype="<u2").reshape(256, 256)
    exact = np.rint(np.arange(65536) * (255.0 / 65535.0)).astype(np.uint8).reshape(256, 256)
    np.testing.assert_array_equal(decode_image("mono16", 256, 256, 512, wide.tobytes(), False)[..., 0], exact)


@pytest.mark.parametrize(
    ("encoding", "height", "width", "step", "size", "word"),
    [
        ("rgb8", 480, 640, 1920, 30, "30 bytes"),
        ("rgb8", 0, 640, 1920, 30, "empty"),
        ("rgb8", 4, -1, 1920, 30, "empty"),
        ("rgb8", 4, 4, 11, 64, "step"),
        ("mono8", 2**31, 2**31, 2**31, 30, "large"),
        ("mono8", MAX_PIXELS, 2, 2, 30, "large"),
        ("32FC1", 4, 4, 16, 64, "not supported"),
        ("yuyv", 4, 3, 6, 24, "cannot be converted"),
        ("nv12", 5, 4, 4, 64, "even"),
    ],
)
def test_malformed_pictures_are_one_sentence(encoding, height, width, step, size, word) -> None:
    with pytest.raises(MessageError, match=word) as caught:
        decode_image(encoding, height, width, step, bytes(size), False)
    assert "\n" not in str(caught.value)


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.dstack([x * 3, y * 4, 200 - x]).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_compressed_pictures_are_as_opencv_reads_them_and_cut_ones_are_refused(suffix: str) -> None:
    for size in ((1, 1), (17, 31), (29, 26), (480, 640)):
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


def test_a_header_that_asks_for_too_much_is_refused_before_decoding() -> None:
    png = bytearray(cv2.imencode(".png", smooth())[1].tobytes())
    png[16:24] = (30000).to_bytes(4, "big") * 2
    with pytest.raises(MessageError, match="too large"):
        decode_compressed("png", bytes(png))
    whole = encode_jpeg(smooth())
    at = whole.find(b"\xff\xc0")
    end = at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
    header = bytearray(whole[at:end])
    header[5:9] = (20000).to_bytes(2, "big") * 2
    with pytest.raises(MessageError, match="too large"):
        decode_compressed("jpeg", whole[:at] + bytes(header) + whole[end:])
    with pytest.raises(MessageError, match="cannot be decoded"):  # a second one cannot ask for more than the first
        decode_compressed("jpeg", whole[:end] + bytes(header) + whole[end:])


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_camera_that_was_held_another_way_up(orientation: int, turns: int) -> None:
    jpeg = encode_jpeg(smooth())
    entry = struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry
    bgr = decode_compressed("jpeg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    expected = np.rot90(smooth(), turns)
    assert bgr.shape == expected.shape
    assert np.abs(bgr.astype(int) - expected).mean() < 4
