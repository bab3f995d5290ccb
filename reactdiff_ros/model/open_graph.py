"""Any ONNX file in ONNX Runtime on the CPU, for what is not one of the listener's own networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.onnxruntime_backend import CPU, session_options
from reactdiff_ros.types import FloatArray

Graph = Callable[[dict[str, FloatArray]], list[FloatArray]]
"""Inputs by name -> the outputs in their order."""


def open_graph(path: Path, threads: int) -> Graph:
    """The graph in `path` on `threads` threads that do not spin.

    Raises:
        WeightsError: ONNX Runtime cannot load it.
    """
    import onnxruntime as ort

    try:
        session: Any = ort.InferenceSession(str(path), session_options(threads), providers=[CPU])
    except Exception as error:
        raise WeightsError(
            "ONNX Runtime cannot load a network", where=str(path), todo=str(error).split("\n")[0]
        ) from error

    def run(inputs: dict[str, FloatArray]) -> list[FloatArray]:
        return list(session.run(None, inputs))

    return run
