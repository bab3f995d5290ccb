"""Picture messages to pixels: raw and compressed, checked before anything is allocated.

The pixels are those that ROS' cv_bridge gives for "bgr8" (its conversion codes and its 16 to 8 bit scaling, v * 255 /
65535), so a node behaves alike where cv_bridge is installed and where it is not. Where cv_bridge refuses (8UC1, 8UC3,
8UC4, 16UC1 carry no colour meaning; it knows no NV12 and NV21) the usual reading is taken: grey, BGR, BGRA, grey.

Sound of other packages' nodes, where their messages are installed. Two packages share the name audio_common_msgs.

- ros-drivers/audio_common: AudioDataStamped carries bytes; AudioInfo, sent once, tells what they are.
- mgonzs13/audio_common: AudioStamped carries samples of one of five types with rate and channels.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.jpeg import frame_header
from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import from_stamp, pcm_sound
from reactdiff_ros.types import UINT8, Sound

MAX_PIXELS: Final = 64 * 1024 * 1024
MAX_SIDE: Final = 32768

Bytes: TypeAlias = "bytes | bytearray | memoryview | array[int] | Sequence[int] | NDArray[np.uint8]"

_BUFFERS: Final = (bytes, bytearray, memoryview, array)


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
    _check_size(height, width)
    where = f"sensor_msgs/Image, {width}x{height} {encoding!r}"
    if encoding in _PLANAR:
        return _decode_planar(encoding, height, width, step, _as_bytes(data, where), where)
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise MessageError("the picture's encoding is not supported", where=where, todo="use bgr8, rgb8, mono8 or JPEG")
    row = width * layout.channels * layout.depth
    pixels = _rows(_as_bytes(data, where), height, step, row, where)
    if layout.depth == 2:
        wide = np.ascontiguousarray(pixels).view(">u2" if is_bigendian else "<u2").astype(np.uint16)
        shaped: NDArray[np.uint8] | NDArray[np.uint16] = wide.reshape(height, width, layout.channels)
    else:
        shaped = np.ascontiguousarray(pixels).reshape(height, width, layout.channels)
    return _to_8_bit(_convert(shaped, layout.code, where))


def decode_compressed(format: str, data: Bytes) -> UINT8:
    """The pixels of a sensor_msgs/CompressedImage (JPEG, PNG or WebP) as BGR uint8 (height, width, 3), upright.

    What the bytes are is read from the bytes; of `format` only two things count: compressedDepth is refused, and
    "...; jpeg compressed rgb8" means that the sender did not swap its channels, as in image_transport.

    Raises:
        MessageError: not such a file, cut short, too large, or not decodable.
    """
    where = f"sensor_msgs/CompressedImage, format {format[:60]!r}"
    if "compresseddepth" in format.lower():
        raise MessageError("a depth picture has no face to see", where=where, todo="choose the colour camera's topic")
    buffer = _as_bytes(data, where)
    height, width = _compressed_size(buffer.tobytes(), where)
    _check_size(height, width)
    try:
        bgr = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MessageError(f"the compressed picture cannot be decoded ({_first_line(error)})", where=where) from error
    if bgr is None or bgr.ndim != 3 or bgr.dtype != np.uint8:
        raise MessageError("the compressed picture cannot be decoded", where=where)
    if "compressed rgb" in format.lower():
        bgr = cv2.cvtColor(bgr, cv2.COLOR_RGB2BGR)
    return np.asarray(bgr, np.uint8)


def encode_jpeg(bgr: UINT8, quality: int = 85) -> bytes:
    """`bgr` uint8 (height, width, 3) as a JPEG file; quality 1..100. Raises MessageError for another shape or type."""
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or 0 in bgr.shape:
        raise MessageError("only BGR pictures of 8 bits can be compressed", where=f"shape {bgr.shape}, {bgr.dtype}")
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, min(max(int(quality), 1), 100)])
    if not done:
        raise MessageError("the picture cannot be compressed", where=f"shape {bgr.shape}")
    return bytes(encoded.tobytes())


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise MessageError("the picture is empty", where=f"{width}x{height}")
    if height > MAX_SIDE or width > MAX_SIDE or height * width > MAX_PIXELS:
        raise MessageError(
            "the picture is too large", where=f"{width}x{height}", todo="at most 64 megapixels are taken"
        )


def _as_bytes(data: Bytes, where: str) -> NDArray[np.uint8]:
    try:
        if isinstance(data, np.ndarray):
            return np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        return np.frombuffer(memoryview(data) if isinstance(data, _BUFFERS) else bytes(data), np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise MessageError(f"the picture's data are not bytes ({_first_line(error)})", where=where) from error


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
        raise MessageError(f"the picture cannot be converted ({_first_line(error)})", where=where) from error


def _to_8_bit(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> UINT8:
    if pixels.dtype == np.uint16:  # v * 255 / 65535 = v / 257, rounded; 257 is odd, so there are no ties
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(pixels, np.uint8)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip()[:120] if lines else type(error).__name__


def _compressed_size(data: bytes, where: str) -> tuple[int, int]:
    """(height, width) from the file's own header, by its first bytes."""
    head = data[:64]
    size = None
    if head[:3] == b"\xff\xd8\xff":
        size = _jpeg_size(data, where)
    elif head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        if data.rfind(b"IEND") < 24:
            raise MessageError("the PNG picture is cut short", where=f"{where}, {len(data)} bytes")
        size = height, width
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        size = _webp_size(head)
    else:
        raise MessageError("the data are no JPEG, PNG or WebP picture", where=f"{where}, {len(data)} bytes")
    if size is None:
        raise MessageError("the compressed picture's header is damaged", where=f"{where}, {len(data)} bytes")
    return size


