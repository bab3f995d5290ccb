"""A JPEG's header; nothing is decoded."""

from __future__ import annotations

from typing import NamedTuple


class FrameHeader(NamedTuple):
    """Where the frame header begins, and the picture's size in it, px."""

    at: int
    width: int
    height: int


def frame_header(data: bytes) -> FrameHeader | None:
    """Walks the segments up to the frame header (ITU-T T.81, B.1.1), as decoders do; None: this is no JPEG."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # fill byte or marker without a length
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return FrameHeader(at, width, height)
        if length < 2:
            return None
        at += 2 + length
    return None
