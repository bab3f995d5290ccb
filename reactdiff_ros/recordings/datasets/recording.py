"""What every reader of recorded conversations yields, one person listening to another at 25 Hz, and how files are read.

The speaker is as perception would deliver them; what a data set does not hold stays unobserved. Files are loaded with
their shape checked; an error is one sentence that names the file and the field.
"""

from __future__ import annotations

import csv
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.affect import CLASSES
from reactdiff_ros.attributes import ATTRIBUTE_COUNT, EXPRESSION, EXPRESSIONS, VALENCE_AROUSAL
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError, explained, reason_of
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank, joined
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

LEAST_OBSERVED: Final = 0.5
"""Share of a recording's frames in which a coefficient must have been observed, for a statistic of the whole."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One direction of one recorded conversation: T frames of 25 Hz; both directions are two recordings.

    Raises:
        ValueError: shapes do not belong together; a reader checks what comes from outside before.
    """

    source: str
    """Name of the dataset."""
    pair: str
    """The two people: folds and splits are by it."""
    session: str
    """Which conversation of the pair."""
    role: str
    """Which of the two listens here."""
    speaker: SpeakerBatch
    """(1, T); what a recording does not hold is unobserved: flag down or confidence 0."""
    listener: FloatArray
    """(T, 58) coefficients, 0 where unobserved."""
    observed: NDArray[np.bool_]
    """(T, 58) which of them were measured; (58,) is repeated over time."""
    attributes: FloatArray | None = None
    """(T, 25) REACT's attributes of the listener, where the dataset labels them."""
    names: dict[str, str] = field(default_factory=dict)
    """What else the dataset says, for reports: split, clip, matched reactions."""

    def __post_init__(self) -> None:
        frames = len(self.listener)
        if self.observed.ndim == 1:
            object.__setattr__(self, "observed", np.broadcast_to(self.observed, (frames, len(self.observed))))
        shapes = {
            "listener": (self.listener, (frames, COEFFICIENT_COUNT)),
            "observed": (self.observed, (frames, COEFFICIENT_COUNT)),
            "speaker": (self.speaker.camera, (1, frames)),
            "attributes": (self.attributes, (frames, ATTRIBUTE_COUNT)),
        }
        for name, (values, shape) in shapes.items():
            if values is not None and values.shape != shape:
                raise ValueError(f"{name} {values.shape} must be {shape}")

    @property
    def frames(self) -> int:
        """T."""
        return len(self.listener)

    @property
    def person(self) -> str:
        """The listener, the same in all sessions."""
        return f"{self.source}/{self.pair}/{self.role}"

    @property
    def name(self) -> str:
        """The recording, for messages."""
        return f"{self.source}/{self.pair}/{self.session}/{self.role}"

    def listener_seen(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """The listener (T', 58) from the first to the last frame in which anything was observed, gaps filled in, and
        which coefficients (58,) were observed in at least LEAST_OBSERVED of the T frames.

        For statistics of a person: to them a lost face, all zeros, would be one that moves back to neutral.
        """
        often = np.asarray(self.observed.mean(0) >= LEAST_OBSERVED)
        frames = np.flatnonzero(self.observed.any(1))
        span = slice(frames[0], frames[-1] + 1) if len(frames) else slice(0)
        listener, observed = self.listener[span].copy(), self.observed[span]
        for i in np.flatnonzero(often & ~observed.all(0)):
            listener[:, i] = filled_in(listener[:, i], observed[:, i])
        return listener, often


def filled_in(curve: NDArray[np.floating[Any]], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A curve (T,) in which frames that are not `known` (T,) lie on a line between those around them; ends hold.

    Raises:
        ValueError: nothing is known.
    """
    return np.interp(np.arange(len(curve)), np.flatnonzero(known), curve[known])


def stack(recordings: Iterable[Recording], frames: int) -> tuple[SpeakerBatch, FloatArray, NDArray[np.bool_]]:
    """The first `frames` frames of several recordings: speakers (B, T), listeners (B, T, 58) and their masks.

    Raises:
        ValueError: one is shorter, or there is none.
    """
    chosen = list(recordings)
    short = [r.name for r in chosen if r.frames < frames]
    if short or not chosen:
        raise ValueError(f"no recordings, or shorter than {frames} frames: {', '.join(short)}")
    speakers = joined([r.speaker.at(slice(frames)) for r in chosen])
    listeners, observed = (np.stack([getattr(r, n)[:frames] for r in chosen]) for n in ("listener", "observed"))
    return speakers, listeners, observed


VoiceOf: TypeAlias = "Callable[[NDArray[np.int16], int, int], Mapping[str, NDArray[Any]]] | None"
"""(samples (n, channels), rate in Hz, T) -> the voice's columns of SpeakerBatch, each (T, ...); readers get it passed
in, because the extractor is perception's (`recordings.extraction.voice_columns`). None: the voice is
unobserved."""

_CLASS_OF: Final = {"Anger": "angry", "Happy": "happy", "Sad": "sad"}
_TO_CLASS: Final = np.array(
    [CLASSES.index(_CLASS_OF.get(name, name.lower())) if name != "Contempt" else -1 for name in EXPRESSIONS]
)


def affect_of(attributes: FloatArray) -> FloatArray:
    """REACT's attributes (T, 25) as perception's affect (T, 9): 7 class probabilities, valence, arousal.

    Contempt has no class here: its share is left out and the others sum to 1.
    """
    chances = np.zeros((len(attributes), len(CLASSES)), dtype=np.float32)
    kept = _TO_CLASS >= 0
    chances[:, _TO_CLASS[kept]] = np.clip(attributes[:, EXPRESSION][:, kept], 0.0, 1.0)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.where(total > 1e-6, chances / np.maximum(total, 1e-6), 1.0 / len(CLASSES))
    both = np.concatenate([chances, np.clip(attributes[:, VALENCE_AROUSAL], -1, 1)], axis=1)
    return np.asarray(both, dtype=np.float32)


def speaker_of(
    frames: int,
    *,
    coefficients: FloatArray | None = None,
    observed: NDArray[np.bool_] | None = None,
    affect: FloatArray | None = None,
    voice: Mapping[str, NDArray[Any]] | None = None,
) -> SpeakerBatch:
    """One speaker of T frames, (1, T).

    Args:
        frames: T.
        coefficients: (T, 58) or None; their confidence is 1 where `observed`, else 0.
        observed: (58,) or (T, 58) which coefficients were measured.
        affect: (T, 9) of `affect_of`.
        voice: columns of the voice, (T, ...).
    """
    batch = blank(1, frames)
    if coefficients is not None and observed is not None:
        for flag in (batch.camera, batch.face, batch.mesh):
            flag[:] = True
        batch.neutral_confidence[:] = 1.0
        batch.coefficients[0] = coefficients * observed
        batch.confidence[0] = observed
    if affect is not None:
        batch.affect_observed[:] = True
        batch.affect[0] = affect
    if voice is not None:
        for name, values in voice.items():
            getattr(batch, name)[0] = values
    return batch


# ---- Files of a dataset

SOUND_TOLERANCE: Final = 0.04
"""Sound and frames of one clip may differ in length by this share; 25 against 30 frames a second is 0.2."""


class DatasetError(ReactdiffError):
    """A file of a dataset is missing, unreadable or not laid out as its dataset says."""


def existing(path: Path, field: str) -> Path:
    """`path` if it is a file. Raises DatasetError: there is no such file."""
    if not path.is_file():
        raise DatasetError(f"a file is missing: the {field}", where=str(path), todo="complete the dataset")
    return path


def folder_of(path: Path, what: str) -> Path:
    """`path` if it is a folder. Raises DatasetError: it is not."""
    if not path.is_dir():
        raise DatasetError(f"there is no folder with {what}", where=str(path), todo="give the dataset's root folder")
    return path


def inside(root: Path, relative: str, where: Path) -> Path:
    """A path from a list, below `root`. Raises DatasetError: the list points out of its dataset."""
    path = Path(relative)
    if not relative or path.is_absolute() or ".." in path.parts:
        raise DatasetError(f"a list names a file outside of its dataset ({relative!r})", where=str(where))
    return root / path


def open_array(path: Path, field: str) -> NDArray[Any]:
    """A NumPy file of one array, whatever its shape; no code in it is run.

    Raises:
        DatasetError: missing, unreadable, or an archive of several arrays.
    """
    existing(path, field)
    what = f"the {field} cannot be read as a NumPy file"
    with explained(Exception, what, where=path, error=DatasetError):  # a broken header makes it raise anything
        values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray):
        values.close()
        raise DatasetError(f"the {field} is an archive of several arrays, not one", where=str(path))
    return values


def load_array(path: Path, field: str, columns: int) -> FloatArray:
    """A NumPy file of frames x `columns`, also with axes of length 1 between (frames x 1 x columns).

    Raises:
        DatasetError: missing, unreadable, another shape, or a value that is not finite.
    """
    return checked(open_array(path, field), field, columns, path)


def checked(values: NDArray[Any], field: str, columns: int, path: Path) -> FloatArray:
    """`values` as float32 (T, columns), T > 0.

    Raises:
        DatasetError: another shape or type, or a value that is not finite in float32.
    """
    shape = values.shape
    if values.ndim > 2 and np.prod(shape[1:-1]) == 1:
        values = values.reshape(shape[0], shape[-1])
    if values.ndim != 2 or values.shape[1] != columns or not len(values):
        raise DatasetError(f"the {field} has shape {shape} instead of (frames, {columns})", where=str(path))
    if values.dtype.kind not in "fiu":
        raise DatasetError(f"the {field} is not numeric ({values.dtype})", where=str(path))
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    bad = np.argwhere(~np.isfinite(single))
    if len(bad):
        first = "frame {}, column {}".format(*bad[0])
        raise DatasetError(
            f"the {field} holds {len(bad)} values that are not finite, the first at {first}", where=str(path)
        )
    return single


def load_table(path: Path, field: str, names: Sequence[str]) -> FloatArray:
    """A CSV file with a header and one row a frame, (T, len(names)).

    A header that has all of `names` is read by name, in any order; another header must have as many columns.

    Raises:
        DatasetError: missing, unreadable, wrong columns, or a value that is no finite number.
    """
    with readable_text(path, field) as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise DatasetError(f"the {field} has no rows below its header", where=str(path))
    header = [cell.strip().lower() for cell in rows[0]]
    wanted = [name.lower() for name in names]
    if set(wanted) <= set(header):
        columns = [header.index(name) for name in wanted]
    elif len(header) == len(names):
        columns = list(range(len(names)))
    else:
        missing = [name for name in names if name.lower() not in header]
        raise DatasetError(f"the {field} has {len(header)} columns; missing: {', '.join(missing[:4])}", where=str(path))
    out = np.empty((len(rows) - 1, len(names)))
    for i, row in enumerate(rows[1:]):
        try:
            out[i] = [float(row[c]) for c in columns]
        except (ValueError, IndexError) as error:
            raise DatasetError(
                f"row {i + 1} of the {field} is not numeric ({reason_of(error)})", where=str(path)
            ) from error
    return checked(out, field, len(names), path)


def load_sound(path: Path, frames: int, rate_hz: float) -> tuple[NDArray[np.int16], int]:
    """Samples (n, channels) of a 16-bit PCM wav file and their rate; as long as `frames` at `rate_hz`.

    Raises:
        DatasetError: missing, unreadable, not 16-bit, or its length says that the frames have another rate.
    """
    existing(path, "sound")
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise DatasetError(f"the sound has {8 * file.getsampwidth()} bits instead of 16", where=str(path))
            rate, channels = file.getframerate(), file.getnchannels()
            data = file.readframes(file.getnframes())
    except (wave.Error, OSError, EOFError, RuntimeError, ValueError) as error:
        raise DatasetError("the sound cannot be read as PCM wav", where=str(path), todo=str(error)) from error
    samples = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], dtype="<i2").reshape(-1, channels)
    if rate <= 0 or not len(samples):
        raise DatasetError("the sound is empty", where=str(path))
    seconds = len(samples) / rate
    if abs(seconds - frames / rate_hz) > max(SOUND_TOLERANCE * seconds, 0.2):
        what = f"{seconds:.2f} s of sound for {frames} frames is {frames / seconds:.1f} frames a second"
        todo = "is the frame rate that of this dataset?"
        raise DatasetError(f"{what} instead of {rate_hz:g}", where=str(path), todo=todo)
    return samples.astype(np.int16), rate


def same_length(parts: Sequence[tuple[Path, FloatArray]]) -> int:
    """The number of frames that all files of one clip have; they may differ by one.

    Raises:
        DatasetError: they differ by more; names the shortest and the longest.
    """
    by_length = sorted((len(values), path) for path, values in parts)
    (least, short), (most, long) = by_length[0], by_length[-1]
    if most - least > 1:
        raise DatasetError(f"files of one clip have {least} and {most} frames", where=f"{short} and {long}")
    return least


def _positions(frames: int, rate_hz: float) -> NDArray[np.float64]:
    """Where the times of the 25 Hz grid lie among `frames` frames at `rate_hz`."""
    count = int((frames - 1) * REACTION_RATE_HZ / rate_hz + 1e-6) + 1
    return np.arange(count) * rate_hz / REACTION_RATE_HZ


def newest(values: FloatArray, rate_hz: float) -> FloatArray:
    """(T, ...) at `rate_hz` as seen on the 25 Hz grid: the newest frame at or before each time."""
    if rate_hz == REACTION_RATE_HZ:
        return values
    index = (_positions(len(values), rate_hz) + 1e-6).astype(int)
    return np.asarray(values[np.minimum(index, len(values) - 1)])


def between(values: FloatArray, rate_hz: float) -> FloatArray:
    """(T, N) at `rate_hz`, linearly interpolated onto the 25 Hz grid (of what is a target, not evidence)."""
    if rate_hz == REACTION_RATE_HZ:
        return values
    position = _positions(len(values), rate_hz)
    low = np.minimum(position.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    share = (position - low)[:, None].astype(np.float32)
    return np.asarray(values[low] * (1 - share) + values[high] * share, dtype=np.float32)


@contextmanager
def readable_text(path: Path, field: str) -> Iterator[Any]:
    """An open text file; an error while it is read, as text or as CSV, names it.

    Raises:
        DatasetError: missing, or not text, or no CSV.
    """
    wrong = (OSError, UnicodeDecodeError, csv.Error)
    with (
        explained(wrong, f"the {field} cannot be read", where=path, error=DatasetError),
        existing(path, field).open(newline="", encoding="utf-8-sig") as file,
    ):
        yield file
