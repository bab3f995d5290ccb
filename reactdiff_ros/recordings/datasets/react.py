"""REACT2023 and REACT2024 (NoXI, RECOLA, UDIVA): clips of 30 s of two people, 751 frames of 25 Hz.

```
ROOT/train.csv  val.csv  test.csv          header; number, speaker's clip, listener's clip
ROOT/train/3D_FV_files/CLIP.npy            (751, 1, 58) FaceVerse: expression 52, rotation 3, translation 3
ROOT/train/Emotion/CLIP.csv (or .npy)      header and 751 rows of 25 attributes
ROOT/train/Audio_files/CLIP.wav            44.1 kHz, 16 bit
ROOT/neighbour_emotion_val.npy             (2n, 2n) 0/1: which reactions are appropriate for which speaker
```
CLIP is `NoXI/010_2016-03-25_Paris/Expert_video/1` (site, conversation, role, number). REACT2024 files NoXI's
attributes under `P1` and `P2`; both names of a role are found. Layout: the challenge's public baseline repositories.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, ATTRIBUTE_NAMES
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.recordings.datasets.faceverse import to_coefficients
from reactdiff_ros.recordings.datasets.recording import (
    DatasetError,
    Files,
    OnBad,
    Recording,
    VoiceOf,
    inside,
    load_array,
    load_table,
    open_array,
    read_all,
    readable_text,
    recording_from,
    split_of,
)
from reactdiff_ros.types import FloatArray

RATE_HZ: Final = 25.0
_OTHER_NAME: Final = {"Expert_video": "P1", "Novice_video": "P2", "P25": "P1", "P26": "P2"}


@dataclass(frozen=True, slots=True)
class ClipPair:
    """One row of a split's list, in one direction: who speaks and who listens."""

    speaker: str
    """Path of the speaker's clip below each kind of data, without suffix."""
    listener: str

    @property
    def pair(self) -> str:
        """Site and conversation: the two people."""
        parts = self.listener.split("/")
        return f"{parts[0]}/{parts[-3]}" if len(parts) > 3 else parts[-3]

    @property
    def session(self) -> str:
        """Task, where there are several, and number of the clip."""
        parts = self.listener.split("/")
        return "-".join([*parts[1:-3], parts[-1]])

    @property
    def role(self) -> str:
        """Which of the two listens."""
        return self.listener.split("/")[-2]


def pairs(folder: Path, split: str, *, both_roles: bool = True) -> list[ClipPair]:
    """The split's list; with `both_roles` followed by the same with roles exchanged, as the neighbour matrix counts.

    Raises:
        DatasetError: the list is missing or malformed.
    """
    path = folder / f"{split}.csv"
    listed: list[ClipPair] = []
    with readable_text(path, f"list of the {split} split") as file:
        for number, row in enumerate(csv.reader(file)):
            if number == 0 or not row:
                continue
            if len(row) < 3 or min(len(row[i].split("/")) for i in (1, 2)) < 3:
                raise DatasetError(
                    f"line {number + 1} of the {split} list does not name a speaker's and a listener's clip",
                    where=str(path),
                )
            for relative in row[1:3]:
                inside(folder, relative, path)
            listed.append(ClipPair(row[1], row[2]))
    if not listed:
        raise DatasetError(f"the list of the {split} split is empty", where=str(path))
    return listed + [ClipPair(p.listener, p.speaker) for p in listed] if both_roles else listed


def recordings(
    folder: Path,
    split: str = "train",
    *,
    both_roles: bool = True,
    names: Sequence[str] | None = None,
    voice_of: VoiceOf = None,
    on_bad: OnBad = None,
) -> Iterator[Recording]:
    """The split's recordings, one clip and direction at a time.

    Args:
        folder: the dataset's root.
        split: train, val or test.
        both_roles: each clip twice, either person listening.
        names: FaceVerse's expression names (`faceverse.expression_names`); None: only the head is observed.
        voice_of: makes the voice of the speaker's sound; None: the voice is unobserved, the sound is not read.
        on_bad: called for a clip that is left out; None: its error ends the reading.

    Raises:
        DatasetError: the list is unusable, or a clip is and `on_bad` is None.
    """
    root = split_of(folder, split)
    return read_all(
        pairs(folder, split, both_roles=both_roles), lambda pair: _files(root, pair, split, names), voice_of, on_bad
    )


def recording_of(
    folder: Path, pair: ClipPair, split: str, *, names: Sequence[str] | None = None, voice_of: VoiceOf = None
) -> Recording:
    """One clip of `pairs` in one direction; arguments as in `recordings`.

    Raises:
        DatasetError: a file of it is missing or malformed.
    """
    return recording_from(_files(split_of(folder, split), pair, split, names), voice_of)


