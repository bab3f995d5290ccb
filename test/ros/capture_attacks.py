"""Attacks on the socket of visitors, each to be run in a process of its own: they take the page's address."""

from __future__ import annotations

import json
import select
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import websocket

from reactdiff_ros.capture.browser import HEAD, MESSAGE_BYTES, PICTURE, SOUND, TIME

MIDDLE_HZ = 60.0


def connect(url: str, path: str = "capture", **options: Any) -> websocket.WebSocket:
    """The line of a visitor ("capture") or of a page ("ws"), of which no message is read."""
    given = {"origin": url.rstrip("/"), "timeout": 10, **options}
    return websocket.create_connection(url.replace("http", "ws", 1) + path, **given)


def jpeg(width: int, height: int, noise: int = 0) -> bytes:
    """A picture of at most 256 kB; `noise`: larger is larger."""
    grey = np.full((height, width, 3), 120, np.uint8)
    if noise:
        grey[:] = cv2.resize(
            np.random.default_rng(1).integers(0, noise, (height // 8, width // 8, 3), np.uint8), (width, height)
        )
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 60])[1])[: MESSAGE_BYTES - HEAD.size]


def now_ms() -> float:
    """As a page whose clock agrees with ours."""
    return time.time() * 1e3


def fuzzed(rng: np.random.Generator) -> Iterator[bytes]:
    """Messages of every kind, most of them damaged somewhere."""
    picture = jpeg(64, 48)
    while True:
        kind = int(rng.integers(0, 7))
        head = HEAD.pack(1, int(rng.integers(1, 4)), int(rng.integers(0, 3000)), int(rng.integers(0, 2**32)), now_ms())
        if kind == 0:
            yield rng.bytes(int(rng.integers(0, 60)))
        elif kind == 1:
            yield head + rng.bytes(int(rng.integers(0, 300)))
        elif kind == 2:
            damaged = bytearray(HEAD.pack(1, PICTURE, 0, 0, now_ms()) + picture)
            for at in rng.integers(0, len(damaged), 3):
                damaged[at] = int(rng.integers(0, 256))
            yield bytes(damaged)
        elif kind == 3:
            yield HEAD.pack(1, SOUND, 48000 // 25, int(rng.integers(0, 9)), now_ms()) + rng.bytes(1920)
        elif kind == 4:
            yield HEAD.pack(
                1, TIME, 0, int(rng.integers(0, 50)), float(rng.choice([0.0, 1e13, now_ms(), now_ms() + 5e3]))
            )
        elif kind == 5:
            yield struct.pack("<BBHId", 1, PICTURE, 0, 0, float(rng.choice([np.nan, np.inf, -1.0, 1e300]))) + picture
        else:
            yield HEAD.pack(1, PICTURE, 0, 0, now_ms()) + picture


def fuzz(url: str, count: int) -> None:
    """`count` fuzzed messages, in as many visits as it takes."""
    messages, sent = fuzzed(np.random.default_rng(2)), 0
    while sent < count:
        with suppress(OSError, websocket.WebSocketException):
            line = connect(url)
            try:
                while "seat" not in json.loads(line.recv()):
                    pass
                for message in messages:
                    line.send_binary(message)
                    sent += 1
                    if sent >= count:
                        break
            finally:
                line.shutdown()
    print(sent, flush=True)


def flood(url: str, seconds: float, width: int, height: int, noise: int = 0, read: bool = True) -> None:
    """60 pictures a second of this size, whatever is answered; without `read` nothing that comes is read."""
    picture, end, sent, visits = jpeg(width, height, noise), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        with suppress(OSError, websocket.WebSocketException):
            line = connect(url)
            visits += 1
            try:
                due = time.monotonic()
                while time.monotonic() < end:
                    line.send_binary(HEAD.pack(1, PICTURE, 0, sent, now_ms()) + picture)
                    sent += 1
                    due = max(due + 1 / MIDDLE_HZ, time.monotonic() - 0.1)
                    time.sleep(max(0.0, due - time.monotonic()))
                    while read and line.sock is not None and line.sock in _readable(line):
                        answer = line.recv()
                        if isinstance(answer, bytes) and len(answer) == 8 and answer[1] == TIME:
                            line.send_binary(HEAD.pack(1, TIME, 0, struct.unpack("<BBHI", answer)[3], now_ms()))
            finally:
                line.shutdown()
        time.sleep(0.05)
    print(sent, visits, len(picture), flush=True)


def _readable(line: websocket.WebSocket) -> list[object]:
    return select.select([line.sock], [], [], 0)[0]


def silent(url: str, seconds: float, count: int) -> None:
    """Visitors and watchers that never read."""
    lines = []
    for i in range(count):
        with suppress(OSError, websocket.WebSocketException):
            lines.append(connect(url, "capture" if i % 2 else "ws"))
    time.sleep(seconds)
    print(len(lines), flush=True)
