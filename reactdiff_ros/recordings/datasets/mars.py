"""MARS (REACT2025 and REACT2026): whole sessions of speaker and listener, 30 frames a second, of any length.

```
ROOT/train/coefficients/speaker/session0/FILE.npy        (T, 1, 58) FaceVerse
ROOT/train/facial-attributes/speaker/session0/FILE.npy   (T, 25)
ROOT/train/audio/speaker/session0/FILE.wav
ROOT/train/.../listener/session0/FILE...                 the other person at the same time
```
FILE is `Camera-2024-06-21-103121-103102`. Layout: the challenge's public baseline repositories.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.recordings.datasets.faceverse import to_coefficients
from reactdiff_ros.recordings.datasets.recording import (
    DatasetError,
    Files,
    OnBad,
    Recording,
    VoiceOf,
    folder_of,
    load_array,
    read_all,
    recording_from,
    split_of,
)

RATE_HZ: Final = 30.0
ROLES: Final = ("speaker", "listener")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Item:
    """One file of one session in one direction: `role` speaks, the other role listens."""

    role: str
    session: str
    file: str

    @property
    def listening(self) -> str:
        """The role that listens."""
        return ROLES[1 - ROLES.index(self.role)]

    @property
    def pair(self) -> str:
        """The day of the recording, because the set does not name the people; else the file."""
        day = _DAY.search(self.file)
        return day.group() if day else self.file


def items(folder: Path, split: str, *, both_roles: bool = True) -> list[Item]:
    """All files of a split, sessions by number, speakers first.

    Raises:
        DatasetError: there are none, or a file has no counterpart in the other role.
    """
    root = folder_of(folder / split / "facial-attributes", "facial attributes")
    found = {role: {p.relative_to(root / role) for p in (root / role).glob("*/*.npy")} for role in ROLES}
    if not found["speaker"]:
        raise DatasetError("there are no sessions of speakers", where=str(root / "speaker"))
    for role, other in (ROLES, ROLES[::-1]):
        alone = sorted(found[role] - found[other])
        if alone:
            raise DatasetError(
                f"{len(alone)} files of the {role} have none of the {other}", where=str(root / role / alone[0])
            )
    ordered = sorted(found["speaker"], key=lambda p: (_number(p.parts[0]), p.stem))
    roles = ROLES if both_roles else ROLES[:1]
    return [Item(role, path.parts[0], path.stem) for role in roles for path in ordered]


def _number(session: str) -> tuple[int, str]:
    digits = re.search(r"\d+", session)
    return (int(digits.group()) if digits else -1, session)


def recordings(
    folder: Path,
    split: str = "train",
    *,
    both_roles: bool = True,
    names: Sequence[str] | None = None,
    voice_of: VoiceOf = None,
    on_bad: OnBad = None,
) -> Iterator[Recording]:
    """The split's recordings on the 25 Hz grid.

    Arguments as in `react.recordings`.

    Raises:
        DatasetError: the folder is unusable, or a file is and `on_bad` is None.
    """
    root = split_of(folder, split)
    return read_all(
        items(folder, split, both_roles=both_roles), lambda item: _files(root, item, split, names), voice_of, on_bad
    )


def recording_of(
    folder: Path, item: Item, split: str, *, names: Sequence[str] | None = None, voice_of: VoiceOf = None
) -> Recording:
    """One of `items`; arguments as in `recordings`.

    Raises:
        DatasetError: a file of it is missing or malformed.
    """
    return recording_from(_files(split_of(folder, split), item, split, names), voice_of)


def _files(root: Path, item: Item, split: str, names: Sequence[str] | None) -> Files:
    def both(kind: str) -> tuple[Path, Path]:
        below = f"{item.session}/{item.file}.npy"
        return root / kind / item.role / below, root / kind / item.listening / below

    return Files(
        source="mars", pair=item.pair, session=f"{item.session}/{item.file}", role=item.listening,
        names={"split": split, "session": item.session, "file": item.file}, faces=both("coefficients"),
        sound=root / "audio" / item.role / item.session / f"{item.file}.wav",
        face_of=lambda path: load_array(path, "3DMM coefficients", COEFFICIENT_COUNT),
        coefficients_of=lambda face: to_coefficients(face, names), attributes=both("facial-attributes"),
        attributes_of=lambda path: load_array(path, "facial attributes", ATTRIBUTE_COUNT), rate_hz=RATE_HZ,
    )  # fmt: skip