def _jpeg_size(data: bytes, where: str) -> tuple[int, int] | None:
    """(height, width), if there is an end-of-image marker after the frame header."""
    header = frame_header(data)
    if header is not None and data.rfind(b"\xff\xd9") < header.at:
        raise MessageError("the JPEG picture is cut short", where=f"{where}, {len(data)} bytes")
    return None if header is None else (header.height, header.width)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Google's WebP container: VP8 (lossy), VP8L (lossless) or VP8X (extended) as the first chunk."""
    if len(head) < 30:
        return None
    kind, body = head[12:16], head[20:30]
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(body[7:10], "little") + 1, int.from_bytes(body[4:7], "little") + 1
    return None


# ---- Sound of other packages

_FULL_SCALE = 32767.0


class StampedBytes:
    """ros-drivers' sound. Until an AudioInfo comes, bytes are taken for that node's default: 16 kHz mono S16LE."""

    def __init__(self) -> None:
        self._rate_hz, self._channels, self._coding, self._format = 16000, 1, "wave", "S16LE"

    def on_info(self, info: Any) -> None:
        """Take in an AudioInfo."""
        self._rate_hz, self._channels = int(info.sample_rate), int(info.channels)
        self._coding, self._format = info.coding_format.lower(), info.sample_format.upper()

    def sound(self, message: Any) -> Sound:
        """An AudioDataStamped as Sound. Raises MessageError for compressed or odd-sized data."""
        return self._sound(from_stamp(message.header.stamp), message.audio.data)

    def unstamped(self, message: Any) -> Sound:
        """An AudioData, which has no stamp, as Sound at time 0. Errors as `sound`."""
        return self._sound(0, message.data)

    def _sound(self, stamp_ns: int, content: Any) -> Sound:
        if self._coding not in ("", "wave", "wav") or self._format not in ("", "S16LE"):
            raise MessageError(
                f"sound coded as {self._coding} {self._format}",
                todo="start audio_capture with format:=wave and sample_format:=S16LE",
            )
        data = bytes(content)
        if len(data) % 2:
            raise MessageError(f"{len(data)} bytes are no 16-bit samples")
        samples = np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        return pcm_sound(stamp_ns, self._rate_hz, self._channels, samples)


def sampled_sound(message: Any) -> Sound:
    """mgonzs13's AudioStamped as Sound. Raises MessageError where it carries no samples or ones that are not finite."""
    data = message.audio.audio_data
    info = message.audio.info
    return pcm_sound(from_stamp(message.header.stamp), int(info.rate), int(info.channels), _int16(data))


def _int16(data: Any) -> np.ndarray[Any, np.dtype[np.int16]]:
    if len(data.int16_data):
        return np.asarray(data.int16_data, dtype=np.int16)
    if len(data.float32_data):
        values = np.asarray(data.float32_data, dtype=np.float32)
        if not np.isfinite(values).all():
            raise MessageError("a sample of sound is not finite")
        return (np.clip(values, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    if len(data.int32_data):
        return (np.asarray(data.int32_data, dtype=np.int32) >> 16).astype(np.int16)
    if len(data.int8_data):
        return np.asarray(data.int8_data, dtype=np.int16) << 8
    if len(data.uint8_data):
        return (np.asarray(data.uint8_data, dtype=np.int16) - 128) << 8
    raise MessageError("a message of sound without samples")
