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


BGR, RGB = [0, 1, 2], [2, 1, 0]


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("bgr8", BGR), ("rgb8", RGB), ("8UC3", BGR), ("bgra8", BGR), ("8UC4", BGR), ("rgba8", RGB)],
)
def test_colour_channels_and_padding(encoding: str, order: list[int]) -> None:
    pixels = picture(1, (H, W, 4 if "a8" in encoding or encoding == "8UC4" else 3))
    for padding in (0, 1, 7):
        data, step = padded(pixels, padding)
        np.testing.assert_array_equal(decode_image(encoding, H, W, step, data, False), pixels[..., order])


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
    ("encoding", "code"),
    [
        ("yuv422", cv2.COLOR_YUV2BGR_UYVY),
        ("uyvy", cv2.COLOR_YUV2BGR_UYVY),
        ("yuv422_yuy2", cv2.COLOR_YUV2BGR_YUY2),
        ("yuyv", cv2.COLOR_YUV2BGR_YUY2),
        # OpenCV names a Bayer pattern by its second row, ROS by its first: cv_bridge's table
        ("bayer_rggb8", cv2.COLOR_BayerBG2BGR),
        ("bayer_bggr8", cv2.COLOR_BayerRG2BGR),
        ("bayer_gbrg8", cv2.COLOR_BayerGR2BGR),
        ("bayer_grbg8", cv2.COLOR_BayerGB2BGR),
    ],
)
def test_subsampled_pictures(encoding: str, code: int) -> None:
    pixels = picture(4, (H, W, 2) if "yu" in encoding or "uyvy" in encoding else (H, W))
    data, step = padded(pixels, 4)
    np.testing.assert_array_equal(decode_image(encoding, H, W, step, data, False), cv2.cvtColor(pixels, code))


@pytest.mark.parametrize(("encoding", "code"), [("nv12", cv2.COLOR_YUV2BGR_NV12), ("nv21", cv2.COLOR_YUV2BGR_NV21)])
def test_planar_pictures(encoding: str, code: int) -> None:
    planes = picture(5, (H * 3 // 2, W))
    data, step = padded(planes, 6)
    np.testing.assert_array_equal(decode_image(encoding, H, W, step, data, False), cv2.cvtColor(planes, code))


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
        ("", 4, 4, 16, 64, "not supported"),
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


SUFFIXES = (".jpg", ".png", ".webp")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_compressed_pictures_are_as_opencv_reads_them_whatever_the_format_says(suffix: str) -> None:
    for size in ((1, 1), (17, 31), (29, 26), (480, 640)):
        encoded = cv2.imencode(suffix, cv2.resize(smooth(), size[::-1]))[1]
        for format in ("jpeg", "png", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", ""):
            bgr = decode_compressed(format, encoded.tobytes())
            apart = np.abs(bgr.astype(int) - cv2.imdecode(encoded, cv2.IMREAD_COLOR)).mean()
            assert apart < (6 if suffix == ".jpg" else 2)  # FFmpeg does not smooth a JPEG's colours, half as many
    swapped = decode_compressed("rgb8; jpeg compressed rgb8", encoded.tobytes())
    np.testing.assert_array_equal(swapped[..., ::-1], bgr)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_files_are_refused(suffix: str) -> None:
    encoded = cv2.imencode(suffix, picture(9, (48, 64, 3)))[1].tobytes()
    for share in (0.02, 0.3, 0.9, 0.99):
        with pytest.raises(MessageError):
            decode_compressed("jpeg", encoded[: int(len(encoded) * share)])


def test_header_that_asks_for_too_much_is_refused_before_decoding() -> None:
    png = bytearray(cv2.imencode(".png", smooth())[1].tobytes())
    png[16:24] = (30000).to_bytes(4, "big") * 2
    with pytest.raises(MessageError, match="too large"):
        decode_compressed("png", bytes(png))
    jpeg = bytearray(encode_jpeg(smooth()))
    at = jpeg.find(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = (30000).to_bytes(2, "big") * 2
    with pytest.raises(MessageError, match="too large"):
        decode_compressed("jpeg", bytes(jpeg))


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_camera_that_was_held_another_way_up(orientation: int, turns: int) -> None:
    jpeg = encode_jpeg(smooth())
    entry = struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry
    bgr = decode_compressed("jpeg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    expected = np.rot90(smooth(), turns)
    assert bgr.shape == expected.shape
    assert np.abs(bgr.astype(int) - expected).mean() < 4


def test_a_second_header_cannot_ask_for_more_than_the_first() -> None:
    jpeg = encode_jpeg(smooth())
    at = jpeg.find(b"\xff\xc0")
    end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    second = bytearray(jpeg[at:end])
    second[5:9] = (20000).to_bytes(2, "big") * 2
    with pytest.raises(MessageError, match="cannot be decoded"):
        decode_compressed("jpeg", jpeg[:end] + bytes(second) + jpeg[end:])
