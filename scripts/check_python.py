"""Fails unless this interpreter can import what the nodes need (requirements/run.txt)."""

import importlib
import importlib.util

for name in ("aiohttp", "av", "cv2", "kaldi_native_fbank", "numpy", "onnxruntime", "pydantic", "yaml"):
    importlib.import_module(name)
# Ubuntu's own pydantic 1 has no TypeAdapter.
if not hasattr(importlib.import_module("pydantic"), "TypeAdapter"):
    raise ImportError("pydantic 2 is needed")
# Not imported as a whole: that would ask for matplotlib, which the nodes do without.
if importlib.util.find_spec("mediapipe") is None:
    raise ImportError("mediapipe is not installed")
