"""The rendered speaker: draws a head from coefficients, and has the demo clip. tools/demo makes the head and the clip.

Enters: coefficients of a face and a scene.
Leaves: pictures; the clip that the package ships.
Imports: the shared values.
"""

from __future__ import annotations

from pathlib import Path

from reactdiff_ros.resources import resource_path

CLIP = "demo/speaker.mp4"


def demo_clip_path() -> Path:
    """The bundled clip of the demo speaker (H.264 and AAC, made to be looped). Raises ReactdiffError if not shipped."""
    return resource_path(CLIP)
