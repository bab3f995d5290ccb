"""A split of a public set (REACT or MARS) as an evaluation sees it: who speaks, who listens, what is appropriate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.mars import target_lists
from reactdiff_ros.recordings.datasets import mars, react
from reactdiff_ros.recordings.datasets.files import DatasetError, load_array
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.types import FloatArray

Kind = Literal["react", "mars"]
RATES_HZ: Final[dict[str, float]] = {"react": react.RATE_HZ, "mars": mars.RATE_HZ}
LONGEST: Final = 750
"""REACT's clips have 751 frames, of which the challenge scores 750."""


def kind_of(folder: Path, split: str) -> Kind:
    """Which layout a folder has.

    Raises:
        ReactdiffError: neither.
    """
    if (folder / f"{split}.csv").is_file():
        return "react"
    if (folder / split / "facial-attributes").is_dir():
        return "mars"
    raise ReactdiffError(
        f"this is neither REACT's layout ({split}.csv) nor MARS's ({split}/facial-attributes)", where=str(folder),
        todo="docs/react2024.md says where each file goes",
    )  # fmt: skip


@dataclass(frozen=True)
class PublicSet:
    """One split. Everything is read when it is asked for; nothing is kept but the list."""

    kind: Kind
    folder: Path
    split: str
    names: tuple[str, ...] | None = field(default=None)
    """FaceVerse's expression names; None: only the head is observed."""

    @cached_property
    def entries(self) -> Sequence[Any]:
        """The split's list, both roles: `react.ClipPair` or `mars.Item`."""
        if self.kind == "react":
            return react.pairs(self.folder, self.split)
        return mars.items(self.folder, self.split)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def rate_hz(self) -> float:
        """Frames a second of its attributes."""
        return RATES_HZ[self.kind]

    def id(self, n: int) -> str:
        """Name of a recording: the speaker's clip."""
        entry = self.entries[n]
        if isinstance(entry, react.ClipPair):
            return entry.speaker
        return f"{entry.role}/{entry.session}/{entry.file}"

    def group(self, n: int) -> str:
        """The two people, as far as the set tells."""
        return str(self.entries[n].pair)

    @cached_property
    def appropriate(self) -> NDArray[np.bool_]:
        """REACT: (N, N) which listeners are appropriate for which speaker.

        Raises:
            DatasetError: the neighbour matrix is missing or malformed.
        """
        return react.neighbours(self.folder, self.split)

    def target_lists(self) -> list[list[int]]:
        """MARS: the own listener's reaction and nine more of the session, drawn with the challenge's seed."""
        out: list[list[int]] = [[] for _ in self.entries]
        for role in mars.ROLES:
            rows = [n for n, item in enumerate(self.entries) if item.role == role]
            found = target_lists([self.entries[n].session for n in rows], [self.entries[n].file for n in rows])
            for n, chosen in zip(rows, found, strict=True):
                out[n] = list(dict.fromkeys(rows[i] for i in chosen))
        return out

    def speaker_attributes(self, n: int) -> FloatArray:
        """(T, 25) labels of the speaker, at `rate_hz`. Raises DatasetError."""
        return self._attributes(n, speaking=True)[1]

    def listener_attributes(self, n: int) -> FloatArray:
        """(T, 25) labels of the one who listened. Raises DatasetError."""
        return self._attributes(n, speaking=False)[1]

    def _attributes(self, n: int, *, speaking: bool) -> tuple[Path, FloatArray]:
        entry = self.entries[n]
        if isinstance(entry, react.ClipPair):
            clip = entry.speaker if speaking else entry.listener
            path, values = react.attributes_of_clip(self.folder / self.split, clip)
            return path, values[:LONGEST]
        path = self._below("facial-attributes", entry, entry.role if speaking else entry.listening, "npy")
        return path, load_array(path, "facial attributes", ATTRIBUTE_COUNT)

    def recording(self, n: int, voice_of: Any) -> Recording:
        """The speaker as perception would tell of them, and the listener, at 25 Hz. Raises DatasetError."""
        entry = self.entries[n]
        if isinstance(entry, react.ClipPair):
            return react.recording_of(self.folder, entry, self.split, names=self.names, voice_of=voice_of)
        return mars.recording_of(self.folder, entry, self.split, names=self.names, voice_of=voice_of)

    def files(self, n: int) -> tuple[str, ...]:
        """The files that recording `n` is made of, whether they are there or not."""
        entry = self.entries[n]
        root = self.folder / self.split
        if isinstance(entry, react.ClipPair):
            both = (entry.speaker, entry.listener)
            found = [root / "3D_FV_files" / f"{clip}.npy" for clip in both]
            found += [react.attributes_path(root, clip) for clip in both]
            found.append(root / "Audio_files" / f"{entry.speaker}.wav")
        else:
            both = (entry.role, entry.listening)
            found = [self._below(part, entry, role, "npy") for part in _ARRAYS for role in both]
            found.append(self._below("audio", entry, entry.role, "wav"))
        return tuple(str(path) for path in found)

    def target_file(self, n: int) -> str:
        """The file of `listener_attributes`."""
        entry = self.entries[n]
        if isinstance(entry, react.ClipPair):
            return str(react.attributes_path(self.folder / self.split, entry.listener))
        return str(self._below("facial-attributes", entry, entry.listening, "npy"))

    def _below(self, part: str, item: mars.Item, role: str, suffix: str) -> Path:
        return self.folder / self.split / part / role / item.session / f"{item.file}.{suffix}"


_ARRAYS: Final = ("coefficients", "facial-attributes")


def reference_of(chosen: PublicSet) -> PublicSet:
    """The split that means and nearest neighbours are taken from: train where it is there, else the set itself."""
    try:
        found = PublicSet(kind_of(chosen.folder, "train"), chosen.folder, "train", chosen.names)
        return found if len(found) and found.kind == chosen.kind else chosen
    except (DatasetError, ReactdiffError):
        return chosen
