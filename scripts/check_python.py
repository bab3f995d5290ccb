"""Fails unless this interpreter can import what the nodes need (requirements/run.txt)."""

import importlib.util

# Not imported as a whole: that would ask for matplotlib, which the nodes do without.
if importlib.util.find_spec("mediapipe") is None:
    raise ImportError("mediapipe is not installed")
