"""Small networks in ONNX files: where the shipped ones are, and how each runs on one thread of the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError, WeightsError, explained
from reactdiff_ros.resources import resource_path

_REMEDY: Final = "run 'make setup' in the source folder or install the package again"


def shipped(name: str) -> Path:
    """The file of this name under `resource/models/`.

    Raises:
        WeightsError: it is missing.
    """
    with explained(ReactdiffError, "a shipped network is missing", where=name, todo=_REMEDY, error=WeightsError):
        return resource_path(Path("models") / name)


class Network:
    """An ONNX file that runs on one thread of the CPU, to be called from one thread at a time.

    Args:
        what: its name in errors ("the face detector").
        path: the file.
        trial: inputs that it must take, by name.
        todo: the remedy in errors.

    Raises:
        WeightsError: the file is missing, damaged or another network's.
    """

    def __init__(self, what: str, path: Path, trial: dict[str, NDArray[Any]], todo: str = _REMEDY) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # onnxruntime's exceptions share no base class.
        with explained(Exception, f"{what} cannot be loaded", where=path, todo=todo, error=WeightsError):
            self._session: Any = onnxruntime.InferenceSession(
                path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
            )
            self.run(trial)

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs in the order of the file."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, inputs)
        return outputs
