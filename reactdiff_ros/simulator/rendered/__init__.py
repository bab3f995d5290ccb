"""The demo speaker: how its head moves with coefficients, and its clip. tools/demo makes the head and renders the clip.

Enters: coefficients of a face.
Leaves: vertices and landmarks of the head; the clip that the package ships.
Imports: the shared values.
"""

from __future__ import annotations

from pathlib import Path

from reactdiff_ros.resources import resource_path

CLIP = "demo/speaker.mp4"


def demo_clip_path() -> Path:
    """The bundled clip of the demo speaker (H.264 and AAC, made to be looped). Raises ReactdiffError if not shipped."""
    return resource_path(CLIP)
