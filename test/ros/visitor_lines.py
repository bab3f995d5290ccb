"""Lines to the socket of visitors and of pages, and what visitors send on them."""

from __future__ import annotations

import time
from contextlib import suppress

import cv2
import numpy as np
import websocket

from reactdiff_ros.capture.browser import HEAD, MESSAGE_BYTES, PICTURE


def connect(url, path="capture", **options):
    """The line of a visitor ("capture") or of a page ("ws"), of which no message is read."""
    given = {"origin": url.rstrip("/"), "timeout": 10, **options}
    return websocket.create_connection(url.replace("http", "ws", 1) + path, **given)


def jpeg(width, height, noise=0):
    """A picture of at most 256 kB; `noise`: larger is larger."""
    grey = np.full((height, width, 3), 120, np.uint8)
    if noise:
        small = np.random.default_rng(1).integers(0, noise, (height // 8, width // 8, 3), np.uint8)
        grey[:] = cv2.resize(small, (width, height))
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 60])[1])[: MESSAGE_BYTES - HEAD.size]


def now_ms():
    """As a page whose clock agrees with ours."""
    return time.time() * 1e3


def flood(url, seconds, width, height, noise):
    """60 pictures a second of this size, whatever is answered: nothing that comes is read. For a process of its own."""
    picture, end_s = HEAD.pack(1, PICTURE, 0, 0, now_ms()) + jpeg(width, height, noise), time.monotonic() + seconds
    while time.monotonic() < end_s:
        with suppress(OSError, websocket.WebSocketException):
            line = connect(url)
            try:
                while time.monotonic() < end_s:
                    line.send_binary(picture)
                    time.sleep(1 / 60)
            finally:
                line.shutdown()
        time.sleep(0.05)
