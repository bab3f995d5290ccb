"""Makes `resource/models/face/*.onnx` out of the files in mediapipe's wheel: `python -m tools.face_networks [FOLDER]`.

FOLDER: where the two files are written, resource/models/face by default. Needs onnx and mediapipe's files
(requirements/face-networks.txt); mediapipe itself is not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import MissingExtraError, WeightsError
from reactdiff_ros.resources import resource_path
from reactdiff_ros.whole_file import whole_file
from tools.face_networks import networks
from tools.face_networks.tflite import Network, read


@dataclass(frozen=True)
class Source:
    """A network: its file in mediapipe's package, the sum of that, and what makes a model of it."""

    file: str
    sha256: str
    model: Callable[[Network], Any]


SOURCES: Final = {
    "detector.onnx": Source(
        "modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        networks.detector,
    ),
    "mesh.onnx": Source(
        "modules/face_landmark/face_landmark_with_attention.tflite",
        "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
        networks.mesh,
    ),
}


def converted(name: str) -> bytes:
    """The content of the ONNX file of this name.

    Raises:
        MissingExtraError: mediapipe is not installed.
        WeightsError: its file is another one.
    """
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("mediapipe", "pip install --no-deps -r requirements/face-networks.txt")
    source = SOURCES[name]
    mediapipe = Path(spec.submodule_search_locations[0])
    path = mediapipe / source.file
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise WeightsError("this is not the network that was converted before", where=str(path))
    return bytes(source.model(read(data, mediapipe)).SerializeToString(deterministic=True))


def main(arguments: list[str]) -> None:
    """Writes both files and prints their sizes and sums."""
    folder = Path(arguments[0]) if arguments else resource_path("models/face")
    for name in SOURCES:
        content = converted(name)
        with whole_file(folder / name) as file:
            file.write(content)
        print(f"{folder / name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1:])
