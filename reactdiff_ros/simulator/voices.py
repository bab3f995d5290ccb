"""A bank of voices for the simulator: phrases, bursts and rooms as perception's voice extractor hears them.

The bank is a build-time file outside the repository (`make_bank`, espeak-ng needed). Without one the simulator's voice
streams are parametric (`hearing.py`).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import MFCC_COUNT

from .motion import FloatArray, IntArray

FORMAT: Final = 2
COLUMNS: Final = 3 + MFCC_COUNT
"""speech probability | pitch (Hz, 0 = unvoiced) | loudness (dBFS) | MFCC."""
TAIL: Final = 8
"""Frames of every phrase and burst after its sound is over."""


def _no_frames() -> FloatArray:
    return np.zeros((0, COLUMNS), np.float32)


def _no_tracks(*shape: int) -> IntArray:
    return np.zeros((*shape, 2), np.int64)


@dataclass(frozen=True, slots=True)
class VoiceBank:
    """Voice streams at 25 Hz; empty when no bank was made. A track is (first frame, count of frames)."""

    frames: FloatArray = field(default_factory=_no_frames)
    """(F, COLUMNS)"""
    phrases: IntArray = field(default_factory=lambda: _no_tracks(0, 0, 2, 2))
    """(voices, phrases, flat or bright, level or falling end, 2): the count leaves out the TAIL frames that follow."""
    bursts: IntArray = field(default_factory=lambda: _no_tracks(0, 0))
    """(voices, bursts, 2): laughs and coughs, which sound alike here; likewise followed by TAIL frames."""
    rooms: IntArray = field(default_factory=lambda: _no_tracks(0))
    """(rooms, 2): near silence of different rooms and microphones."""
    noises: IntArray = field(default_factory=lambda: _no_tracks(0))
    """(noises, 2): music, hum, rumble, other people far away."""

    @property
    def empty(self) -> bool:
        """No voices were made."""
        return not len(self.frames)


def load_bank(path: Path | None) -> VoiceBank:
    """The bank at `path`; an empty one for None.

    Raises:
        ReactdiffError: the file cannot be read, or holds no bank of this format.
    """
    if path is None:
        return VoiceBank()
    try:
        with np.load(path) as data:
            if "format" not in data or int(data["format"]) != FORMAT:
                raise ReactdiffError("this is no voice bank of this version", where=str(path), todo="make it again")
            bank = VoiceBank(
                *(data[name].astype(np.float32 if name == "frames" else np.int64) for name in VoiceBank.__slots__)
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ReactdiffError("the voice bank cannot be read", where=str(path), todo="make it again") from error
    _check(bank, path)
    return bank


def _check(bank: VoiceBank, path: Path) -> None:
    shapes = (bank.frames.shape[1:], bank.phrases.shape[2:], bank.bursts.shape[2:], bank.rooms.shape[1:])
    good = shapes == ((COLUMNS,), (2, 2, 2), (2,), (2,)) and bank.noises.shape[1:] == (2,)
    tables = (bank.phrases, bank.bursts, bank.rooms, bank.noises)
    if good:
        good = all(table.size and (table[..., 0] >= 0).all() and (table[..., 1] > 0).all() for table in tables)
        good &= all(int(table.sum(axis=-1).max()) <= len(bank.frames) for table in tables if table.size)
    if not (good and np.isfinite(bank.frames).all()):
        raise ReactdiffError("the voice bank is damaged", where=str(path), todo="make it again")
