"""Small avatars for tests, written as binary glTF."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np


def glb(path: Path, names: list[str], tree: dict[str, Any] | None = None, cut: int = 0) -> Path:
    """A square of .2 m whose every morph target moves it up by .2 m; `tree` adds to the description."""
    corners = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]], "<f4")
    lift = np.tile(np.array([0, 0.2, 0], "<f4"), (4, 1))
    order = np.array([0, 1, 2, 0, 2, 3], "<u2")
    data = corners.tobytes() + lift.tobytes() + order.tobytes()
    box = {"min": corners.min(0).tolist(), "max": corners.max(0).tolist()}
    primitive = {
        "attributes": {"POSITION": 0},
        "indices": 2,
        "targets": [{"POSITION": 1} for _ in names],
        "material": 0,
    }
    up = {"min": [0, 0.2, 0], "max": [0, 0.2, 0]}
    known = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": names}}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.9, 0.1, 0.1, 1]}, "doubleSided": True}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", **box},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3", **up},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 48},
            {"buffer": 0, "byteOffset": 96, "byteLength": 12},
        ],
        "buffers": [{"byteLength": len(data)}],
    }  # fmt: skip
    return write(path, known | (tree or {}), data, cut)


def write(path: Path, tree: dict[str, Any], data: bytes, cut: int = 0) -> Path:
    """A file of these two chunks, without its last `cut` bytes."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    whole = struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
    path.write_bytes(whole[: len(whole) - cut])
    return path


def chunks(path: Path) -> tuple[dict[str, Any], bytes]:
    """Description and data of a file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<I", raw[12:16])
    return json.loads(raw[20 : 20 + length]), raw[28 + length :]
