"""The demo speaker: a synthetic person that the package renders, to show it without a camera and to test perception."""

from .clip import demo_clip_path

__all__ = ["demo_clip_path"]
