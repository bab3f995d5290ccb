"""Compressed pictures to pixels, by FFmpeg: checked before anything is allocated."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.jpeg import frame_header
from reactdiff_ros.capture.media import upright
from reactdiff_ros.errors import MessageError, reason_of
from reactdiff_ros.types import UINT8

MAX_PIXELS: Final = 64 * 1024 * 1024
MAX_SIDE: Final = 32768
_ROUNDED: Final = 64
"""FFmpeg counts a picture's sides up to whole blocks, px."""

Bytes: TypeAlias = "bytes | bytearray | memoryview | array[int] | Sequence[int] | NDArray[np.uint8]"

_BUFFERS: Final = (bytes, bytearray, memoryview, array)


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
    content = as_bytes(data, where).tobytes()
    codec, height, width = _header(content, where)
    check_size(height, width)
    bgr = _decoded(codec, content, (height + _ROUNDED) * (width + _ROUNDED), where)
    if "compressed rgb" in format.lower():
        bgr = np.ascontiguousarray(bgr[..., ::-1])
    return bgr


def _decoded(codec: str, content: bytes, pixels: int, where: str) -> UINT8:
    """The one picture of a file as BGR. The header may lie: nothing larger than `pixels` is decoded."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(pixels)}
    try:
        frames = decoder.decode(av.Packet(content))
        return upright(frames[0])
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise MessageError(f"the compressed picture cannot be decoded ({reason_of(error)})", where=where) from error


def check_size(height: int, width: int) -> None:
    """Raises MessageError for a picture that is empty or too large to be taken."""
    if height < 1 or width < 1:
        raise MessageError("the picture is empty", where=f"{width}x{height}")
    if height > MAX_SIDE or width > MAX_SIDE or height * width > MAX_PIXELS:
        raise MessageError(
            "the picture is too large", where=f"{width}x{height}", todo="at most 64 megapixels are taken"
        )


def as_bytes(data: Bytes, where: str) -> UINT8:
    """A message's data as (n,). Raises MessageError, which names `where`, if they are no bytes."""
    try:
        if isinstance(data, np.ndarray):
            return np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        return np.frombuffer(memoryview(data) if isinstance(data, _BUFFERS) else bytes(data), np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise MessageError(f"the picture's data are not bytes ({reason_of(error)})", where=where) from error


def _header(data: bytes, where: str) -> tuple[str, int, int]:
    """(FFmpeg's codec, height, width) from the file's own header, by its first bytes."""
    head = data[:64]
    if head[:3] == b"\xff\xd8\xff":
        codec, size = "mjpeg", _jpeg_size(data, where)
    elif head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        if data.rfind(b"IEND") < 24:
            raise MessageError("the PNG picture is cut short", where=f"{where}, {len(data)} bytes")
        codec, size = "png", (height, width)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        codec, size = "webp", _webp_size(head)
    else:
        raise MessageError("the data are not a JPEG, PNG or WebP picture", where=f"{where}, {len(data)} bytes")
    if size is None:
        raise MessageError("the compressed picture's header is damaged", where=f"{where}, {len(data)} bytes")
    return codec, *size


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
