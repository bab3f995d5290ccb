"""Fails unless this interpreter can import what the nodes need (requirements/run.txt and devices.txt)."""

import importlib

for name in ("aiohttp", "av", "cv2", "kaldi_native_fbank", "numpy", "onnxruntime", "pydantic", "yaml"):
    importlib.import_module(name)
# Ubuntu's own pydantic 1 has no TypeAdapter.
if not hasattr(importlib.import_module("pydantic"), "TypeAdapter"):
    raise ImportError("pydantic 2 is needed")
