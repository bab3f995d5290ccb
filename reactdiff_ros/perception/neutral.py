"""The personal neutral: what this face measures when it shows nothing. Learnt causally, and it goes on adapting.

Expressions are one-sided (mouths open, lids close, corners rise), so neutral is not the mean: it is a quantile of what
was seen, which differs by measure (`QUANTILE`). It is drawn to the population's neutral (`PRIOR`) by how little was
seen, and may leave it by no more than `REACH` between-person standard deviations. A face that smiles from its first
picture is therefore still read as smiling, and pictures of strong expression enter at a quarter of the rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .measures import COUNT, INDEX

Array = NDArray[np.float64]

SAMPLE_NS = 200_000_000
EXPRESSIVE_SHARE = 4
REACH = 2.0

# name: (population neutral, standard deviation between people, quantile of the neutral)
_TABLE: dict[str, tuple[float, float, float]] = {
    "gap": (0.07, 0.04, 0.10), "chin": (1.93, 0.070, 0.20),
    "cornerUp": (-0.350, 0.035, 0.40), "cornerOut": (0.370, 0.035, 0.40), "cornerBack": (-0.340, 0.030, 0.60),
    "width": (0.78, 0.065, 0.40), "lipsX": (0.0, 0.015, 0.50), "chinX": (0.0, 0.015, 0.50),
    "upperLip": (-0.215, 0.030, 0.40), "upperThick": (0.145, 0.018, 0.50), "lowerThick": (0.168, 0.022, 0.50),
    "lowerLip": (0.500, 0.060, 0.60), "lid": (0.310, 0.045, 0.65), "lowerLid": (-0.100, 0.025, 0.40),
    "browInner": (0.315, 0.045, 0.45), "browMid": (0.397, 0.045, 0.45), "browOuter": (0.295, 0.040, 0.45),
    "browGap": (0.416, 0.020, 0.50), "cheek": (-0.512, 0.025, 0.40), "irisX": (0.0, 0.020, 0.50),
    "irisY": (0.055, 0.015, 0.50),
}  # fmt: skip


def _column(field: int) -> Array:
    values = np.zeros(COUNT)
    for name, i in INDEX.items():
        values[i] = _TABLE[name if name in _TABLE else name[:-1]][field]
    return values


PRIOR, SPREAD, QUANTILE = _column(0), _column(1), _column(2)


class PersonalNeutral:
    """Neutral of every measure of one person.

    Args:
        learning_s: after so many seconds of calm face, person and population count the same.
        memory_s: how far back it looks (longer, while the person is expressive).
    """

    def __init__(self, learning_s: float = 5.0, memory_s: float = 60.0) -> None:
        self._half = max(1.0, learning_s * 1e9 / SAMPLE_NS)
        self._samples = np.zeros((max(8, round(memory_s * 1e9 / SAMPLE_NS)), COUNT + 1))
        self._count = 0
        self._due_ns: int | None = None
        self._skipped = 0
        self._value = PRIOR.copy()
        self._pitch = 0.0

    @property
    def value(self) -> Array:
        """Neutral measures (COUNT,)."""
        return self._value

    @property
    def pitch(self) -> float:
        """Head pitch (rad) at which this person faces the camera."""
        return self._pitch

    @property
    def confidence(self) -> float:
        """0..1: the person's share in the neutral."""
        return self._count / (self._count + self._half)

    def observe(self, stamp_ns: int, measures: Array, pitch: float, expressive: bool) -> None:
        """Takes one picture's measures (COUNT,) and head pitch (rad); only one each 200 ms is kept."""
        if self._due_ns is not None and stamp_ns < self._due_ns:
            return
        self._due_ns = stamp_ns + SAMPLE_NS
        if expressive and self._skipped < EXPRESSIVE_SHARE - 1:
            self._skipped += 1
            return
        self._skipped = 0
        if not (np.isfinite(measures).all() and np.isfinite(pitch)):
            return
        size = len(self._samples)
        self._samples[self._count % size, :-1] = measures
        self._samples[self._count % size, -1] = pitch
        self._count += 1
        self._update(self._samples[: min(self._count, size)])

    def _update(self, samples: Array) -> None:
        ordered = np.sort(samples, axis=0)
        rank = np.append(QUANTILE, 0.5) * (len(samples) - 1)
        low = np.floor(rank).astype(np.intp)
        high = np.minimum(low + 1, len(samples) - 1)
        columns = np.arange(COUNT + 1)
        seen = ordered[low, columns] + (rank - low) * (ordered[high, columns] - ordered[low, columns])
        share = self.confidence
        deviation = np.clip(seen[:-1] - PRIOR, -REACH * SPREAD, REACH * SPREAD)
        self._value = PRIOR + share * deviation
        self._pitch = share * float(np.clip(seen[-1], -0.35, 0.35))