def attributes_of_clip(root: Path, clip: str) -> tuple[Path, FloatArray]:
    """Path and values (T, 25) of a clip's attributes below a split's folder.

    Raises:
        DatasetError: missing or malformed.
    """
    path = attributes_path(root, clip)
    return path, _load_attributes(path)


def _load_attributes(path: Path) -> FloatArray:
    if path.suffix == ".npy":
        return load_array(path, "facial attributes", ATTRIBUTE_COUNT)
    return load_table(path, "facial attributes", ATTRIBUTE_NAMES)


def attributes_path(root: Path, clip: str) -> Path:
    """Where a clip's attributes are below a split's folder; where they should be if they are nowhere."""
    parts = clip.split("/")
    other = "/".join([*parts[:-2], _OTHER_NAME.get(parts[-2], parts[-2]), parts[-1]])
    candidates = [root / "Emotion" / f"{name}{suffix}" for name in (clip, other) for suffix in (".csv", ".npy")]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


def face_of_clip(root: Path, clip: str) -> tuple[Path, FloatArray]:
    """Path and FaceVerse values (T, 58) of a clip below a split's folder.

    Raises:
        DatasetError: missing or malformed.
    """
    path = _face_path(root, clip)
    return path, _load_face(path)


def _face_path(root: Path, clip: str) -> Path:
    return root / "3D_FV_files" / f"{clip}.npy"


def _load_face(path: Path) -> FloatArray:
    return load_array(path, "3DMM coefficients", COEFFICIENT_COUNT)


def _files(root: Path, pair: ClipPair, split: str, names: Sequence[str] | None) -> Files:
    return Files(
        source="react", pair=pair.pair, session=pair.session, role=pair.role,
        names={"split": split, "speaker": pair.speaker, "listener": pair.listener},
        faces=(_face_path(root, pair.speaker), _face_path(root, pair.listener)),
        sound=root / "Audio_files" / f"{pair.speaker}.wav", face_of=_load_face,
        coefficients_of=lambda face: to_coefficients(face, names),
        attributes=(attributes_path(root, pair.speaker), attributes_path(root, pair.listener)),
        attributes_of=_load_attributes,
    )  # fmt: skip


def neighbours(folder: Path, split: str) -> NDArray[np.bool_]:
    """Which listeners are appropriate for which speaker, (2n, 2n) in the order of `pairs` with both roles.

    From `neighbour_emotion_SPLIT.npy`, or cut from the whole matrix (`Approprirate_facial_reaction.npy`, so spelt, with
    `data_indices.csv`) where that file is missing.

    Raises:
        DatasetError: the matrix is missing, of another size, or not of 0 and 1.
    """
    count = len(pairs(folder, split))
    path = folder / f"neighbour_emotion_{split}.npy"
    matrix = _matrix(path) if path.is_file() else _cut(folder, split)
    if matrix.shape != (count, count):
        raise DatasetError(
            f"the neighbour matrix is {matrix.shape} for a {split} list of {count} directions", where=str(path)
        )
    return matrix


def _matrix(path: Path) -> NDArray[np.bool_]:
    values = open_array(path, "neighbour matrix")
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isin(values, (0, 1)).all():
        raise DatasetError("the neighbour matrix is not square and of 0 and 1", where=str(path))
    return np.asarray(values, dtype=bool)


def _cut(folder: Path, split: str) -> NDArray[np.bool_]:
    path = folder / "Approprirate_facial_reaction.npy"
    whole = _matrix(path)
    rows: dict[tuple[str, str, str], int] = {}
    with readable_text(folder / "data_indices.csv", "list of all clips") as file:
        for number, row in enumerate(csv.reader(file)):
            if number and len(row) >= 3:
                rows[(row[0].upper(), row[1], row[2])] = len(rows)
    if whole.shape[0] != 2 * len(rows):
        raise DatasetError(
            f"the neighbour matrix has {whole.shape[0]} rows for {len(rows)} clips of two directions", where=str(path)
        )
    chosen: list[int] = []
    for pair in pairs(folder, split, both_roles=False):
        parts = pair.speaker.split("/")
        # UDIVA's conversations are listed as CONVERSATION_TASK.
        chat = parts[1] if len(parts) == 4 else f"{parts[-3]}_{parts[1]}"
        index = rows.get((parts[0].upper(), chat, parts[-1]))
        if index is None:
            raise DatasetError("a clip is not in the list of all clips", where=f"{folder / 'data_indices.csv'}: {chat}")
        chosen.append(index)
    both = np.array(chosen + [index + len(rows) for index in chosen], dtype=np.intp)
    return np.asarray(whole[np.ix_(both, both)])
