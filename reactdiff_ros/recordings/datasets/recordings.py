"""A lab's own recordings, as `reactdiff extract` writes them: one .npz file a clip, on the 25 Hz grid.

| array | shape | what |
|---|---|---|
| `speaker_NAME` | (T, ...) | every field NAME of `model.tokens.SpeakerBatch` |
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
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.recording import DatasetError, OnBad, Recording, existing, folder_of
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
    about = {
        **extracted.about,
        "format": FORMAT,
        "version": VERSION,
        "rate_hz": 25,
        "pair": extracted.pair,
        "session": extracted.session,
        "role": extracted.role,
    }
    arrays: dict[str, Any] = {f"speaker_{f.name}": getattr(extracted.speaker, f.name)[0] for f in fields(SpeakerBatch)}
    arrays["stamps_ns"] = extracted.stamps_ns
    if extracted.listener is not None and extracted.observed is not None:
        arrays.update(listener=extracted.listener, observed=extracted.observed)
    try:
        write_arrays(path, {"about": np.array(json.dumps(about)), **arrays}, private=True)
    except OSError as error:
        raise ReactdiffError("the recording cannot be written", where=str(path), todo=str(error.strerror)) from error


def load(path: Path) -> Extracted:
    """Read one file.

    Raises:
        DatasetError: it is missing, unreadable or no recording; names the field that is wrong.
    """
    existing(path, "recording")
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("it is one array, not an archive")
        with file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # a broken archive makes it raise anything
        raise DatasetError("the recording cannot be read", where=str(path), todo=str(error)) from error
    about = _about(arrays, path)
    stamps = arrays.get("stamps_ns")
    if stamps is None or stamps.ndim != 1 or stamps.dtype.kind != "i" or not len(stamps):
        raise DatasetError("the field stamps_ns is missing or not (frames,) of integers", where=str(path))
    listener, observed = _listener(arrays, len(stamps), path)
    return Extracted(
        pair=about["pair"],
        session=about["session"],
        role=about["role"],
        speaker=_speaker(arrays, len(stamps), path),
        stamps_ns=stamps.astype(np.int64),
        listener=listener,
        observed=observed,
        about=about,
    )


def _about(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, Any]:
    try:
        about = json.loads(str(arrays["about"]))
    except (KeyError, ValueError, RecursionError) as error:
        raise DatasetError("the field about is missing or no JSON", where=str(path)) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DatasetError("the file is not one that 'reactdiff extract' wrote", where=str(path))
    if about.get("version") != VERSION or about.get("rate_hz") != 25:
        raise DatasetError(
            f"the recording has version {about.get('version')} at {about.get('rate_hz')} Hz instead of {VERSION} at 25",
            where=str(path),
            todo="extract it again",
        )
    for name in ("pair", "session", "role"):
        if not isinstance(about.get(name), str):
            raise DatasetError(f"the field about.{name} is missing", where=str(path))
    return about


def _speaker(arrays: dict[str, NDArray[Any]], frames: int, path: Path) -> SpeakerBatch:
    pattern = blank(1)
    columns: dict[str, NDArray[Any]] = {}
    for f in fields(SpeakerBatch):
        like = getattr(pattern, f.name)
        name = f"speaker_{f.name}"
        values = arrays.get(name)
        wanted = (frames, *like.shape[1:])
        of = "b" if like.dtype == bool else _NUMBERS
        result = _field(values, name, wanted, like.dtype, path, of=of, may_be_nan=f.name in _MAY_BE_NAN)
        columns[f.name] = result[None]
    return SpeakerBatch(**columns)


def _listener(
    arrays: dict[str, NDArray[Any]], frames: int, path: Path
) -> tuple[FloatArray | None, NDArray[np.bool_] | None]:
    listener, observed = arrays.get("listener"), arrays.get("observed")
    if listener is None and observed is None:
        return None, None
    wide = (frames, COEFFICIENT_COUNT)
    return (
        _field(listener, "listener", wide, np.dtype(np.float32), path, of=_NUMBERS),
        _field(observed, "observed", wide, np.dtype(bool), path, of="b" + _NUMBERS),
    )


def _field(
    values: NDArray[Any] | None, name: str, shape: tuple[int, ...], kind: np.dtype[Any], path: Path,
    *, of: str, may_be_nan: bool = False,
) -> NDArray[Any]:  # fmt: skip
    """A field as its type. Raises DatasetError: missing, of another shape, of no kind of `of`, or not finite."""
    if values is None or values.shape != shape or values.dtype.kind not in of:
        got = "missing" if values is None else f"{values.shape} of {values.dtype}"
        raise DatasetError(f"the field {name} is {got} instead of {shape} of {kind}", where=str(path))
    with np.errstate(over="ignore"):
        result: NDArray[Any] = values.astype(kind)
    if not (np.isfinite(result) | (np.isnan(result) & may_be_nan)).all():
        raise DatasetError(f"the field {name} holds values that are not finite", where=str(path))
    return result


def extracted(folder: Path, on_bad: OnBad = None) -> Iterator[tuple[Path, Extracted]]:
    """All recordings of a folder and those below it, by name, with or without a listener.

    Args:
        folder: what `reactdiff extract --output` wrote.
        on_bad: called for a file that is left out; None: its error ends the reading.

    Raises:
        DatasetError: no such folder, it is empty, or a file is unusable and `on_bad` is None.
    """
    paths = sorted(folder_of(folder, "extracted recordings").rglob(f"*{SUFFIX}"))
    if not paths:
        raise DatasetError("the folder holds no recordings", where=str(folder), todo="make some: reactdiff extract")
    for path in paths:
        try:
            content = load(path)
        except DatasetError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        yield path, content


def recordings(
    folder: Path, on_bad: OnBad = None, on_alone: Callable[[Path], None] = lambda path: None
) -> Iterator[Recording]:
    """The recordings of a folder that hold a listener, as training data.

    Args:
        folder: what `reactdiff extract --output` wrote.
        on_bad: as of `extracted`.
        on_alone: called for a file that is left out because it holds no listener, or one of whom nothing was observed.

    Raises:
        DatasetError: as `extracted`; or no file holds a listener.
    """
    found = False
    for path, content in extracted(folder, on_bad):
        if content.listener is None or content.observed is None or not content.observed.any():
            on_alone(path)
            continue
        found = True
        yield Recording(
            source="recordings",
            pair=content.pair,
            session=content.session,
            role=content.role,
            speaker=content.speaker,
            listener=content.listener,
            observed=content.observed,
            names={"file": path.name},
        )
    if not found:
        raise DatasetError(
            "no recording of the folder holds a listener", where=str(folder),
            todo="extract both people of a conversation: reactdiff extract --pair SPEAKER LISTENER",
        )  # fmt: skip
