"""The demo speaker: a synthetic person that the package renders, to show it without a camera and to test perception.

Enters: a script of what the person does and says.
Leaves: pictures, sound, and the truth about them; the clip that the package ships.
Imports: the shared values; perception, which is shown known faces, and its mesh library for the list of triangles.
"""

from reactdiff_ros.simulator.rendered.clip import demo_clip_path

__all__ = ["demo_clip_path"]
