"""FaceVerse v2's 58 numbers a frame (REACT2023/24, MARS) as our 58 coefficients.

FaceVerse's 52 expression components are fitted to Apple's blendshapes but in another order, which is in
the licensed model file `faceverse_simple_v2.npy` (`exp_name_list`): the reader maps by those names. Without them only
the head's rotation is observed.

Rotation: FaceVerse turns its mesh by Rz(roll) Ry(yaw) Rx(pi + pitch) into a frame with x to the viewer's right, y up
and z to the viewer, which is ours; so only pi is taken off. What its fit leaves in every frame of one face (identity in
the expression, the camera's angle in the rotation) is taken out by the clip's own neutral: the 10th percentile of an
expression component, the median of a rotation. Translation is that of a face in a crop which follows the face:
unobserved.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, INDEX, LOWER, ROTATION, UPPER
from reactdiff_ros.recordings.datasets.recording import DatasetError, existing
from reactdiff_ros.types import FloatArray

NEUTRAL_PERCENTILE: Final = 10.0
_BY_LOWER: Final = {name.lower(): i for name, i in INDEX.items() if i < BLENDSHAPE_COUNT}


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled NumPy arrays and plain values, and nothing that could run code."""

    _ALLOWED: Final = {
        (module, name)
        for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("ndarray", "dtype", "_reconstruct", "scalar")
    }

    def find_class(self, module: str, name: str) -> Any:
        """The class of a pickled object, if it is NumPy's."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}")
        return super().find_class(module, name)


def expression_names(path: Path) -> tuple[str, ...]:
    """The names of FaceVerse's 52 expression components, in its order.

    From the model file itself (`faceverse_simple_v2.npy`: only its arrays are read, no code of it runs), from a JSON
    list, or from a text file with one name a line.

    Raises:
        DatasetError: the file is missing, unreadable, or does not hold 52 blendshape names.
    """
    existing(path, "list of FaceVerse's expression names")
    try:
        if path.suffix == ".npy":
            names = _names_in_model(path)
        elif path.suffix == ".json":
            names = json.loads(path.read_text(encoding="utf-8"))
        else:
            names = path.read_text(encoding="utf-8").split()
        out = tuple(str(name) for name in names)
    except Exception as error:  # a broken pickle makes it raise anything
        raise DatasetError("FaceVerse's expression names cannot be read", where=str(path), todo=str(error)) from error
    try:
        blendshape_indices(out)
    except DatasetError as error:
        raise DatasetError(error.what, where=str(path)) from error
    return out


def _names_in_model(path: Path) -> Sequence[Any]:
    with path.open("rb") as file:
        numpy_file: Any = np.lib.format
        if numpy_file.read_magic(file) == (1, 0):
            numpy_file.read_array_header_1_0(file)
        else:
            numpy_file.read_array_header_2_0(file)
        content = _ArraysOnly(file).load()
    if isinstance(content, np.ndarray):
        content = content.item()
    names: Sequence[Any] = content["exp_name_list"]
    return names


def blendshape_indices(names: Sequence[str]) -> NDArray[np.intp]:
    """Index among our blendshapes of each of 52 names (`browDownLeft`, `browDown_L`, any case).

    Raises:
        DatasetError: not 52 different blendshapes.
    """
    out: list[int] = []
    for name in names:
        plain = name.strip()
        if plain[-2:].lower() in ("_l", "_r"):
            plain = plain[:-2] + {"l": "Left", "r": "Right"}[plain[-1].lower()]
        if plain.lower() not in _BY_LOWER:
            raise DatasetError(f"{name!r} is not the name of a blendshape")
        out.append(_BY_LOWER[plain.lower()])
    if len(out) != BLENDSHAPE_COUNT or len(set(out)) != BLENDSHAPE_COUNT:
        raise DatasetError(f"{len(set(out))} different blendshapes are named instead of {BLENDSHAPE_COUNT}")
    return np.array(out, dtype=np.intp)


def to_coefficients(face: FloatArray, names: Sequence[str] | None) -> tuple[FloatArray, NDArray[np.bool_]]:
    """FaceVerse's (T, 58) as coefficients (T, 58) within their bounds, and which (58,) are observed.

    Args:
        face: expression 52, rotation x, y, z in rad (pitch with an offset of pi), translation.
        names: of the 52 components (`expression_names`); None: the expression is unobserved.

    Raises:
        DatasetError: the names are not those of the blendshapes.
    """
    values = np.zeros((len(face), COEFFICIENT_COUNT), dtype=np.float32)
    observed = np.zeros(COEFFICIENT_COUNT, dtype=bool)
    if names is not None:
        expression = face[:, :BLENDSHAPE_COUNT]
        expression = expression - np.percentile(expression, NEUTRAL_PERCENTILE, axis=0)
        values[:, blendshape_indices(names)] = expression
        observed[:BLENDSHAPE_COUNT] = True
    rotation = face[:, ROTATION]
    turned = rotation - np.median(rotation, axis=0)
    values[:, ROTATION] = (turned + np.pi) % (2 * np.pi) - np.pi
    observed[ROTATION] = True
    return np.clip(values, LOWER, UPPER).astype(np.float32), observed
