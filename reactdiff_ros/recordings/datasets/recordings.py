"""A lab's own recordings, as `reactdiff extract` writes them: one .npz file a clip, on the 25 Hz grid.

| array | shape | what |
|---|---|---|
| `speaker_NAME` | (T, ...) | every field NAME of `model.diffusion.tokens.SpeakerBatch` |
| `stamps_ns` | (T,) int64 | stamp of the newest evidence in each frame, -1 = none |
| `listener`, `observed` | (T, 58) | only with a view of the listener: perceived coefficients, and which of them |
| `about` | JSON text | format, version, pair, session, role, source files, perception's share of frames with a face |

Nothing in a file is run or unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import explained
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.recording import DatasetError, Recording, existing, folder_of
from reactdiff_ros.types import FloatArray
from reactdiff_ros.whole_file import write_arrays

FORMAT: Final = "reactdiff-recording"
VERSION: Final = 1
SUFFIX: Final = ".npz"
_MAY_BE_NAN: Final = {"pause_s"}
_NUMBERS: Final = "fiu"
"""Kinds of arrays that a file may hold for a field of numbers."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one file holds."""

    pair: str
    session: str
    role: str
    speaker: SpeakerBatch
    """(1, T)."""
    stamps_ns: NDArray[np.int64]
    """(T,), -1 = nothing was observed yet."""
    listener: FloatArray | None = None
    """(T, 58) or None without a view of the listener."""
    observed: NDArray[np.bool_] | None = None
    """(T, 58)."""
    about: dict[str, Any] = field(default_factory=dict)
    """What else is known: source files, shares."""

    @property
    def frames(self) -> int:
        """T."""
        return len(self.stamps_ns)


def save(path: Path, extracted: Extracted) -> None:
    """Write one file whole or not at all.

    Raises:
        ReactdiffError: it cannot be written (a full disk); what was there before stays.
    """
    about = {**extracted.about, "format": FORMAT, "version": VERSION, "rate_hz": 25}
    about |= {"pair": extracted.pair, "session": extracted.session, "role": extracted.role}
    arrays: dict[str, Any] = {f"speaker_{f.name}": getattr(extracted.speaker, f.name)[0] for f in fields(SpeakerBatch)}
    arrays["stamps_ns"] = extracted.stamps_ns
    if extracted.listener is not None and extracted.observed is not None:
        arrays.update(listener=extracted.listener, observed=extracted.observed)
    with explained(OSError, "the recording cannot be written", where=path):
        write_arrays(path, {"about": np.array(json.dumps(about)), **arrays}, private=True)


def load(path: Path) -> Extracted:
    """Read one file. Raises DatasetError: it is missing, unreadable or no recording; names the field that is wrong."""
    existing(path, "recording")
    # A broken archive makes it raise anything.
    with explained(Exception, "the recording cannot be read", where=path, error=DatasetError):
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("it is one array, not an archive")
        with file:
            arrays = {name: file[name] for name in file.files}
    about = _about(arrays, path)
    stamps = arrays.get("stamps_ns")
    if stamps is None or stamps.ndim != 1 or stamps.dtype.kind != "i" or not len(stamps):
        raise DatasetError("the field stamps_ns is missing or not (frames,) of integers", where=str(path))
    frames, like = len(stamps), blank(1)
    columns: dict[str, NDArray[Any]] = {}
    for name in SpeakerBatch.__slots__:
        of = getattr(like, name)
        kinds = "b" if of.dtype == bool else _NUMBERS
        shape, nan = (frames, *of.shape[1:]), name in _MAY_BE_NAN
        columns[name] = _field(arrays, f"speaker_{name}", shape, of.dtype, path, kinds, may_be_nan=nan)[None]
    listener = observed = None
    if "listener" in arrays or "observed" in arrays:
        wide = (frames, COEFFICIENT_COUNT)
        listener = _field(arrays, "listener", wide, np.dtype(np.float32), path, _NUMBERS)
        observed = _field(arrays, "observed", wide, np.dtype(bool), path, "b" + _NUMBERS)
    people = (about["pair"], about["session"], about["role"])
    return Extracted(*people, SpeakerBatch(**columns), stamps.astype(np.int64), listener, observed, about)


def _about(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, Any]:
    wrong, what = (KeyError, ValueError, RecursionError), "the field about is missing or not JSON"
    with explained(wrong, what, where=path, error=DatasetError):
        about = json.loads(str(arrays["about"]))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DatasetError("the file is not one that 'reactdiff extract' wrote", where=str(path))
    if (about.get("version"), about.get("rate_hz")) != (VERSION, 25):
        has = f"version {about.get('version')} at {about.get('rate_hz')} Hz"
        what = f"the recording has {has} instead of {VERSION} at 25"
        raise DatasetError(what, where=str(path), todo="extract it again")
    for name in ("pair", "session", "role"):
        if not isinstance(about.get(name), str):
            raise DatasetError(f"the field about.{name} is missing", where=str(path))
    return about


def _field(
    arrays: dict[str, NDArray[Any]], name: str, shape: tuple[int, ...], kind: np.dtype[Any], path: Path, of: str,
    *, may_be_nan: bool = False,
) -> NDArray[Any]:  # fmt: skip
    """A field as its type. Raises DatasetError: missing, of another shape, of no kind of `of`, or not finite."""
    values = arrays.get(name)
    if values is None or values.shape != shape or values.dtype.kind not in of:
        got = "missing" if values is None else f"{values.shape} of {values.dtype}"
        raise DatasetError(f"the field {name} is {got} instead of {shape} of {kind}", where=str(path))
    with np.errstate(over="ignore"):
        result: NDArray[Any] = values.astype(kind)
    if not (np.isfinite(result) | (np.isnan(result) & may_be_nan)).all():
        raise DatasetError(f"the field {name} holds values that are not finite", where=str(path))
    return result


def extracted(folder: Path) -> Iterator[tuple[Path, Extracted]]:
    """All recordings of a folder of `reactdiff extract` and those below it, by name, with or without a listener.

    Raises:
        DatasetError: no such folder, it is empty, or a file is unusable.
    """
    paths = sorted(folder_of(folder, "extracted recordings").rglob(f"*{SUFFIX}"))
    if not paths:
        raise DatasetError("the folder holds no recordings", where=str(folder), todo="make some: reactdiff extract")
    for path in paths:
        yield path, load(path)


def recordings(folder: Path, on_alone: Callable[[Path], None] = lambda path: None) -> Iterator[Recording]:
    """The recordings of a folder that hold a listener, as training data.

    Args:
        folder: what `reactdiff extract --output` wrote.
        on_alone: called for a file that is left out because it holds no listener, or one of whom nothing was observed.

    Raises:
        DatasetError: as `extracted`; or no file holds a listener.
    """
    found = False
    for path, content in extracted(folder):
        if content.listener is None or content.observed is None or not content.observed.any():
            on_alone(path)
            continue
        found = True
        people = ("recordings", content.pair, content.session, content.role)
        yield Recording(*people, content.speaker, content.listener, content.observed, names={"file": path.name})
    if not found:
        todo = "extract both people of a conversation: reactdiff extract --pair SPEAKER LISTENER"
        raise DatasetError("no recording of the folder holds a listener", where=str(folder), todo=todo)
