"""The demo speaker: a synthetic person that the package renders, to show it without a camera and to test perception.

Enters: a script of what the person does and says.
Leaves: pictures, sound, and the truth about them; the clip that the package ships.
Imports: the shared values; perception, which is shown known faces, and its mesh library for the list of triangles.
"""

from __future__ import annotations

from pathlib import Path

from reactdiff_ros.resources import resource_path

CLIP = "demo/speaker.mp4"


def demo_clip_path() -> Path:
    """The bundled clip of the demo speaker (H.264 and AAC, made to be looped). Raises ReactdiffError if not shipped."""
    return resource_path(CLIP)
