"""Where the bundled demo clip lies."""

from __future__ import annotations

from pathlib import Path

from reactdiff_ros.resources import resource_path

CLIP = "demo/speaker.mp4"


def demo_clip_path() -> Path:
    """The bundled clip of the demo speaker (H.264 and AAC, made to be looped). Raises ReactdiffError if not shipped."""
    return resource_path(CLIP)
