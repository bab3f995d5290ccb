"""The rendered speaker: draws a head from coefficients, and has the demo clip. tools/demo makes the head and the clip.

Enters: coefficients of a face and a scene.
Leaves: pictures; the clip that the package ships.
Imports: the shared values.
"""

from reactdiff_ros.simulator.rendered.clip import demo_clip_path

__all__ = ["demo_clip_path"]
