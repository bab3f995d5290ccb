"""Simulated speakers whose smiles and glances are cut out of recorded ones, at another pace and size.

What they say stays simulated: calls with action units come without sound, and turns already follow published timings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .behaviour import LAUGH_EDGES_S, LAUGH_SIZE
from .motion import BoolArray, Events, Seed, generator, log_normal, uniform

PART: Final = 31
SMILES: Final = 0.2
"""Smiles begin above this (AU12 of .7) and are over below half of it."""
PACE: Final = (0.85, 1.18)
"""Frames of the recording in a frame of the world (chosen)."""
SIZE_SIGMA: Final = 0.2
"""Deviation of the logarithm of a person's size (chosen)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Smiles and glances of N recorded people over T frames of 25 Hz, without gaps, and how often they are used."""

    smile: FloatArray
    """(N, T) 0..1"""
    contact: BoolArray
    """(N, T) they look at their partner."""
    share: float = 0.5
    """Of the worlds."""

    def draw(self, seed: Seed, worlds: int, frames: int) -> tuple[BoolArray, FloatArray, BoolArray]:
        """Worlds that take theirs from a recording (B,), and for all worlds smile and contact (B, T).

        A world longer than its recording goes on with the recording's beginning.
        """
        rng = generator(seed, PART)
        people, length = self.smile.shape
        who, first = rng.integers(people, size=worlds), rng.integers(length, size=worlds)
        at = (first[:, None] + uniform(rng, *PACE, (worlds, 1)) * np.arange(frames)) % length
        low, part = at.astype(np.int64), at % 1
        own = self.smile[who[:, None], low] * (1 - part) + self.smile[who[:, None], (low + 1) % length] * part
        smile = np.clip(own * log_normal(rng, 1.0, SIZE_SIGMA, (worlds, 1)), 0, 1).astype(np.float32)
        return rng.random(worlds) < self.share, smile, self.contact[who[:, None], low]


def smiles_in(smile: FloatArray, count: int) -> Events:
    """The first `count` smiles of each curve (B, T), with what of it is rise, apex (from .9 of it) and fall."""
    start, over = (np.full((len(smile), count), 1e9, dtype=np.float32) for _ in range(2))
    size, rise, hold = (np.zeros_like(start) for _ in range(3))
    for row, curve in enumerate(smile):
        for column, (first, after) in enumerate(_stretches(curve)[:count]):
            stretch = curve[first:after]
            apex = np.flatnonzero(stretch >= 0.9 * stretch.max())
            start[row, column], over[row, column] = first, after
            size[row, column], rise[row, column], hold[row, column] = stretch.max(), apex[0], np.ptp(apex)
    rise, hold = np.maximum(rise, 1) * FRAME_S, np.maximum(hold, 1) * FRAME_S
    fall = np.maximum((over - start) * FRAME_S - rise - hold, FRAME_S)
    on = start < 1e8
    return Events(np.where(on, start * FRAME_S, start).astype(np.float32), size, rise, hold, fall, on)


def _stretches(curve: FloatArray) -> list[tuple[int, int]]:
    """First frame and frame after the last of each smile of a curve (T,)."""
    above, found = curve > SMILES, []
    smiling = np.flatnonzero(np.diff(np.concatenate([[0], curve > 0.5 * SMILES, [0]])))
    for first, after in smiling.reshape(-1, 2).tolist():
        if above[first:after].any():
            found.append((first, after))
    return found


def take_over(
    smiles: Events, bouts: FloatArray, base: FloatArray, rows: BoolArray, smile: FloatArray
) -> tuple[Events, FloatArray, FloatArray]:
    """Simulated smiles (B, N), for how long they laugh (B, N) and their curve (B, T), with those of `rows` (B,) found
    in the recorded curves `smile` (B, T); recorded smiles laugh where a simulated one may.
    """
    found = smiles_in(smile, smiles.start.shape[1])
    mixed = Events(**{
        name: np.where(rows[:, None], getattr(found, name), getattr(smiles, name)) for name in Events.__slots__
    })  # fmt: skip
    may = (mixed.amplitude > LAUGH_SIZE) & (mixed.over - mixed.start > bouts + LAUGH_EDGES_S)
    return mixed, np.where(may | ~rows[:, None], bouts, 0.0), np.where(rows[:, None], smile, base)
