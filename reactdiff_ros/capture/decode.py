"""Raw picture messages to pixels, checked before anything is allocated; pixels to JPEG. Needs OpenCV.

The pixels are those that ROS' cv_bridge gives for "bgr8" (its conversion codes and its 16 to 8 bit scaling, v * 255 /
65535), so a node behaves alike where cv_bridge is installed and where it is not. Where cv_bridge refuses (8UC1, 8UC3,
8UC4, 16UC1 carry no colour meaning; it knows no NV12 and NV21) the usual reading is taken: grey, BGR, BGRA, grey.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.compressed import Bytes, as_bytes, check_size
from reactdiff_ros.errors import MessageError, reason_of
from reactdiff_ros.types import UINT8


class _Layout(NamedTuple):
    channels: int
    depth: int
    """Bytes of one channel."""
    code: int | None
    """OpenCV's colour conversion to BGR; None: it is BGR already."""


_BAYER: Final = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
_LAYOUTS: Final[dict[str, _Layout]] = {
    "bgr8": _Layout(3, 1, None),
    "rgb8": _Layout(3, 1, cv2.COLOR_RGB2BGR),
    "bgra8": _Layout(4, 1, cv2.COLOR_BGRA2BGR),
    "rgba8": _Layout(4, 1, cv2.COLOR_RGBA2BGR),
    "bgr16": _Layout(3, 2, None),
    "rgb16": _Layout(3, 2, cv2.COLOR_RGB2BGR),
    "bgra16": _Layout(4, 2, cv2.COLOR_BGRA2BGR),
    "rgba16": _Layout(4, 2, cv2.COLOR_RGBA2BGR),
    "mono8": _Layout(1, 1, cv2.COLOR_GRAY2BGR),
    "mono16": _Layout(1, 2, cv2.COLOR_GRAY2BGR),
    "8UC1": _Layout(1, 1, cv2.COLOR_GRAY2BGR),
    "8UC3": _Layout(3, 1, None),
    "8UC4": _Layout(4, 1, cv2.COLOR_BGRA2BGR),
    "16UC1": _Layout(1, 2, cv2.COLOR_GRAY2BGR),
    "yuv422": _Layout(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": _Layout(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": _Layout(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": _Layout(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    **{f"bayer_{order}8": _Layout(1, 1, code) for order, code in _BAYER.items()},
    **{f"bayer_{order}16": _Layout(1, 2, code) for order, code in _BAYER.items()},
}
_PLANAR: Final = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}

ENCODINGS: Final = (*_LAYOUTS, *_PLANAR)
"""The raw encodings that are understood."""


def decode_image(encoding: str, height: int, width: int, step: int, data: Bytes, is_bigendian: bool) -> UINT8:
    """The pixels of a raw sensor_msgs/Image as BGR uint8 (height, width, 3).

    Args:
        encoding: one of ENCODINGS.
        height: rows of the picture.
        width: columns of the picture.
        step: bytes of one row, padding included.
        data: the bytes; more than height * step are ignored.
        is_bigendian: byte order of 16-bit channels.

    Raises:
        MessageError: unknown encoding, impossible size, or too few bytes.
    """
    check_size(height, width)
    where = f"sensor_msgs/Image, {width}x{height} {encoding!r}"
    if encoding in _PLANAR:
        return _decode_planar(encoding, height, width, step, as_bytes(data, where), where)
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise MessageError("the picture's encoding is not supported", where=where, todo="use bgr8, rgb8, mono8 or JPEG")
    row = width * layout.channels * layout.depth
    pixels = _rows(as_bytes(data, where), height, step, row, where)
    if layout.depth == 2:
        wide = np.ascontiguousarray(pixels).view(">u2" if is_bigendian else "<u2").astype(np.uint16)
        shaped: NDArray[np.uint8] | NDArray[np.uint16] = wide.reshape(height, width, layout.channels)
    else:
        shaped = np.ascontiguousarray(pixels).reshape(height, width, layout.channels)
    return _to_8_bit(_convert(shaped, layout.code, where))


def encode_jpeg(bgr: UINT8, quality: int = 85) -> bytes:
    """`bgr` uint8 (height, width, 3) as a JPEG file; quality 1..100. Raises MessageError for another shape or type."""
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or 0 in bgr.shape:
        raise MessageError("only BGR pictures of 8 bits can be compressed", where=f"shape {bgr.shape}, {bgr.dtype}")
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, min(max(int(quality), 1), 100)])
    if not done:
        raise MessageError("the picture cannot be compressed", where=f"shape {bgr.shape}")
    return bytes(encoded.tobytes())


def _rows(data: NDArray[np.uint8], height: int, step: int, row: int, where: str) -> NDArray[np.uint8]:
    """The rows without their padding, (height, row); the last row may lack its padding."""
    if step < row:
        raise MessageError(f"the picture's step of {step} bytes is shorter than a row of {row} bytes", where=where)
    needed = (height - 1) * step + row
    if data.size < needed:
        raise MessageError(f"the picture has {data.size} bytes where {needed} are needed", where=where)
    return np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)


def _decode_planar(encoding: str, height: int, width: int, step: int, data: NDArray[np.uint8], where: str) -> UINT8:
    """NV12, NV21: `height` rows of luminance, then height / 2 rows of interleaved chrominance."""
    if height % 2 or width % 2:
        raise MessageError("a 4:2:0 picture needs even sides", where=where)
    rows = np.ascontiguousarray(_rows(data, height * 3 // 2, step, width, where))
    return _to_8_bit(_convert(rows, _PLANAR[encoding], where))


def _convert(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], code: int | None, where: str
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if code is None:
        return pixels
    try:
        return cv2.cvtColor(pixels, code)  # type: ignore[return-value]
    except cv2.error as error:
        raise MessageError(f"the picture cannot be converted ({reason_of(error)})", where=where) from error


def _to_8_bit(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> UINT8:
    if pixels.dtype == np.uint16:  # v * 255 / 65535 = v / 257, rounded; 257 is odd, so there are no ties
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(pixels, np.uint8)
