"""MARS (REACT2025 and REACT2026): whole sessions of speaker and listener, 30 frames a second, of any length.

```
ROOT/train/coefficients/speaker/session0/FILE.npy        (T, 1, 58) FaceVerse
ROOT/train/facial-attributes/speaker/session0/FILE.npy   (T, 25)
ROOT/train/audio/speaker/session0/FILE.wav
ROOT/train/.../listener/session0/FILE...                 the other person at the same time
```
FILE is `Camera-2024-06-21-103121-103102`. Every listener of a session is an appropriate reaction to every speaker of
it, because each session follows one script (`targets`). Layout: the challenge's public baseline repositories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.recordings.datasets.faceverse import to_coefficients
from reactdiff_ros.recordings.datasets.files import (
    DatasetError,
    OnBad,
    all_or_told,
    between,
    folder_of,
    load_array,
    load_sound,
    newest,
    same_length,
    split_of,
)
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.recordings.datasets.speaker import VoiceOf, affect_of, speaker_of

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
        """The day of the recording, as nothing tells which sessions are of the same two people; else the file."""
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
                f"{len(alone)} files of the {role} have none of the {other} beside them",
                where=str(root / role / alone[0]),
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

    The speaker at each time is the newest of the 30 frames a second, the listener is interpolated between them.
    Arguments as in `react.recordings`.

    Raises:
        DatasetError: the folder is unusable, or a file is and `on_bad` is None.
    """
    root = split_of(folder, split)
    makers: Iterator[Callable[[], Recording]] = (
        partial(_read, root, item, split, names, voice_of) for item in items(folder, split, both_roles=both_roles)
    )
    return all_or_told(makers, on_bad)


def recording_of(
    folder: Path, item: Item, split: str, *, names: Sequence[str] | None = None, voice_of: VoiceOf = None
) -> Recording:
    """One of `items`; arguments as in `recordings`.

    Raises:
        DatasetError: a file of it is missing or malformed.
    """
    return _read(split_of(folder, split), item, split, names, voice_of)


def _read(root: Path, item: Item, split: str, names: Sequence[str] | None, voice_of: VoiceOf) -> Recording:
    parts = []
    for role in (item.role, item.listening):
        for kind, field, columns in (
            ("coefficients", "3DMM coefficients", COEFFICIENT_COUNT),
            ("facial-attributes", "facial attributes", ATTRIBUTE_COUNT),
        ):
            path = root / kind / role / item.session / f"{item.file}.npy"
            parts.append((path, load_array(path, field, columns)))
    recorded = same_length(parts)
    speaker_face, speaker_attributes, listener_face, attributes = (values[:recorded] for _, values in parts)
    coefficients, seen = to_coefficients(speaker_face, names)
    listener, observed = to_coefficients(listener_face, names)
    listener = between(listener, RATE_HZ)
    frames = len(listener)
    voice = None
    if voice_of is not None:
        sound = root / "audio" / item.role / item.session / f"{item.file}.wav"
        voice = voice_of(*load_sound(sound, recorded, RATE_HZ), frames)
    return Recording(
        source="mars",
        pair=item.pair,
        session=f"{item.session}/{item.file}",
        role=item.listening,
        speaker=speaker_of(
            frames,
            coefficients=newest(coefficients, RATE_HZ),
            observed=seen,
            affect=affect_of(newest(speaker_attributes, RATE_HZ)),
            voice=voice,
        ),
        listener=listener,
        observed=observed,
        attributes=between(attributes, RATE_HZ),
        names={"split": split, "session": item.session, "file": item.file},
    )


def targets(folder: Path, split: str, *, both_roles: bool = True) -> NDArray[np.bool_]:
    """Which reactions are appropriate for which speaker, (N, N) in the order of `items`: all of the same session.

    Raises:
        DatasetError: as `items`.
    """
    listed = items(folder, split, both_roles=both_roles)
    same_session = np.array([[a.session == b.session for b in listed] for a in listed], dtype=bool)
    same_role = np.array([[a.role == b.role for b in listed] for a in listed], dtype=bool)
    return np.asarray(same_session & same_role)
